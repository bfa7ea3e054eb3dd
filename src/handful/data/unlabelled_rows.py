"""Rows of a labelled table whose label is empty: items without labels, where the rest of the row can be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handful.data.columns import Choice
from handful.data.items import make_items
from handful.data.split_names import split_of
from handful.data.tables import Columns
from handful.data.target_column import Column


def without_labels(
    columns: Columns, choice: Choice, column: Column, folder: Path | None
) -> tuple[tuple[Any, ...], dict[int, str]]:
    """Part the rows without a label into items of a pool and rows that are of no use.

    Args:
        columns: the table.
        choice: which column is what.
        column: the labels; empty where nothing is said, or where it cannot be read.
        folder: where file names in the table start from.

    Returns:
        The items, and position of each other row without a label → why it is left out. A test row is for measuring
        alone: without a label it is left out.
    """
    why = {i: column.wrong.get(i, "the label is empty") for i, cell in enumerate(column.cells) if not cell}
    free = [i for i in why if i not in column.wrong]
    if choice.split:
        free = [i for i in free if split_of(columns.cells[choice.split][i]) != "test"]
    values = [tuple(columns.cells[name][i] for name in choice.inputs) for i in free]
    items, failed = make_items([v if len(v) > 1 else v[0] for v in values], choice.modality, folder)
    why.update({free[at]: f"the label is empty, and {reason}" for at, reason in failed.items()})
    usable = [(i, item) for at, (i, item) in enumerate(zip(free, items, strict=True)) if at not in failed]
    for i, _ in usable:
        del why[i]
    return tuple(item for _, item in usable), why


def said(unlabelled: Sequence[Any]) -> list[str]:
    """What to tell the user about rows without a label."""
    if not unlabelled:
        return []
    return [f"{_rows(unlabelled)} used as unlabelled {'item' if len(unlabelled) == 1 else 'items'}"]


def left_out(notes: Sequence[str], unlabelled: Sequence[Any]) -> list[str]:
    """The notes of a reader, where nothing can be learned from rows without a label after all."""
    why = [f"{_rows(unlabelled)} left out: a language model learns from answers alone"] * bool(unlabelled)
    return [*(note for note in notes if note not in said(unlabelled)), *why]


def _rows(unlabelled: Sequence[Any]) -> str:
    count = len(unlabelled)
    return "1 row without a label is" if count == 1 else f"{count:,} rows without a label are"
