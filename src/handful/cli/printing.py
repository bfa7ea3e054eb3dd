"""The only place that prints: whatever a label, a file or a model says, no control character reaches a terminal."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from handful.data.cells import shown, shown_json, shown_lines


def put(text: str = "", to: TextIO | None = None, end: str = "\n") -> None:
    """Print a text at once; it may have several lines.

    Args:
        text: what to print.
        to: where to; standard output by default.
        end: what follows it.
    """
    print(shown_lines(text), file=to or sys.stdout, end=end, flush=True)


def put_line(text: str, to: TextIO | None = None) -> None:
    """Print a sentence: ends of lines in names do not make it look like two."""
    put(shown(text), to)


def put_json(value: object) -> None:
    """Print a value as indented JSON on standard output."""
    print(shown_json(value))


def log_to_terminal() -> None:
    """Show warnings of the library on standard error."""
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(_Shown("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[out])


class _Shown(logging.Formatter):
    """Messages, and where they came from, without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return shown_lines(super().format(record))
