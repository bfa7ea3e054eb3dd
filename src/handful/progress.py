"""Progress on standard error: a bar on a terminal, plain lines elsewhere, nothing for what is over at once."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from handful.data.cells import shown

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Say = Callable[[str, int, int], None]
"""Told how far things are: stage, steps done, steps in all; 0 in all means that nobody knows."""


def silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


# After so many seconds without a word, what is being done is told.
PATIENCE = 2.0
# Seconds between plain lines about one stage, where there is no terminal.
LINE_EVERY = 10.0
# Seconds between looks at how long nothing was told.
_LOOK_EVERY = 0.25

# How the stages of a run's time (``budget.Budget``) are told.
WORDS = {
    "read": "reading",
    "start": "loading the program's own libraries",
    "load": "loading backbones",
    "extract": "looking at the items",
    "select": "comparing heads",
    "train": "moving weights",
    "context": "learning what lies around pixels",
    "evaluate": "scoring what was held out",
    "curve": "forecasting what more labels are worth",
    "fit": "fitting the model",
    "checks": "checking the model",
    "pool": "learning from unlabelled items",
    "compare": "comparing prompts and trainings",
    "test": "answering the test rows",
}


@dataclass
class _Stage:
    """Something that takes its time."""

    name: str
    """How it is told."""
    started: float
    """When it began."""
    done: int = 0
    """How many steps are finished."""
    total: int = 0
    """How many there are; 0 where nobody knows."""
    counted: bool = True
    """Whether it has steps."""
    said: float | None = None
    """When a line about it was last written."""

    @property
    def over(self) -> bool:
        """Whether all steps are finished."""
        return 0 < self.total <= self.done

    @property
    def count(self) -> str:
        """How many steps are finished, of how many."""
        if not self._counts:
            return ""
        return f"{self.done}/{self.total}" if self.total else f"{self.done}"

    @property
    def _counts(self) -> bool:
        """Whether there is a number to tell: not before the first step of a stage of unknown length."""
        return self.counted and (self.done > 0 or self.total > 0)

    def left(self, now: float) -> str:
        """How long it may still take; empty where nobody knows."""
        if not self.done or not self.total or self.over:
            return ""
        return f"about {(now - self.started) / self.done * (self.total - self.done):.0f} s left"

    def line(self, now: float) -> str:
        """All of it in one line."""
        if not self._counts:
            seconds = round(now - self.started)
            return f"{self.name}: {seconds} s so far" if seconds else self.name
        left = self.left(now)
        return f"{self.name}: {self.done}{f' of {self.total}' if self.total else ''}{f', {left}' if left else ''}"


class Bars:
    """A context that shows stages as they advance; calling it reports ``done`` of ``total`` steps.

    While nothing is reported, what was last said to be done is shown instead: for no longer than ``PATIENCE`` a user
    does not know what is going on.
    """

    def __init__(self) -> None:
        self._lock, self._left = threading.RLock(), threading.Event()
        self._stages: dict[str, _Stage] = {}
        self._doing: _Stage | None = None
        self._current: _Stage | None = None
        self._since = time.monotonic()  # nothing was told
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        with self._lock:
            if self._bars is not None:
                self._bars.stop()

    def now(self, doing: str) -> None:
        """Say what is being done from now on, of which nobody counts the steps: a stage of a run, or a few words."""
        with self._lock:
            self._doing = _Stage(WORDS.get(doing, doing), time.monotonic(), counted=False)
            self._show(self._doing)

    def hide(self) -> None:
        """Take the bar from the screen, on which rows are about to be written, until something is reported again."""
        with self._lock:
            self._current, self._since = None, time.monotonic()
            if self._bars is not None:
                self._bars.stop()
                self._bars = None
                self._tasks.clear()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps of a stage are finished; a total of 0 means: not known."""
        with self._lock:
            name = shown(stage)
            known = self._stages.setdefault(name, _Stage(name, time.monotonic()))
            known.done, known.total = done, total
            self._show(known)
            if known.over:
                self._current = self._doing

    def beat(self) -> None:
        """Show what is being done, if nothing was told for a while."""
        with self._lock:
            if self._current is not None:
                self._show(self._current)

    def _watch(self) -> None:
        while not self._left.wait(_LOOK_EVERY):
            self.beat()

    def _show(self, stage: _Stage) -> None:
        self._current, now = stage, time.monotonic()
        if self._left.is_set() or (self._bars is None and now - self._since < PATIENCE):
            return
        if sys.stderr.isatty():
            self._draw(stage, now)
        elif (stage.said is None or now - stage.said >= LINE_EVERY) and not stage.over:
            stage.said = self._since = now
            sys.stderr.write(stage.line(now) + "\n")
            sys.stderr.flush()

    def _draw(self, stage: _Stage, now: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        if self._bars is None:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=16),
                TextColumn("{task.fields[count]}", markup=False),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}", markup=False),
            )
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        if stage.name not in self._tasks:
            self._tasks[stage.name] = self._bars.add_task(stage.name, total=stage.total or None, count="", left="")
        for name, task in self._tasks.items():  # one line is enough, whatever the terminal's width
            self._bars.update(task, visible=name == stage.name)
        self._bars.update(
            self._tasks[stage.name], completed=stage.done, total=stage.total or None, count=stage.count,
            left=stage.left(now),
        )  # fmt: skip
