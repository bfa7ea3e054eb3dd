"""Statistics of each item that metrics of its parts are functions of the sums of: runs that are right, and parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handful.tasks.runs import Span, Statistics

if TYPE_CHECKING:
    from handful.tasks.base import Targets

Floats = NDArray[np.floating]


def counted(how: Callable[[Sequence[Span], Sequence[Span]], int]) -> Callable[[Floats, Targets], Statistics]:
    """What counts the runs of each item that are right, given how many of those that are wanted are answered."""

    def statistics(outputs: Floats, targets: Targets) -> Statistics:
        """(N, 2): twice how many runs are right, and how many are wanted or answered, mean over repeats."""
        task: Any = targets.task
        wanted, sums = task.spans_wanted(targets), np.zeros((len(targets), 2))
        for some in outputs:
            for n, (own, said) in enumerate(zip(wanted, task.spans_said(some, targets.names), strict=True)):
                sums[n] += 2 * how(own, said), len(own) + len(said)
        return np.asarray(sums / len(outputs))

    return statistics


def right_parts(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2): how many parts have the right label or none, and how many there are."""
    task: Any = targets.task
    wanted, counts = task.tags_wanted(targets)
    right, others = np.zeros(len(targets)), task.tags_each - 1
    for some in outputs:
        labels = ((tags + others) // task.tags_each for tags in (task.tags_said(some, targets.names), wanted))
        right += [(a[:n] == b[:n]).sum() for a, b, n in zip(*labels, counts, strict=True)]
    return np.stack([right / len(outputs), counts], 1).astype(np.float64)


def one_more(targets: Targets, blind: Floats | None) -> Statistics:
    """(1, 2, 2) what one more run would add, found or missed."""
    return np.array([[[2.0, 2.0], [0.0, 1.0]]])
