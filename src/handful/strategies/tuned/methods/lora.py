"""The strategy ``lora``: low-rank factors."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.strategy import Pairs
from handful.training import tuners


@dataclass(eq=False, repr=False)
class LoRA(Pairs):
    """Low-rank factors beside every layer (LoRA, Hu et al. 2022)."""

    name = "lora"
    family = "few weights"
    order = 21
    learning_rate: float = 1e-3
    """The highest learning rate."""
    rank: int = 8
    """R, the width between the two factors."""

    def tuner(self) -> tuners.Tuner:
        """Factors of this rank."""
        return tuners.LoRA(rank=self.rank, alpha=2.0 * self.rank)
