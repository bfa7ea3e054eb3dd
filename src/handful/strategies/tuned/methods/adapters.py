"""The strategy ``adapters``: bottlenecks after each block."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.strategy import Pairs
from handful.training.tuners import Adapter, Tuner


@dataclass(eq=False, repr=False)
class Adapters(Pairs):
    """A bottleneck after each block (Houlsby et al. 2019)."""

    name = "adapters"
    family = "few weights"
    order = 22
    learning_rate: float = 3e-3
    """The highest learning rate."""
    size: int = 16
    """R, the numbers between the two layers of a bottleneck."""

    def tuner(self) -> Tuner:
        """Bottlenecks of this size."""
        return Adapter(self.size)
