"""One row of a table: names and values, or why it cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from handful.data.delimited import Broken
from handful.data.long_cells import too_long

Record = dict[str, Any] | Broken
"""Column name → value as it stands in the source, or why the row cannot be used."""

SAMPLE_ROWS = 1000
"""Rows from which the column names of JSON are taken, and from which columns are guessed when streaming."""


def sized(record: dict[str, Any], place: str) -> Record:
    """The row, unless a cell of it is too long."""
    why = too_long(record, place)
    return Broken(why) if why else record


def names_in(records: Iterable[Record]) -> tuple[str, ...]:
    """The names of columns that the first rows have, in the order in which they come."""
    names: dict[str, None] = {}
    for record in islice(records, SAMPLE_ROWS):
        if not isinstance(record, Broken):
            names.update(dict.fromkeys(record))
    return tuple(names)
