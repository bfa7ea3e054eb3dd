"""The feature set: what all backbones see in the rows of a Dataset and in the names of its classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT, of_side
from handful.data.pairs import Pair
from handful.data.vectors import VECTORS
from handful.features.cache import user_cache
from handful.features.extract import extract
from handful.features.view import Matrix, View, views_of

# A label with fewer letters than this says nothing to a text encoder.
SHORTEST_NAME = 2


@dataclass(frozen=True)
class Cut:
    """Which of N texts are longer than a backbone reads."""

    longest: int
    """How many tokens it reads."""
    rows: NDArray[np.bool_]
    """(N,) whether a text is as long, or longer; of a pair, whether one of the two is."""


@dataclass(frozen=True)
class FeatureSet:
    """Features of N rows and of the names of C classes, from every backbone and depth."""

    items: Mapping[tuple[str, int], Matrix]
    """(backbone, depth) → (N, D)."""
    names: Mapping[tuple[str, int], Matrix]
    """(backbone, depth) → (C, D) of the sorted class names; empty where names say nothing."""
    depths: Mapping[str, tuple[int, ...]]
    """Backbone → the depths that were read, last first."""
    counts: frozenset[str] = frozenset()
    """The backbones that count what stands in an item."""
    handed: bool = False
    """Whether another program made the numbers, of which there may be thousands that agree."""
    cut: Mapping[str, Cut] = field(default_factory=dict)
    """Backbone → which rows are longer than it reads; empty where one reads all to the end whatever their length."""
    sides: Mapping[str, str] = field(default_factory=dict)
    """Backbone → the input that it reads, where items have two; empty where they are one."""
    item: NDArray[np.int64] | None = None
    """(P,) the item that each row of ``items`` is a part of, in order; None where rows are items."""

    def take(self, index: Sequence[int]) -> FeatureSet:
        """The same for some of the rows."""
        at = list(index)
        if self.item is not None:
            parts = [np.flatnonzero(self.item == i) for i in at]
            rows = np.concatenate([*parts, np.zeros(0, np.int64)])
            item = np.repeat(np.arange(len(at)), [len(own) for own in parts])
            return replace(self, items={part: x[rows] for part, x in self.items.items()}, item=item)
        cut = {name: replace(found, rows=found.rows[at]) for name, found in self.cut.items()}
        return replace(self, items={part: x[at] for part, x in self.items.items()}, cut=cut)

    @property
    def views(self) -> tuple[View, ...]:
        """All views worth comparing."""
        return views_of(self.depths, self.sides)

    def learned(self) -> FeatureSet | None:
        """What backbones see that learned to, by which likeness can be told; None where all of them count."""
        depths = {name: at for name, at in self.depths.items() if name not in self.counts}
        return replace(self, depths=depths) if depths else None

    def take_classes(self, index: Sequence[int]) -> FeatureSet:
        """The same for some of the classes."""
        return replace(self, names={part: x[list(index)] for part, x in self.names.items()})


def extract_all(
    data: Dataset,
    backbones: Mapping[str, Backbone],
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> tuple[Dataset, FeatureSet]:
    """Run every backbone over every row once.

    Args:
        data: N rows.
        backbones: by name.
        progress: called with stage, rows done and rows in all.

    Returns:
        The rows that can be read, with the others listed in ``unreadable``, and what is seen in them.

    Raises:
        DataError: too many rows cannot be read.
    """
    cache, names = user_cache(), [f"This text is about {name}." for name in telling_names(data.classes, data.modality)]
    if data.pairs:  # a name is one text, and no pair is like it
        names = []
    items: dict[tuple[str, int], Matrix] = {}
    named: dict[tuple[str, int], Matrix] = {}
    failed: dict[int, str] = {}
    for name, backbone in backbones.items():

        def report(done: int, total: int, name: str = name) -> None:
            progress(f"looking with {name}", done, total)

        features = extract(backbone, data.items, backbone.search_depths, cache, report)
        items.update({(name, depth): x for depth, x in features.matrices.items()})
        failed.update(features.failed)
        if names:
            features = extract(backbone, names, backbone.search_depths, cache)
            named.update({(name, depth): x for depth, x in features.matrices.items()})
    cache.close()
    readable = [i for i in range(len(data)) if i not in failed]
    depths = {name: tuple(backbone.search_depths) for name, backbone in backbones.items()}
    counts = frozenset(name for name, backbone in backbones.items() if backbone.counts)
    sides = {name: b.modality for name, b in backbones.items() if data.modality == IMAGE_TEXT}
    seen = FeatureSet(items, named, depths, counts, data.modality == VECTORS, _cut(data, backbones), sides)
    return data.without(failed), seen.take(readable)


def _cut(data: Dataset, backbones: Mapping[str, Backbone]) -> dict[str, Cut]:
    """Which texts are longer than each backbone reads; nothing where one of them has no end."""
    items = of_side(data.items, "text")
    if data.modality == IMAGE_TEXT:
        backbones = {name: backbone for name, backbone in backbones.items() if backbone.modality == "text"}
    if any(not backbone.most_tokens for backbone in backbones.values()):
        return {}
    texts = [side for item in items for side in ((item.first, item.second) if isinstance(item, Pair) else (item,))]
    sides = max(1, len(texts) // max(1, len(items)))
    return {
        name: Cut(backbone.most_tokens, np.asarray(backbone.cut(texts).reshape(-1, sides).any(1)))
        for name, backbone in backbones.items()
    }


def telling_names(classes: Sequence[str], modality: str) -> list[str]:
    """The C names of the classes as texts; none where they say nothing to a backbone, as digits do."""
    plain = [label.replace("_", " ").replace("-", " ").strip() for label in classes]
    if modality != "text" or any(sum(map(str.isalpha, name)) < SHORTEST_NAME for name in plain):
        return []
    return plain
