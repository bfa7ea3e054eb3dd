"""The strategy ``prefix``: learned tokens in every block."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.strategy import Pairs
from handful.training.tuners import Prefix, Tuner


@dataclass(eq=False, repr=False)
class Prefixes(Pairs):
    """Learned tokens before the real ones, in every block that takes part (Li & Liang 2021)."""

    name = "prefix"
    family = "fewest weights"
    order = 30
    learning_rate: float = 1e-2
    """The highest learning rate."""
    length: int = 8
    """P, how many learned tokens each block sees."""

    def tuner(self) -> Tuner:
        """So many tokens."""
        return Prefix(self.length)
