"""Parts, extracted once: what a frozen backbone sees in the tokens, patches or frames of items, item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone, no_parts
from handful.data.dataset import item_hash
from handful.errors import DataError
from handful.features.cache import FeatureCache

Half = NDArray[np.float16]

# Windows that are read together at most, in batches of the backbone: what is held at once does not grow with the items.
_TOGETHER = 4
# The largest number of half precision; what lies above it would be infinite.
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class ItemParts:
    """The P parts of one item, or why it could not be read."""

    vectors: dict[int, Half]
    """Depth → (P, D)."""
    place: NDArray[np.float64]
    """(P, 2) or (P, 4), see ``backbones.parts.PLACED``."""
    failed: str = ""
    """Why it could not be read; then it has no parts."""

    def __len__(self) -> int:
        return len(self.place)


def each_parts(
    backbone: Backbone,
    items: Sequence[Any],
    depths: Sequence[int],
    cache: FeatureCache | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[ItemParts]:
    """The parts of one item after the other, from the cache or computed; a few items are held at once and no more.

    Args:
        backbone: the frozen model.
        items: N items of its modality.
        depths: where to read; one pass serves all.
        cache: where parts are looked up and kept, in half precision; None computes all.
        progress: called with the number of items done and in all.

    Yields:
        N times the parts of an item, in the order of the items.

    Raises:
        OptionError: the backbone has no parts.
    """
    if not backbone.grain:
        raise no_parts(backbone.name, backbone.modality)
    waiting: list[tuple[Any, str]] = []
    known: list[ItemParts | None] = []
    size, most, done = 0, _TOGETHER * backbone.batch_items, 0
    for item in items:
        known_parts, name = _looked_up(backbone, item, depths, cache)
        known.append(known_parts)
        if known_parts is None:
            waiting.append((item, name))
            size += backbone.part_size(item)
        if size < most and (known_parts is None or waiting):
            continue
        for one in _in_order(backbone, known, waiting, depths, cache):
            done += 1
            progress(done, len(items))
            yield one
        waiting, known, size = [], [], 0
    for one in _in_order(backbone, known, waiting, depths, cache):
        done += 1
        progress(done, len(items))
        yield one


def _looked_up(
    backbone: Backbone, item: Any, depths: Sequence[int], cache: FeatureCache | None
) -> tuple[ItemParts | None, str]:
    """What is known of an item, None where it has to be looked at, and its name."""
    try:
        name = item_hash(item)
    except OSError as error:
        return _failed(f"cannot be opened ({error.strerror or error})"), ""
    except DataError as error:
        return _failed(str(error)), ""
    kept = None if cache is None else cache.get_parts(backbone.parts_key, depths, name)
    return (None if kept is None else ItemParts(*kept)), name


def _in_order(
    backbone: Backbone, known: Sequence[ItemParts | None], waiting: Sequence[tuple[Any, str]], depths: Sequence[int],
    cache: FeatureCache | None,
) -> Iterator[ItemParts]:  # fmt: skip
    """What is known, with what is waiting in its place."""
    fresh = iter(_computed(backbone, waiting, depths, cache))
    for one in known:
        yield next(fresh) if one is None else one


def _computed(
    backbone: Backbone, waiting: Sequence[tuple[Any, str]], depths: Sequence[int], cache: FeatureCache | None
) -> list[ItemParts]:
    """Look at some items together, or one by one where one cannot be read."""
    if not waiting:
        return []
    try:
        batch = backbone.prepare_parts([item for item, _ in waiting])
    except DataError as error:
        if len(waiting) == 1:
            return [_failed(str(error))]
        return [one for pair in waiting for one in _computed(backbone, [pair], depths, cache)]
    vectors = backbone.encode_parts(batch, depths)
    ends = np.searchsorted(batch.item, np.arange(len(waiting) + 1))
    computed = []
    for (_, name), first, end in zip(waiting, ends, ends[1:], strict=False):
        exact = [vectors[depth][first:end] for depth in depths]
        if not all(np.isfinite(part).all() for part in exact):
            computed.append(_failed(f"{backbone.name} gives numbers for it that are not finite"))
            continue
        own = {depth: _half(part) for depth, part in zip(depths, exact, strict=True)}
        computed.append(ItemParts(own, batch.place[first:end]))
        if cache is not None:
            cache.put_parts(backbone.parts_key, name, own, batch.place[first:end])
    return computed


def _half(vectors: NDArray[np.float32]) -> Half:
    """Half precision; what is too large for it is as large as can be."""
    return np.clip(vectors, -_LARGEST, _LARGEST).astype(np.float16)


def _failed(why: str) -> ItemParts:
    return ItemParts({}, np.zeros((0, 2)), why)
