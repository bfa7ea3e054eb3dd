"""Conformal thresholds: how badly an answer may fit, so that the right one fits as well as often as asked.

No rows are set aside for calibration: every row is scored by fits that did not see it (cross-conformal prediction, Vovk
2015; CV+, Barber et al. 2021, and for classes Romano et al. 2020). Those keep all fits for prediction; here the model
that learned from all rows answers alone, against one threshold, as in the plain jackknife. It knows a little more than
the fits that set the threshold, so that sets and intervals cover a little more than asked; how much is in
``benchmarks/``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from handful.errors import OptionError

LEVEL = 0.9
"""How often the right answer should fit, where nothing else is asked for."""


def limit_of(misfits: NDArray[np.floating], level: float = LEVEL) -> float | None:
    """The threshold for a level; None where so few rows cannot say what fits as often as that. (N,)."""
    return threshold(misfits, level) if level <= len(misfits) / (len(misfits) + 1) else None


def threshold(misfits: NDArray[np.floating], level: float = LEVEL) -> float:
    """The misfit up to which an answer is let through: Vovk's quantile, the ``level (N + 1)``-th lowest.

    Args:
        misfits: (N,) of held-out rows.
        level: how often the right answer should be let through.

    Raises:
        OptionError: so often that as many rows cannot say.
    """
    n = len(misfits)
    most = n / (n + 1)
    if not 0 < level <= most:
        raise OptionError(
            f"the level of sets must lie between 0% and {most:.1%}, got {level:.1%}: with the {n} rows that the model "
            "was scored on, a higher one would put every class into every set. Choose a level between them."
        )
    at = math.ceil(level * (n + 1) - 1e-9)
    return float(np.sort(misfits)[min(at, n) - 1])
