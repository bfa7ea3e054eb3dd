"""Parity: how far an exported model answers as the model that it was made from, and what a difference costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.intervals import Estimate, difference, interval
from handful.evaluation.metrics import Scale, losses, share
from handful.tasks.base import HeadTask

CLOSE = 1e-4
"""How far a probability of a graph in float32 may be from that of the model; of numbers the same in their spread."""
ROUNDED = 1e-2
"""The same of a model whose own answers rounding moves farther than ``CLOSE``, at most."""
SAME = 0.99
"""The share of answers that have to stay the same."""

Outputs = NDArray[np.floating]


@dataclass(frozen=True)
class Parity:
    """How the answers of two models to the same items compare."""

    items: int
    """How many items both answered."""
    furthest: float
    """The largest difference between two probabilities, or two numbers in their spread."""
    same: Estimate
    """The share of equal answers."""
    cost: Estimate | None = None
    """By how much the loss grows on the rows whose labels are known, in nats; None where there are none."""
    loss: str = "the loss"
    """What that loss is called."""
    things: str = "answers"
    """What is the same or not, where a share of each item is."""

    @classmethod
    def of(
        cls, task: HeadTask, names: Sequence[str], before: Outputs, after: Outputs, labels: Sequence[str] = ()
    ) -> Parity:
        """Compare.

        Args:
            task: what is answered.
            names: what may be answered.
            before: (N, K) of the model.
            after: (N, K) of the exported one.
            labels: what is wanted of the first M of the items, as it is written; none where it is not known.
        """
        return cls.across(task, names, [(before, after)], labels)

    @classmethod
    def across(
        cls, task: HeadTask, names: Sequence[str], groups: Sequence[tuple[Outputs, Outputs]], labels: Sequence[str] = ()
    ) -> Parity:
        """Compare groups of items, since answers to parts are as wide as the longest item among them.

        Args:
            task: what is answered.
            names: what may be answered.
            groups: (N, K) of the model, and of the exported one, of each group.
            labels: what is wanted of the first M of the first group; none where it is not known.
        """
        spread = 1.0 if names else max(float(np.ptp(np.concatenate([before[:, 0] for before, _ in groups]))), 1e-9)
        apart = max(float(np.abs(before - after).max(initial=0.0)) for before, after in groups) / spread
        cost = None
        if len(labels) > 1:
            first, then = (x[: len(labels)] for x in groups[0])
            own, other = (_losses(task, x, labels, names) for x in (then, first))
            cost = difference(losses(own), losses(other))
        same = np.concatenate([task.same(before, after) for before, after in groups])
        return cls(len(same), apart, interval(share(same)), cost)

    @property
    def close(self) -> bool:
        """Whether only the last digits differ."""
        return self.furthest <= CLOSE

    def within(self, moved: float) -> bool:
        """Whether the differences are no larger than what rounding makes of the answers, which ``moved`` says."""
        return self.keeps and self.furthest <= min(moved, ROUNDED)

    @property
    def keeps(self) -> bool:
        """Whether so many answers stay that it may stand for the model."""
        return self.same.value >= SAME

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        scale = Scale()
        same = f"{100 * self.same.value:.1f}".removesuffix(".0")  # 98.8 is not the 99 that is asked for
        compared = f"{self.items} answers" if self.things == "answers" else f"{self.things} of {self.items} items"
        told = f"{same}% of {compared} are the same ({scale.between(self.same.low, self.same.high, 'to')})"
        if self.cost is None:
            return told
        low, high = self.cost.low, self.cost.high
        between = f"{low:+.4f} to {high:+.4f}" if math.isfinite(high - low) else "too few rows for an interval"
        return f"{told}, and {self.loss} changes by {self.cost.value:+.4f} ({between})"

    def as_dict(self) -> dict[str, Any]:
        """The comparison as plain values."""
        cost = None if self.cost is None else self.cost.as_dict()
        return {"items": self.items, "furthest": self.furthest, "same": self.same.as_dict(), "cost": cost}


class Judge(Protocol):
    """The items by which graphs are compared with a model, and with each other."""

    def compared(self, content: bytes, what: str) -> Parity:
        """How a graph, as the bytes of its file, compares with the model; ``what`` names it in messages."""

    def apart(self, first: bytes, second: bytes) -> float:
        """How far the answers of two graphs are apart, as ``Parity.furthest``."""


def _losses(task: HeadTask, outputs: Outputs, labels: Sequence[str], names: Sequence[str]) -> NDArray[np.float64]:
    wide, targets = task.against(outputs, labels, names)
    return task.losses(wide, targets)


def batched(run: Any, items: Sequence[Any], size: int = 16) -> NDArray[np.float64]:
    """What a model answers to N items, some at a time. (N, K).

    Args:
        run: B items → (B, K).
        items: N of them.
        size: B.
    """
    return np.concatenate([run(items[at : at + size]) for at in range(0, len(items), size)]).astype(np.float64)
