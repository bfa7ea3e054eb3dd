"""Rows of CSV and TSV files: the delimiter is found, ragged rows are named by their line."""

from __future__ import annotations

import csv
import io
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from handful.data.cells import shown
from handful.data.encodings import Encoding, detect, open_text
from handful.data.long_cells import LONGEST, cell_too_long, measured, pieces
from handful.errors import DataError

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}

# Characters looked at to find the delimiter.
_SAMPLE = 1 << 16

# No file that people write holds this character: a file without any delimiter is read as one column with it.
_NO_DELIMITER = "\x1f"

# The csv module keeps one limit for the whole process.
_LIMIT = threading.Lock()


@dataclass(frozen=True)
class Broken:
    """A row that is there but cannot be used."""

    reason: str
    """What is wrong with it, without the name of the file."""


@dataclass(frozen=True)
class Dialect:
    """How one file separates and quotes its cells."""

    delimiter: str
    """One character between cells."""
    quoted: bool = True
    """Whether quotation marks around a cell are part of the format; otherwise they are part of the text."""
    spaced: bool = False
    """Whether a blank follows each delimiter, outside the quotation marks."""


@dataclass(frozen=True)
class Delimited:
    """A CSV or TSV file whose encoding, delimiter and column names are known and whose rows are still to be read."""

    path: Path
    """The file."""
    encoding: Encoding
    """How its bytes become characters."""
    dialect: Dialect
    """How its lines become cells."""
    columns: tuple[str, ...]
    """The names in its first line; a repeated name gets a number, a missing one says which column it is."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is unusual about how the file is written, one sentence each."""
        notes = [*self.encoding.notes(self.path)]
        usual = "\t" if self.path.suffix.lower() in (".tsv", ".tab") else ","
        if self.dialect.delimiter not in (usual, _NO_DELIMITER):
            notes.append(f"columns in {self.path.name} are separated by {DELIMITERS[self.dialect.delimiter]}")
        if not self.dialect.quoted:
            notes.append(f"quotation marks in {self.path.name} are read as ordinary characters")
        return tuple(notes)

    def records(self) -> Iterator[dict[str, str] | Broken]:
        """Read the rows, one after the other, from the start.

        Yields:
            Column name → cell, or Broken where the row does not fit the first line.

        Raises:
            DataError: a quotation mark is never closed, so that rows cannot be told apart.
        """
        for _, line, cells in self._body():
            yield cells if isinstance(cells, Broken) else _record(self.columns, line, cells)

    def lines(self) -> Iterator[int]:
        """The line of each record as a spreadsheet numbers it: the names stand in line 1, and no row has several.

        Raises:
            DataError: a quotation mark is never closed, so that rows cannot be told apart.
        """
        return (number for number, _, _ in self._body())

    def _body(self) -> Iterator[tuple[int, int, list[str] | Broken]]:
        """(number, line, cells) of every row below the names of the columns."""
        with open_text(self.path, self.encoding) as file:
            rows = _rows(pieces(file), self.dialect, str(self.path), self.columns)
            next(rows)
            yield from rows


def open_delimited(path: Path) -> Delimited:
    """Find out how a CSV or TSV file is written.

    Raises:
        DataError: the file is empty, is not text, or has no first line with column names.
        MachineError: the file cannot be opened.
    """
    encoding = detect(path)
    with open_text(path, encoding) as file:
        sample = file.read(_SAMPLE)
        whole = not file.read(1)
    dialect = sniff(sample, whole)
    with open_text(path, encoding) as file:
        _, _, header = next(_rows(pieces(file), dialect, str(path)), (0, 0, []))
    if isinstance(header, Broken):
        raise DataError(
            f"the first line of {path} must hold the names of the columns, but {header.reason}. "
            "Write them there, for example: text,label"
        )
    if not any(name.strip() for name in header):
        raise DataError(
            f"the first line of {path} must hold the names of the columns, got nothing readable. "
            "Write them there, for example: text,label"
        )
    return Delimited(path, encoding, dialect, tuple(column_names(header)))


def sniff(sample: str, whole: bool = True) -> Dialect:
    """Find the delimiter, and whether quotation marks mean anything, from the start of a file.

    The delimiter is the one that cuts the first line into several names and the most other rows into as many cells.
    Quotation marks are ordinary characters only where reading them as quotes breaks rows and not doing so breaks none:
    many corpora, tab-separated ones above all, hold cells that merely begin with one.

    Args:
        sample: the first characters of the file.
        whole: whether that is all of it; otherwise the last row is cut off and not looked at.

    Returns:
        The dialect; a file without any delimiter has one column.
    """
    best, chosen = 0.0, Dialect(_NO_DELIMITER)
    for delimiter in DELIMITERS:
        dialect = Dialect(delimiter, spaced=f'{delimiter} "' in sample.split("\n", 1)[0])
        widths = _widths(sample, dialect, whole)
        if widths and widths[0] > 1:
            # The width breaks ties: rows like 'a;b|c' agree with every delimiter, and with the commonest one most.
            score = sum(width == widths[0] for width in widths) / len(widths) + widths[0] / 1e6
            if score > best:
                best, chosen = score, dialect
    if len(set(_widths(sample, chosen, whole))) == 1:
        return chosen
    plain = replace(chosen, quoted=False)
    if len(set(_widths(sample, plain, whole))) != 1:
        return chosen
    # Tab-separated files by their standard quote nothing; elsewhere one properly quoted cell shows that marks count.
    mark = re.escape(chosen.delimiter)
    closed = re.search(rf'(?:^|{mark})"[^"\n]*"(?:{mark}|\r?$)', sample, re.MULTILINE)
    return chosen if closed and chosen.delimiter != "\t" else plain


def _widths(sample: str, dialect: Dialect, whole: bool) -> list[int]:
    """Cells in each row of a sample; -1 for a row that is wrongly quoted."""
    rows = _rows(io.StringIO(sample, newline=""), dialect, "sample")
    widths = []
    try:
        for _, _, cells in rows:
            widths.append(-1 if isinstance(cells, Broken) else len(cells))
    except DataError:  # The last row is never closed: normal where the sample ends inside it.
        return [*widths, -1] if whole or len(widths) < sample.count("\n") / 2 else widths
    return widths if whole else widths[:-1]


def _rows(
    lines: Iterable[str], dialect: Dialect, name: str, columns: Sequence[str] = ()
) -> Iterator[tuple[int, int, list[str] | Broken]]:
    """(number of the row, blank ones counted, line it starts in, its cells), blank ones left out."""
    ended, lines_read, begun, number = False, 0, list[str](), 0

    def watched() -> Iterator[str]:
        nonlocal ended, lines_read
        whole = True
        for piece in lines:
            lines_read += whole
            whole = piece.endswith(("\n", "\r"))
            begun.append(piece)
            yield piece
        ended = True

    source = watched()

    reader = csv.reader(
        source,
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
        skipinitialspace=dialect.spaced,
        strict=True,
    )
    while True:
        line, number = lines_read + 1, number + 1
        begun.clear()
        try:
            with _long_cells():
                cells = next(reader, None)
        except csv.Error as error:
            if "field larger" in str(error):
                at, length, closed = measured(_rest(begun, source), dialect.delimiter, dialect.quoted, dialect.spaced)
                if closed:
                    column = f'column "{shown(columns[at])}"' if at < len(columns) else f"column {at + 1}"
                    yield number, line, Broken(cell_too_long(f"line {line}", column, length))
                    continue
                ended = True
            if ended:
                raise DataError(
                    f"line {line} of {name} opens a quotation mark that is never closed. "
                    "Close it, or write every quotation mark inside a cell twice."
                ) from error
            last = "" if lines_read == line else f" to {lines_read}"
            why = f"line{'s' * bool(last)} {line}{last}: a quotation mark inside a cell is not doubled"
            yield number, line, Broken(why)
            continue
        if cells is None:
            return
        if cells:
            yield number, line, cells


def _rest(begun: list[str], source: Iterator[str]) -> Iterator[str]:
    """What was read of a row, and what follows; nothing of it is kept."""
    while begun:
        yield begun.pop(0)
    for piece in source:
        begun.clear()
        yield piece


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let cells be longer than the csv module's 131,072 characters, which a contract can have.

    The limit belongs to the whole process, so it is put back after every row.
    """
    with _LIMIT:
        before = csv.field_size_limit(LONGEST)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _record(columns: tuple[str, ...], line: int, cells: list[str]) -> dict[str, str] | Broken:
    while len(cells) > len(columns) and not cells[-1]:
        cells.pop()
    if len(cells) != len(columns):
        many = f"{len(cells)} cell" + "s" * (len(cells) != 1)
        return Broken(f"line {line} has {many} where the first line has {len(columns)}")
    if len(cells) > 1 and tuple(cells) == columns:
        return Broken(f"line {line} repeats the names of the columns")  # files that were joined end to end
    if any("\0" in cell for cell in cells):
        return Broken(f"line {line} holds a NUL character, which no text has")
    return dict(zip(columns, cells, strict=True))


def column_names(header: list[str]) -> Iterator[str]:
    """The names of columns: a repeated one gets a number, a missing one says where it is, empty ones at the end go."""
    while len(header) > 1 and not header[-1].strip():
        header = header[:-1]
    seen: set[str] = set()
    for number, raw in enumerate(header, 1):
        name = raw.strip() or f"column {number}"
        copy = 2
        unique = name
        while unique in seen:
            unique, copy = f"{name} ({copy})", copy + 1
        seen.add(unique)
        yield unique
