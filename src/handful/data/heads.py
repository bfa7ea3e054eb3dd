"""Several columns of targets, each learned for itself: when a list of columns means that, and the rows of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from handful.data.cells import label_text
from handful.data.columns import Wanted
from handful.data.dataset import Dataset
from handful.data.in_memory import memory_table
from handful.data.input_column import named_columns
from handful.data.metadata_files import metadata_table
from handful.data.readers import load_object
from handful.data.several import load_several
from handful.data.sources import that_exists
from handful.data.tables import TABLE_SUFFIXES, Columns, Table, collect, open_table
from handful.data.target_column import says_yes_or_no
from handful.data.targets import LABELS

# A column where so large a share of the cells says yes or no is one of several labels, and its other cells are slips.
_INDICATES = 0.9


def separate_targets(source: Any, label: str | None, task: str | None) -> tuple[str, ...]:
    """The columns that ``label`` names, where each is learned for itself.

    Args:
        source: a path, or a table in memory.
        label: what the user named as the label.
        task: what the user says that the targets are.

    Returns:
        Two names or more; empty where one column is meant, or where columns of 0 and 1 are several labels of one task.

    Raises:
        DataError, MachineError: the table cannot be read.
    """
    if label is None or "," not in label or task == LABELS:
        return ()
    table = _table(source, label)
    if table is None:
        return ()
    columns = collect(table)
    names = named_columns(label, columns.cells)
    if len(names) < 2 or any(name not in columns.cells for name in names):
        return ()
    return () if task is None and all(_indicates(columns, name) for name in names) else names


def load_heads(sources: Sequence[Any], names: Sequence[str], wanted: Wanted) -> dict[str, Dataset]:
    """The rows of each target: those in which it is not missing; the others are items without labels.

    Args:
        sources: what ``separate_targets`` looked at, one or more paths, or one table in memory.
        names: the columns.
        wanted: what else was named.

    Returns:
        Column → its rows. All have the same column of items.

    Raises:
        DataError, OptionError, MachineError: as ``load``.
    """
    heads: dict[str, Dataset] = {}
    for name in names:
        asked = replace(wanted, label=name, beside=tuple(other for other in names if other != name))
        if heads:  # what was guessed for the first holds for all
            asked = replace(asked, input=next(iter(heads.values())).input)
        in_memory = not isinstance(sources[0], str | Path)
        heads[name] = load_object(sources[0], asked) if in_memory else load_several(sources, asked)
    return heads


def _table(source: Any, label: str) -> Table | None:
    if not isinstance(source, str | Path):
        return memory_table(source)
    path = that_exists(source)
    if path.is_dir():
        return metadata_table(path, label)
    return open_table(path) if path.suffix.lower() in TABLE_SUFFIXES else None


def _indicates(columns: Columns, name: str) -> bool:
    filled = [text for cell in columns.cells[name] if (text := label_text(cell))]
    return sum(map(says_yes_or_no, filled)) >= _INDICATES * len(filled)
