"""The Budget: the time of a whole run, from reading to the report, which every stage asks, spends and accounts for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Of the time of a run this share is kept for what comes after trainings: fitting, tests, checks, the report.
_AFTERWARDS = 0.1

# A run may pass its budget by so many seconds, or this share of it, without a word.
_GRACE, _GRACE_SHARE = 1.0, 0.02

# What is spent between stages is told from so many seconds on.
_BETWEEN = 0.1


class Budget:
    """How long a run may take, and what each of its stages took."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.perf_counter,
        tell: Callable[[str], None] = lambda stage: None,
    ) -> None:
        """Begin to count.

        Args:
            seconds: how long the run may take in all; 0: the smallest search, and no weight moves.
            clock: gives the seconds since any moment.
            tell: called with the name of each stage when it begins.
        """
        self.seconds = seconds
        self.taken: dict[str, float] = {}
        self._clock, self._start, self._tell = clock, clock(), tell

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what is done inside as a stage of the run."""
        self._tell(name)
        start = self._clock()
        try:
            yield
        finally:
            self.taken[name] = self.taken.get(name, 0.0) + self._clock() - start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count what is done inside, between two stages: it has a time of its own."""
        start = self._clock()
        try:
            yield
        finally:
            self._start += self._clock() - start

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._start

    @property
    def left(self) -> float:
        """Seconds that are left, 0 where none are."""
        return max(0.0, self.seconds - self.elapsed)

    @property
    def for_training(self) -> float:
        """Seconds that are left for moving weights: a part is kept for what comes afterwards."""
        return max(0.0, self.left - _AFTERWARDS * self.seconds)

    @property
    def accounted(self) -> dict[str, float]:
        """What each stage took, and what was spent between them; together all that went by."""
        between = self.elapsed - sum(self.taken.values())
        return {**self.taken, "other": between} if between >= _BETWEEN else dict(self.taken)

    @property
    def passed(self) -> str:
        """By how much the run passed its budget, and with what, in a sentence; empty where it did not."""
        over = self.elapsed - self.seconds
        if not self.seconds or over <= _GRACE + _GRACE_SHARE * self.seconds or not self.taken:
            return ""
        taken = self.accounted
        longest = max(taken, key=lambda name: taken[name])
        share = "most of it" if taken[longest] > self.elapsed / 2 else "the largest part of it"
        return (
            f"The run took {self.elapsed:.0f} s, {over:.0f} s more than its budget of {self.seconds:.0f} s; {share} "
            f"went into this stage: {STAGES.get(longest, longest)} ({taken[longest]:.0f} s)."
        )


def given_up(name: str, seconds: float) -> str:
    """That something was begun and given up, since it would have taken so many seconds more, in a sentence."""
    return (
        f"{name} was given up: it would have taken about {seconds:.0f} s more, and less was left of the budget. A "
        "larger --budget tries it."
    )


STAGES = {
    "read": "reading the rows",
    "load": "loading the backbones, which the first time also fetches them",
    "extract": "what the backbones see in the rows, which is kept for the next run",
    "select": "the search among frozen heads",
    "pool": "looking at unlabelled items and learning from them",
    "train": "moving weights",
    "context": "networks that hear a first answer around each pixel",
    "evaluate": "scoring what was held out",
    "curve": "the learning curve",
    "fit": "fitting the model on all rows",
    "checks": "what unsettles the model",
    "compare": "comparing prompts and trainings",
    "test": "the test rows",
    "start": "loading the program's own libraries",
    "other": "what lies between the stages",
}
"""Stage → what it is, in words."""
