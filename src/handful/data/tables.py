"""Tables of any kind as one thing: column names, and records that are read one after the other; table files opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from handful.data.cells import cell_text
from handful.data.class_labels import named_in, with_names
from handful.data.delimited import Broken, open_delimited
from handful.data.json_files import open_json
from handful.data.label_types import TEXT, type_of, types_in
from handful.data.records import Record, sized
from handful.data.spreadsheets import open_spreadsheet
from handful.errors import DataError, MachineError
from handful.files import TABLE_BYTES, open_ordinary

DELIMITED_SUFFIXES = (".csv", ".tsv", ".tab")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet", ".pq")
SPREADSHEET_SUFFIXES = (".xlsx", ".xlsm")
TABLE_SUFFIXES = (*DELIMITED_SUFFIXES, *JSON_SUFFIXES, *PARQUET_SUFFIXES, *SPREADSHEET_SUFFIXES)
HEADED_SUFFIXES = (*DELIMITED_SUFFIXES, *SPREADSHEET_SUFFIXES)
"""Of tables whose first line, which may be missing, names the columns."""

# Rows of a Parquet file decoded at a time.
_BATCH = 1024


@dataclass(frozen=True)
class Table:
    """A table whose columns are known and whose rows are read when they are asked for."""

    source: str
    """The table as the user would name it."""
    columns: tuple[str, ...]
    """The names of the columns, in order."""
    values: Callable[[], Iterator[Record]]
    """Starts reading from the first row: column name → value as it stands in the source."""
    folder: Path | None = None
    """Where file names in the table start from."""
    notes: tuple[str, ...] = ()
    """What is unusual about how the table is written, one sentence each."""
    lines: Callable[[], Iterator[int]] | None = None
    """The number of each row as a person counts; None where rows are counted from 0, as Python does."""
    word: str = "row"
    """What a person counts the rows of the table as: lines, entries, rows."""

    def records(self) -> Iterator[Record]:
        """Start reading from the first row: column name → text, None where missing, or an object."""
        return (_as_text(record) for record in self.values())


def _as_text(record: Record) -> Record:
    return record if isinstance(record, Broken) else {name: cell_text(cell) for name, cell in record.items()}


@dataclass(frozen=True)
class Columns:
    """A table, or the start of one, in memory, column by column."""

    cells: Mapping[str, list[Any]]
    """Column name → one value per good row."""
    rows: tuple[int, ...]
    """Zero-based position in the table of each good row."""
    broken: Mapping[int, str]
    """Zero-based position of each row that cannot be used → why."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Column name → what its cells were before they were written as text."""
    lines: tuple[int, ...] = ()
    """The number of every row as a person counts, broken ones included; empty where rows are counted from 0."""
    ids: str = ""
    """The column that names the rows, where that is known; empty where it is looked for."""

    def type_of(self, name: str) -> str:
        """What the cells of a column were before they were written as text."""
        return self.types.get(name, TEXT)

    def take(self, positions: Sequence[int]) -> Columns:
        """The rows at these positions, in this order."""
        cells = {name: [column[i] for i in positions] for name, column in self.cells.items()}
        return replace(self, cells=cells, rows=tuple(self.rows[i] for i in positions))

    def __len__(self) -> int:
        return len(self.rows)


def open_table(path: Path) -> Table:
    """Open a table file by its suffix.

    Raises:
        DataError: the file is empty, damaged or not a table.
        MachineError: the file cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix in DELIMITED_SUFFIXES:
        file = open_delimited(path)
        return Table(str(path), file.columns, file.records, path.parent, file.notes, file.lines, "line")
    if suffix in JSON_SUFFIXES:
        rows = open_json(path)
        return Table(str(path), rows.columns, rows.records, path.parent, rows.notes, rows.lines, rows.word)
    if suffix in SPREADSHEET_SUFFIXES:
        sheet = open_spreadsheet(path)
        return Table(str(path), sheet.columns, sheet.records, path.parent, sheet.notes, sheet.lines, "line")
    return _open_parquet(path)


def collect(table: Table, most: int | None = None) -> Columns:
    """Read rows of a table into memory.

    Args:
        table: the table.
        most: at most so many rows, from the start.

    Returns:
        The rows; a name that a row lacks (JSON lines) is None there.
    """
    cells: dict[str, list[Any]] = {name: [] for name in table.columns}
    types: dict[str, set[str]] = {}
    rows: list[int] = []
    broken: dict[int, str] = {}
    for row, record in enumerate(islice(table.values(), most)):
        if isinstance(record, Broken):
            broken[row] = record.reason
            continue
        if not record.keys() <= cells.keys():
            cells.update({name: [None] * len(rows) for name in record if name not in cells})
        for name, column in cells.items():
            value = record.get(name)
            types.setdefault(name, set()).update(types_in(value))
            column.append(cell_text(value))
        rows.append(row)
    lines = () if table.lines is None else tuple(islice(table.lines(), most))
    return Columns(cells, tuple(rows), broken, {name: type_of(found) for name, found in types.items()}, lines)


def _open_parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet

    def failed(error: Exception) -> DataError:
        return DataError(f"{path} cannot be read as a Parquet file ({_first_line(error)}). Write it again.")

    def records() -> Iterator[Record]:
        try:
            with (
                open_ordinary(path, TABLE_BYTES) as plain,
                pyarrow.parquet.ParquetFile(plain, pre_buffer=False) as file,
            ):
                rows = (row for batch in file.iter_batches(batch_size=_BATCH) for row in batch.to_pylist())
                for number, row in enumerate(rows):
                    yield sized(with_names(row, named), f"row {number}")
        except (pyarrow.ArrowException, OSError) as error:
            raise failed(error) from error

    try:
        with open_ordinary(path, TABLE_BYTES) as plain:
            if not plain.read(1):
                raise DataError(f"{path} is empty (0 bytes). Give a file with rows.")
            with pyarrow.parquet.ParquetFile(plain) as file:
                columns, named = tuple(file.schema_arrow.names), named_in(file.schema_arrow.metadata)
    except PermissionError as error:
        raise MachineError(f"{path} cannot be opened: {error.strerror}. Check its permissions.") from error
    except (pyarrow.ArrowException, OSError) as error:
        raise failed(error) from error
    return Table(str(path), columns, records, path.parent)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
