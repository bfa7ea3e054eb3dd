"""Files with one token and its tag per line, and an empty line between sentences: CoNLL, BIO, IOB, BILOU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from handful.data.encodings import detect, open_text
from handful.data.tables import Columns, Table
from handful.errors import DataError

CONLL_SUFFIXES = (".conll", ".bio", ".iob", ".iob2", ".bilou", ".bioes")
"""The endings of such files."""

_START = "-DOCSTART-"


def conll_table(path: Path) -> tuple[Table, Columns]:
    """Read a file: the first column of a line is the token, the last one its tag.

    Raises:
        DataError: it holds no tokens with tags.
        MachineError: it cannot be opened.
    """
    encoding = detect(path)
    tokens, tags, lines, broken = list[list[str]](), list[list[str]](), list[int](), dict[int, str]()
    with open_text(path, encoding) as file:
        for number, rows, why in _sentences(iter(file)):
            if why:
                broken[len(lines)] = why
            else:
                tokens.append([row[0] for row in rows])
                tags.append([row[-1] for row in rows])
            lines.append(number)
    if not tokens:
        raise DataError(
            f"{path} must have a token and its tag per line, with an empty line between sentences, got "
            "none. Correct it."
        )
    good = tuple(i for i in range(len(lines)) if i not in broken)
    cells = {"tokens": tokens, "tags": tags}
    notes = encoding.notes(path)
    table = Table(str(path), tuple(cells), lambda: iter(()), path.parent, notes, lambda: iter(lines), "line")
    return table, Columns({"tokens": list(tokens), "tags": list(tags)}, good, broken, lines=tuple(lines))


def _sentences(lines: Iterator[str]) -> Iterator[tuple[int, list[list[str]], str]]:
    """The number of the first line of each sentence, its rows, and what is wrong with it."""
    rows, first, why = list[list[str]](), 0, ""
    for number, line in enumerate([*lines, ""], 1):
        text = line.strip("\r\n")
        cells = text.split("\t") if "\t" in text else text.split()
        cells = [cell.strip() for cell in cells if cell.strip()]
        if not cells or cells[0] == _START:
            if rows or why:
                yield first, rows, why
            rows, why = [], ""
            continue
        if len(cells) == 1 or (text.startswith("#") and not rows):
            if not text.startswith("#"):
                first = first if rows else number
                why = why or f"line {number} must have a token and its tag, got {cells[0][:40]!r} alone"
            continue
        first = first if rows or why else number
        rows.append(cells)
