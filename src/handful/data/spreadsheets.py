"""Rows of Excel workbooks: the first sheet that is not empty, formulas as the values they had when they were saved."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.data.cells import cell_text, is_missing
from handful.data.delimited import Broken, column_names
from handful.data.names import listed
from handful.errors import DataError, MachineError
from handful.files import TABLE_BYTES, check_growth, open_ordinary

if TYPE_CHECKING:
    from openpyxl import Workbook

# How old workbooks and those with a password begin.
_SEALED = b"\xd0\xcf\x11\xe0"

# A sheet whose cells are formatted down to its last line has a million rows without a value: after so many of them
# nothing more is looked for.
_EMPTY_ROWS = 10_000


@dataclass(frozen=True)
class Spreadsheet:
    """A workbook of which one sheet is read: its columns are known, its rows are read when they are asked for."""

    path: Path
    """The file."""
    sheet: str
    """The name of the sheet that is read."""
    sheets: tuple[str, ...]
    """The names of all sheets that can be seen."""
    columns: tuple[str, ...]
    """The names in its first row that is not empty."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Which sheet was taken, where there are several, in one sentence."""
        others = [name for name in self.sheets if name != self.sheet]
        if not others:
            return ()
        return (
            f'sheet "{self.sheet}" of {self.path.name} is read, and {listed(others)} not; save another sheet as a file '
            "of its own to learn from it",
        )

    def records(self) -> Iterator[dict[str, Any] | Broken]:
        """Read the rows below the names of the columns, one after the other.

        Yields:
            Column name → text, None where the cell is empty; or Broken where a value stands beside the columns.

        Raises:
            DataError: the file is damaged.
        """
        with _opened(self.path) as book:
            rows = _rows(book, self.sheet)
            next(rows)
            for number, values in rows:
                beside = [i for i in range(len(self.columns), len(values)) if not is_missing(values[i])]
                if beside:
                    yield Broken(f"row {number} has a value in column {beside[0] + 1}, which has no name")
                    continue
                cells = [*values, *[None] * len(self.columns)]
                yield dict(zip(self.columns, cells, strict=False))

    def lines(self) -> Iterator[int]:
        """The number that a spreadsheet gives each row below the names of the columns.

        Raises:
            DataError: the file is damaged.
        """
        with _opened(self.path) as book:
            rows = _rows(book, self.sheet)
            next(rows)
            yield from (number for number, _ in rows)


def open_spreadsheet(path: Path) -> Spreadsheet:
    """Find out which sheet of a workbook holds the rows, and what its columns are called.

    Raises:
        DataError: it is empty, damaged, protected or no workbook.
        MachineError: it cannot be opened.
    """
    with _opened(path) as book:
        sheets = [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"]
        for name in sheets:
            first = next(_rows(book, name), None)
            if first is not None:
                header = ["" if value is None else str(value) for value in first[1]]
                return Spreadsheet(path, name, tuple(sheets), tuple(column_names(header)))
    raise DataError(f"{path} holds no rows: every sheet is empty. Write names of columns, and rows below them.")


@contextmanager
def _opened(path: Path) -> Iterator[Workbook]:
    import openpyxl

    try:
        with open_ordinary(path, TABLE_BYTES) as file:
            start = file.read(4)
            if not start:
                raise DataError(f"{path} is empty (0 bytes). Give a file with rows.")
            if start == _SEALED:
                raise DataError(f"{path} is protected by a password, or an old workbook. Save it as .xlsx without one.")
            file.seek(0)
            with zipfile.ZipFile(file) as archive:
                check_growth(path, archive)
            file.seek(0)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            try:
                yield book
            finally:
                book.close()
    except DataError:
        raise
    except OSError as error:
        raise MachineError(f"{path} cannot be opened: {error.strerror or error}. Check its permissions.") from error
    except Exception as error:  # a damaged workbook makes the library raise almost anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise DataError(f"{path} cannot be read as an Excel workbook ({reason}). Save it again, or as CSV.") from error


def _text(value: Any) -> Any:
    """A cell as its text; a day is kept as the moment at which it begins."""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return cell_text(value.date())
    return cell_text(value)


def _rows(book: Workbook, name: str) -> Iterator[tuple[int, Sequence[Any]]]:
    """(number of the row in the sheet, its cells as texts), without empty rows."""
    sheet = book[name]
    sheet.reset_dimensions()  # what the file says of its size is often wrong
    empty = 0
    for number, row in enumerate(sheet.iter_rows(), 1):
        # A formula that failed (#N/A, #REF!) has no value.
        values = [None if cell.data_type == "e" else _text(cell.value) for cell in row]
        if all(map(is_missing, values)):
            empty += 1
            if empty > _EMPTY_ROWS:
                return
            continue
        empty = 0
        yield number, values
