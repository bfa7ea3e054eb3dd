"""Rows written one after the other, in the format that the ending of a file's name says."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Protocol

from handful.data.cells import cell_text, defuse, shown_lines
from handful.data.tables import DELIMITED_SUFFIXES, PARQUET_SUFFIXES
from handful.errors import OptionError

_JSON_LINES, _TABBED = (".jsonl", ".ndjson"), (".tsv", ".tab")

_WORKBOOK = ".xlsx"
# Characters of a cell that spreadsheets keep.
_WORKBOOK_CELL = 32_767

WRITTEN_SUFFIXES = (*DELIMITED_SUFFIXES, *_JSON_LINES, *PARQUET_SUFFIXES, _WORKBOOK)
"""The endings of files that rows can be written to."""

# Rows of a Parquet file that are held until they are written together.
_GROUP = 1024


class Rows(Protocol):
    """What takes rows."""

    typed: bool
    """Whether numbers stay numbers."""

    def header(self, columns: Sequence[str]) -> None:
        """Say how the columns are called, before the first row."""

    def row(self, values: Sequence[Any]) -> None:
        """Write a row: a text, a number, None or an object per column."""


class DelimitedRows:
    """Cells between commas or tabs; none is run by a spreadsheet."""

    typed = False

    def __init__(self, out: IO[str], delimiter: str = ",") -> None:
        """Args: out: where to; delimiter: one character between cells."""
        self._writer = csv.writer(out, lineterminator="\n", delimiter=delimiter)

    def header(self, columns: Sequence[str]) -> None:
        """Write the names of the columns."""
        self._writer.writerow(map(defuse, columns))

    def row(self, values: Sequence[Any]) -> None:
        """Write a row."""
        self._writer.writerow([defuse(_as_text(value) or "") for value in values])


class JsonRows:
    """An object per line; numbers stay numbers, and what is missing is null."""

    typed = True

    def __init__(self, out: IO[str]) -> None:
        """Args: out: where to."""
        self._out, self._columns = out, list[str]()

    def header(self, columns: Sequence[str]) -> None:
        """Keep the names of the columns."""
        self._columns = list(columns)

    def row(self, values: Sequence[Any]) -> None:
        """Write a row."""
        row = dict(zip(self._columns, map(_finite, values), strict=True))
        self._out.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


class ParquetRows:
    """A Parquet file; what a column holds in the first rows, it holds in all."""

    typed = True

    def __init__(self, out: IO[bytes]) -> None:
        """Args: out: where to."""
        self._out, self._columns, self._kinds = out, list[str](), list[Any]()
        self._held = list[Sequence[Any]]()
        self._file: Any = None

    def header(self, columns: Sequence[str]) -> None:
        """Keep the names of the columns."""
        self._columns = list(columns)

    def row(self, values: Sequence[Any]) -> None:
        """Write a row."""
        self._held.append(values)
        if len(self._held) == _GROUP:
            self.flush()

    def close(self) -> None:
        """Write the end of the file."""
        if self._file is not None:
            self._file.close()

    def flush(self) -> None:
        """Write the rows that are held."""
        if not self._held:
            return
        import pyarrow
        import pyarrow.parquet

        columns = [list(cells) for cells in zip(*self._held, strict=True)]
        self._kinds = self._kinds or [_kind(cells) for cells in columns]
        arrays = []
        for name, cells, kind in zip(self._columns, columns, self._kinds, strict=True):
            try:
                arrays.append(pyarrow.array(map(_as_text, cells) if kind == pyarrow.string() else cells, kind))
            except (pyarrow.ArrowException, TypeError, ValueError) as error:
                raise OptionError(
                    f'column "{name}" must hold values of one kind to be written as Parquet, got several ({error}). '
                    "Write .jsonl or .csv instead."
                ) from error
        table = pyarrow.table(arrays, names=self._columns)
        if self._file is None:
            self._file = pyarrow.parquet.ParquetWriter(self._out, table.schema)
        self._file.write_table(table)
        self._held = []


class WorkbookRows:
    """The first sheet of a workbook; texts are texts, whatever they look like."""

    typed = True

    def __init__(self, out: IO[bytes]) -> None:
        """Args: out: where to."""
        from openpyxl import Workbook

        self._out, self._book = out, Workbook(write_only=True)
        self._sheet = self._book.create_sheet("answers")

    def header(self, columns: Sequence[str]) -> None:
        """Write the names of the columns."""
        self.row(columns)

    def row(self, values: Sequence[Any]) -> None:
        """Write a row."""
        self._sheet.append([self._cell(value) for value in values])

    def _cell(self, value: Any) -> Any:
        from openpyxl.cell import WriteOnlyCell

        if value is None or (isinstance(value, int | float) and math.isfinite(value)):
            return value
        text = shown_lines(_as_text(value) or "")
        if len(text) > _WORKBOOK_CELL:
            raise OptionError(
                f"a cell of a workbook must have at most {_WORKBOOK_CELL:,} characters, got {len(text):,}. "
                "Write .csv instead."
            )
        cell = WriteOnlyCell(self._sheet, text)
        cell.data_type = "s"  # what begins with = would be a formula
        return cell

    def flush(self) -> None:
        """Write the workbook."""
        self._book.save(self._out)

    def close(self) -> None:
        """End the rows, also of a workbook that is not written."""
        if not self._sheet.closed:
            self._sheet.close()


def _kind(cells: Sequence[Any]) -> Any:
    """What pyarrow takes the cells of a column for; text where they are of several kinds, or all are missing."""
    import pyarrow

    try:
        kind = pyarrow.array(cells).type
    except (pyarrow.ArrowException, TypeError, ValueError):
        return pyarrow.string()
    return pyarrow.string() if pyarrow.types.is_null(kind) else kind


def _as_text(value: Any) -> str | None:
    """A value as the text of a cell; lists and objects as JSON."""
    plain = cell_text(value)
    return plain if isinstance(plain, str | None) else json.dumps(plain, ensure_ascii=False, default=str)


def _finite(value: Any) -> Any:
    """JSON has no infinite numbers."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_written(file: Path) -> None:
    """Refuse the name of a file that no rows can be written to.

    Raises:
        OptionError: its ending is none of ``WRITTEN_SUFFIXES``.
    """
    suffix = file.suffix.lower()
    if suffix and suffix not in WRITTEN_SUFFIXES:
        raise OptionError(
            f"--out must end with one of {', '.join(WRITTEN_SUFFIXES)}, got {suffix}. Try {file.stem}.csv."
        )


@contextmanager
def rows_for(suffix: str, out: IO[bytes]) -> Iterator[Rows]:
    """What takes rows and writes them in the format of an ending; all are written when the context ends.

    Args:
        suffix: one of ``WRITTEN_SUFFIXES``, or an empty text for commas.
        out: the open file.
    """
    if suffix in PARQUET_SUFFIXES:
        with closing(ParquetRows(out)) as rows:
            yield rows
            rows.flush()
        return
    if suffix == _WORKBOOK:
        with closing(WorkbookRows(out)) as book:
            yield book
            book.flush()
        return
    with TextIOWrapper(out, "utf-8", newline="") as text:
        yield JsonRows(text) if suffix in _JSON_LINES else DelimitedRows(text, "\t" if suffix in _TABBED else ",")
