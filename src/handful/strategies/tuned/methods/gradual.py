"""The strategy ``gradual``: blocks that begin to move one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

from handful.strategies.tuned.methods.partial import Partial
from handful.strategies.tuned.recipe import ItemRecipe


@dataclass(eq=False, repr=False)
class Gradual(Partial):
    """One block after the other begins to move, top block first, as long as rows held out inside get better.

    Howard & Ruder 2018, "Universal language model fine-tuning for text classification" (gradual unfreezing).
    """

    name = "gradual"
    family = "blocks"
    order = 51

    def recipe(self) -> ItemRecipe:
        """As partial, with the number of blocks left to the rows."""
        return replace(super().recipe(), gradual=True)
