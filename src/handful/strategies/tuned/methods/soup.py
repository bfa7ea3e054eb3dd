"""The strategy ``soup``: the mean of several trainings (weight-space ensembling)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from handful.strategies.tuned.methods.supcon import SupCon
from handful.strategies.tuned.recipe import ItemRecipe


@dataclass(eq=False, repr=False)
class Soup(SupCon):
    """The mean of the weights of several trainings, each without another part of the rows (Wortsman et al. 2022)."""

    name = "soup"
    family = "average"
    order = 40
    members: int = 3
    """How many trainings are averaged; a prediction costs as much as with one."""

    def recipe(self) -> ItemRecipe:
        """As supcon, several times."""
        return replace(super().recipe(), members=self.members)
