"""The activation cache: what the frozen blocks gave, for as long as a ladder runs, by depth and number of versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.features.feature_set import telling_names
from handful.strategies.tuned.recipe import ItemRecipe, versions_of
from handful.training.activations import Activations
from handful.training.parts import PartActivations


@dataclass
class ActivationCache:
    """Activations of the rows of a Dataset and of the names of its classes, made when a recipe first asks for them."""

    data: Dataset
    """The rows."""
    backbone: Backbone
    """Whose blocks run."""
    parts: bool = False
    """Whether parts of items are learned from."""
    activations: dict[tuple[int, int, bool], Activations] = field(default_factory=dict)
    """(frozen blocks, augmented versions, whether strongly changed) → what they gave."""

    def of(self, recipe: ItemRecipe) -> Activations:
        """The activations that a recipe starts from."""
        key = (recipe.first(self.backbone), recipe.versions, recipe.strong_augment)
        if key not in self.activations:
            self.activations[key] = (
                PartActivations.reading(self.backbone, self.data.items, key[0]) if self.parts
                else activations_for(self.backbone, self.data.items, self.data.classes, recipe)
            )  # fmt: skip
        return self.activations[key]


def activations_for(
    backbone: Backbone, items: Sequence[Any], classes: Sequence[str], recipe: ItemRecipe
) -> Activations:
    """What the frozen blocks give for items, for the versions of each that a recipe asks for, and for class names.

    Args:
        backbone: whose blocks run.
        items: N texts, pictures or sounds.
        classes: C sorted names.
        recipe: how weights will move.
    """
    versions = versions_of(items, backbone.modality, recipe)
    names = telling_names(classes, backbone.modality)
    return Activations.of(backbone, versions, recipe.first(backbone), names=names)
