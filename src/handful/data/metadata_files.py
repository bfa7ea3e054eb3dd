"""Folders whose files are described by a table beside them: ``metadata.csv`` with the names of files and their labels.

The convention is that of ImageFolder and AudioFolder of Hugging Face ``datasets``: the column ``file_name`` holds names
relative to the table, and there may be one such table in every part of a split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handful.data.cells import shown
from handful.data.delimited import Broken
from handful.data.folders import Walk
from handful.data.label_column import LABEL_NAMES
from handful.data.names import listed
from handful.data.records import Record
from handful.data.split_names import SPLIT_NAME, SPLITS
from handful.data.tables import Table, open_table
from handful.errors import DataError

FILE_NAME = "file_name"
"""The column that makes a table one of files."""

_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


@dataclass(frozen=True)
class _Part:
    """One such table."""

    folder: str
    """The folder that it lies in, relative to the root; empty for the root."""
    table: Table
    """What it holds."""


def metadata_table(root: Path, label: str | None) -> Table | None:
    """The tables that describe the files of a folder, as one table with names relative to the folder.

    Args:
        root: the folder.
        label: the column of labels that the user named, where there is one.

    Returns:
        The table; with a column ``split`` where the tables lie in parts of a split. None where there is none with a
        column ``file_name``, or where class folders say more: files lie in these, and no column is named by the user or
        called like a label.

    Raises:
        DataError: a table cannot be read, or two describe the same files.
        MachineError: a table or folder cannot be opened.
    """
    parts = [*_in(root, "")]
    if not parts:
        inner = sorted(entry.name for entry in root.iterdir() if entry.name.lower() in SPLITS and entry.is_dir())
        parts = [part for name in inner for part in _in(root / name, name)]
    if not parts:
        return None
    columns = tuple(dict.fromkeys(name for part in parts for name in part.table.columns))
    if any(part.folder for part in parts) and SPLIT_NAME not in columns:
        columns = (*columns, SPLIT_NAME)
    if label is None and not _describes(columns) and _has_classes(root):
        return None
    notes = [note for part in parts for note in part.table.notes]
    return Table(shown(str(root)), columns, lambda: _records(parts), root, (_note(root, parts), *notes))


def unnamed(root: Path, modality: str, named: set[Path]) -> str:
    """What to tell the user about files of a folder that its metadata do not name; empty where there are none."""
    missing = [path for path, kind in Walk(root).files() if kind == modality and path not in named]
    if not missing:
        return ""
    first = shown("/".join(missing[0].relative_to(root).parts))
    are = "1 file is" if len(missing) == 1 else f"{len(missing)} files are"
    return f'{are} not named in the metadata and left out, such as "{first}"'


def _in(folder: Path, name: str) -> Iterator[_Part]:
    found = [folder / file for file in _NAMES if (folder / file).is_file()]
    tables = [table for table in map(open_table, found) if FILE_NAME in table.columns]
    if len(tables) > 1:
        raise DataError(
            f"{shown(str(folder))} must hold one table of metadata, got {listed([path.name for path in found])}. "
            "Remove all but one."
        )
    for table in tables:
        yield _Part(name, table)


def _describes(columns: tuple[str, ...]) -> bool:
    """Whether a column is called like a label."""
    return any(name.lower() in tier for name in columns for tier in LABEL_NAMES)


def _has_classes(root: Path) -> bool:
    """Whether files lie in at least two folders that could be classes."""
    classes: set[str] = set()
    for path, _ in Walk(root).files():
        folders = [part for part in path.relative_to(root).parts[:-1] if part.lower() not in SPLITS]
        classes.update(folders[:1])
        if len(classes) > 1:
            return True
    return False


def _records(parts: list[_Part]) -> Iterator[Record]:
    for part in parts:
        for record in part.table.records():
            if isinstance(record, Broken) or not part.folder:
                yield record
                continue
            name = record.get(FILE_NAME)
            moved = f"{part.folder}/{name}" if isinstance(name, str) else name
            yield {SPLIT_NAME: part.folder, **record, FILE_NAME: moved}


def _note(root: Path, parts: list[_Part]) -> str:
    names = ["/".join(Path(part.table.source).relative_to(root).parts) for part in parts]
    return f"files and labels are read from {listed(names)}; the names of folders mean nothing"
