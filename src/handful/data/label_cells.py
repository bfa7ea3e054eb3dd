"""Cells of a column of labels, whatever wrote them, as single values or lists: objects, arrays, one-hot rows."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handful.data.cells import is_missing, label_text, scalar, shown
from handful.data.label_types import TEXT, WHOLE, items_of
from handful.data.names import listed
from handful.data.places import Called, by_number
from handful.data.targets import CLASSES, LABELS
from handful.errors import DataError

# Characters of a list or an object of labels at most.
_LONGEST = 10_000

# What objects say of a name.
_TRUE, _FALSE = frozenset({"1", "true"}), frozenset({"0", "false"})


@dataclass(frozen=True)
class LabelCells:
    """What a column of labels holds, and what it was written as."""

    cells: list[Any]
    """N cells: a text or number, a list of texts, or None."""
    label_type: str
    """What labels were before they were written as text, see ``label_types``."""
    task: str | None = None
    """The task that reads them, where the cells leave no choice."""
    notes: tuple[str, ...] = ()
    """What was guessed, one sentence each."""


def place_of(name: str) -> str:
    """Where labels stand, for messages: a column, or an argument such as ``labels=``."""
    return name if name.endswith("=") else f'column "{shown(name)}"'


def label_cells(raw: Sequence[Any], name: str, label_type: str, called: Called = by_number) -> LabelCells:
    """Open what labels may be packed in.

    Args:
        raw: N cells: texts, numbers, lists, arrays, objects such as ``{"POS": 1, "NEG": 0}``, or nothing.
        name: of the column, for messages.
        label_type: of the cells.
        called: what a row is called in a message.

    Raises:
        DataError: cells hold what is no label, such as shares, other objects or lists of lists.
    """
    opened = [_opened(cell, name, called, i) for i, cell in enumerate(raw)]
    if any(isinstance(cell, _Named) for cell in opened):
        label_type = TEXT
    lists = [_list_of(cell, name, called, i) for i, cell in enumerate(opened)]
    full = [parts for parts, cell in zip(lists, opened, strict=True) if not is_missing(cell)]
    if None in full:  # a text among others may look like a list
        lists = [None if isinstance(cell, str) else parts for parts, cell in zip(lists, opened, strict=True)]
    elif full and _are_indicators(full):
        return _counted(lists, name)
    return LabelCells([c if parts is None else parts for parts, c in zip(lists, opened, strict=True)], label_type)


def are_packed(cells: Sequence[Any]) -> bool:
    """Whether all cells are objects of annotation tools, which say yes or no of names, or what was chosen."""
    filled = [cell for cell in cells if not is_missing(cell)]
    objects = [_as_object(cell) for cell in filled]
    return bool(filled) and all(
        found is not None and ("choices" in found or _truths(found) is not None) for found in objects
    )


class _Named(list[str]):
    """The names that an object says yes to."""


def _opened(cell: Any, name: str, called: Called, row: int) -> Any:
    """A cell without what annotation tools put around labels."""
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    packed = _as_object(cell)
    if packed is None and str(cell) == object.__repr__(cell):
        raise DataError(
            f"{place_of(name)} must hold a class, a number or a list of labels in every row, got an object of the type "
            f"{type(cell).__name__} in {called(row)}. Write the label itself."
        )
    if packed is None:
        return scalar(cell)
    if "choices" in packed:
        return packed["choices"]
    truths = _truths(packed)
    if truths is not None:
        return _Named([key for key, truth in truths.items() if truth in _TRUE and key.strip()])
    raise DataError(
        f"{place_of(name)} must hold a class, a number or a list of labels in every row, got an object with "
        f"{listed(list(map(str, packed)))} in {called(row)}. Write the label itself, or objects such as "
        '{"good": 1, "bad": 0}.'
    )


def _as_object(cell: Any) -> Mapping[Any, Any] | None:
    """The object that a cell is, or the text of; None of anything else."""
    if isinstance(cell, str):
        found = _parsed(cell) if cell.lstrip().startswith("{") else None
        return found if isinstance(found, dict) else None
    return cell if isinstance(cell, Mapping) else None


def _truths(found: Mapping[Any, Any]) -> dict[str, str] | None:
    """Name → whether it is right, of an object that says so of each name or of each below ``cats``; else None."""
    inner = found.get("cats", found)
    if not isinstance(inner, Mapping):
        return None
    truths = {str(key): label_text(value).lower() for key, value in inner.items()}
    return truths if truths and set(truths.values()) <= {*_TRUE, *_FALSE} else None


def _list_of(cell: Any, name: str, called: Called, row: int) -> list[Any] | None:
    """The labels of a cell that is a list, or the text of one; None of anything else."""
    if isinstance(cell, str):
        text = cell.strip()
        found = _parsed(text) if text.startswith("[") and text.endswith("]") else None
        parts = found if isinstance(found, list) else None
    else:
        parts = items_of(cell)
    if parts is None:
        return None
    while len(parts) == 1 and (inner := items_of(parts[0])) is not None:
        parts = inner
    odd = next((part for part in parts if isinstance(part, Mapping) or items_of(part) is not None), None)
    if odd is not None:
        what = "an object" if isinstance(odd, Mapping) else "a list"
        raise DataError(
            f"{place_of(name)} must hold a label or a list of labels in every row, got a list with {what} in it in "
            f"{called(row)}. Write the labels themselves."
        )
    return [part for part in parts if label_text(part)]


def _are_indicators(lists: Sequence[list[Any] | None]) -> bool:
    """Whether every list says 0 or 1 of each of the same two or more classes."""
    widths = {-1 if parts is None else len(parts) for parts in lists}
    if len(widths) != 1 or min(widths) < 2:
        return False
    return all(type(part) in (int, float, bool) and part in (0, 1) for parts in lists for part in parts or ())


def _counted(lists: Sequence[list[Any] | None], name: str) -> LabelCells:
    """Rows of 0 and 1 as the places of the ones."""
    ones = [None if parts is None else [str(i) for i, part in enumerate(parts) if part] for parts in lists]
    places, where = f"from 0 to {max(len(parts) for parts in lists if parts) - 1}", place_of(name)
    if all(parts is None or len(parts) == 1 for parts in ones):
        note = f"each row of {where} is 0 but for a single 1: its place, {places}, is taken as the class"
        return LabelCells([parts and parts[0] for parts in ones], WHOLE, CLASSES, (note,))
    note = f"the rows of {where} hold 0 and 1: the places of the ones, {places}, are taken as labels"
    return LabelCells(list(ones), WHOLE, LABELS, (note,))


def one_each(cells: Sequence[Any], name: str, task: str, called: Called = by_number) -> list[Any]:
    """Cells for a task with one answer per item: lists of one label opened, longer ones refused.

    Raises:
        DataError: a list holds several.
    """
    for row, cell in enumerate(cells):
        if isinstance(cell, list) and len(cell) > 1:
            raise DataError(
                f"{place_of(name)} must hold one label in every row for --task {task}, got "
                f"{listed(list(map(label_text, cell)))} in {called(row)}. Use --task multilabel, or write one label."
            )
    return [(cell[0] if cell else None) if isinstance(cell, list) else cell for cell in cells]


def refuse_shares(cells: Sequence[Any], name: str, called: Called = by_number) -> None:
    """Refuse lists of numbers with fractions, which are shares or measurements, not labels.

    Raises:
        DataError: there is one.
    """
    for row, cell in enumerate(cells):
        if not isinstance(cell, list) or len(cell) < 2:
            continue
        if any(isinstance(part, float) and not part.is_integer() for part in cell):
            raise DataError(
                f"{place_of(name)} must hold labels, got numbers with fractions in a list ({shown(str(cell[:3])[1:-1])}"
                f"{', …' if len(cell) > 3 else ''}; {called(row)}). Write the class with the largest share, or one "
                "number."
            )


def _parsed(text: str) -> Any:
    """The value of a text of JSON, or of one that Python wrote, as tables with lists hold them; else None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # a text may begin with a bracket
        return _python_value(text) if len(text) <= _LONGEST else None


def _python_value(text: str) -> Any:
    """The list, dictionary or other plain value that a text writes in Python; None where it writes none."""
    try:
        with warnings.catch_warnings(action="ignore"):  # about odd escapes in what may be no Python at all
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
