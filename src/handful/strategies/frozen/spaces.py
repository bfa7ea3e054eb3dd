"""The spaces that heads are solved in: rows rotated, one for all fits, or one for each where rare counts weigh more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.strategies.frozen.solver import ABSENT, Basis, decompose, fit_head, rotate
from handful.tasks.heads import Array, Head

# Directions with less than so large a share of the greatest variance are rounding.
TINY = 1e-9


@dataclass(frozen=True)
class Rows:
    """What heads are fitted on, M rows: N items, then the names of labels where these count."""

    x: Array
    """(M, D), each row of length one."""
    targets: Array
    """(M, K)."""
    items: int
    """N."""
    counted: NDArray[np.bool_] | None = None
    """(D,) which columns are counts; None where none are."""


@dataclass(frozen=True)
class Space:
    """Some of the fits, and the rows in the width that these need."""

    z: Array
    """(M, R)."""
    targets: Array
    """(M, K)."""
    weights: Array
    """(F, M) of the rows in each fit."""
    back: Callable[[], Array]
    """Gives (D, R), from what is solved for R numbers to a map of D."""

    def basis(self, heads: Sequence[Head]) -> Basis | None:
        """What all heads and penalties share; None where no head needs it."""
        return decompose(self.z, self.weights) if any(head.steps for head in heads) else None

    def fit(self, head: Head, penalties: Sequence[float], basis: Basis | None) -> tuple[Array, Array]:
        """Fit a head with S penalties: coef (F, R, S, K) and intercept (F, S, K)."""
        return fit_head(head, self.z, self.targets, self.weights, penalties, basis)


def spaces(rows: Rows, weights: Array) -> tuple[Space, ...]:
    """The spaces of F fits, in order: one for all, or one for each where columns are counts.

    Args:
        rows: what is learned from.
        weights: (F, M) of the rows in each fit, 0 for those left out.
    """
    if rows.counted is None:
        z, back = rotate(rows.x)
        return (Space(z, rows.targets, weights, lambda: back),)
    return tuple(_by_rarity(rows, rows.counted, own) for own in weights)


def _by_rarity(rows: Rows, counted: NDArray[np.bool_], weights: Array) -> Space:
    """The space of one fit with weights (M,).

    Counts are far wider than there are rows, so that the products of rows with each other cost a tenth of a basis.
    """
    scale = rarity(rows.x[: rows.items][weights[: rows.items] > 0], counted)
    scaled = rows.x * scale
    values, left = np.linalg.eigh((scaled @ scaled.T).astype(np.float64))  # (M,), (M, M)
    varied = values > TINY * values[-1]
    varied[-1] = True  # also where all rows are zero
    z = np.asarray(left[:, varied] * np.sqrt(np.maximum(values[varied], 0)), np.float32)  # (M, R)

    def back() -> Array:
        return np.asarray(scale[:, None] * ((rows.x * scale).T @ (z / np.maximum(np.square(z).sum(0), 1e-12))))

    return Space(z, rows.targets, weights[None], back)


def rarity(x: Array, counted: NDArray[np.bool_]) -> Array:
    """How much each column counts: of counts the more, the fewer of the rows learned from have any, and others 1.

    The inverse document frequency (Spärck Jones 1972), as a factor that a linear map can carry. Taken together the
    counts count as much as they did.

    Args:
        x: (n, D) rows that are learned from.
        counted: (D,) which columns are counts.
    """
    factors = np.ones(x.shape[1], np.float32)
    some = x[:, counted]
    factors[counted] = 1 + np.log((1 + len(some)) / (1 + (some != 0).sum(0)))
    before, after = np.square(some).sum(), np.square(some * factors[counted]).sum()
    factors[counted] *= np.sqrt(before / after) if after > 0 else 1.0
    return factors


def scores_of(fits: Sequence[tuple[Array, Array, Array]], rows: slice | NDArray[np.int64]) -> Array:
    """What fits say about some rows.

    Args:
        fits: of each space z (M, R), coef (F, R, K) and intercept (F, 1, K), in order.
        rows: which of the M rows, n of them.

    Returns:
        (all fits, n, K), a class without a row far below all others.
    """
    each = [np.maximum(z[rows] @ coef + intercept, ABSENT) for z, coef, intercept in fits]
    return each[0] if len(each) == 1 else np.concatenate(each)
