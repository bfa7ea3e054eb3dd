"""Items that are no file: a text that was typed in place of one, and what comes in by standard input."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import IO

from handful.data.delimited import Broken, sniff
from handful.data.encodings import detect, open_text
from handful.data.input_column import TEXT_NAMES, named_columns
from handful.data.items import PLURAL
from handful.data.long_cells import LONGEST, line_too_long, whole_lines
from handful.data.records import Record
from handful.data.tables import Table, open_table
from handful.errors import DataError
from handful.files import TABLE_BYTES, write_stream

STANDARD_INPUT = "standard input"
"""What it is called in messages."""

# Bytes that are read at a time; by the first of them a table is told from lines.
_PIECE = 1 << 16

_PARQUET = b"PAR1"
# How rows in JSON begin; a text may begin with a bracket too.
_JSON = re.compile(rb'\s*(\[\s*)?\{\s*["}]')

_TEXT_NAMES = {name for tier in TEXT_NAMES for name in tier}


@dataclass(frozen=True)
class Typed:
    """A text that was typed where the name of a file could stand."""

    text: str
    """The text."""


@contextmanager
def standard_input(stream: IO[bytes], column: str | None, modality: str) -> Iterator[Table]:
    """What comes in by standard input, as a table: one item per line, or a table or rows in JSON, which are recognised.

    It is kept in a temporary file while the context lasts, so that it can be longer than memory and be read twice.

    Args:
        stream: the bytes.
        column: the column that a model learned from; lines whose first one names it are a table.
        modality: what the items are: text, or names of images or sounds.

    Raises:
        DataError: nothing comes in, too much, or something that is no text and no table.
    """
    start = stream.read(_PIECE)
    if not start.strip():
        raise DataError(f"{STANDARD_INPUT} holds nothing. Give one item per line, or a table.")
    if b"\0" in start and not start.startswith(_PARQUET) and _is_binary(start):
        raise DataError(
            f"{STANDARD_INPUT} must hold {_LINES.get(modality, 'texts')}, one per line, or a table, got bytes that are "
            "no text. Write them into a file, and name that."
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{STANDARD_INPUT}{_suffix(start, column)}"
        write_stream(chain([start], iter(lambda: stream.read(_PIECE), b"")), file, TABLE_BYTES, STANDARD_INPUT)
        try:
            table = _lines(file, column or "text") if file.suffix == ".txt" else open_table(file)
        except DataError as error:
            raise DataError(str(error).replace(str(file), STANDARD_INPUT)) from error
        yield replace(table, source=STANDARD_INPUT, folder=Path())


_LINES = {kind: f"names of {PLURAL[kind]}" for kind in ("image", "sound")}


def _is_binary(start: bytes) -> bool:
    """Whether bytes with zeros among them are no text in UTF-16 or UTF-32, in which zeros come regularly."""
    return not start.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"))


def _suffix(start: bytes, column: str | None) -> str:
    """The suffix that a file which begins like this would have."""
    if start.startswith(_PARQUET):
        return ".parquet"
    if _JSON.match(start):
        return ".json"
    text = start.decode("utf-8-sig", "replace")
    first = text.splitlines()[0]
    names = [cell.strip().strip('"') for cell in first.split(sniff(text, len(start) < _PIECE).delimiter)]
    learned = column is not None and all(name in names for name in named_columns(column, names))
    usual = len(names) > 1 and any(name.lower() in _TEXT_NAMES for name in names)
    return ".csv" if learned or usual else ".txt"


def _lines(file: Path, column: str) -> Table:
    """A file with one item per line as a table of one column, which has no name of its own."""
    encoding = detect(file)

    def records() -> Iterator[Record]:
        with open_text(file, encoding) as opened:
            for number, (line, length) in enumerate(whole_lines(opened), 1):
                text = line.rstrip("\r\n")
                yield Broken(line_too_long(number, length, LONGEST)) if length > LONGEST else {column: text}

    notes = encoding.notes(Path(STANDARD_INPUT))
    return Table(STANDARD_INPUT, (), records, notes=notes, lines=lambda: count(1), word="line")
