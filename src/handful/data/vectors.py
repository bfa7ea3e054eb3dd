"""Vectors: items that are rows of numbers, which another program made of molecules, series or anything else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.cells import shown

VECTORS = "vectors"
"""The modality of such items."""

# How tables write what is true or false.
_TRUTHS = {"True": 1.0, "true": 1.0, "TRUE": 1.0, "False": 0.0, "false": 0.0, "FALSE": 0.0}
# So many numbers of a vector are shown.
_FIRST = 6


@dataclass(frozen=True, eq=False)
class Vector:
    """One item as D numbers."""

    values: NDArray[np.float64]
    """(D,) finite numbers, as they were given."""
    name: str = ""
    """Its ID; empty where it has none."""
    columns: tuple[str, ...] = ()
    """What its numbers are called; empty where they have no names."""

    def __str__(self) -> str:
        """Its ID, or its first numbers."""
        return self.name or self.begins

    @property
    def begins(self) -> str:
        """Its first numbers, with their names where they have any, and how many there are."""
        names = [f"{shown(name)} " for name in self.columns[:_FIRST]] or [""] * _FIRST
        first = ", ".join(f"{name}{value:.4g}" for name, value in zip(names, self.values.tolist(), strict=False))
        return f"{first}, … ({len(self.values):,} numbers)" if len(self.values) > _FIRST else first


@dataclass(frozen=True)
class NoVector:
    """A row that should have been a vector."""

    why: str
    """What is wrong with it."""
    name: str = ""
    """Its ID; empty where it has none."""


def is_vector(value: Any) -> bool:
    """Whether a value is a row of numbers: one of ours, or an array with one axis."""
    return isinstance(value, Vector | NoVector) or (
        isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiub"
    )


def make_vector(value: Any) -> tuple[Any, str]:
    """A value as a vector, and why it cannot be one, or an empty text."""
    if isinstance(value, Vector):
        return value, ""
    if isinstance(value, NoVector):
        return value, value.why
    if not is_vector(value):
        got = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        return value, f"this must be one row of numbers, an array with one axis, got {got}"
    made = vector_of(value)
    return made, made.why if isinstance(made, NoVector) else ""


def vector_of(numbers: NDArray[Any], name: str = "", columns: tuple[str, ...] = ()) -> Vector | NoVector:
    """A row of numbers as a vector, where all of them are finite.

    Args:
        numbers: (D,).
        name: its ID.
        columns: what the numbers are called.
    """
    values = np.asarray(numbers, np.float64)
    if not len(values):
        return NoVector("there is no number in it", name)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        at = int(bad[0])
        where = f'column "{shown(columns[at])}"' if columns else f"number {at}"
        return NoVector(f"{where} must be a finite number, got {values[at]}", name)
    return Vector(values, name, columns)


def vector_of_cells(cells: Sequence[Any], name: str, columns: tuple[str, ...]) -> Vector | NoVector:
    """The cells of a row as a vector; a cell may hold a list of numbers, which are called by their place in it.

    Args:
        cells: one per column: numbers, texts of numbers, or lists of numbers.
        name: the ID of the row.
        columns: what the cells are called.
    """
    if any(map(_is_list, cells)):
        cells, columns = _spread(cells, columns)
    try:
        values = np.array(cells, np.float64)
    except (TypeError, ValueError):  # one of them is no number
        values = np.array([number_of(cell, math.nan) for cell in cells])
    if np.isfinite(values).all():
        return vector_of(values, name, columns)
    at = next(i for i, cell in enumerate(cells) if not math.isfinite(number_of(cell, math.nan)))
    got = "an empty cell" if cells[at] is None or cells[at] == "" else repr(cells[at])
    return NoVector(f'column "{shown(columns[at])}" must be a finite number, got {shown(got)}', name)


def _is_list(cell: Any) -> bool:
    return isinstance(cell, list | tuple | np.ndarray)


def _spread(cells: Sequence[Any], columns: tuple[str, ...]) -> tuple[list[Any], tuple[str, ...]]:
    """Cells that hold lists as so many cells: ``embedding`` becomes ``embedding[0]``, ``embedding[1]`` and so on."""
    numbers: list[Any] = []
    names: list[str] = []
    for cell, column in zip(cells, columns, strict=True):
        inside = list(cell) if _is_list(cell) else [cell]
        numbers += inside
        names += [f"{column}[{i}]" for i in range(len(inside))] if _is_list(cell) else [column]
    return numbers, tuple(names)


def number_of(cell: Any, otherwise: float) -> float:
    """A cell as a number, 1 or 0 where it is true or false; another number where it is none."""
    if isinstance(cell, str | int | float | np.number | np.bool_):
        try:
            return float(_TRUTHS.get(cell, cell) if isinstance(cell, str) else cell)
        except ValueError:
            return otherwise
    return otherwise


def _holds_numbers(cell: Any) -> bool:
    """Whether a cell is a number, the text of one, or a list of numbers."""
    inside = cell if _is_list(cell) else [cell]
    return len(inside) > 0 and not any(math.isnan(number_of(one, math.nan)) for one in inside)


def numbers_among(cells: Mapping[str, Sequence[Any]], left_out: Sequence[str]) -> tuple[str, ...]:
    """The columns that hold numbers in most of their cells.

    Args:
        cells: column → values of some rows.
        left_out: columns that are something else.
    """
    return tuple(
        name
        for name, column in cells.items()
        if name not in left_out and 2 * sum(map(_holds_numbers, column)) > len(column)
    )
