"""What the page needs of whoever learns from answers, and one fit of it as everybody may read it at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handful.regimes.active import Answers, Asked, Doubt, Progress
from handful.tasks.base import HeadTask

Look = Callable[[Sequence[Any]], tuple[Sequence[NDArray[np.floating]] | NDArray[np.float32], Mapping[int, str]]]
"""Items → what is seen in each, (D,) or of its parts (W, D), and position → why one cannot be read."""


class Learner(Protocol):
    """Who learns from answers and says what to ask next, see ``regimes.active.ActiveLearner``."""

    def answer(self, index: int, label: str, how: str) -> None:
        """Remember what was said of an item."""

    def forget(self, index: int) -> None:
        """Take that back."""

    def refit(self) -> None:
        """Learn from what is remembered."""

    @property
    def names(self) -> tuple[str, ...]:
        """What can be answered."""

    @property
    def answering(self) -> HeadTask:
        """The task by which guesses are read."""

    def guesses(self) -> Answers | None:
        """What is answered to every item; None while nothing is known."""

    def next(self, count: int = 1, without: Collection[int] = ()) -> list[Asked]:
        """What to ask next."""

    def progress(self) -> Progress:
        """How far it has come."""

    def doubtful(self, count: int = 10) -> Doubt:
        """Labels worth a second look."""


@dataclass(frozen=True)
class Guess:
    """What the model would answer."""

    label: str
    """As it is written."""
    confidence: float
    """How sure it is, from 0 to 1."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Name → how probable; empty where answers have no names."""


@dataclass(frozen=True)
class Fit:
    """What one fit says; nothing in it changes any more."""

    version: int
    """Which fit this is; 0 before the first."""
    task: HeadTask
    """What is wanted of an item, as the fit answers it."""
    names: tuple[str, ...] = ()
    """What it can answer."""
    rows: Mapping[int, int] = field(default_factory=dict)
    """Position in the pool → row of ``outputs`` and ``features``."""
    outputs: Answers | None = None
    """What it answers to the n items."""
    features: NDArray[np.float32] | None = None
    """(n, D) rows of length one."""
    queue: tuple[Asked, ...] = ()
    """What to ask next, by position in the pool."""
    progress: Progress | None = None
    """How far it has come."""

    def guess(self, position: int) -> Guess | None:
        """What it answers to an item; None while it knows nothing of it."""
        row = self.rows.get(position)
        if self.outputs is None or row is None:
            return None
        own = self.outputs[row : row + 1]  # (1, K)
        shares = {name: float(x[0]) for name, x in self.task.probabilities(own, self.names).items()}
        return Guess(self.task.words(own, self.names)[0], float(self.task.confidence(own)[0]), shares)

    def alike(self, position: int) -> list[int]:
        """All items that were looked at, those most like one first; nothing where it was not looked at yet."""
        row = self.rows.get(position)
        return [] if row is None or self.features is None else self.nearest(self.features[row], position)

    def nearest(self, vector: NDArray[np.float32], but: int = -1) -> list[int]:
        """All items that were looked at, the nearest to a vector (D,) first, without one of them."""
        if self.features is None:
            return []
        positions = np.fromiter(self.rows, np.int64, len(self.rows))
        order = np.argsort(-(self.features @ vector), kind="stable")
        return [int(p) for p in positions[order] if p != but]
