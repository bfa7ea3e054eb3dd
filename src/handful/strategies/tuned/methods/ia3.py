"""The strategy ``ia3``: factors on the outputs of layers."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.strategy import Pairs
from handful.training import tuners


@dataclass(eq=False, repr=False)
class IA3(Pairs):
    """Factors on the outputs of layers ((IA)³, Liu et al. 2022)."""

    name = "ia3"
    family = "fewest weights"
    order = 32
    learning_rate: float = 1e-2
    """The highest learning rate."""
    trainable_fraction: float = 1.0
    """The share of the blocks, from the top, that take part."""

    def tuner(self) -> tuners.Tuner:
        """One factor per output."""
        return tuners.IA3()
