"""Tables of any kind as one thing: column names, and records that are read one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from handful.data.cells import cell_text
from handful.data.delimited import Broken, open_delimited
from handful.data.encodings import detect, open_text
from handful.data.long_cells import LONGEST_LINE, line_too_long, too_long, whole_lines
from handful.errors import DataError, MachineError
from handful.files import TABLE_BYTES, open_ordinary

DELIMITED_SUFFIXES = (".csv", ".tsv", ".tab")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet", ".pq")
TABLE_SUFFIXES = (*DELIMITED_SUFFIXES, *JSON_SUFFIXES, *PARQUET_SUFFIXES)

Record = dict[str, Any] | Broken

# Rows from which the column names of JSON lines are taken, and from which columns are guessed when streaming.
SAMPLE_ROWS = 1000

# Rows of a Parquet file decoded at a time.
_BATCH = 1024


@dataclass(frozen=True)
class Table:
    """A table whose columns are known and whose rows are read when they are asked for."""

    source: str
    """The table as the user would name it."""
    columns: tuple[str, ...]
    """The names of the columns, in order."""
    records: Callable[[], Iterator[Record]]
    """Starts reading from the first row: column name → text, None where missing, or an object."""
    folder: Path | None = None
    """Where file names in the table start from."""
    notes: tuple[str, ...] = ()
    """What is unusual about how the table is written, one sentence each."""


@dataclass(frozen=True)
class Columns:
    """A table, or the start of one, in memory, column by column."""

    cells: Mapping[str, list[Any]]
    """Column name → one value per good row."""
    rows: tuple[int, ...]
    """Zero-based position in the table of each good row."""
    broken: Mapping[int, str]
    """Zero-based position of each row that cannot be used → why."""

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
        return Table(str(path), file.columns, file.records, path.parent, file.notes)
    if suffix in JSON_SUFFIXES:
        return _open_json(path)
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
    rows: list[int] = []
    broken: dict[int, str] = {}
    for row, record in enumerate(islice(table.records(), most)):
        if isinstance(record, Broken):
            broken[row] = record.reason
            continue
        if not record.keys() <= cells.keys():
            cells.update({name: [None] * len(rows) for name in record if name not in cells})
        for name, column in cells.items():
            column.append(record.get(name))
        rows.append(row)
    return Columns(cells, tuple(rows), broken)


def _open_json(path: Path) -> Table:
    encoding = detect(path)
    notes = () if encoding.usual else (f"{path.name} is read as {encoding.name}, because it is not UTF-8",)
    with open_text(path, encoding) as file:
        start = file.read(_BATCH).lstrip()
    if start.startswith("["):
        with open_text(path, encoding) as file:
            rows = _parse_array(path, file.read())

        def records() -> Iterator[Record]:
            return (_json_record(row, f"entry {number}") for number, row in enumerate(rows, 1))
    else:

        def records() -> Iterator[Record]:
            with open_text(path, encoding) as file:
                yield from _json_lines(whole_lines(file))

    return Table(str(path), _names(records()), records, path.parent, notes)


def _parse_array(path: Path, text: str) -> list[Any]:
    try:
        return list(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} begins like a JSON list but is not one ({error}). Repair it, or write one object per line."
        ) from error


def _json_lines(lines: Iterable[tuple[str, int]]) -> Iterator[Record]:
    for number, (line, length) in enumerate(lines, 1):
        if length > len(line):
            yield Broken(line_too_long(number, length, LONGEST_LINE))
            continue
        if not line.strip():
            continue
        try:
            yield _json_record(json.loads(line), f"line {number}")
        except (ValueError, RecursionError) as error:
            yield Broken(f"line {number} is not JSON ({error})")


def _json_record(value: Any, place: str) -> Record:
    if not isinstance(value, dict):
        return Broken(f"{place} must be an object with names and values, got {type(value).__name__}")
    return _sized({name: cell_text(cell) for name, cell in value.items()}, place)


def _sized(record: dict[str, Any], place: str) -> Record:
    why = too_long(record, place)
    return Broken(why) if why else record


def _names(records: Iterator[Record]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for record in islice(records, SAMPLE_ROWS):
        if not isinstance(record, Broken):
            names.update(dict.fromkeys(record))
    return tuple(names)


def _open_parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet

    def failed(error: Exception) -> DataError:
        return DataError(f"{path} cannot be read as a Parquet file ({_first_line(error)}). Write it again.")

    def records() -> Iterator[Record]:
        try:
            with open_ordinary(path, TABLE_BYTES) as plain, pyarrow.parquet.ParquetFile(plain) as file:
                rows = (row for batch in file.iter_batches(batch_size=_BATCH) for row in batch.to_pylist())
                for number, row in enumerate(rows):
                    yield _sized({name: cell_text(cell) for name, cell in row.items()}, f"row {number}")
        except (pyarrow.ArrowException, OSError) as error:
            raise failed(error) from error

    try:
        with open_ordinary(path, TABLE_BYTES) as plain:
            if not plain.read(1):
                raise DataError(f"{path} is empty (0 bytes). Give a file with rows.")
            with pyarrow.parquet.ParquetFile(plain) as file:
                columns = tuple(file.schema_arrow.names)
    except PermissionError as error:
        raise MachineError(f"{path} cannot be opened: {error.strerror}. Check its permissions.") from error
    except (pyarrow.ArrowException, OSError) as error:
        raise failed(error) from error
    return Table(str(path), columns, records, path.parent)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def frame_table(frame: Any) -> Table:
    """A pandas DataFrame as a table; its index is not a column."""
    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f'the DataFrame has several columns called "{repeated[0]}". Rename all but one.')

    def records() -> Iterator[Record]:
        for values in frame.itertuples(index=False, name=None):
            yield {name: cell_text(value) for name, value in zip(names, values, strict=True)}

    return Table("the DataFrame", tuple(names), records)


def record_table(records: Iterable[Mapping[str, Any]]) -> Table:
    """A list of dictionaries, one per row, as a table."""
    rows = [{str(name): cell_text(cell) for name, cell in record.items()} for record in records]
    return Table("the list", tuple(dict.fromkeys(name for row in rows for name in row)), lambda: iter(rows))


def is_hub_dataset(source: Any) -> bool:
    """Whether this looks like a Hugging Face ``datasets.Dataset``, without importing that library."""
    return all(hasattr(source, name) for name in ("column_names", "features", "cast_column"))


def hub_table(dataset: Any) -> Table:
    """A Hugging Face ``datasets.Dataset`` as a table.

    Pictures and sounds stay undecoded: as a path where there is one, as bytes otherwise.
    """
    named: dict[str, list[str]] = {}
    for name, feature in dataset.features.items():
        if hasattr(feature, "names") and hasattr(feature, "int2str"):
            named[name] = list(feature.names)
        elif hasattr(feature, "decode"):
            dataset = dataset.cast_column(name, type(feature)(decode=False))

    def cell(name: str, value: Any) -> Any:
        if name not in named or not isinstance(value, int):
            return cell_text(value)
        return named[name][value] if value >= 0 else None  # -1 is how that library writes a missing label

    def records() -> Iterator[Record]:
        for record in dataset:
            yield {name: cell(name, value) for name, value in record.items()}

    return Table("the datasets.Dataset", tuple(dataset.column_names), records)


def hub_splits_table(splits: Mapping[str, Any]) -> Table:
    """A ``datasets.DatasetDict`` as one table, with the names of its parts as the column ``split``."""
    parts = {name: hub_table(dataset) for name, dataset in splits.items()}

    def records() -> Iterator[Record]:
        for name, part in parts.items():
            for record in part.records():
                yield {**record, "split": name} if isinstance(record, dict) else record

    columns = dict.fromkeys(column for part in parts.values() for column in (*part.columns, "split"))
    return Table("the datasets.DatasetDict", tuple(columns), records)
