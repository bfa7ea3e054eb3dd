"""The strategy ``supcon``: supervised contrast."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.strategy import Tuned
from handful.training.objectives import Objective
from handful.training.objectives.contrast import SupervisedContrastive


@dataclass(eq=False, repr=False)
class SupCon(Tuned):
    """Supervised contrast over all pairs of a batch (Khosla et al. 2020), then a head."""

    name = "supcon"
    family = "contrast"
    order = 11
    updates: int = 16
    """How many times the weights are moved; with the smaller batch, half the time of 20 × 16 rows for the same gain."""
    batch: int = 12
    """About how many rows an update sees."""
    temperature: float = 0.1
    """What similarities are divided by: lower looks at the nearest rows only."""

    def objective(self) -> Objective:
        """The logarithm of the share of the own class among the neighbours."""
        return SupervisedContrastive(self.temperature)
