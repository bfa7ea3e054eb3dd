"""New rows to check a model with: read in bounded memory, with their labels where the source has any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from handful.backbones.parts import TOKENS
from handful.data.annotation_states import is_left_out
from handful.data.cells import cell_text, shown
from handful.data.delimited import Broken
from handful.data.handed_items import handed_items
from handful.data.input_column import named_columns
from handful.data.items import make_items
from handful.data.label_column import LABEL_NAMES
from handful.data.names import all_names
from handful.data.places import Places, id_column
from handful.data.sources import exists
from handful.data.span_tables import cells_of
from handful.data.streams import stream
from handful.data.tables import TABLE_SUFFIXES, open_table
from handful.data.target_column import read_column, read_indicators
from handful.errors import OptionError, suggestion
from handful.export.bundle import Bundle
from handful.export.loading import columns_read

MOST = 2000
"""Of a longer source at least this many rows are looked at, and at most twice as many, evenly spread over it."""
CHUNK = 1024
"""How many rows are read at a time."""


@dataclass(frozen=True)
class Row:
    """One row that could be read."""

    place: int
    """Zero-based position in the source."""
    item: Any
    """What the model reads."""
    label: Any
    """What the source says, as it stands there; after reading a text that is empty where it says nothing."""
    line: int = 0
    """Where it stands in its file, as ``word`` counts."""
    word: str = ""
    """What is counted: line, entry, row; empty where the item is a file."""
    cells: Mapping[str, Any] = field(default_factory=dict)
    """Column → value of a row of a table."""


@dataclass(frozen=True)
class NewRows:
    """What is to be checked."""

    rows: list[Row]
    """What could be read; of a long source some of it, evenly spread."""
    failed: int
    """How many rows could not be read."""
    total: int
    """How many rows the source has."""
    label: str | None
    """Where labels stand in the source; None where it has none."""
    name: str
    """The source, for messages."""

    def labelled(self, model: Bundle) -> list[Row]:
        """The rows whose labels can be read, as the task of the model reads them; all where there are no labels.

        Raises:
            DataError: the labels are no targets of this task.
        """
        if self.label is None:
            return self.rows
        raw = [row.label for row in self.rows]

        def called(at: int) -> str:
            return called_together(self.rows, [at])

        if model.task.grain not in ("", TOKENS):
            raise OptionError(
                f"labels of new rows are not compared with {model.task.answer_column}, got column {self.label!r} of "
                f"{self.name}. Leave them out with --label ''."
            )
        if model.task.grain:
            cells = cells_of([row.item for row in self.rows], raw, self.label, called)
            return [replace(row, label=cell) for row, cell in zip(self.rows, cells, strict=True) if cell]
        if "," in self.label and raw and isinstance(raw[0], tuple):
            columns = {name: [cells[i] for cells in raw] for i, name in enumerate(named_columns(self.label, ()))}
            column = read_indicators(columns, self.name, called)
        else:
            column = read_column(raw, self.label, model.task.name, called=called)
        return [replace(row, label=cell) for row, cell in zip(self.rows, column.cells, strict=True) if cell]


def called_together(rows: Sequence[Row], some: Sequence[int], used: Sequence[str] = ()) -> str:
    """What some rows are called, as a person looks them up: their IDs, their lines, or their files.

    Args:
        rows: all rows that are compared.
        some: positions of those that are named, the first first.
        used: columns that the model reads, which name no rows.
    """
    words = [rows[i].word for i in some]
    if not all(words):
        return ", ".join(shown(str(rows[i].item)) for i in some)
    columns = {name: [cell_text(row.cells.get(name)) for row in rows] for name in rows[0].cells}
    name = id_column(columns, used)
    ids = {i: " ".join(columns[name][i].split()) for i in some} if name else {}
    return shown(Places([row.line for row in rows], words[0], name, ids).called_together(some, len(some)))


def rows_of_list(items: Sequence[Any], labels: Sequence[Any] | None, model: Bundle) -> NewRows:
    """The rows of a list of items.

    Args:
        items: what the model reads, or a table with the column that it learned from.
        labels: one per item; None where there are none.
        model: says of which modality items are.

    Raises:
        OptionError: there are more or fewer labels than items.
    """
    handed = handed_items(items, model.input, "check", columns_read(model))
    made, failed = make_items(handed, model.modality, None)
    wanted = [None] * len(made) if labels is None else list(labels)
    if len(wanted) != len(made):
        raise OptionError(f"labels= must have one entry per item ({len(made)}), got {len(wanted)}. Correct it.")
    rows = [
        Row(i, item, label, i, "row")
        for i, (item, label) in enumerate(zip(made, wanted, strict=True))
        if i not in failed
    ]
    return NewRows(rows, len(failed), len(made), None if labels is None else "labels=", "the list")


def rows_of_source(
    path: Path, label: str | None, column: str | None, model: Bundle, tell: Callable[[str], None]
) -> NewRows:
    """Every row of a file or folder, or every second, fourth … of a long one.

    Args:
        path: anything that ``predict`` reads.
        label: the column that holds the labels; an empty text where there are none; None to look for one.
        column: the column that holds the items; None for the one used in training.
        model: says what items are, and how labels are called.
        tell: called with what was guessed about the source.

    Raises:
        DataError: the source cannot be read.
        OptionError: it has no such column.
    """
    column = column or model.input
    label, label_of = _labels(path, label, column, model, tell)
    rows: list[Row] = []
    step, failed, total = 1, 0, 0
    for chunk in stream(path, modality=model.modality, input=column, chunk=CHUNK, numbers=columns_read(model) or ()):
        for note in chunk.notes:
            tell(note)
        failed, total = failed + len(chunk.failed), total + len(chunk.rows)
        for i, place in enumerate(chunk.rows):
            own = None if label_of is None else label_of(chunk.items[i])
            if place not in chunk.failed and place % step == 0:
                line = chunk.places[i] if chunk.counted else 0
                cells = chunk.cells[i] if chunk.cells else {}
                rows.append(Row(place, chunk.items[i], own, line, chunk.counted, cells))
        while len(rows) > 2 * MOST:
            step *= 2
            rows = [row for row in rows if row.place % step == 0]
    return NewRows(rows, failed, total, label, shown(str(path)))


def _found_label(columns: Sequence[str], column: str | None, model: Bundle) -> str | None:
    """The column of labels that nobody named: as in training, in any case of its letters, or with a well-known name.

    Several columns of 0 and 1 are joined by commas, as ``--label`` names them.
    """
    items = named_columns(column, columns) if column else ()
    free = {name.casefold(): name for name in columns if name not in items}
    trained = model.targets or (() if model.target is None else (model.target,))
    if trained and all(name.casefold() in free for name in trained):
        return ",".join(name if name in columns else free[name.casefold()] for name in trained)
    return next((free[name] for tier in LABEL_NAMES for name in free if name in tier), None)


def _labels(
    path: Path, label: str | None, column: str | None, model: Bundle, tell: Callable[[str], None]
) -> tuple[str | None, Callable[[Any], Any] | None]:
    """Where labels stand, and what gives that of the next row from its item; None where there are none."""
    if label == "" or not exists(path):
        return None, None
    if path.is_dir():
        if label:
            raise OptionError(f"--label names a column of a table, but {shown(str(path))} is a folder. Leave it out.")
        if not any((path / name).is_dir() for name in model.labels):
            return None, None
        return "folder names", lambda item: shown(Path(item).relative_to(path).parts[0])
    if path.suffix.lower() not in TABLE_SUFFIXES:
        return None, None
    table = open_table(path)
    if label is None:
        label = _found_label(table.columns, column, model)
        if label is None:
            return None, None
        tell(f"column \"{label}\" is taken as the labels; use --label '' to check without them")
    names = named_columns(label, table.columns)
    for name in names:
        if name not in table.columns:
            near = suggestion(name, table.columns) or " Name one of these."
            raise OptionError(
                f'column "{name}", given as the label, is not in {shown(str(path))} ({all_names(table.columns)}).{near}'
            )
    records = table.records()  # read beside the items, one for one

    def next_label(item: Any) -> Any:
        record = next(records)
        said = {} if isinstance(record, Broken) or is_left_out(record, label) else record
        cells = tuple(said.get(name) for name in names)
        return cells if len(names) > 1 else cells[0]

    return label, next_label
