"""Which classes are taken for which: the confusion table with its shades, and the largest confusions as a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.tasks.classification.details import LARGEST_TABLE, ClassDetails

# Up to this many classes the table can be read as it is; above it the list comes first.
SMALL = 20
# How many confusions the list names: beside a table, and in its place.
LISTED, LISTED_ALONE = 5, 15
# How many of the weakest classes are shown before the rest is folded away.
WEAKEST = 20


@dataclass(frozen=True)
class Cell:
    """One field of the table."""

    text: str
    """The number of rows, empty for none."""
    shade: float
    """Share of the true class's rows, 0 to 1."""
    right: bool
    """Whether the field is on the diagonal."""
    title: str
    """The field in words."""


@dataclass(frozen=True)
class Confusion:
    """How often rows of one class were given another."""

    true: str
    """The class that the source says."""
    answered: str
    """The class that was answered."""
    rows: float
    """How many rows, mean over repeats."""
    share: float
    """The share of the class's rows."""


def cells(details: ClassDetails) -> list[list[Cell]]:
    """The confusion table, one list per true class; empty where there are too many classes to show."""
    if len(details.labels) > LARGEST_TABLE:
        return []
    shares = _shares(details)
    digits = 0 if np.array_equal(details.confusion, details.confusion.round()) else 1
    return [
        [_cell(details, i, j, f"{number:.{digits}f}", float(shares[i, j])) for j, number in enumerate(row)]
        for i, row in enumerate(details.confusion.tolist())
    ]


def largest(details: ClassDetails) -> list[Confusion]:
    """The confusions that cost the most rows, the worst first."""
    shares, wrong = _shares(details), details.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[: LISTED if len(details.labels) <= SMALL else LISTED_ALONE]
    pairs: Iterator[tuple[int, int]] = zip(
        *(axis.tolist() for axis in np.unravel_index(order, wrong.shape)), strict=True
    )
    return [
        Confusion(details.labels[i], details.labels[j], float(wrong[i, j]), float(shares[i, j]))
        for i, j in pairs
        if wrong[i, j] >= 0.05
    ]


def _shares(details: ClassDetails) -> NDArray[np.float64]:
    return np.asarray(details.confusion / np.maximum(details.confusion.sum(1, keepdims=True), 1e-9))


def _cell(details: ClassDetails, i: int, j: int, number: str, share: float) -> Cell:
    if not float(number):
        return Cell("", 0.0, i == j, "")
    title = f"{number} of “{details.labels[i]}” answered “{details.labels[j]}”"
    return Cell(number, round(share, 2), i == j, title)
