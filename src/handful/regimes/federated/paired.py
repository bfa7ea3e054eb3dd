"""Losses of two arms on the rows of all sites, as sums: the same paired interval as from the rows at one place.

``K`` folds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError
from handful.evaluation.decision import LEVEL, judged
from handful.evaluation.intervals import Estimate, student
from handful.regimes.federated.sums import Added, Floats


@dataclass(frozen=True)
class Paired(Added):
    """Sums of losses of two arms on the same held-out rows; rows that stand for each other are added first."""

    rows: Floats
    """(K,) how many rows there are."""
    below: Floats
    """(K,) the sum of the losses of the arm that has to be beaten."""
    above: Floats
    """(K,) the same of its rival."""
    groups: Floats
    """(K,) how many groups stand for themselves."""
    squares: Floats
    """(K,) the sum over groups of the square of by how much the rival's loss is lower on the group."""
    products: Floats
    """(K,) the sum over groups of that difference times the rows of the group."""
    sizes: Floats
    """(K,) the sum over groups of the square of their rows."""

    def gain(self, some: NDArray[np.bool_]) -> Estimate:
        """By how much the rival's loss is lower on the rows of some folds, as ``evaluation.decision.gain`` has it."""
        rows, _, _, groups, squares, products, sizes = (float(part[some].sum()) for part in self.parts)
        mean = (self.below - self.above)[some].sum() / max(rows, 1.0)
        around = max(squares - 2 * mean * products + mean**2 * sizes, 0.0)
        spread = np.sqrt(around / max(groups - 1, 1.0)) * groups / max(rows, 1.0)
        return student(float(mean), float(spread), round(groups), LEVEL)

    def passes(self, some: NDArray[np.bool_], blind: float) -> bool:
        """Whether the rival ships by the rows of some folds, which alone speak; see ``evaluation.decision``.

        Args:
            some: (K,) which folds.
            blind: mean loss of an answer that looks at no row.
        """
        rows = float(self.rows[some].sum())
        return rows > 0 and judged(self.gain(some), float(self.below[some].sum()) / rows, blind)[1]


def paired(
    below: Floats, above: Floats, groups: NDArray[np.integer], folds: NDArray[np.integer], count: int
) -> Paired:  # fmt: skip
    """What the rows of a site say of two arms.

    Args:
        below: (N,) losses of the arm that has to be beaten.
        above: (N,) losses of its rival.
        groups: (N,) rows that share a number stand for each other, and are in one fold.
        folds: (N,) fold of each row.
        count: how many folds there are, K.
    """
    _, first, index = np.unique(groups, return_index=True, return_inverse=True)
    apart = np.asarray(np.bincount(index, below - above), np.float64)  # (G,)
    sizes = np.bincount(index).astype(np.float64)  # (G,)

    def by_fold(values: Floats, of: NDArray[np.integer]) -> Floats:
        return np.asarray(np.bincount(of, values, count), np.float64)

    ones, own = np.ones(len(below)), folds[first]
    return Paired(
        by_fold(ones, folds), by_fold(below, folds), by_fold(above, folds), by_fold(np.ones(len(first)), own),
        by_fold(apart**2, own), by_fold(apart * sizes, own), by_fold(sizes**2, own),
    )  # fmt: skip


def check_paired(said: Paired, rows: Floats, most: float) -> None:
    """Refuse sums that so many rows cannot give.

    Args:
        said: what a site sent.
        rows: (K,) how many rows it told before.
        most: nats that one row may cost.

    Raises:
        DataError: they are not finite, or more than so many rows can say.
    """
    if not all(np.isfinite(part).all() for part in said.parts):
        raise DataError("its losses must be finite numbers, got NaN or infinity")
    if (
        (said.rows != rows).any() or (said.groups < 0).any() or (said.groups > rows).any()
        or (said.sizes < rows).any() or (said.sizes > rows**2).any()
        or any((loss < 0).any() or (loss > most * rows).any() for loss in (said.below, said.above))
        or (said.squares < 0).any() or (said.squares > (most * rows) ** 2).any()
        or (np.abs(said.products) > most * rows**2).any()
    ):  # fmt: skip
        raise DataError("its losses must be those of the rows whose sums it sent, got others")
