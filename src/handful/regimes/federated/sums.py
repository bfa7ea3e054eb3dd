"""What a site tells of its rows: sums over them, from which heads of squared loss follow exactly as from the rows.

``K`` folds, ``C`` classes, ``D`` width of the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError
from handful.features.view import unit_rows
from handful.tasks.base import Targets

Floats = NDArray[np.float64]

# How far a sum may be from what rows of length one can give, by rounding: relative to the sum.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Added:
    """Arrays that are all sums over rows: those of two sites are added field by field."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(mine + its for mine, its in zip(self.parts, other.parts, strict=True)))

    @property
    def parts(self) -> tuple[Floats, ...]:
        """The sums in the order of the fields."""
        return tuple(getattr(self, each.name) for each in fields(self))


@dataclass(frozen=True)
class Sums:
    """Sums over rows of length one, one of each kind per fold."""

    names: tuple[str, ...]
    """The C classes, in the order of the site."""
    counts: Floats
    """(K, C) how many rows there are of each class."""
    totals: Floats
    """(K, C, D) the sum of the rows of each class."""
    grams: Floats | None
    """(K, D, D) the sum of the products of each row with itself; None where only means are learned from."""

    @classmethod
    def of(cls, features: NDArray[np.floating], targets: Targets, folds: NDArray[np.integer], count: int) -> Sums:
        """Add up the rows of a site.

        Args:
            features: (N, D).
            targets: what is wanted of the N rows.
            folds: (N,) fold of each row, below ``count``.
            count: how many folds there are, K.
        """
        x, design = unit_rows(features).astype(np.float64), targets.task.design(targets).astype(np.float64)
        own = [folds == fold for fold in range(count)]
        return cls(
            targets.names,
            np.stack([design[rows].sum(0) for rows in own]),
            np.stack([design[rows].T @ x[rows] for rows in own]),
            np.stack([x[rows].T @ x[rows] for rows in own]),
        )

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return len(self.counts)

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return int(self.totals.shape[-1])

    @property
    def rows(self) -> float:
        """How many rows there are; with noise no whole number."""
        return float(self.counts.sum())

    def aligned(self, names: Sequence[str]) -> Sums:
        """The same in another order of classes, which may be more. C names → as many columns as there are names."""
        own = [list(names).index(name) for name in self.names]
        counts = np.zeros((self.folds, len(names)))
        totals = np.zeros((self.folds, len(names), self.width))
        counts[:, own], totals[:, own] = self.counts, self.totals
        return Sums(tuple(names), counts, totals, self.grams)

    def joined(self, other: Sums) -> Sums:
        """The sums of the rows of both, classes brought together by name, in sorted order."""
        names = sorted({*self.names, *other.names})
        one, two = self.aligned(names), other.aligned(names)
        grams = None if one.grams is None or two.grams is None else one.grams + two.grams
        return Sums(one.names, one.counts + two.counts, one.totals + two.totals, grams)

    def without(self, fold: int) -> Sums:
        """The sums of all folds but one, as a single fold."""
        others = np.arange(self.folds) != fold
        return self._over(others)

    def whole(self) -> Sums:
        """The sums of all folds, as a single one."""
        return self._over(np.ones(self.folds, bool))

    def _over(self, some: NDArray[np.bool_]) -> Sums:
        counts, totals = self.counts[some].sum(0, keepdims=True), self.totals[some].sum(0, keepdims=True)
        return Sums(self.names, counts, totals, None if self.grams is None else self.grams[some].sum(0, keepdims=True))


def check_sums(sums: Sums, noise: bool) -> None:
    """Refuse sums that no rows of length one can have.

    Args:
        sums: of the right shapes.
        noise: whether noise was added to them, after which only finite numbers can be asked for.

    Raises:
        DataError: they hold NaN or infinity, or cannot be sums of rows of length one.
    """
    grams = np.zeros((sums.folds, 0, 0)) if sums.grams is None else sums.grams
    for what, numbers in (("counts", sums.counts), ("sums of classes", sums.totals), ("sums of products", grams)):
        if not np.isfinite(numbers).all():
            raise DataError(f"its {what} must be finite numbers, got NaN or infinity")
    if noise:
        return
    if (sums.counts < 0).any() or (sums.counts != np.round(sums.counts)).any() or not sums.rows:
        raise DataError("its counts must be whole numbers from 0 up and not all 0, got others")
    longest = np.linalg.norm(sums.totals, axis=-1) - sums.counts * (1 + _ROUNDING)
    spread = np.trace(grams, axis1=1, axis2=2) - sums.counts.sum(1) * (1 + _ROUNDING)
    if longest.max(initial=0) > _ROUNDING or spread.max(initial=0) > _ROUNDING:
        raise DataError("its sums must be of rows of length one, got larger ones than so many rows can have")
