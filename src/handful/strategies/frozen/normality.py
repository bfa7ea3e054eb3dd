"""Normality: what parts of normal items look like, kept as vectors, and how far parts of an item are from all of them.

The nearest normal patch is the idea of Roth et al. 2022, "Towards total recall in industrial anomaly detection"
(PatchCore); here several depths are read, a part may be small or a whole item be slightly off, and every normal item is
scored without its own parts, so that the scores of normal items are those of new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.features.nearest import coreset, nearest
from handful.features.parts import ItemParts
from handful.seeding import generator

Matrix = NDArray[np.float32]

KEPT = 10_000
"""Parts that are kept at most, of all normal items together; each item has the same number of them."""
LEAST_KEPT = 16
"""Parts of one item that are kept at least, where it has as many."""
WORST = 0.01
"""The share of parts, at least one, whose mean says how bad the worst place is."""
RINGS = 3
"""Parts at the border, next to it, and within are compared with normal ones of their like."""
SUMMARIES = ("worst", "mean")
"""How the distances of all parts of an item become one number: the worst place, for marks, and the mean of all, for
what is slightly off everywhere."""

# A spread of scores below this share of their mean is no spread, as that of copies.
_NO_SPREAD = 1e-4


@dataclass(frozen=True)
class Normality:
    """What parts of n normal items look like."""

    memory: Mapping[int, Matrix]
    """Depth → (M, D) standardised vectors of kept parts."""
    owner: NDArray[np.int64]
    """(M,) the normal item, or group of items, that each came from."""
    centre: Mapping[int, Matrix]
    """Depth → (D,) the mean of each channel over parts of normal items."""
    spread: Mapping[int, Matrix]
    """Depth → (D,) its standard deviation."""
    usual: NDArray[np.float64]
    """(depths, 2) the mean over normal items of each summary of distances, each item held out."""
    scatter: NDArray[np.float64]
    """(depths, 2) its standard deviation over normal items."""
    border: NDArray[np.float64]
    """(depths, ``RINGS``) how many times as far as all others the parts are that lie at the border, next to it, and
    within: a network pads there, so that nothing at the border is quite like anything else."""
    hot: float = 1.0
    """How many times as far as usual the worst place of a normal item is, of all of them: a part above is unusual."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Where the backbone is read."""
        return tuple(self.memory)

    def distances(self, parts: ItemParts, but: int | None = None) -> Matrix:
        """How far the P parts of an item are from the nearest normal ones. (depths, P).

        Args:
            parts: of the item, at the depths of the memory.
            but: the owner whose parts do not count, for an item that was learned from; None: all count.
        """
        allowed = None if but is None else self.owner != but
        plain = np.stack(
            [
                nearest(_standardised(parts.vectors[depth], self.centre[depth], self.spread[depth]), kept, allowed)
                for depth, kept in self.memory.items()
            ]
        )
        return self.beside_border(plain, parts.place)

    def beside_border(self, plain: NDArray[np.floating], place: NDArray[np.float64]) -> Matrix:
        """Distances as if no part lay at the border. (depths, P), and the places (P, 2) or (P, 4) → (depths, P)."""
        return np.asarray(plain / self.border[:, rings(place)], np.float32)

    def score(self, distances: Matrix) -> float:
        """How unusual an item is, in standard deviations of normal items, in the summary in which it is most so.

        Args:
            distances: (depths, P).
        """
        return float(((summaries(distances) - self.usual) / self.scatter).max())

    def heat(self, distances: Matrix) -> NDArray[np.float64]:
        """(P,) how many times as far as usual each part is from the normal ones, the mean over depths. (depths, P)."""
        return np.asarray((distances / np.maximum(self.usual[:, 1:], 1e-12)).mean(0))


@dataclass(frozen=True)
class Fitted:
    """What was learned of normal items, and what each of them looked like while it was held out."""

    normality: Normality
    """What normal parts look like."""
    scores: NDArray[np.float64]
    """(n,) the score of each normal item by the parts of the others alone."""


def rings(place: NDArray[np.float64]) -> NDArray[np.int64]:
    """(P,) how many parts lie between each part and the border of its item, ``RINGS`` - 1 at most. (P, 2) or (P, 4)."""
    inside = np.full(len(place), RINGS - 1)
    for axis in range(place.shape[1] // 2):
        number = np.unique(place[:, axis], return_inverse=True)[1]
        inside = np.minimum(inside, np.minimum(number, number.max(initial=0) - number))
    return inside


def summaries(distances: NDArray[np.floating]) -> NDArray[np.float64]:
    """The distances of all parts at each depth as numbers: the worst place, the mean. (depths, P) → (depths, 2)."""
    count = max(1, round(WORST * distances.shape[1]))
    worst = np.partition(distances, -count, axis=1)[:, -count:].mean(1, dtype=np.float64)
    return np.stack([worst, distances.mean(1, dtype=np.float64)], 1)  # float32 loses digits over many parts


def fit(normal: Iterable[ItemParts], again: Iterable[ItemParts], owners: NDArray[np.int64], seed: int) -> Fitted:
    """Learn what normal items look like, and score each of them without its own parts.

    The items are read twice, one after the other, so that memory does not grow with their size.

    Args:
        normal: the parts of n items, in their order.
        again: the same once more.
        owners: (n,) items that belong together, such as pictures of one thing or copies, share a number; there are at
            least three numbers.
        seed: fixes which parts are kept.
    """
    each = max(LEAST_KEPT, KEPT // len(owners))
    by_item: list[Mapping[int, Matrix]] = []
    for i, parts in enumerate(normal):
        rng = generator(seed, f"coreset {i}")
        first = _wide(next(iter(parts.vectors.values())))
        at = coreset(first, each, rng)
        by_item.append({depth: _wide(vectors[at]) for depth, vectors in parts.vectors.items()})
    depths = tuple(by_item[0])
    memory = {depth: np.concatenate([vectors[depth] for vectors in by_item]) for depth in depths}
    owner = np.repeat(owners, [len(vectors[depths[0]]) for vectors in by_item])
    centre = {depth: x.mean(0) for depth, x in memory.items()}
    spread = {depth: x.std(0) + np.float32(1e-6) for depth, x in memory.items()}
    memory = {depth: _standardised(x, centre[depth], spread[depth]) for depth, x in memory.items()}
    shape = (len(depths), len(SUMMARIES))
    bare = Normality(memory, owner, centre, spread, np.zeros(shape), np.ones(shape), np.ones((len(depths), RINGS)))
    apart = [
        (bare.distances(parts, int(own)), rings(parts.place)) for parts, own in zip(again, owners, strict=True)
    ]  # n times (depths, P) and (P,)
    border = _border(apart)
    summed = np.stack([summaries(distances / border[:, ring]) for distances, ring in apart])  # (n, depths, 2)
    usual, scatter = _usual(summed)
    hot = float((summed[:, :, 0] / np.maximum(usual[:, 1], 1e-12)).mean(1).max())
    normality = Normality(memory, owner, centre, spread, usual, scatter, border, max(hot, 1.0))
    return Fitted(normality, _held_out(summed, owners))


def _usual(found: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each summary, as exact as a saved model keeps them. (n, depths, 2) → (depths, 2).

    Rounded so, a saved model raises the same alarms.
    """
    usual = found.mean(0)
    scatter = np.maximum(found.std(0, ddof=1), _NO_SPREAD * np.maximum(usual, 1e-6))
    return usual.astype(np.float32).astype(np.float64), scatter.astype(np.float32).astype(np.float64)


def _border(apart: Sequence[tuple[Matrix, NDArray[np.int64]]]) -> NDArray[np.float64]:
    """How far held-out parts of each ring are, as a multiple of all; 1 where there are none. (depths, ``RINGS``)."""
    total = np.stack([np.stack([np.bincount(ring, row, RINGS) for row in distances]) for distances, ring in apart]).sum(
        0
    )  # (depths, RINGS)
    count = np.stack([np.bincount(ring, minlength=RINGS) for _, ring in apart]).sum(0)  # (RINGS,)
    overall = np.maximum(total.sum(1, keepdims=True) / count.sum(), 1e-12)
    mean = np.where(count > 0, total / np.maximum(count, 1), overall)
    return np.asarray(np.maximum(mean / overall, _NO_SPREAD).astype(np.float32), np.float64)


def _held_out(summed: NDArray[np.float64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) the score of each normal item by what is usual among the others alone, as a new item is scored.

    With its own summaries in their mean and spread no item of a handful could score high, and new ones would seem to.
    """
    scores = np.empty(len(summed))
    for own in np.unique(owners):
        out = owners == own
        usual, scatter = _usual(summed[~out])
        scores[out] = ((summed[out] - usual) / scatter).max((1, 2))
    return scores


def _wide(vectors: NDArray[np.floating]) -> Matrix:
    return np.asarray(vectors, np.float32)


def _standardised(vectors: NDArray[np.floating], centre: Matrix, spread: Matrix) -> Matrix:
    """Vectors whose channels count alike. (P, D)."""
    return (_wide(vectors) - centre) / spread
