"""Labels worth a second look: the most doubtful of those given so far, and how many of them are probably wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.features.view import Matrix
from handful.inspection.labels import doubts
from handful.inspection.wrong_labels import Count
from handful.regimes.active.fits import Fitted


@dataclass(frozen=True)
class Doubt:
    """The most doubtful labels."""

    rows: tuple[int, ...]
    """Places in the pool, the most doubtful first."""
    chances: tuple[float, ...]
    """How likely each of these labels is wrong; empty where that is not known, as of numbers and several labels."""
    count: Count | None
    """How many of them are wrong; None where that is not known."""

    @property
    def sentence(self) -> str:
        """What is said of them."""
        shown = len(self.rows)
        if not shown:
            return "There are too few labels to doubt any."
        labels = "This label fits" if shown == 1 else f"These {shown} labels fit"
        if self.count is None:
            return f"{labels} the others least."
        low, high = self.count.low, self.count.high
        span = f"{low} to {high}" if low < high else f"{high}"
        return f"{labels} the others least; about {round(self.count.expected)} wrong ({span})."


def doubt_of(x: Matrix, labels: Sequence[str], items: NDArray[np.int64], fit: Fitted | None, count: int) -> Doubt:
    """The labels that fit what the others say least.

    Args:
        x: (n, D) the rows with a label.
        labels: of the n rows.
        items: (n,) their places in the pool.
        fit: what all labels say.
        count: how many are shown.
    """
    if fit is None:
        return Doubt((), (), None)
    if not fit.targets.task.exclusive:
        order = np.argsort(fit.targets.task.own(fit.held_out, fit.targets), kind="stable")[:count]
        return Doubt(tuple(items[order].tolist()), (), None)
    evidence = doubts([x], labels)
    order = np.argsort(-evidence.scores, kind="stable")[:count]
    chances = evidence.wrong.chances[order]
    return Doubt(tuple(items[order].tolist()), tuple(chances.tolist()), evidence.wrong.among(order.tolist()))
