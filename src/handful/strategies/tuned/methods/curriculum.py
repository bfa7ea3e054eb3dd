"""The strategy ``curriculum``: areas before classes, or easy rows before the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

from handful.strategies.tuned.methods.contrastive import Contrastive
from handful.strategies.tuned.recipe import ItemRecipe


@dataclass(eq=False, repr=False)
class Curriculum(Contrastive):
    """As contrastive, in two lessons of as many updates as its one (Bengio et al. 2009, "Curriculum learning").

    The first lesson tells areas apart, where names of classes have them (``billing/refund``, or a first word that
    several share); else it sees the half of each class that lies best in the frozen features.
    """

    name = "curriculum"
    family = "contrast"
    order = 12
    lesson: str = "areas"
    """What is learned first: ``areas``, where there are any, or ``easy`` rows."""

    def recipe(self) -> ItemRecipe:
        """As contrastive, with a first lesson."""
        return replace(super().recipe(), lesson=self.lesson)
