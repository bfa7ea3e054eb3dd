"""What rows of a table say beside their items, group and part of a split, and how many of them may be unreadable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handful.data.cells import label_text
from handful.data.dataset import UNREADABLE_SHARE
from handful.data.split_names import split_of
from handful.data.tables import Columns
from handful.errors import DataError, OptionError, advised


def check_share(unreadable: Mapping[int, str], total: int, source: str) -> None:
    """Refuse a table of which too many rows cannot be used.

    Args:
        unreadable: row → why it cannot be used.
        total: how many rows there are.
        source: the table, for the message.

    Raises:
        DataError: more than a tenth cannot be used.
    """
    if len(unreadable) > UNREADABLE_SHARE * total:
        first = unreadable[min(unreadable)]
        raise DataError(
            f"{len(unreadable)} of {total} rows in {source} cannot be used, more than a tenth; "
            f"the first is {advised(first, 'Repair or remove them.')}"
        )


def groups_in(columns: Columns, name: str, positions: Sequence[int]) -> tuple[str, ...]:
    """Group of each row; a row without one belongs to nobody else.

    Args:
        columns: of the table.
        name: the column that says which rows belong together.
        positions: (N,) the rows that are asked.
    """
    cells = [label_text(columns.cells[name][i]) for i in positions]
    return tuple(group or f"(row {columns.rows[i]})" for group, i in zip(cells, positions, strict=True))


def split_in(cell: Any, row: int) -> str:
    """``train`` or ``test``, as the cell of a split column says.

    Raises:
        OptionError: it says neither.
    """
    if not (part := split_of(cell)):
        raise OptionError(
            f'split= must hold "train" or "test" for every item, got {cell!r} for item {row}. Correct it.'
        )
    return part
