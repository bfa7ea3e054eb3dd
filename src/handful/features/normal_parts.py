"""What is compared with normal items: the patches of pictures, the frames of sounds, texts as wholes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from handful.backbones.base import Backbone, no_parts
from handful.features.cache import FeatureCache
from handful.features.extract import extract
from handful.features.parts import ItemParts, each_parts

# Texts that are looked at together.
_TEXTS = 256


def depths_for(backbone: Backbone) -> tuple[int, ...]:
    """Where a backbone is read.

    Raises:
        OptionError: it tells of no parts of pictures or sounds.
    """
    if backbone.modality == "text":
        return backbone.search_depths[:1]
    if not backbone.grain:
        raise no_parts(backbone.name, backbone.modality)
    return backbone.part_depths


def compared_parts(
    backbone: Backbone,
    items: Sequence[Any],
    depths: Sequence[int],
    cache: FeatureCache | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[ItemParts]:
    """What is compared of one item after the other; a text is its only part.

    Args:
        backbone: the frozen model.
        items: N items of its modality.
        depths: those of ``depths_for``.
        cache: where features are looked up and kept; None computes all.
        progress: called with the number of items done and in all.
    """
    if backbone.modality != "text":
        yield from each_parts(backbone, items, depths, cache, progress)
        return
    for first in range(0, len(items), _TEXTS):
        some = items[first : first + _TEXTS]
        features = extract(backbone, some, depths, cache)
        for i, text in enumerate(some):
            if i in features.failed:
                yield ItemParts({}, np.zeros((0, 2)), features.failed[i])
                continue
            vectors = {depth: x[i : i + 1].astype(np.float16) for depth, x in features.matrices.items()}
            yield ItemParts(vectors, np.array([[0.0, float(len(text))]]))
        progress(min(first + _TEXTS, len(items)), len(items))
