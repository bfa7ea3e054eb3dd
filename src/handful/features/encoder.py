"""The Encoder: a frozen backbone as a scikit-learn transformer whose fit does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags

from handful.backbones import catalog
from handful.backbones.base import default_device
from handful.data.handed_items import handed_items
from handful.errors import OptionError
from handful.features.cache import FeatureCache, user_cache
from handful.features.extract import extract
from handful.features.item_estimator import ItemEstimator, all_readable, modality_of, read_items
from handful.features.view import Matrix

# What ``tune`` calls several backbones.
_SEVERAL = ("auto", "joined")


@dataclass(eq=False, repr=False)
class Encoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ItemEstimator):
    """Items in, features of a frozen backbone out: the first step of a Pipeline.

    Learned: ``backbone_``; ``width_``, how many numbers an item becomes.
    """

    backbone: str = "minilm-l6"
    """A name from ``handful models``, a local folder or a Hugging Face id."""
    modality: str | None = None
    """What the items are: text, image or sound; by default what the backbone reads."""
    depth: int | None = None
    """After how many blocks to read; the last by default."""
    cache: bool = True
    """Whether features are looked up and kept on disk."""

    def fit(self, items: Sequence[Any], labels: Any = None) -> Self:
        """Load the backbone; nothing is learned from the items.

        Raises:
            DataError: the first item cannot be read.
            OptionError: the backbone does not exist or has no such depth.
            WeightsError: its weights cannot be had.
        """
        several = [name.strip() for name in self.backbone.split(",")]
        if self.backbone in _SEVERAL:
            several = [*catalog.defaults(self.modality or "text")]
        if len(several) > 1:
            encoders = ", ".join(f'Encoder("{name}")' for name in several)
            raise OptionError(
                f"an Encoder reads one backbone, got {self.backbone!r}. Join several with scikit-learn's "
                f"make_union({encoders}); handful.tune chooses among them."
            )
        first = handed_items(items, None, "fit")[:1]
        self.backbone_ = catalog.load(self.backbone, modality_of(self.backbone, self.modality, first))
        self.backbone_.to(default_device())
        depths = range(len(self.backbone_.blocks) + 1) if self.backbone_.blocks else self.backbone_.search_depths
        if self.depth is not None and self.depth not in depths:
            raise OptionError(
                f"depth of {self.backbone} must be between {min(depths)} and {max(depths)}, got {self.depth}. "
                "Leave it out for the last."
            )
        self.width_ = int(self._seen(first, None).shape[1])
        return self

    def transform(self, items: Sequence[Any]) -> Matrix:
        """Features of N items, (N, D).

        Raises:
            DataError: an item cannot be read.
        """
        values = handed_items(items, None, "transform")
        if not hasattr(self, "backbone_"):
            self.fit(values)
        cache = user_cache() if self.cache else None
        try:
            return self._seen(values, cache)
        finally:
            if cache is not None:
                cache.close()

    def _seen(self, items: list[Any], cache: FeatureCache | None) -> Matrix:
        values = read_items(items, self.backbone_.modality)
        depth = self.backbone_.search_depths[0] if self.depth is None else self.depth
        features = extract(self.backbone_, values, (depth,), cache)
        all_readable(values, features.failed)
        return features.matrices[depth]

    @property
    def _n_features_out(self) -> int:
        """How many names ``get_feature_names_out`` gives."""
        return int(self.width_)

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return True
