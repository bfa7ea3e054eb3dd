"""What the scores of a classifier tell beside its metric: recall and precision of each class, the confusion table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.classes import ENOUGH_ROWS
from handful.evaluation.curves import Needs
from handful.evaluation.intervals import independent_rows, interval, wilson
from handful.evaluation.metrics import share
from handful.tasks.base import Targets
from handful.tasks.classification.metrics import mean_confusion
from handful.tasks.name_scores import NameScore

LARGEST_TABLE = 150
"""Above so many classes a table of all pairs is mostly empty, and nobody reads it."""


@dataclass(frozen=True)
class ClassDetails:
    """How the C classes of a run fare."""

    confusion: NDArray[np.float64]
    """(C, C) true by predicted class out of fold, mean over repeats: each row of data counts once."""
    classes: tuple[NameScore, ...]
    """Per class, in the order of the table."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, in the order of the table."""
        return tuple(c.name for c in self.classes)

    @classmethod
    def of(cls, said: NDArray[np.integer], targets: Targets, groups: NDArray[np.integer] | None) -> ClassDetails:
        """Count what was answered to held-out rows.

        How often a class is answered varies over repeats, so that its precision rests on the mean number of such
        answers; where rows come in groups they count for less, as they do in the accuracy of all rows.

        Args:
            said: (R, N) class numbers.
            targets: of the N rows.
            groups: (N,) rows that are not independent share a number; None where all are.
        """
        truth, table = targets.values, mean_confusion(said, targets)
        right = (said == truth).mean(0)
        worth = independent_rows(right, groups) / len(right)
        out = []
        for c, name in enumerate(targets.names):
            own, times = truth == c, table[:, c].sum()
            recall = interval(share(right[own]), None if groups is None else groups[own])
            precision = wilson(float(table[c, c] / times), max(1.0, worth * times)) if times else None
            out.append(NameScore(name, int(own.sum()), recall, precision))
        return cls(table, tuple(out))

    def as_dict(self) -> dict[str, Any]:
        """The entries of ``scores.json``."""
        return {
            "labels": list(self.labels),
            "classes": [score.as_dict() for score in self.classes],
            **_told(self.confusion),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> ClassDetails:
        """Read back what ``as_dict`` wrote; KeyError, TypeError or ValueError where it is something else."""
        return cls(_table(raw), tuple(map(NameScore.from_dict, raw["classes"])))


def _told(confusion: NDArray[np.float64]) -> dict[str, Any]:
    """A table of confusions; of a large one, which is nearly empty, the fields that are not: true, answered, rows."""
    table = np.round(confusion, 3)
    if len(table) <= LARGEST_TABLE:
        return {"confusion": table.tolist()}
    at = np.nonzero(table)
    return {"confusions": [list(field) for field in zip(*(part.tolist() for part in (*at, table[at])), strict=True)]}


def _table(raw: Mapping[str, Any]) -> NDArray[np.float64]:
    """Read back what ``_told`` wrote."""
    if "confusion" in raw:
        return np.array(raw["confusion"], float)
    table = np.zeros((len(raw["labels"]),) * 2)
    for true, said, rows in raw["confusions"]:
        table[true, said] = rows
    return table


def needs_of(table: NDArray[np.floating], labels: Sequence[str], rows: int) -> Needs:
    """Classes by how many errors they are part of, and the pair that is most often taken for each other.

    A class with hardly any rows comes first: its errors are too few to count only because it has so few rows.

    Args:
        table: (C, C) true by predicted class out of fold.
        labels: C class names.
        rows: how many rows there are.
    """
    wrong, own = table - np.diag(np.diag(table)), table.sum(1) / table.sum() * rows
    part, scarce = wrong.sum(0) + wrong.sum(1), own < ENOUGH_ROWS - 0.5
    names = tuple(labels[c] for c in np.lexsort((-part, ~scarce)) if part[c] > 0 or scarce[c])
    few = tuple(labels[int(c)] for c in np.flatnonzero(scarce))
    pair = np.triu(wrong + wrong.T)
    if not pair.any():
        return Needs(names, scarce=few)
    a, b = np.unravel_index(int(pair.argmax()), pair.shape)
    return Needs(names, (labels[int(a)], labels[int(b)]), few)
