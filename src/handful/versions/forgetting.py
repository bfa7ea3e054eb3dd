"""Forgetting: how the rows that came in with each version fare now, against when they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.errors import BundleError, OptionError
from handful.evaluation.scores import HeldOut
from handful.readback import damage_is
from handful.tasks.registry import TASKS
from handful.versions.comparison import Paired, held_out_rows, paired, scores_of, shared_rows
from handful.versions.record import versions


@dataclass(frozen=True)
class Step:
    """The rows that came in with one version."""

    number: int
    """Of that version."""
    rows: int
    """How many came, and are still held out with the same label."""
    gain: Paired
    """How much better they are answered now than by the version that they came with, held out both times."""

    @property
    def sentence(self) -> str:
        """How they fare now, in words."""
        came = f"version {self.number} answered them"
        return f"rows of version {self.number}: {self.gain.told('today’s version', f'how {came}')}"

    def as_dict(self) -> dict[str, Any]:
        """The step as a program wants it."""
        return {"version": self.number, **self.gain.as_dict()}


def forgetting(folder: str | Path) -> list[Step]:
    """What has become of the rows of each version but the latest, the oldest version first.

    A row is known again by its text or file. Where it was held out when it came and is held out now, the two answers
    are of models that had not learned it, so that the difference is what later rows did to it.

    Args:
        folder: the run folder.

    Raises:
        BundleError: it is no run, or a version is damaged.
        OptionError: there is one version only, or the task changed.
    """
    every = sorted(versions(folder), key=lambda one: one.number)
    if len(every) < 2:
        raise OptionError(f"forgetting is told of a run with several versions, got one in {folder}. Update it first.")
    scores = [scores_of(one) for one in every]
    tasks = {found.task for found in scores}
    if len(tasks) > 1 or not tasks <= TASKS.keys():
        raise OptionError(f"forgetting is told where all versions have one task, got {', '.join(sorted(tasks))}.")

    def refusal(why: str) -> BundleError:
        return BundleError(f"predictions.csv of a version of {folder} is damaged ({why}). Choose another run.")

    with damage_is(refusal):
        rows = [held_out_rows(one.path) for one in every]
    now = next(own for own, one in zip(rows, every, strict=True) if one.current)
    task, metric = TASKS[scores[-1].task], scores[-1].metric
    known: set[tuple[str, str]] = set()
    steps = []
    for one, own in zip(every, rows, strict=True):
        came = _new(own, known)
        if one.current or one.reason.startswith("rolled back"):
            continue
        (then, today), _ = shared_rows(came, now)
        steps.append(Step(one.number, len(then), paired(task, metric, then, today)))
    return [step for step in steps if step.rows]


def _new(rows: Sequence[tuple[str, HeldOut]], known: set[tuple[str, str]]) -> list[tuple[str, HeldOut]]:
    """The rows that no earlier version had, which are known from then on."""
    fresh = [(name, answer) for name, answer in rows if (name, answer.label) not in known]
    known.update((name, answer.label) for name, answer in fresh)
    return fresh
