"""Places: what a person calls a row when looking it up: its file, its ID, its line in a spreadsheet, or its number."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.data.cells import shown
from handful.data.conversations import Conversation, Preference, plain_prompt
from handful.data.image_text import ImageText
from handful.data.vectors import Vector

if TYPE_CHECKING:
    from handful.data.tables import Columns, Table

# A column of IDs is called like one, alone or behind what it numbers: ``id``, ``ticket_id``, ``OrderNumber``.
_ID = re.compile(r"(?:.*[ _.-])?(?:id|uuid|guid|key|number|no|nr)\.?")
_JOINED_ID = re.compile(r".*[a-z](?:I[dD]|Number|No|Nr|UUID)")
# What is longer is a text, not the name of a row.
_LONGEST = 40


Called = Callable[[int], str]
"""What a row is called in a message, by its position among those that are read."""


def by_number(position: int) -> str:
    """What a row is called of which only the number is known, as Python counts: ``row 12``."""
    return f"row {position}"


@dataclass(frozen=True)
class Places:
    """What the rows of one source are called; by default their zero-based numbers, as Python counts."""

    lines: Sequence[int] = ()
    """The line of each row as a spreadsheet or an editor numbers it, by its zero-based position in the source."""
    word: str = "row"
    """What is counted: line, entry, row."""
    column: str = ""
    """The column of IDs; empty where there is none."""
    ids: Mapping[int, str] = field(default_factory=dict)
    """Zero-based position in the source → ID."""

    def called(self, row: int) -> str:
        """One row: ``ticket_id 20307``, ``line 14``, or ``row 12``.

        Args:
            row: its zero-based position in the source.
        """
        if row in self.ids:
            return f"{self.column} {self.ids[row]}"
        return f"{self.word} {self.lines[row] if row < len(self.lines) else row}"

    def called_together(self, rows: Sequence[int], most: int = 6) -> str:
        """Several rows: ``line 3``, ``lines 3 and 8``, ``lines 1, 2, 3, 4, 5, 6 and 12 more``."""
        names = [self.called(row) for row in rows[:most]]
        words = {name.rpartition(" ")[0] for name in names}
        if len(names) > 1 and words == {self.word}:
            numbers = [name.rpartition(" ")[2] for name in names]
            names = [f"{self.word[:-1] + 'ie' if self.word.endswith('y') else self.word}s {numbers[0]}", *numbers[1:]]
        elif len(names) > 1 and self.ids and all(row in self.ids for row in rows[:most]):
            names[1:] = [self.ids[row] for row in rows[1:most]]
        if len(rows) > most:
            return f"{', '.join(names)} and {len(rows) - most:,} more"
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


@dataclass(frozen=True)
class SeveralPlaces(Places):
    """What the rows of several sources are called, one source after the other: ``line 14 of new.csv``."""

    parts: tuple[tuple[int, str, Places], ...] = ()
    """Of each source the number of its first row, its name, and what its rows are called."""

    def called(self, row: int) -> str:
        """One row, with the source that it stands in."""
        first, name, places = next(part for part in reversed(self.parts) if part[0] <= row)
        return f"{places.called(row - first)} of {name}"

    def called_together(self, rows: Sequence[int], most: int = 6) -> str:
        """Several rows, each with its source."""
        names = [self.called(row) for row in rows[:most]]
        if len(rows) > most:
            return f"{', '.join(names)} and {len(rows) - most:,} more"
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def places_of(columns: Columns, table: Table, used: Collection[str]) -> Places:
    """What the rows of a table are called.

    Args:
        columns: its rows.
        table: how it is counted.
        used: columns that something is learned from, or that say what belongs together.
    """
    column = columns.ids or id_column(columns.cells, used)
    ids = (
        dict(zip(columns.rows, (" ".join((cell or "").split()) for cell in columns.cells[column]), strict=True))
        if column
        else {}
    )
    return Places(columns.lines, table.word, column, ids)


def id_column(cells: Mapping[str, Sequence[Any]], used: Collection[str]) -> str:
    """The column that names the rows: called like an ID, filled in every row, and never the same twice.

    Args:
        cells: column name → the values of its rows, as text.
        used: columns that something is learned from, or that say what belongs together.

    Returns:
        Its name; the first such column from the left, empty where there is none.
    """
    for name, column in cells.items():
        if name in used or not is_called_id(name):
            continue
        texts = [" ".join(value.split()) if isinstance(value, str) else "" for value in column]
        if all(0 < len(text) <= _LONGEST for text in texts) and len(set(texts)) == len(texts):
            return name
    return ""


def is_called_id(name: str) -> bool:
    """Whether a column is called like one of IDs."""
    return bool(_ID.fullmatch(name.lower()) or _JOINED_ID.fullmatch(name))


def name_of(item: Any, row: int, places: Places, source: str = "") -> str:
    """How the reader finds a row: its file, below the source where it lies there, or what it is called.

    Args:
        item: what the row holds.
        row: its zero-based position in the source.
        places: of the source.
        source: as the user named it.
    """
    if not isinstance(item, Path):
        return shown(places.called(row))
    inside = bool(source) and item.is_relative_to(source)
    return shown(str(item.relative_to(source)) if inside else item.name if source else str(item))


def input_of(item: Any, row: int) -> str:
    """An item as it stands in a table: its text, its file, what is asked, or the number of its row."""
    if isinstance(item, Conversation | Preference):
        return plain_prompt(item)
    return str(item) if isinstance(item, str | Path | Vector | ImageText) else f"row {row}"
