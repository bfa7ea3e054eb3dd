"""The task of masks: every pixel of a picture gets a class; how far the area of each class is the true one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.data.targets import MASKS as NAME
from handful.data.targets import NOUNS
from handful.evaluation.intervals import interval
from handful.evaluation.metrics import Kind, Metric, mean_quotient, quotient
from handful.evaluation.scores import HeldOut
from handful.seeding import generator
from handful.tasks.base import AnyTargets, Baseline, Task

Floats = NDArray[np.float64]


def counted(said: NDArray[np.integer], truth: NDArray[np.integer], classes: int) -> Floats:
    """What one picture adds to all scores: of each class the share of pixels that are right, said, and wanted.

    Shares, not counts, so that a large picture counts as much as a small one.

    Args:
        said: (H, W) numbers of classes.
        truth: (H, W) the same.
        classes: C.

    Returns:
        (3 C,).
    """
    pairs = np.bincount(np.ravel(truth).astype(np.int64) * classes + np.ravel(said), minlength=classes * classes)
    table = pairs.reshape(classes, classes) / said.size  # (C wanted, C said)
    return np.concatenate([np.diag(table), table.sum(0), table.sum(1)]).astype(np.float64)


def _thirds(outputs: Floats) -> tuple[Floats, Floats, Floats]:
    """Right, said and wanted shares of each class, mean over repeats. (R, N, 3 C) → three of (N, C)."""
    right, said, wanted = np.split(np.asarray(outputs, np.float64).mean(0), 3, axis=-1)
    return right, said, wanted


def _overlap(outputs: Floats, targets: Any) -> Floats:
    """(N, 2 C): twice what is right, and what is said plus what is wanted."""
    right, said, wanted = _thirds(outputs)
    return np.concatenate([2 * right, said + wanted], 1)


def _union(outputs: Floats, targets: Any) -> Floats:
    """(N, 2 C): what is right, and what is said or wanted."""
    right, said, wanted = _thirds(outputs)
    return np.concatenate([right, said + wanted - right], 1)


def _right(outputs: Floats, targets: Any) -> Floats:
    """(N, 2): the share of pixels that are right, and one."""
    right, _, _ = _thirds(outputs)
    return np.stack([right.sum(1), np.ones(len(right))], 1)


DICE = Metric(
    "dice", _overlap, Kind.FUNCTION, mean_quotient, plain="overlap with the true masks, every class counting the same",
    headline="Areas overlap the true ones by about {} of 100 (Dice, averaged over the classes)",
)  # fmt: skip
IOU = Metric(
    "iou", _union, Kind.FUNCTION, mean_quotient, plain="common area over joint area, every class counting the same"
)
PIXELS = Metric(
    "pixel_accuracy", _right, Kind.RATIO, quotient, plain="share of pixels whose class is right",
    headline="Right on about {} of 100 pixels",
)  # fmt: skip


@dataclass(frozen=True)
class Masks(Task):
    """Classes of pixels; outputs (R, N, 3 C) hold what ``counted`` counts of each picture; targets hold labels."""

    name: ClassVar[str] = NAME
    metrics: ClassVar[Mapping[str, Metric]] = {metric.name: metric for metric in (DICE, IOU, PIXELS)}
    reference: ClassVar[Baseline] = Baseline(
        "brightness", "telling classes by the brightness of each pixel alone", "brightness alone"
    )
    nouns: ClassVar[tuple[str, str]] = NOUNS[NAME]
    about: ClassVar[str] = "the class of every pixel"
    columns: ClassVar[tuple[str, ...]] = ("dice",)
    nothing_shown: ClassVar[str] = "nothing shows yet that more can be learned of these masks than brightness"
    taken_for: ClassVar[str] = "its loss on held-out pictures"

    def targets(self, labels: Sequence[str], names: Sequence[str]) -> AnyTargets:
        """What is wanted of N pictures, as the labels of a Dataset say it."""
        return AnyTargets(self, np.array(labels, object), tuple(names))

    def told(self, shares: Floats, names: Sequence[str]) -> list[str]:
        """The share of each class in N pictures, in words. (N, C) → N."""
        return [
            ", ".join(f"{name} {_percent(share)}" for name, share in zip(names, row, strict=True) if share > 0)
            for row in shares.tolist()
        ]

    def held_out(self, outputs: Floats, targets: AnyTargets, positions: Sequence[int]) -> tuple[HeldOut, ...]:
        """What was answered to each picture while it was held out; ``own`` is its Dice alone."""
        _, said, wanted = _thirds(outputs)
        own = [float(mean_quotient(row)) for row in _overlap(outputs, targets)]
        rows = zip(positions, self.told(wanted, targets.names), self.told(said, targets.names), own, strict=True)
        return tuple(
            HeldOut(row, label, answer, dice, dice, {"dice": f"{dice:.4f}"}) for row, label, answer, dice in rows
        )

    def details(self, outputs: Floats, targets: AnyTargets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """Of each class Dice and intersection over union with intervals, and how much of the pictures it is."""
        rng, count = generator(0, "masks"), len(targets.names)
        _, _, wanted = _thirds(outputs)

        def of(metric: Metric, c: int) -> dict[str, float]:
            own = np.asarray(outputs)[..., [c, count + c, 2 * count + c]]
            return interval(metric.of(own, targets), groups, rng=rng).as_dict()

        classes = [
            {"name": name, "share": round(float(wanted[:, c].mean()), 6), "dice": of(DICE, c), "iou": of(IOU, c)}
            for c, name in enumerate(targets.names)
        ]
        metrics = {m.name: interval(m.of(outputs, targets), groups, rng=rng).as_dict() for m in self.metrics.values()}
        return {"masks": classes, **metrics}


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.01 else f"{100 * share:.2g}%"


MASKS = Masks()
