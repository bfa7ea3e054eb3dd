"""Features of large pools in shards: computed by the workers of an engine, each kept in the cache once it is there.

The cache is the record of what is done: who goes on after an end computes what it does not hold, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from handful.backbones.base import Backbone
from handful.data.dataset import item_hash
from handful.data.image_text import of_side
from handful.data.pairs import Pair
from handful.engines import Engine
from handful.engines.shards import in_shards
from handful.errors import DataError
from handful.features.cache import FeatureCache, user_cache
from handful.features.extract import Matrix, extract

SIZE = 1024
"""Items of a shard: seconds of work on a core, so that handing it out costs nothing and losing it little."""


@dataclass(frozen=True)
class Looked:
    """What a worker does: a backbone is read at some depths."""

    backbone: Backbone
    """The frozen model."""
    depths: tuple[int, ...]
    """Where it is read."""


@dataclass(frozen=True)
class Piece:
    """Some items of a pool."""

    start: int
    """Position of the first in what has to be computed."""
    items: tuple[Any, ...]
    """B items."""
    hashes: tuple[str, ...]
    """What the cache calls them."""

    def __repr__(self) -> str:
        return f"items {self.start} to {self.start + len(self.items) - 1}"


Seen = dict[int, Matrix]


def seen(what: Looked, piece: Piece) -> tuple[Seen, tuple[int, ...]]:
    """What a backbone sees: depth → (B, D), and the positions of what cannot be read."""
    features = extract(what.backbone, piece.items, what.depths)
    return features.matrices, tuple(features.failed)


def fill(
    cache: FeatureCache, backbone: Backbone, items: Sequence[Any], depths: Sequence[int], engine: Engine,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:  # fmt: skip
    """Let the workers of an engine compute what a cache lacks of some items; what cannot be read is left out.

    Args:
        cache: where vectors are kept.
        backbone: the frozen model; of one that counts nothing is kept, so nothing is computed.
        items: N items of its modality, which on a cluster lie where every machine reads them.
        depths: where to read.
        engine: whose workers.
        progress: called with items done and in all.

    Returns:
        How many items were computed.
    """
    if backbone.counts:
        return 0
    lacking = list(_lacking(cache, backbone, items, depths))
    done = 0

    def keep(piece: Piece, result: tuple[Seen, tuple[int, ...]]) -> None:
        nonlocal done
        matrices, failed = result
        good = [i for i in range(len(piece.items)) if i not in failed]
        for depth, vectors in matrices.items():
            cache.put(backbone.fingerprint, depth, {piece.hashes[i]: vectors[i] for i in good})
        done += len(piece.items)
        progress(done, len(lacking))

    pieces = (
        Piece(at, *zip(*lacking[at : at + SIZE], strict=True))  # items, and their names
        for at in range(0, len(lacking), SIZE)
    )
    with engine.workers(seen, Looked(backbone, tuple(depths))) as workers:
        for _ in in_shards(workers, pieces, finished=keep):
            pass
    return done


def _lacking(
    cache: FeatureCache, backbone: Backbone, items: Sequence[Any], depths: Sequence[int]
) -> Iterator[tuple[Any, str]]:
    """Each item that the cache lacks, once, with its name."""
    named: dict[str, Any] = {}
    for item in of_side(items, backbone.modality):
        for side in (item.first, item.second) if isinstance(item, Pair) else (item,):
            try:
                named.setdefault(item_hash(side), side)
            except (DataError, OSError):
                continue  # whoever reads it says so
    held = [cache.get(backbone.fingerprint, depth, sorted(named)) for depth in depths]
    return ((item, name) for name, item in named.items() if not all(name in known for known in held))


def fill_all(
    items: Sequence[Any], backbones: Mapping[str, Backbone], engine: Engine,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> None:  # fmt: skip
    """Let the user's cache hold what several backbones see in some items, as ``feature_set.extract_all`` reads it.

    Args:
        items: N items.
        backbones: by name.
        engine: whose workers.
        progress: called with stage, items done and in all.
    """
    cache = user_cache()
    try:
        for name, backbone in backbones.items():
            fill(cache, backbone, items, backbone.search_depths, engine, partial(progress, f"looking with {name}"))
    finally:
        cache.close()
