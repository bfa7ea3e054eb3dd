"""Which column of a table is the label: a well-known name, or the only one whose values could be classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from handful.data.cells import is_missing, label_text, shown
from handful.data.input_column import TEXT_NAMES
from handful.data.items import kind_of
from handful.data.label_cells import are_packed
from handful.data.names import all_names, either
from handful.data.split_names import splits_in
from handful.data.tables import Columns
from handful.data.targets import LONGEST_LABEL
from handful.errors import DataError, OptionError

# In lower case; a name in an earlier row is taken before one in a later row.
LABEL_NAMES = (("label", "labels"), ("class", "category", "target", "intent", "topic", "sentiment", "tag", "y"))

# Looked for only where no column holds what could be classes.
_LATER_NAMES = frozenset({
    "tags", "labels", "categories", "topics", "rating", "stars", "score", "grade", "price", "amount", "value",
    "severity",
})  # fmt: skip

# What a column of yes and no holds.
_TRUTHS = frozenset({"0", "1", "True", "False", "true", "false"})

# A label guessed from its values must come twice on average and be no sentence.
_MOST_CLASSES = 0.5


def guess_label(columns: Columns, source: str, taken: Collection[str], unlikely: Collection[str] = ()) -> str:
    """Find the label column without being told.

    Args:
        columns: the table.
        source: its name, for messages.
        taken: columns that are something else.
        unlikely: names, in lower case, that are the label only where nothing else can be.

    Raises:
        OptionError: several columns could be the label.
        DataError: none can.
    """
    for tier in LABEL_NAMES:
        known = [name for name in columns.cells if name.lower() in tier and name not in taken]
        if len(known) > 1:
            raise _ambiguous_label(columns, source, known)
        if known:
            return known[0]
    packed = [name for name in columns.cells if name not in taken and are_packed(columns.cells[name])]
    if len(packed) == 1:
        return packed[0]
    candidates = [name for name in columns.cells if name not in taken and could_be_label(columns, name)]
    # A well-known text column is that, even if few different values make it look like a label.
    others = {*unlikely, *(name for tier in TEXT_NAMES for name in tier)}
    candidates = [name for name in candidates if name.lower() not in others] or candidates
    candidates = candidates or _later(columns, [name for name in columns.cells if name not in taken])
    if len(candidates) > 1:
        raise _ambiguous_label(columns, source, candidates)
    if not candidates:
        raise DataError(
            f"{source} has no column that can be the label ({all_names(columns.cells)}). Add a column with the class "
            "of each row, or name it with --label; from texts without labels `handful adapt` learns."
        )
    return candidates[0]


def check_header(columns: Columns, source: str) -> None:
    """Refuse a table whose first line is a row: a column of labels is then called like one of its values.

    Raises:
        DataError: it looks so.
    """
    for name, cells in columns.cells.items():
        if name in cells and could_be_label(columns, name):
            raise DataError(
                f'the first line of {source} looks like a row, not like names of columns: "{name}" is also a value. '
                "Add a first line with names, for example: text,label"
            )


def label_note(columns: Columns, name: str) -> str:
    """What to tell the user about a guessed label column."""
    values = {label_text(cell) for cell in columns.cells[name]} - {""}
    return (
        f'column "{name}" is taken as the label: {len(values)} different values in {len(columns)} rows; '
        "use --label to choose another"
    )


def could_be_label(columns: Columns, name: str) -> bool:
    """Whether a column holds short texts of which few are different."""
    cells = columns.cells[name]
    if kind_of(cells) != "text":
        return False
    values = [label_text(cell) for cell in cells if not is_missing(cell)]
    if splits_in(values):  # it says what rows are for, not what they are
        return False
    different = set(values)
    if not 2 <= len(different) <= _MOST_CLASSES * len(values):
        return False
    return max(map(len, different)) <= LONGEST_LABEL and not _fractions(different)


def _later(columns: Columns, free: Sequence[str]) -> list[str]:
    """Columns that are called like tags, ratings or amounts, or else all that hold numbers that differ."""
    called = [name for name in free if name.lower() in _LATER_NAMES]
    return called or [name for name in free if _amounts(columns.cells[name])]


def _amounts(cells: Sequence[Any]) -> bool:
    """Whether a column holds numbers with fractions; whole ones, all different, may be the number of the row."""
    return _fractions({label_text(cell) for cell in cells if not is_missing(cell)})


def _fractions(values: Collection[str]) -> bool:
    """Whether all values are numbers and one at least has a fraction."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        return False
    return any(number != number or not number.is_integer() for number in numbers)


def _ambiguous_label(columns: Columns, source: str, candidates: Sequence[str]) -> OptionError:
    several = all({label_text(cell) for cell in columns.cells[name]} <= _TRUTHS for name in candidates)
    together = f" Where any number of them may be right, name them all: --label {','.join(map(shown, candidates))}."
    return OptionError(
        f"the label of {source} could be {either(candidates)} ({all_names(columns.cells)}). Choose with --label."
        f"{together if several else ''}"
    )
