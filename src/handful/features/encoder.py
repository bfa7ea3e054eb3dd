"""The Encoder: a frozen backbone as a scikit-learn transformer whose fit does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sklearn.base import BaseEstimator, TransformerMixin

from handful.backbones import catalog
from handful.backbones.base import default_device
from handful.errors import DataError, OptionError
from handful.features.cache import user_cache
from handful.features.extract import extract
from handful.features.view import Matrix


@dataclass
class Encoder(TransformerMixin, BaseEstimator):
    """Items in, features of a frozen backbone out: the first step of a Pipeline."""

    backbone: str = "minilm-l6"
    """A name from ``handful models``, a local folder or a Hugging Face id."""
    modality: str = "text"
    """What the items are: text, image or sound."""
    depth: int | None = None
    """After how many blocks to read; the last by default."""
    cache: bool = True
    """Whether features are looked up and kept on disk."""

    def fit(self, items: Sequence[Any], labels: Any = None) -> Self:
        """Load the backbone; nothing is learned from the items.

        Raises:
            OptionError: the backbone does not exist or has no such depth.
            WeightsError: its weights cannot be had.
        """
        self.backbone_ = catalog.load(self.backbone, self.modality).to(default_device())
        depths = range(len(self.backbone_.blocks) + 1) if self.backbone_.blocks else self.backbone_.search_depths
        if self.depth is not None and self.depth not in depths:
            raise OptionError(
                f"depth of {self.backbone} must be between {min(depths)} and {max(depths)}, got {self.depth}. "
                "Leave it out for the last."
            )
        return self

    def transform(self, items: Sequence[Any]) -> Matrix:
        """Features of N items, (N, D).

        Raises:
            DataError: an item cannot be read.
        """
        if isinstance(items, str | Path):
            raise DataError(f"transform needs a list of items, got one {type(items).__name__}. Wrap it: [item].")
        if not hasattr(self, "backbone_"):
            self.fit(items)
        depth = self.backbone_.search_depths[0] if self.depth is None else self.depth
        cache = user_cache() if self.cache else None
        features = extract(self.backbone_, list(items), (depth,), cache)
        if cache is not None:
            cache.close()
        if features.failed:
            at, why = next(iter(features.failed.items()))
            name = items[at] if isinstance(items[at], Path) else f"item {at}"
            raise DataError(f"{name} cannot be read: {why}.")
        return features.matrices[depth]

    def __sklearn_is_fitted__(self) -> bool:
        return True
