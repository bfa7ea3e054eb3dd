"""The activation cache: what the frozen blocks gave, for as long as a ladder runs, by depth and number of versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handful.backbones.base import Backbone
from handful.backbones.parts import FRAMES
from handful.data.dataset import Dataset
from handful.features.feature_set import telling_names
from handful.strategies.tuned.recipe import ItemRecipe, versions_of
from handful.tasks.base import Targets
from handful.training.activations import Activations
from handful.training.parts import PartActivations
from handful.training.recordings import RecordingActivations


@dataclass
class ActivationCache:
    """Activations of the rows of a Dataset and of the names of its classes, made when a recipe first asks for them."""

    data: Dataset
    """The rows."""
    backbone: Backbone
    """Whose blocks run."""
    targets: Targets | None = None
    """What is wanted of the parts of the rows; None where items are learned from as wholes."""
    activations: dict[tuple[int, int, bool], Activations] = field(default_factory=dict)
    """(frozen blocks, augmented versions, whether strongly changed) → what they gave."""

    def of(self, recipe: ItemRecipe) -> Activations:
        """The activations that a recipe starts from."""
        key = (recipe.first(self.backbone), recipe.versions, recipe.strong_augment)
        if key not in self.activations:
            self.activations[key] = (
                activations_for(self.backbone, self.data.items, self.data.classes, recipe) if self.targets is None
                else part_activations_for(self.backbone, self.data.items, self.targets, key[0])
            )  # fmt: skip
        return self.activations[key]


def part_activations_for(backbone: Backbone, items: Sequence[Any], targets: Targets, depth: int) -> PartActivations:
    """What the frozen blocks give for the windows of items whose parts are learned from.

    Args:
        backbone: whose blocks run.
        items: N texts or recordings.
        targets: what is wanted of them.
        depth: how many blocks stay frozen.
    """
    if backbone.grain != FRAMES:
        return PartActivations.reading(backbone, items, depth)
    rows = targets.task.row_targets(targets)
    assert rows.item is not None
    ends = np.searchsorted(rows.item, np.arange(1, len(items)))
    return RecordingActivations.of_marked(backbone, items, depth, np.split(rows.values > 0, ends))


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
