"""Progress on standard error: bars on a terminal, plain lines elsewhere, nothing for what is over at once."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from handful.data.cells import shown

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Say = Callable[[str, int, int], None]
"""Told how far things are: stage, steps done, steps in all; 0 in all means that nobody knows."""


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


# Whatever takes less than this many seconds needs no bar.
PATIENCE = 2.0
# Seconds between plain lines where there is no terminal.
LINE_EVERY = 10.0


class Bars:
    """A context that shows stages as they advance; calling it reports ``done`` of ``total`` steps."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps of a stage are finished; a total of 0 means: not known."""
        stage, now = shown(stage), time.monotonic()
        start = self._started.setdefault(stage, now)
        if now - start < PATIENCE:
            return
        if sys.stderr.isatty():
            self._draw(stage, done, total)
        elif now - self._said.get(stage, start) >= LINE_EVERY and (done < total or not total):
            self._said[stage] = now
            left = f", about {(now - start) / done * (total - done):.0f} s left" if done and total else ""
            sys.stderr.write(f"{stage}: {done}{f' of {total}' if total else ''}{left}\n")

    def _draw(self, stage: str, done: int, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bars is None:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total or None)
        self._bars.update(self._tasks[stage], completed=done)
