"""The strategy ``distilled``: what several trainings teach one more."""

from __future__ import annotations

from dataclasses import dataclass, replace

from handful.strategies.tuned.methods.partial import Partial
from handful.strategies.tuned.recipe import ItemRecipe
from handful.training.objectives.classify import Distillation


@dataclass(eq=False, repr=False)
class Distilled(Partial):
    """What several trainings answer to rows that each did not see, learned by one more (Hinton et al. 2015)."""

    name = "distilled"
    family = "blocks"
    order = 52
    members: int = 3
    """How many trainings teach, each without another part of the rows; a prediction costs as much as with one."""
    temperature: float = 2.0
    """What scores are divided by before they are compared: higher makes runners-up count for more."""
    weight: float = 0.5
    """Share of the teachers in what is minimised; the rest are the labels."""

    def recipe(self) -> ItemRecipe:
        """As partial, several times, and once more."""
        return replace(super().recipe(), members=self.members, student=Distillation(self.temperature, self.weight))
