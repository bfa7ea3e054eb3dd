"""A column of targets: whether it holds classes, several labels, ratings or numbers; its cells written in one way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from handful.data.cells import is_missing, label_text, shown
from handful.data.label_cells import label_cells, one_each, place_of, refuse_shares
from handful.data.label_types import NUMBER, TEXT, are_decimal
from handful.data.names import listed
from handful.data.places import Called, by_number
from handful.data.targets import (
    CLASSES,
    JOIN,
    LABELS,
    LONGEST_LABEL,
    NO_LABEL,
    NUMBERS,
    RATINGS,
    is_float,
    join_labels,
    labels_in,
    number_of,
    rating_order,
    scale_of,
)
from handful.errors import DataError

# Between labels in a cell, the surest sign first.
_DELIMITERS = ("|", ";", ",")
# A delimiter is believed where so many cells have it, and so large a share of the parts comes in another cell too.
_JOINED_CELLS, _KNOWN_PARTS = 0.1, 0.8

# Whole numbers are ratings where the column is called so, in lower case, and there are not too many of them.
_RATING_NAMES = frozenset({
    "rating", "ratings", "stars", "star", "score", "scores", "grade", "grades", "severity", "priority", "level",
    "urgency", "quality", "satisfaction", "nps", "likert", "rank",
})  # fmt: skip
_MOST_RATINGS = 11
_STARS = frozenset({"1", "2", "3", "4", "5"})
# Fewer words than this are classes: "negative" and "positive" need no order.
_FEWEST_LEVELS = 3

# More different numbers with a fraction than this are measured, not named; and more whole ones, where each is rare.
_MOST_FRACTIONS, _MOST_WHOLE, _TIMES = 10, 20, 3
# A column of numbers may have so large a share of other cells.
_OTHERS = 0.1

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_YES = frozenset({"1", "true", "yes", "x", "y"})
_NO = frozenset({"0", "false", "no", "", "n"})


@dataclass(frozen=True)
class Column:
    """What is wanted of N rows."""

    task: str
    """The task that reads it."""
    cells: list[str]
    """N texts; empty where nothing is said."""
    wrong: Mapping[int, str]
    """Position → why its cell cannot be read."""
    notes: tuple[str, ...] = ()
    """What was guessed, one sentence each."""
    label_type: str = TEXT
    """What labels were before they were written as text, see ``label_types``."""


def read_column(
    raw: Sequence[Any], name: str, task: str | None, label_type: str = TEXT, called: Called = by_number
) -> Column:
    """Read a column of targets.

    Args:
        raw: N cells: texts, lists of labels, rows of 0 and 1, objects of annotation tools, or nothing.
        name: of the column, for messages; ``labels=`` for a list.
        task: what the user says that it holds; None: it is guessed, and the guess is said.
        label_type: what the cells were before they were written as text.
        called: what a row is called in a message.

    Raises:
        DataError: it holds things of two kinds, or what is no label.
    """
    cells = label_cells(raw, name, label_type, called)
    column = _read(cells.cells, name, task or cells.task, called)
    label_type = cells.label_type
    if column.task == RATINGS and label_type == TEXT and are_decimal(cells.cells):
        label_type = NUMBER
    return replace(column, notes=(*cells.notes, *column.notes), label_type=label_type)


def _read(opened: list[Any], name: str, task: str | None, called: Called) -> Column:
    refuse_shares(opened, name, called)
    if task in (None, LABELS) and any(isinstance(cell, list) for cell in opened):
        return _listed_labels(opened, name, task, called)
    cells = [label_text(cell) for cell in one_each(opened, name, task or CLASSES, called)]
    filled = [cell for cell in cells if cell]
    if task == LABELS:
        return _joined_labels(cells, name, _delimiter(filled, sure=False), said=False)
    if task in (NUMBERS, RATINGS):
        if task == RATINGS and scale_of(set(filled)):
            return Column(RATINGS, cells, {})
        return _numbers(cells, name, task)
    if task is not None or not filled:
        return Column(task or CLASSES, cells, {})
    return _guessed(cells, filled, name, called)


def read_indicators(columns: Mapping[str, Sequence[Any]], source: str, called: Called = by_number) -> Column:
    """Read several columns of 0 and 1 as labels that are called like them.

    Args:
        columns: name → N cells.
        source: of the table, for messages.
        called: what a row is called in a message.

    Raises:
        DataError: a cell says neither yes nor no.
    """
    truths: dict[str, list[bool]] = {}
    for name, raw in columns.items():
        _check_name(name)
        cells = [label_text(cell).lower() for cell in raw]
        odd = next((i for i, cell in enumerate(cells) if not says_yes_or_no(cell)), None)
        if odd is not None:
            raise DataError(
                f'column "{name}" of {source} is one of several labels and must hold 1 or 0 (or yes and no) in every '
                f'row, got "{shown(cells[odd])}" in {called(odd)}. Correct it, or name a single column with --label.'
            )
        truths[name] = [cell in _YES for cell in cells]
    rows = zip(*truths.values(), strict=True)
    cells = [join_labels([name for name, holds in zip(truths, row, strict=True) if holds]) for row in rows]
    return Column(
        LABELS, cells, {}, (f"columns {listed(list(truths))} are the labels: any number of them may be right",)
    )


def says_yes_or_no(cell: str) -> bool:
    """Whether a cell is one that a column of 0 and 1 may hold."""
    return cell.lower() in _YES | _NO


def _guessed(cells: list[str], filled: list[str], name: str, called: Called) -> Column:
    """What a column without a word from the user holds."""
    values = set(filled)
    numbers = [number_of(cell) for cell in filled]
    plain = all(
        number is not None or _DECIMAL_COMMA.fullmatch(cell) for number, cell in zip(numbers, filled, strict=True)
    )
    if plain:
        return _guessed_numbers(cells, filled, values, name)
    fit = sum(number is not None for number in numbers)
    different = {cell for cell, number in zip(filled, numbers, strict=True) if number is not None}
    if fit >= 0.5 * len(filled) and _measured(different, fit):
        if fit >= (1 - _OTHERS) * len(filled):
            return _said(_numbers(cells, name, NUMBERS), f'column "{name}" holds numbers: {_OVERRULED[NUMBERS]}')
        odd = next(i for i, cell in enumerate(cells) if cell and number_of(cell) is None)
        raise DataError(
            f'column "{name}" holds numbers in {fit} rows and something else in {len(filled) - fit}, such as '
            f'"{shown(cells[odd])}" ({called(odd)}). Correct these rows, or take each value as a class with '
            "--task classification."
        )
    if (delimiter := _delimiter(filled, sure=True)) is not None:
        return _joined_labels(cells, name, delimiter, said=True)
    if len(values) >= _FEWEST_LEVELS and (scale := scale_of(values)):
        order = ", ".join(level for level in scale if level in {value.lower() for value in values})
        why = f'column "{name}" holds levels of a scale ({order}): taken as ratings in this order'
        return Column(RATINGS, cells, {}, (f"{why}; use --task classification for classes without an order",))
    return Column(CLASSES, cells, {})


_OVERRULED = {
    NUMBERS: "a number is predicted; use --task classification or ordinal to take them otherwise",
    RATINGS: "use --task classification or regression to take them otherwise",
}


def _guessed_numbers(cells: list[str], filled: list[str], values: set[str], name: str) -> Column:
    if _measured(values, len(filled)):
        return _said(_numbers(cells, name, NUMBERS), f'column "{name}" holds numbers: {_OVERRULED[NUMBERS]}')
    called = name.lower() in _RATING_NAMES or bool(set(re.split(r"[\W_]+", name.lower())) & _RATING_NAMES)
    if len(values) >= _FEWEST_LEVELS and (values == _STARS or (called and len(values) <= _MOST_RATINGS)):
        column = _numbers(cells, name, RATINGS)
        order = rating_order({cell for cell in column.cells if cell}, name)
        why = f'column "{name}" holds the ratings {", ".join(order)}: taken in this order'
        return _said(column, f"{why}; {_OVERRULED[RATINGS]}")
    if len(values) < _FEWEST_LEVELS:
        return Column(CLASSES, cells, {})
    note = (
        f'the {len(values)} different values of column "{name}" are numbers and are taken as classes; if they are '
        "ratings use --task ordinal, if they are amounts --task regression"
    )
    return Column(CLASSES, cells, {}, (note,))


def _measured(values: set[str], rows: int) -> bool:
    """Whether different numbers are amounts, not names."""
    whole = all(_is_whole(value) for value in values)
    if not whole:
        return len(values) > _MOST_FRACTIONS or 2 * len(values) > rows
    return len(values) > _MOST_WHOLE and _TIMES * len(values) > rows


def _is_whole(text: str) -> bool:
    number = number_of(text.replace(",", "."))
    return number is not None and number.is_integer()


def _said(column: Column, note: str) -> Column:
    return Column(column.task, column.cells, column.wrong, (note, *column.notes))


def _numbers(cells: list[str], name: str, task: str) -> Column:
    """Cells as numbers with a point, decimal commas put right."""
    notes: tuple[str, ...] = ()
    with_comma = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
    if with_comma and not any("." in cell for cell in cells):
        if all(len(cell.partition(",")[2]) == 3 for cell in with_comma):
            raise DataError(
                f'column "{name}" holds numbers such as "{with_comma[0]}", where the comma may stand before thousands '
                "or before decimals. Write them with a point before the decimals and nothing before thousands."
            )
        cells = [cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells]
        notes = (f'commas in the numbers of column "{name}" are read as decimal commas',)
    wrong, written = {}, []
    for i, cell in enumerate(cells):
        number = number_of(cell)
        if cell and number is None:
            finite = "a finite number" if is_float(cell) else "a number"
            wrong[i] = f'{name} must be {finite}, got "{shown(cell)}"'
        written.append("" if number is None else _plain(cell, number))
    return Column(task, written, wrong, notes)


def _plain(cell: str, number: float) -> str:
    """A number as it was written, without what makes equal numbers differ: ``4`` for ``4.0`` and ``+4``."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else cell.lstrip("+")


def _listed_labels(raw: list[Any], name: str, task: str | None, called: Called) -> Column:
    cells, wrong = [], {}
    for i, cell in enumerate(raw):
        if not isinstance(cell, list) and not is_missing(cell):
            wrong[i] = f"{name} must be a list of labels, as in other rows, got {shown(label_text(cell))!r}"
        labels = [label_text(part) for part in cell] if isinstance(cell, list) else None
        for part in labels or ():
            _check_name(part)
        cells.append("" if labels is None else join_labels(labels))
    if task is None and all(cell == "" or len(labels_in(cell)) == 1 for cell in cells):
        guessed = _guessed(cells, [cell for cell in cells if cell], name, called)
        if guessed.task != CLASSES:
            return replace(guessed, wrong={**guessed.wrong, **wrong})
        note = f"each cell of {place_of(name)} holds one label: taken as classes; use --task multilabel for several"
        return Column(CLASSES, cells, wrong, (note,))
    note = f"{place_of(name)} holds lists of labels: any number of them may be right"
    return Column(LABELS, cells, wrong, () if task else (note,))


def _joined_labels(cells: list[str], name: str, delimiter: str | None, said: bool) -> Column:
    out = []
    for cell in cells:
        parts = [part.strip() for part in cell.split(delimiter)] if delimiter else [cell]
        for part in parts:
            _check_name(part)
        named = [part for part in parts if part and part != NO_LABEL]
        out.append(join_labels(named) if cell else "")
    if delimiter is None:
        return Column(LABELS, out, {}, (f'no cell of column "{name}" holds more than one label',))
    note = f'labels in column "{name}" are joined by "{delimiter}": any number of them may be right'
    how = "; use --task classification to take each cell as one class" if said else ""
    return Column(LABELS, out, {}, (note + how,))


def _check_name(name: str) -> None:
    if JOIN in name:
        raise DataError(
            f'a label must not contain "{JOIN}", which stands between labels in answers, got "{shown(name)}". '
            "Rename it."
        )


def _delimiter(cells: Sequence[str], sure: bool) -> str | None:
    """What stands between labels; where that has to be sure, only if the parts are labels of other cells too."""
    for delimiter in _DELIMITERS:
        joined = [cell for cell in cells if delimiter in cell.strip(delimiter)]
        if not joined:
            continue
        if not sure:
            return delimiter
        parts = [tuple(part.strip() for part in cell.split(delimiter)) for cell in set(cells)]
        times = Counter(part for own in parts for part in set(own))
        of_joined = [part for own in parts if len(own) > 1 for part in own]
        known = sum(times[part] > 1 for part in of_joined) / len(of_joined)
        short = all(0 < len(part) <= LONGEST_LABEL for part in of_joined)
        if len(joined) >= _JOINED_CELLS * len(cells) and known >= _KNOWN_PARTS and short and len(times) < len(parts):
            return delimiter
    return None
