"""Extraction: a frozen backbone looks at every item once, and the cache remembers what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import LIKENESS, Backbone
from handful.data.dataset import item_hash
from handful.data.image_text import of_side
from handful.data.pairs import Pair
from handful.errors import DataError
from handful.features.cache import FeatureCache
from handful.features.view import unit_rows

Matrix = NDArray[np.float32]

# Items are sorted by size within a window, so that memory does not grow with their number.
WINDOW = 2048


@dataclass
class Features:
    """What one backbone sees in N items."""

    matrices: dict[int, Matrix]
    """Depth → (N, D); rows of items that could not be read are zero."""
    failed: dict[int, str] = field(default_factory=dict)
    """Position of an item → why it could not be read."""
    computed: int = 0
    """How many items were looked at; the others came from the cache."""


def extract(
    backbone: Backbone,
    items: Sequence[Any],
    depths: Sequence[int],
    cache: FeatureCache | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Features:
    """Compute features at several depths in one pass over what the cache does not hold.

    Args:
        backbone: the frozen model.
        items: N items of its modality.
        depths: where to read; one pass serves all.
        cache: where vectors are looked up and kept, all but those of a backbone that counts; None computes all.
        progress: called with the number of items done and in all.

    Returns:
        One matrix per depth, and what could not be read. Of pairs both texts are seen, and compared; see ``paired``. Of
        a picture with its text the side of the backbone's modality is seen, under the name that it has alone.
    """
    items = of_side(items, backbone.modality)
    if items and all(isinstance(item, Pair) for item in items):
        both = extract(
            backbone, [*(pair.first for pair in items), *(pair.second for pair in items)], depths, cache, progress
        )
        failed = {i % len(items): why for i, why in both.failed.items()}
        return Features({d: paired(*np.split(x, 2)) for d, x in both.matrices.items()}, failed, both.computed)
    cache = cache if backbone.remembered and not backbone.counts else None
    hashes, failed = _hashes(items)
    known: dict[int, dict[str, Matrix]] = {d: {} for d in depths}
    if cache is not None:
        wanted = sorted(set(hashes.values()))
        known = {d: cache.get(backbone.fingerprint, d, wanted) for d in depths}
    first_of: dict[str, int] = {}
    for i, name in hashes.items():
        if not all(name in known[d] for d in depths):
            first_of.setdefault(name, i)
    done = len(items) - len(first_of)
    progress(done, len(items))
    todo = list(first_of.values())
    for at, vectors, errors in _passes(backbone, items, todo, depths):
        failed.update(errors)
        fresh = {d: {hashes[i]: vectors[d][j] for j, i in enumerate(at)} for d in vectors}
        for d in fresh:
            known[d].update(fresh[d])
            if cache is not None:
                cache.put(backbone.fingerprint, d, fresh[d])
        done += len(at) + len(errors)
        progress(done, len(items))
    bad = {hashes[i]: why for i, why in failed.items() if i in hashes}
    failed.update({i: bad[name] for i, name in hashes.items() if name in bad})
    matrices = {d: _stack(known[d], hashes, len(items)) for d in depths}
    return Features(matrices, dict(sorted(failed.items())), len(todo))


def paired(first: Matrix, second: Matrix) -> Matrix:
    """What is seen in pairs of texts: what they share, how they differ, their likeness. (N, D) twice → (N, 3 D + 2).

    Sum, absolute difference and product of vectors of length one (Conneau et al. 2017, "Supervised learning of
    universal sentence representations", section 3.1), scaled to about one each, and the cosine and sine of the angle
    between them, which count most: for many questions about two texts their likeness is nearly all there is to know.
    """
    u, v = unit_rows(first), unit_rows(second)
    product = u * v * np.sqrt(u.shape[1] / 3)
    # One minus the cosine; as a difference of two numbers near one it would be rounding and nothing else.
    apart = np.clip(np.square(u - v).sum(1, keepdims=True) / 2, 0, 2)
    angle = LIKENESS * np.concatenate([1 - apart, np.sqrt(apart * (2 - apart))], 1)
    return np.concatenate([(u + v) / 2, np.abs(u - v) / 2, product, angle], 1).astype(np.float32)


def _hashes(items: Sequence[Any]) -> tuple[dict[int, str], dict[int, str]]:
    hashes, failed = {}, {}
    for i, item in enumerate(items):
        try:
            hashes[i] = item_hash(item)
        except OSError as error:
            failed[i] = f"cannot be opened ({error.strerror or error})"
        except DataError as error:
            failed[i] = str(error)
    return hashes, failed


def _stack(vectors: dict[str, Matrix], hashes: dict[int, str], count: int) -> Matrix:
    width = next((len(v) for v in vectors.values()), 0)
    out = np.zeros((count, width), np.float32)  # (N, D)
    for i, name in hashes.items():
        if name in vectors:
            out[i] = vectors[name]
    return out


def _passes(
    backbone: Backbone, items: Sequence[Any], todo: Sequence[int], depths: Sequence[int]
) -> Iterator[tuple[list[int], dict[int, Matrix], dict[int, str]]]:
    """Batches of equal size, decoded in one thread while the model works in another."""
    todo_batches = list(batches(backbone, items, todo))

    def prepare(at: list[int]) -> tuple[list[int], Any, dict[int, str]]:
        return _prepare(backbone, items, at)

    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool:
        waiting: list[Future[tuple[list[int], Any, dict[int, str]]]] = [
            pool.submit(prepare, b) for b in todo_batches[:2]
        ]
        for n in range(len(todo_batches)):
            at, batch, errors = waiting.pop(0).result()
            if n + 2 < len(todo_batches):
                waiting.append(pool.submit(prepare, todo_batches[n + 2]))
            if not at:
                yield [], {}, errors
                continue
            vectors = backbone.encode_batch(batch, depths)
            finite = np.all([np.isfinite(x).all(1) for x in vectors.values()], axis=0)  # (B,)
            for i, good in zip(at, finite, strict=True):
                if not good:
                    errors[i] = f"{backbone.name} gives numbers for it that are not finite"
            yield [i for i in at if i not in errors], {d: x[finite] for d, x in vectors.items()}, errors


def batches(backbone: Backbone, items: Sequence[Any], todo: Sequence[int]) -> Iterator[list[int]]:
    """Positions of items in batches of about equal size, the largest first, so that little is padded."""
    for start in range(0, len(todo), WINDOW):
        window = sorted(todo[start : start + WINDOW], key=lambda i: backbone.size(items[i]), reverse=True)
        for at in range(0, len(window), backbone.batch_items):
            yield window[at : at + backbone.batch_items]


def _prepare(backbone: Backbone, items: Sequence[Any], at: list[int]) -> tuple[list[int], Any, dict[int, str]]:
    """One batch; where an item cannot be read, find out which and go on with the others."""
    try:
        return at, backbone.prepare([items[i] for i in at]), {}
    except DataError:
        good, errors = [], {}
        for i in at:
            try:
                backbone.prepare([items[i]])
            except DataError as error:
                errors[i] = _reason(error, items[i])
            else:
                good.append(i)
        return good, backbone.prepare([items[i] for i in good]) if good else None, errors


def _reason(error: DataError, item: Any) -> str:
    """What is wrong with an item, for a message that names it already."""
    text = str(error).rstrip(".")
    return f"it {text.removeprefix(f'{item} ')}" if text.startswith(f"{item} ") else text
