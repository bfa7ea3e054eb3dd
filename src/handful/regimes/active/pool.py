"""The pool: N items seen once, how alike they are, and which of them stand for the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from handful.errors import DataError
from handful.features.feature_set import FeatureSet
from handful.features.view import Matrix, View, unit_rows
from handful.regimes.active.part_rows import PartRows
from handful.seeding import generator
from handful.threads import one_thread

LANDMARKS = 1000
"""So many items, drawn by chance, stand for all when it is asked how typical one is."""
CANDIDATES = 10_000
"""Among so many items, drawn by chance, typical ones are looked for."""

_FIRST = 20
"""Clusters for the first labels."""
_NEIGHBOURS = 20
"""So many neighbours say how dense it is around an item (Hacohen et al. 2022)."""


@dataclass(frozen=True)
class Pool:
    """N items as rows of length one."""

    features: Matrix
    """(N, D)."""
    seed: int = 0
    """Fixes the order in which items are drawn by chance."""
    parts: PartRows | None = None
    """The parts of the items, where these are what is learned from; ``features`` are their means then."""
    _known: dict[int, NDArray[np.int64]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def rows(self) -> Matrix | PartRows:
        """What is learned from."""
        return self.features if self.parts is None else self.parts

    @cached_property
    def by_chance(self) -> NDArray[np.int64]:
        """(N,) all items in an order that knows nothing of them."""
        return generator(self.seed, "order of the pool").permutation(len(self))

    @cached_property
    def candidates(self) -> NDArray[np.int64]:
        """(M,) the items among which typical ones are looked for."""
        return self.by_chance[::-1][:CANDIDATES]

    @cached_property
    @one_thread()
    def alike(self) -> Matrix:
        """(M, L) cosines of the candidates to the landmarks, the centre of the pool taken out."""
        x = self._centred(self.candidates)
        return np.asarray(x @ x[:LANDMARKS].T)

    @one_thread()
    def covered(self, items: NDArray[np.int64]) -> Matrix:
        """(L,) of each landmark the cosine to the nearest of some items; 0 where none is like it.

        What was found for some of the items the last time is used again: from one question to the next few are added.
        """
        wanted, (known, nearest) = set(items.tolist()), self._covered
        fresh = np.array(sorted(wanted - known if known <= wanted else wanted), np.int64)
        if not known <= wanted:
            nearest = np.zeros(len(self._landmarks), np.float32)
        if len(fresh):
            nearest = np.maximum(nearest, (self._landmarks @ self._centred(fresh).T).max(1))
        self.__dict__["_covered"] = frozenset(wanted), nearest
        return nearest

    @cached_property
    def _covered(self) -> tuple[frozenset[int], Matrix]:
        """Items, and what they cover."""
        return frozenset(), np.zeros(len(self._landmarks), np.float32)

    @cached_property
    def _landmarks(self) -> Matrix:
        """(L, D) the landmarks, the centre of the pool taken out."""
        return self._centred(self.candidates[:LANDMARKS])

    def _centred(self, items: NDArray[np.int64]) -> Matrix:
        return unit_rows(self.features[items] - self._centre)

    @cached_property
    def _centre(self) -> Matrix:
        return np.asarray(self.features[self.candidates].mean(0), np.float32)

    def clusters(self, count: int) -> tuple[NDArray[np.int64], Matrix]:
        """Cluster and density of each candidate, (M,) both.

        Clusters are made for 20, 40, 80, … labels, not anew for each: doubling is enough to leave some without a label.

        Args:
            count: how many there have to be, at least; fewer where there are not three candidates for each.
        """
        steps = max(0, math.ceil(math.log2(max(count, 1) / _FIRST)))
        return self._clustered(min(_FIRST * 2**steps, max(1, len(self.candidates) // 3))), self._density

    @one_thread()
    def _clustered(self, count: int) -> NDArray[np.int64]:
        if count not in self._known:
            rng = generator(self.seed, "clusters of the pool")
            means = MiniBatchKMeans(count, n_init=1, random_state=int(rng.integers(2**31)), batch_size=2048)
            self._known[count] = means.fit_predict(self._centred(self.candidates)).astype(np.int64)
        return self._known[count]

    @cached_property
    def _density(self) -> Matrix:
        """(M,) mean cosine of each candidate to its nearest landmarks."""
        near = min(_NEIGHBOURS, self.alike.shape[1])
        return np.asarray(np.partition(self.alike, -near, axis=1)[:, -near:].mean(1))

    @one_thread()
    def likeness(self, item: int) -> Matrix:
        """(N,) the cosine of each item to one of them."""
        return np.asarray(self.features @ self.features[item])


def pool_of(features: FeatureSet | NDArray[np.floating] | PartRows, seed: int = 0) -> Pool:
    """The pool of what backbones saw: the last layers of all that learned to see, joined; or a matrix as it is.

    Args:
        features: what backbones saw in N items, or (N, D), or their parts.
        seed: fixes what is drawn by chance.

    Raises:
        DataError: there are no items, or numbers that are not finite.
    """
    if isinstance(features, PartRows):
        return replace(pool_of(features.means, seed), parts=features)
    if isinstance(features, FeatureSet):
        learned = features.learned() or features
        matrix = View(tuple((name, at[0]) for name, at in learned.depths.items())).matrix(learned.items)
    else:
        matrix = np.asarray(features, np.float32)
    if matrix.ndim != 2 or not len(matrix):
        raise DataError(
            f"features of a pool must be a matrix with a row per item, got one of shape {matrix.shape}. Give it the "
            "features of at least one item."
        )
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(1))[0])
        raise DataError(f"features must be finite numbers, row {row} holds NaN or infinity. Leave that item out.")
    return Pool(unit_rows(matrix), seed)
