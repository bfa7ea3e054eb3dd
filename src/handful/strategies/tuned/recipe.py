"""Recipes for items: what moving the weights of a backbone needs beside objective and tuner, as data."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from handful.backbones.base import Backbone
from handful.data.augment.choice import views
from handful.data.augment.options import BOLD, Augmentation
from handful.seeding import generator
from handful.training.loop import Settings
from handful.training.objectives.classify import Distillation
from handful.training.objectives.contrast import PairwiseCosine, Prototypical, SupervisedContrastive
from handful.training.recipe import Recipe
from handful.training.tuners.base import Delta

ON_FEATURES = (PairwiseCosine, Prototypical, SupervisedContrastive)
"""Objectives that need no scores; for all others a classifier learns with the body."""
SWEEP = (0.1, 0.3, 1.0, 3.0, 10.0)
"""What the rate of a recipe is multiplied by in a sweep."""
SWEPT = 5
"""How many updates each rate of a sweep gets."""


@dataclass(frozen=True, kw_only=True)
class ItemRecipe(Recipe):
    """One way to move the weights of a backbone, so that rows of one label look alike or are told apart."""

    trainable_fraction: float = 0.5
    """The share of the blocks, from the top, that take part; those below stay frozen and run once."""
    settings: Settings = field(default_factory=Settings)
    """The options of the loop."""
    layer_decay: float = 1.0
    """Factor on the rate from each block to the one below it."""
    penalty: float = 0.1
    """λ of the logistic head that is fitted on the tuned features in the end."""
    dropout: bool = False
    """Whether the backbone's dropout is on while it learns."""
    r_drop: float = 0.0
    """How strongly two dropout passes of a row have to agree; needs scores, and costs a second pass."""
    adversary: float = 0.0
    """How far activations are pushed to where the loss is worst, as a share of their length; costs two passes."""
    pieces: int = 1
    """Into how many updates all rows are cut at least; 1 shows a handful whole in every update."""
    versions: int = 0
    """How many augmented versions of each item there are beside the item itself."""
    strong_augment: bool = False
    """Whether these may be mirrored, coloured, sped up and worded otherwise as well."""
    tokens: int | None = None
    """How many tokens of a text an update sees at most; all by default."""
    label_name_weight: int = 0
    """For how many rows the name of a class counts, where names alone tell rows apart."""
    members: int = 1
    """How many trainings, each without another part of the rows, are averaged into one set of weights (a soup)."""
    student: Distillation | None = None
    """How one more training learns from the answers of the members, in place of the mean of their weights."""
    sweep: bool = False
    """Whether the rate is the best of five around the given one, by the loss after a few updates at each."""
    gradual: bool = False
    """Whether blocks begin to move one after the other, top block first, until rows held out inside get worse."""
    lesson: str = ""
    """What is learned in the first half of the updates: areas of classes, or easy rows; empty: everything at once."""
    begin: Delta | None = None
    """Weights to begin with in place of the backbone's own, as a meta-learned start gives them."""

    @property
    def noisy(self) -> bool:
        """Whether dropout is on."""
        return self.dropout or bool(self.r_drop)

    def size(self, rows: int, classes: int, most: int = sys.maxsize) -> int:
        """How many rows an update sees of so many: one piece, with a share of every class, and not too many at once."""
        return min(self.batch, most, rows, math.ceil(rows / self.pieces / classes) * classes)

    def trainings(self, backbone: Backbone) -> int:
        """How many trainings there are at most: of members, of a student, and one for each block that may follow."""
        blocks = len(backbone.blocks) - self.first(backbone) if self.gradual else 0
        return blocks + self.members + (self.student is not None)

    @property
    def only_wholes(self) -> str | None:
        """Why it cannot teach what stands in parts of items, or None where it can."""
        if isinstance(self.objective, ON_FEATURES):
            return "it compares items as wholes"
        if self.student is not None or self.lesson or self.versions:
            return "it learns from answers to items as wholes" if self.student else "it changes items as wholes"
        return None

    def updates(self, backbone: Backbone) -> int:
        """How many updates there are at most, in all trainings and in the sweep."""
        return self.trainings(backbone) * self.settings.updates + (len(SWEEP) * SWEPT if self.sweep else 0)


def versions_of(items: Sequence[Any], modality: str, recipe: ItemRecipe) -> list[list[Any]]:
    """The items, and as many augmented versions of each as the recipe asks for."""
    if not recipe.versions:
        return [list(items)]
    rng = generator(recipe.settings.seed, "augment")
    options = BOLD if recipe.strong_augment else Augmentation()
    changed = [views(item, modality, options, recipe.versions, rng) for item in items]  # N × V
    return [list(items), *(list(version) for version in zip(*changed, strict=True))]
