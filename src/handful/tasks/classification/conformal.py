"""Conformal sets: several classes where one is not sure enough, so that the right one is among them as often as asked.

No rows are set aside for calibration: every row is scored by fits that did not see it (cross-conformal prediction, Vovk
2015; CV+, Barber et al. 2021, and for classes Romano et al. 2020). Those keep all fits for prediction; here the model
that learned from all rows answers alone, against one threshold, as in the plain jackknife. It knows a little more than
the fits that set the threshold, so that sets cover a little more than asked; how much is in ``benchmarks/``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.errors import OptionError
from handful.tasks.classification.softmax import SMALLEST

Floats = NDArray[np.floating]

LEVEL = 0.9
"""How often the right class should be in the set, where nothing else is asked for."""


@dataclass(frozen=True)
class Sets:
    """What conformal sets of one level look like."""

    level: float
    """How often the right class should be in the set."""
    limit: float
    """One minus the probability that a class needs to be in it."""
    size: float
    """How many classes the set of a held-out row has, on the mean."""

    @classmethod
    def of(cls, proba: Floats, truth: NDArray[np.integer], level: float = LEVEL) -> Sets | None:
        """The sets that held-out answers support; None where there are too few rows for the level.

        Args:
            proba: (R, N, C) out-of-fold probabilities.
            truth: (N,) class numbers.
            level: how often the right class should be in the set.
        """
        if level > len(truth) / (len(truth) + 1):
            return None
        limit = threshold(misfits(proba, truth), level)
        return cls(level, limit, float(np.mean([sets(some, limit).sum(1).mean() for some in proba])))

    def as_dict(self) -> dict[str, float]:
        """The sets as they stand in ``scores.json``."""
        return {"level": self.level, "limit": round(self.limit, 6), "size": round(self.size, 3)}


def misfits(proba: Floats, truth: NDArray[np.integer]) -> NDArray[np.float32]:
    """How badly each held-out row fits its own class: one minus its probability (Sadinle et al. 2019).

    Repeats add no rows: their probabilities are pooled by the geometric mean, as those of the settings are.

    Args:
        proba: (R, N, C) out-of-fold probabilities.
        truth: (N,) class numbers.

    Returns:
        (N,) in rising order.
    """
    own = np.maximum(proba[:, np.arange(len(truth)), truth], SMALLEST)  # (R, N)
    return np.sort(1 - np.exp(np.log(own).mean(0))).astype(np.float32)


def threshold(misfit: Floats, level: float = LEVEL) -> float:
    """The misfit up to which a class belongs to the set: Vovk's quantile, the ``level (N + 1)``-th lowest.

    Args:
        misfit: (N,) of held-out rows, in rising order.
        level: how often the right class should be in the set.

    Raises:
        OptionError: so often that as many rows cannot say.
    """
    n = len(misfit)
    most = n / (n + 1)
    if not 0 < level <= most:
        raise OptionError(
            f"the level of sets must lie between 0% and {most:.1%}, got {level:.1%}: with the {n} rows that the model "
            "was scored on, a higher one would put every class into every set. Choose a level between them."
        )
    at = math.ceil(level * (n + 1) - 1e-9)
    return float(misfit[min(at, n) - 1])


def sets(proba: Floats, limit: float) -> NDArray[np.bool_]:
    """Which classes belong to the set of each row: the most probable one, and all that fit as well as the limit asks.

    (N, C), rows sum to 1 → (N, C).
    """
    inside = 1 - proba <= limit
    inside[np.arange(len(proba)), proba.argmax(1)] = True
    return np.asarray(inside)
