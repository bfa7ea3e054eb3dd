"""Cells that are too long: measured without being held in memory, and named by their row and column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from handful.data.cells import shown

LONGEST = 1 << 24
"""The most characters of a cell: some thousand pages."""

LONGEST_LINE = 4 * LONGEST
"""The most characters of a line that holds several cells."""


def pieces(file: IO[str]) -> Iterator[str]:
    """The lines of a text file; one that is much longer than a cell may be comes in several pieces."""
    return iter(lambda: file.readline(LONGEST_LINE), "")


def whole_lines(file: IO[str]) -> Iterator[tuple[str, int]]:
    """The lines of a text file that are cells or hold them, each with its length.

    Of a line that is much longer than a cell may be, only the start is given.
    """
    start, length = "", 0
    for piece in pieces(file):
        start, length = start or piece, length + len(piece)
        if piece.endswith(("\n", "\r")):
            yield start, length
            start, length = "", 0
    if length:
        yield start, length


def measured(text: Iterable[str], delimiter: str, quoted: bool, spaced: bool = False) -> tuple[int, int, bool]:
    """Measure the longest cell of a row of a CSV file.

    Args:
        text: pieces of it, from where the row begins; no more are taken than the row has.
        delimiter: what separates cells.
        quoted: whether quotation marks around a cell are part of the format.
        spaced: whether blanks may stand between a delimiter and a quotation mark.

    Returns:
        (zero-based position of the cell, how many characters it has, whether its last quotation mark is there).
    """
    within, outside = re.compile('"'), re.compile("[" + re.escape(delimiter) + "\r\n" + '"' * quoted + "]")
    sizes, begun, inside, closed = [0], False, False, False
    for piece in text:
        at = 0
        while at < len(piece):
            match = (within if inside else outside).search(piece, at)
            end = match.start() if match else len(piece)
            if end > at:
                sizes[-1] += end - at
                begun = begun or not spaced or bool(piece[at:end].strip(" "))
                closed = False
            at = end + 1
            if match is None:
                break
            if match[0] == '"':
                if not inside and begun:  # the second of a doubled one, or one in the middle of a cell
                    sizes[-1] += 1
                inside, closed = not inside and (closed or not begun), inside
                begun = True
            elif match[0] == delimiter:
                sizes.append(0)
                begun = closed = False
            else:
                return (*_longest(sizes), True)
    return (*_longest(sizes), not inside)


def too_long(record: Mapping[str, Any], place: str) -> str:
    """Say which cell of a record is too long; empty where none is.

    Args:
        record: column name → text or object.
        place: the row, such as ``line 3``.
    """
    sizes = {name: len(cell) for name, cell in record.items() if isinstance(cell, str) and len(cell) > LONGEST}
    return next((cell_too_long(place, f'column "{shown(name)}"', size) for name, size in sizes.items()), "")


def cell_too_long(place: str, column: str, length: int) -> str:
    """Say that a cell is too long, for example ``line 3: the cell in column "text" must …``."""
    return f"{place}: the cell in {column} must have at most {LONGEST:,} characters, got {length:,}"


def line_too_long(number: int, length: int, most: int) -> str:
    """Say that a line is too long; numbers begin with 1, lengths are characters."""
    return f"line {number} must have at most {most:,} characters, got {length:,}"


def _longest(sizes: list[int]) -> tuple[int, int]:
    longest = max(range(len(sizes)), key=sizes.__getitem__)
    return longest, sizes[longest]
