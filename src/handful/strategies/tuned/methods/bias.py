"""The strategy ``bias``: biases and norms alone."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.strategy import Pairs
from handful.training.tuners import Bias, Tuner


@dataclass(eq=False, repr=False)
class BiasOnly(Pairs):
    """Only biases and norms move (BitFit, Ben Zaken et al. 2022)."""

    name = "bias"
    family = "few weights"
    order = 20
    learning_rate: float = 3e-3
    """The highest learning rate."""
    trainable_fraction: float = 1.0
    """The share of the blocks, from the top, that take part."""

    def tuner(self) -> Tuner:
        """Biases and norms."""
        return Bias()
