"""Words and moments: what backbones see in tokens or frames, joined to what texts and recordings are cut into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone, no_parts
from handful.backbones.parts import FRAMES, TOKENS
from handful.data.sentences import bounds_of
from handful.features.cache import FeatureCache, user_cache
from handful.features.feature_set import FeatureSet
from handful.features.moments import moments_of
from handful.features.parts import each_parts
from handful.features.view import Matrix, View, unit_rows
from handful.features.word_forms import forms_of


@dataclass(frozen=True)
class Cut:
    """Into what items of a grain are cut, on which backbones and tasks agree."""

    bounds: Callable[[Any], NDArray[np.int64]]
    """Item → (W, 2) where its words or moments begin and end."""
    scale: float
    """How many units of these one unit of the places of parts has."""
    forms: bool = False
    """Whether it is told as well how words are written."""

    def written(self, item: Any, count: int) -> Matrix:
        """How the words of an item are written, each of length one, (W, F); of moments there is nothing to tell."""
        return unit_rows(forms_of(item)) if self.forms else np.zeros((count, 0), np.float32)


CUTS = {TOKENS: Cut(bounds_of, 1, forms=True), FRAMES: Cut(moments_of, 1000)}
"""Grain → what items of it are cut into."""


def extract_words(
    items: Sequence[Any],
    backbones: Mapping[str, Backbone],
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> FeatureSet:
    """What every backbone sees in the words of N texts, or moments of recordings, at the depths worth trying for parts.

    Args:
        items: texts or recordings that were read before.
        backbones: by name, each with tokens, or each with frames.
        progress: called with stage, items done and items in all.

    Raises:
        OptionError: a backbone has no parts.
    """
    cache, found = user_cache(), dict[tuple[str, int], Matrix]()
    first = next(iter(backbones.values()))
    if not first.grain:
        raise no_parts(first.name, first.modality)
    cut = CUTS[first.grain]
    for name, backbone in backbones.items():

        def report(done: int, total: int, name: str = name) -> None:
            progress(f"looking at {'words' if cut.forms else 'moments'} with {name}", done, total)

        matrices, _ = words_seen(backbone, items, backbone.part_depths, cache, report)
        found.update({(name, depth): matrix for depth, matrix in matrices.items()})
    cache.close()
    depths = {name: tuple(backbone.part_depths) for name, backbone in backbones.items()}
    item = np.repeat(np.arange(len(items)), [len(cut.bounds(item)) for item in items])
    return FeatureSet(found, {}, depths, item=item)


def words_seen(
    backbone: Backbone,
    items: Sequence[Any],
    depths: Sequence[int],
    cache: FeatureCache | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[int, Matrix], dict[int, str]]:
    """What one backbone sees in the P words of N texts, or moments of recordings.

    Returns:
        Depth → (P, D), what it sees and how words are written, and position → why an item could not be read.

    Raises:
        OptionError: the backbone has no parts.
    """
    if not backbone.grain:
        raise no_parts(backbone.name, backbone.modality)
    cut = CUTS[backbone.grain]
    rows: dict[int, list[Matrix]] = {depth: [] for depth in depths}
    failed: dict[int, str] = {}
    for i, (item, parts) in enumerate(zip(items, each_parts(backbone, items, depths, cache, progress), strict=True)):
        bounds = cut.bounds(item)
        if parts.failed:
            failed[i] = parts.failed
        for depth in depths:
            vectors = parts.vectors.get(depth)
            if vectors is None:
                rows[depth].append(np.zeros((len(bounds), 0), np.float32))
                continue
            seen = unit_rows(joined(vectors, cut.scale * parts.place, bounds))
            rows[depth].append(np.concatenate([seen, cut.written(item, len(bounds))], 1))
    width = {depth: max((x.shape[1] for x in found), default=0) for depth, found in rows.items()}
    empty = {depth: np.zeros((0, width[depth]), np.float32) for depth in depths}
    return {
        depth: np.concatenate([*(_wide(x, width[depth]) for x in rows[depth]), empty[depth]]) for depth in depths
    }, failed


def read_words(
    items: Sequence[Any], view: View, backbone_of: Callable[[str], Backbone], cache: FeatureCache | None
) -> tuple[Matrix, dict[int, str]]:
    """What a view sees in the P words or moments of N items, (P, D), and position → why one could not be read."""
    features: dict[tuple[str, int], Matrix] = {}
    failed: dict[int, str] = {}
    for name in view.backbones:
        seen, unread = words_seen(backbone_of(name), items, view.depths_of(name), cache)
        features.update({(name, depth): matrix for depth, matrix in seen.items()})
        failed.update(unread)
    return view.matrix(features), failed


def joined(vectors: NDArray[np.floating], place: NDArray[np.float64], bounds: NDArray[np.int64]) -> Matrix:
    """The mean of the tokens that lie over each word; zeros where none does.

    Args:
        vectors: (T, D) of the tokens of one text, in order.
        place: (T, 2) their characters.
        bounds: (W, 2) those of its words, in order.

    Returns:
        (W, D).
    """
    out = np.zeros((len(bounds), vectors.shape[1]), np.float32)
    if not len(vectors) or not len(bounds):
        return out
    firsts, ends = parts_over(place, bounds)
    sums = np.concatenate([np.zeros((1, vectors.shape[1]), np.float64), np.cumsum(vectors, 0, np.float64)])
    counts = ends - firsts
    some = counts > 0
    out[some] = (sums[ends[some]] - sums[firsts[some]]) / counts[some, None]
    return out


def parts_over(
    place: NDArray[np.floating] | NDArray[np.int64], bounds: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first token that lies over each word, and the one behind the last; the same where none does.

    Args:
        place: (T, 2) where tokens begin and end, in order.
        bounds: (W, 2) where words do, in order.

    Returns:
        (W,) and (W,).
    """
    firsts = np.searchsorted(place[:, 1], bounds[:, 0], side="right")  # the first token that ends behind the start
    ends = np.searchsorted(place[:, 0], bounds[:, 1], side="left")  # the first that begins behind the end
    return firsts, np.maximum(firsts, ends)


def _wide(x: NDArray[np.floating], width: int) -> Matrix:
    """Rows of a text that could not be read, or holds no token, as wide as the others."""
    return np.asarray(x if x.shape[1] == width else np.zeros((len(x), width)), np.float32)
