"""The task of defects: which items are unlike all normal ones, as a score, a word, and a share of false alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.metrics import Metric, no_outputs
from handful.evaluation.scores import HeldOut
from handful.tasks.base import AnyTargets, Baseline, Task
from handful.tasks.defects.promise import Promise

FOUND = Metric("found", no_outputs, plain="the share of bad items that raise an alarm")
ALARMS = Metric(
    "false_alarms", no_outputs, higher_is_better=False, plain="the share of normal items that raise an alarm"
)


@dataclass(frozen=True)
class Judged:
    """What a detector said of N items, none of which it had learned from when it did."""

    scores: NDArray[np.float64]
    """(N,) how unusual each is."""
    promise: Promise
    """From which score on an item raises an alarm."""
    things: str
    """What many items are called."""


@dataclass(frozen=True)
class Defects(Task):
    """Items that are unlike all normal ones; ``targets`` hold (N,) truths, whether each item is a bad one."""

    name: ClassVar[str] = "defects"
    metrics: ClassVar[Mapping[str, Metric]] = {metric.name: metric for metric in (FOUND, ALARMS)}
    reference: ClassVar[Baseline] = Baseline("chance", "raising as many alarms at random", "alarms at random")
    about: ClassVar[str] = "whether it is unlike all normal items"
    columns: ClassVar[tuple[str, ...]] = ("score",)
    taken_for: ClassVar[str] = "what it does on items that it did not learn from"
    nothing_shown: ClassVar[str] = "no bad items show yet what it finds"

    def targets(self, bad: Sequence[bool], names: tuple[str, str]) -> AnyTargets:
        """What N items are.

        Args:
            bad: whether each is a bad one.
            names: what a normal item and a bad one are called.
        """
        return AnyTargets(self, np.asarray(bad, bool), names)

    def held_out(self, outputs: Judged, targets: AnyTargets, positions: Sequence[int]) -> tuple[HeldOut, ...]:
        """What was said of each row; ``own`` is low where a normal row looks bad, or a bad one normal."""
        names, alarms = targets.names, outputs.promise.alarms(outputs.scores)
        above = outputs.scores - outputs.promise.threshold
        own = 1 / (1 + np.exp(np.clip(np.where(targets.values, -above, above), -50, 50)))
        sure = 1 / (1 + np.exp(-np.clip(np.abs(above), 0, 50)))
        return tuple(
            HeldOut(row, names[bad], names[alarm], sure[i], own[i], {"score": f"{outputs.scores[i]:.4f}"})
            for i, (row, bad, alarm) in enumerate(
                zip(positions, targets.values.astype(int).tolist(), alarms.astype(int).tolist(), strict=True)
            )
        )

    def details(self, outputs: Judged, targets: AnyTargets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """The promise, and what normal and bad items are called."""
        normal, bad = targets.names
        return {"promise": {**outputs.promise.as_dict(), "names": {"normal": normal, "bad": bad},
                            "things": outputs.things}}  # fmt: skip


DEFECTS = Defects()
