"""Runs of parts with one label: how many of those that are wanted are answered, exactly or over one part at least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.intervals import wilson
from handful.tasks.name_scores import NameScore

Statistics = NDArray[np.float64]
Span = tuple[int, int, int]
"""First and last part, and the number of the label."""


def f1(sums: Statistics) -> Statistics:
    """Twice the right ones over all that are wanted or answered; 0 where there are none. (..., 2) → (...)."""
    above, below = sums[..., 0], sums[..., 1]
    return np.asarray(np.where(below > 0, above / np.where(below > 0, below, 1), 0.0))


def exact(wanted: Sequence[Span], said: Sequence[Span]) -> int:
    """How many spans are answered just as they are wanted."""
    return sum((Counter(wanted) & Counter(said)).values())


def met(wanted: Sequence[Span], said: Sequence[Span]) -> list[Span]:
    """The spans that are wanted and met by one of their label that shares a part; each answer meets one.

    An answer that is exactly right meets its own span before anything else does.
    """
    left, hits = list(wanted), list[Span]()
    for own in sorted(said, key=lambda span: span not in wanted):
        hit = next((span for span in left if span == own), None) or next(
            (span for span in left if span[2] == own[2] and span[0] <= own[1] and own[0] <= span[1]), None
        )
        if hit is not None:
            left.remove(hit)
            hits.append(hit)
    return hits


def overlapping(wanted: Sequence[Span], said: Sequence[Span]) -> int:
    """How many spans that are wanted are met by one of their label, see ``met``."""
    return len(met(wanted, said))


def identical(wanted: Sequence[Span], said: Sequence[Span]) -> list[Span]:
    """The spans that are answered just as they are wanted."""
    return [span for span in said if span in wanted]


def per_label(
    wanted: Sequence[Sequence[Span]], said: Sequence[Sequence[Sequence[Span]]], names: Sequence[str], rows: Any,
    hits: Callable[[Sequence[Span], Sequence[Span]], list[Span]] = identical,
) -> list[NameScore]:  # fmt: skip
    """How the spans of each label fare, mean over repeats.

    Args:
        wanted: of each of N texts its spans.
        said: of R repeats the spans that are answered to each.
        names: C labels.
        rows: (C,) how many texts have a span of each.
        hits: which of the spans that are wanted of a text are found by those that are answered.
    """
    right, given, own = (np.zeros(len(names)) for _ in range(3))
    for some in said:
        for mine, answered in zip(wanted, some, strict=True):
            np.add.at(own, np.array([c for *_, c in mine], int), 1)
            np.add.at(given, np.array([c for *_, c in answered], int), 1)
            np.add.at(right, np.array([span[2] for span in hits(mine, answered)], int), 1)
    right, given, own = (sums / len(said) for sums in (right, given, own))
    return [
        NameScore(
            name,
            int(rows[c]),
            wilson(right[c] / own[c], own[c]) if own[c] else None,
            wilson(right[c] / given[c], given[c]) if given[c] else None,
            float(2 * right[c] / max(own[c] + given[c], 1e-9)),
        )
        for c, name in enumerate(names)
    ]
