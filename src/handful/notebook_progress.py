"""Progress in a notebook: one line below the cell, written anew as stages advance; elsewhere nothing."""

from __future__ import annotations

import sys
import time
from typing import Any

from handful.data.cells import shown
from handful.progress import PATIENCE, Say, silent

# Seconds between two looks of the same line: a page that is written to all the time is slow.
_PAUSE = 0.5


def notebook_progress() -> Say:
    """What shows how far things are where a notebook is open; outside of one, nobody is told."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return silent if getattr(shell, "kernel", None) is None else Line()


class Line:
    """A line below the cell that runs; calling it reports ``done`` of ``total`` steps of a stage."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._written = 0.0
        self._stage = ""
        self._display: Any = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps of a stage are finished; a total of 0 means: not known."""
        now = time.monotonic()
        last = stage == self._stage and 0 < done == total
        if now - self._begun < PATIENCE or (stage == self._stage and not last and now - self._written < _PAUSE):
            return
        self._stage, self._written = stage, now
        self._write(f"{shown(stage)}: {done}{f' of {total}' if total else ''}")

    def _write(self, text: str) -> None:
        from IPython.display import display

        line = {"text/plain": text}
        if self._display is None:
            self._display = display(line, raw=True, display_id=True)
        else:
            self._display.update(line, raw=True)
