"""Conformal sets: several classes where one is not sure enough, so that the right one is among them as often as asked.

What is held out, and how it becomes a threshold, stands in ``evaluation.conformal``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.conformal import LEVEL, limit_of
from handful.tasks.classification.softmax import SMALLEST

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Sets:
    """What conformal sets of one level look like."""

    level: float
    """How often what is right should be in the set."""
    limit: float
    """One minus the probability that a class or label needs to be in it."""
    size: float
    """How many of them the set of a held-out row has, on the mean."""

    @classmethod
    def of(cls, proba: Floats, truth: NDArray[np.integer], level: float = LEVEL) -> Sets | None:
        """The sets that held-out answers support; None where there are too few rows for the level.

        Args:
            proba: (R, N, C) out-of-fold probabilities.
            truth: (N,) class numbers.
            level: how often the right class should be in the set.
        """
        limit = limit_of(misfits(proba, truth), level)
        if limit is None:
            return None
        return cls(level, limit, float(np.mean([sets(some, limit).sum(1).mean() for some in proba])))

    def as_dict(self) -> dict[str, float]:
        """The sets as they stand in ``scores.json``."""
        return {"level": self.level, "limit": round(self.limit, 6), "size": round(self.size, 3)}


def misfits(proba: Floats, truth: NDArray[np.integer]) -> NDArray[np.float64]:
    """How badly each held-out row fits its own class: one minus its probability (Sadinle et al. 2019).

    Repeats add no rows: their probabilities are pooled by the geometric mean, as those of the settings are.

    Args:
        proba: (R, N, C) out-of-fold probabilities.
        truth: (N,) class numbers.

    Returns:
        (N,).
    """
    own = np.maximum(proba[:, np.arange(len(truth)), truth], SMALLEST)  # (R, N)
    return np.asarray(1 - np.exp(np.log(own).mean(0)), np.float64)


def sets(proba: Floats, limit: float) -> NDArray[np.bool_]:
    """Which classes belong to the set of each row: the most probable one, and all that fit as well as the limit asks.

    (N, C), rows sum to 1 → (N, C).
    """
    inside = 1 - proba <= limit
    inside[np.arange(len(proba)), proba.argmax(1)] = True
    return np.asarray(inside)
