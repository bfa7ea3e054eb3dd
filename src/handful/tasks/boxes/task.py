"""The task of boxes: where many small things of a kind are; how many boxes are right, and how far counts are off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.data.targets import BOXES as NAME
from handful.data.targets import NOUNS
from handful.evaluation.intervals import interval
from handful.evaluation.metrics import Kind, Metric, mean_quotient, quotient
from handful.evaluation.scores import HeldOut
from handful.seeding import generator
from handful.tasks.base import AnyTargets, Baseline, Task
from handful.tasks.boxes.counting import WIDTH, average_precision, by_label

Floats = NDArray[np.float64]


def _whole(outputs: Floats, targets: Any) -> Floats:
    """All that was counted, mean over repeats. (R, N, C · WIDTH) → (N, C · WIDTH)."""
    return np.asarray(np.mean(outputs, 0, np.float64))


def _plain(outputs: Floats) -> tuple[Floats, Floats, Floats]:
    """Boxes wanted, answered, and right among these, by label. (R, N, C · WIDTH) → three of (N, C)."""
    table = by_label(np.asarray(outputs)[..., :]).mean(0, np.float64)
    return table[..., 0], table[..., 1], table[..., 2]


def _right(outputs: Floats, targets: Any) -> Floats:
    """(N, 2 C): twice what is right, and what is answered plus what is wanted."""
    wanted, said, right = _plain(outputs)
    return np.concatenate([2 * right, said + wanted], 1)


def _miscounted(outputs: Floats, targets: Any) -> Floats:
    """(N, 2): by how much the counts of all labels are off, and one."""
    wanted, said, _ = _plain(outputs)
    return np.stack([np.abs(said - wanted).sum(1), np.ones(len(said))], 1)


AP50 = Metric(
    "ap50", _whole, Kind.FUNCTION, average_precision,
    plain="average precision of boxes that overlap the marked ones by half or more, every label counting the same",
    headline="Finds things with an average precision of about {} of 100 (AP50, averaged over the labels)",
)  # fmt: skip
F1 = Metric(
    "box_f1", _right, Kind.FUNCTION, mean_quotient,
    plain="F1 of the boxes that are answered, every label counting the same",
)  # fmt: skip
COUNTS = Metric(
    "count_error", _miscounted, Kind.RATIO, quotient, higher_is_better=False, unit="per picture", percent=False,
    plain="by how many things the counts of a picture are off, all labels together",
)  # fmt: skip


@dataclass(frozen=True)
class Boxes(Task):
    """Boxes around things; outputs (R, N, C · WIDTH) hold what ``tallied`` counts of each picture and label."""

    name: ClassVar[str] = NAME
    metrics: ClassVar[Mapping[str, Metric]] = {metric.name: metric for metric in (AP50, F1, COUNTS)}
    reference: ClassVar[Baseline] = Baseline(
        "brightness", "finding things by the brightness of each place alone", "brightness alone"
    )
    nouns: ClassVar[tuple[str, str]] = NOUNS[NAME]
    about: ClassVar[str] = "boxes around things, and how many there are"
    columns: ClassVar[tuple[str, ...]] = ("box_f1", "right", "count_error")
    nothing_shown: ClassVar[str] = "nothing shows yet that more can be learned of these things than brightness"
    taken_for: ClassVar[str] = "its loss on held-out pictures"

    def targets(self, labels: Sequence[str], names: Sequence[str]) -> AnyTargets:
        """What is wanted of N pictures, as the labels of a Dataset say it."""
        return AnyTargets(self, np.array(labels, object), tuple(names))

    def told(self, counts: Sequence[float], names: Sequence[str]) -> str:
        """How many things of each label are in a picture, in words. (C,)."""
        return ", ".join(f"{name} {round(count)}" for name, count in zip(names, counts, strict=True) if count) or "none"

    def held_out(self, outputs: Floats, targets: AnyTargets, positions: Sequence[int]) -> tuple[HeldOut, ...]:
        """What was answered to each picture while it was held out; ``own`` is the F1 of its boxes, all labels."""
        rows = []
        for row, wanted, said, right in zip(positions, *_plain(outputs), strict=True):
            both = float(wanted.sum() + said.sum())
            own = float(2 * right.sum() / both) if both else 1.0
            beside = {
                "box_f1": f"{own:.4f}",
                "right": f"{right.sum():.0f}",
                "count_error": f"{np.abs(said - wanted).sum():.0f}",
            }
            names = targets.names
            rows.append(HeldOut(row, self.told(wanted, names), self.told(said, names), own, own, beside))
        return tuple(rows)

    def details(self, outputs: Floats, targets: AnyTargets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """Of each label AP50, F1 and how far counts are off with intervals, how many are marked, answered and right."""
        rng = generator(0, "boxes")
        wanted, said, right = (one.sum(0) for one in _plain(outputs))

        def of(metric: Metric, c: int) -> dict[str, float]:
            own = np.asarray(outputs)[..., c * WIDTH : (c + 1) * WIDTH]
            return interval(metric.of(own, targets), groups, rng=rng).as_dict()

        labels = [
            {
                "name": name, "wanted": int(wanted[c]), "answered": int(said[c]), "right": int(right[c]),
                **{metric.name: of(metric, c) for metric in self.metrics.values()},
            }
            for c, name in enumerate(targets.names)
        ]  # fmt: skip
        metrics = {m.name: interval(m.of(outputs, targets), groups, rng=rng).as_dict() for m in self.metrics.values()}
        return {"boxes": labels, **metrics}


BOXES = Boxes()
