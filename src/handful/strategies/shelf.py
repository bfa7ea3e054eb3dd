"""The shelf: what the frozen blocks gave, kept while a climb lasts, once per depth and number of versions."""

from __future__ import annotations

from dataclasses import dataclass, field

from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.features.sight import telling_names
from handful.strategies.recipe import Recipe, versions_of
from handful.training.activations import Activations


@dataclass
class Shelf:
    """Activations of the rows of a Dataset and of the names of its classes, made when a recipe first asks for them."""

    data: Dataset
    """The rows."""
    backbone: Backbone
    """Whose blocks run."""
    kept: dict[tuple[int, int, bool], Activations] = field(default_factory=dict)
    """(frozen blocks, augmented versions, whether bold) → what they gave."""

    def of(self, recipe: Recipe) -> Activations:
        """The activations that a recipe starts from."""
        key = (recipe.first(self.backbone), recipe.versions, recipe.bold)
        if key not in self.kept:
            versions = versions_of(self.data.items, self.data.modality, recipe)
            names = telling_names(self.data.classes, self.data.modality)
            self.kept[key] = Activations.of(self.backbone, versions, key[0], names=names)
        return self.kept[key]
