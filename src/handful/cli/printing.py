"""The only place that prints: whatever a label, a file or a model says, no control character reaches a terminal."""

from __future__ import annotations

import logging
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import TextIO

from handful.data.cells import shown, shown_json, shown_lines

# A command to be typed, which a break in the middle would make two: in backticks, or to the end of its line.
_COMMAND = re.compile(
    r"`[^`\n]+`|\bhandful (adapt|chat|check|explain|export|federated|inspect|label|models|predict|report|serve|tune|"
    r"update|versions) [^`\n]*"
)
# Before what does not fit of a row of a table, so that the next row is told from it.
_HANGING = "    "
# Stands for a blank that is no place for a break; no text has it.
_FIRM = "\x00"


def put(text: str = "", to: TextIO | None = None, end: str = "\n") -> None:
    """Print a text at once; it may have several lines, which are broken between words where a terminal is narrower.

    Args:
        text: what to print.
        to: where to; standard output by default.
        end: what follows it.
    """
    out = to or sys.stdout
    plain = shown_lines(text)
    print(broken(plain, width) if (width := width_of(out)) else plain, file=out, end=end, flush=True)


def put_line(text: str, to: TextIO | None = None) -> None:
    """Print a sentence: ends of lines in names do not make it look like two."""
    put(shown(text), to)


def put_notes(notes: Iterable[str]) -> None:
    """Print what the user should know on standard error, one sentence each."""
    for note in notes:
        put_line(note, sys.stderr)


def put_json(value: object) -> None:
    """Print a value as indented JSON on standard output."""
    print(shown_json(value))


def width_of(out: TextIO) -> int:
    """How many columns a terminal has; 0 where output goes elsewhere, and is left as it is."""
    return shutil.get_terminal_size().columns if out.isatty() else 0


def broken(text: str, width: int) -> str:
    """A text whose lines have at most so many characters, broken between words; what is typed stays in one piece.

    A word or a command that is longer than that stays whole: terminals break it, and give it back whole when copied.
    """
    return "\n".join(piece for line in text.split("\n") for piece in _pieces(line, width))


def _pieces(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    text = line.lstrip(" ")
    firm = _COMMAND.sub(lambda command: command[0].replace(" ", _FIRM), text)
    indent = " " * min(len(line) - len(text), width // 3)
    lines = textwrap.wrap(
        firm, width, initial_indent=indent, subsequent_indent=indent + _HANGING * ("   " in text),
        break_long_words=False, break_on_hyphens=False, replace_whitespace=False,
    )  # fmt: skip
    return [piece.replace(_FIRM, " ") for piece in lines]


def log_to_terminal() -> None:
    """Show warnings of the library on standard error."""
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(_Shown("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[out])


class _Shown(logging.Formatter):
    """Messages, and where they came from, without control characters and broken like everything that is printed."""

    def format(self, record: logging.LogRecord) -> str:
        plain = shown_lines(super().format(record))
        return broken(plain, width) if (width := width_of(sys.stderr)) else plain
