"""Two versions of a run compared on the rows that both held out: what each answered to a row not learned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.cells import shown
from handful.errors import BundleError
from handful.evaluation.intervals import Estimate, better
from handful.evaluation.metrics import Scale
from handful.evaluation.scores import HeldOut, Scores
from handful.readback import damage_is
from handful.run import saved_answers, saved_inputs
from handful.seeding import generator
from handful.tasks.base import Task
from handful.tasks.registry import TASKS
from handful.versions.record import Version, version
from handful.versions.told_rows import metric_of, told_rows

# Fewer rows than this say nothing of a difference.
_FEWEST = 3


@dataclass(frozen=True)
class Paired:
    """How much better one set of answers is than another, on the same rows."""

    rows: int
    """On how many rows both are compared."""
    gain: Estimate | None
    """By how much the second is better than the first, above zero where it is; None where rows are too few."""
    scale: Scale
    """How ``gain`` is told."""

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``tie``: the second against the first."""
        if self.gain is None or self.gain.holds_zero:
            return "tie"
        return "better" if self.gain.value > 0 else "worse"

    def told(self, second: str, first: str) -> str:
        """The verdict as a sentence.

        Args:
            second: what is said to be better or worse, as the sentence begins.
            first: what it is compared with.
        """
        which = f"{self.rows:,} {'row' if self.rows == 1 else 'rows'}"
        if self.gain is None:
            return f"{which} cannot tell {second} from {first}"
        apart = self.scale.apart(self.gain.value, self.gain.low, self.gain.high)
        if self.verdict == "tie":
            return f"{which} cannot tell {second} from {first}: {self.scale.title} {self._side} by {apart}"
        return f"{second} is {self.verdict} than {first} on {which}: {self.scale.title} {self._side} by {apart}"

    @property
    def _side(self) -> str:
        value = 0.0 if self.gain is None else self.gain.value
        return "better" if value > 0 else "worse" if value < 0 else "apart"

    def as_dict(self) -> dict[str, Any]:
        """The difference as a program wants it."""
        gain = None if self.gain is None else self.gain.as_dict()
        return {"rows": self.rows, "metric": self.scale.title, "gain": gain, "verdict": self.verdict}


@dataclass(frozen=True)
class Comparison:
    """Two versions of a run, side by side."""

    first: Version
    """The one."""
    second: Version
    """The other."""
    held_out: Paired | None
    """What both answered to rows that both held out, with the same label; None where they are of different tasks."""
    relabelled: int
    """Rows that both have, with different labels: on these they are not compared."""

    @property
    def sentence(self) -> str:
        """What the rows show, in one sentence."""
        names = f"Version {self.second.number}", f"version {self.first.number}"
        if self.held_out is None:
            return f"{names[0]} and {names[1]} do not answer the same kind of question, so nothing can be compared."
        if not self.held_out.rows:
            return f"{names[0]} and {names[1]} have no row in common that both held out with the same label."
        also = f" ({self.relabelled:,} with another label are left out)" if self.relabelled else ""
        told = self.held_out.told(names[1].replace(str(self.first.number), str(self.second.number)), names[1])
        return f"{told[0].upper()}{told[1:]}{also}; on rows that both held out, in the answers of their folds."

    def as_dict(self) -> dict[str, Any]:
        """The comparison as ``handful versions --json`` prints it."""
        paired = None if self.held_out is None else self.held_out.as_dict()
        versions = {"first": self.first.as_dict(), "second": self.second.as_dict()}
        return {**versions, "held_out": paired, "relabelled": self.relabelled, "sentence": self.sentence}


def compare(folder: str | Path, first: int, second: int) -> Comparison:
    """Compare two versions of a run.

    Args:
        folder: the run folder.
        first: number of the one, for example the earlier.
        second: number of the other.

    Raises:
        BundleError: it is no run folder, or one of the versions is damaged.
        OptionError: there is no such version.
    """
    place, one, other = shown(str(folder)), version(folder, first), version(folder, second)
    scores = scores_of(one), scores_of(other)
    if scores[0].task != scores[1].task or scores[0].task not in TASKS:
        return Comparison(one, other, None, 0)
    with damage_is(
        lambda why: BundleError(f"{place}/predictions.csv of a version is damaged ({why}). Choose another.")
    ):
        answers, relabelled = shared_rows(held_out_rows(one.path), held_out_rows(other.path))
        found = paired(TASKS[scores[1].task], scores[1].metric, *answers)
    return Comparison(one, other, found, relabelled)


def paired(task: Task, metric: str, first: Sequence[HeldOut], second: Sequence[HeldOut], groups: Any = None) -> Paired:
    """How much better the second answers are than the first ones to the same N rows.

    Args:
        task: what was asked.
        metric: the name of the metric; one of answers in words is told by what stands beside them.
        first: N answers, with what is wanted.
        second: N others, in the same order.
        groups: (N,) rows that are not independent share a number, or None.
    """
    sides = [told_rows(task, metric, side, (*first, *second)) for side in (first, second)] if first else []
    scale = sides[0].metric.scale if sides else metric_of(task, metric).scale
    if len(first) < _FEWEST:
        return Paired(len(first), None, scale)
    gain = better(sides[1], sides[0], groups, rng=generator(0, "versions"))
    return Paired(len(first), gain if np.isfinite([gain.low, gain.high]).all() else None, scale)


def scores_of(one: Version) -> Scores:
    """What a version measured.

    Raises:
        BundleError: it is damaged.
    """
    if one.damage:
        raise BundleError(f"version {one.number} cannot be compared: {one.damage}. Choose another.")
    return Scores.read(one.path / "scores.json")


def held_out_rows(folder: Path) -> list[tuple[str, HeldOut]]:
    """Every row that a version held out: its text or file, and what was answered; what is no text has no name."""
    inputs = saved_inputs(folder)
    return [
        (inputs[answer.row], answer) for answer in saved_answers(folder) if inputs[answer.row] != f"row {answer.row}"
    ]


def shared_rows(
    first: Sequence[tuple[str, HeldOut]], second: Sequence[tuple[str, HeldOut]]
) -> tuple[tuple[list[HeldOut], list[HeldOut]], int]:
    """The answers to the same rows, in the order of the second; and how many rows have another label in it."""
    known: Mapping[str, list[HeldOut]] = defaultdict(list)
    for name, answer in first:
        known[name].append(answer)
    sides: tuple[list[HeldOut], list[HeldOut]] = ([], [])
    relabelled = 0
    for name, answer in second:
        same = [one for one in known.get(name, ()) if one.label == answer.label]
        if same:
            known[name].remove(same[0])
            sides[0].append(same[0])
            sides[1].append(answer)
        else:
            relabelled += bool(known.get(name))
    return sides, relabelled
