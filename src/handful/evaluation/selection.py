"""The choice: which setting the held-out losses support, made the same way inside a fold and at the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

# A dearer candidate must be better by this many standard errors of the paired difference.
SURE = float(ndtri(0.975))


def choose(losses: NDArray[np.floating], costs: Sequence[int]) -> int:
    """Pick the candidate with the lowest mean loss; a dearer one only where the paired difference says so.

    Args:
        losses: (Q, N) loss of each candidate on each row, rows outside the training part NaN.
        costs: Q numbers, what a prediction costs; candidates of equal cost compete on their mean alone.

    Returns:
        The position of the chosen candidate.
    """
    price = np.asarray(costs)
    known = ~np.isnan(losses[0])
    means = losses[:, known].mean(1)
    chosen: int | None = None
    for level in np.unique(price):
        at = np.flatnonzero(price == level)
        best = int(at[np.argmin(means[at])])
        if chosen is None:
            chosen = best
            continue
        gain = losses[chosen, known] - losses[best, known]
        if gain.mean() > SURE * gain.std(ddof=1) / np.sqrt(len(gain)):
            chosen = best
    assert chosen is not None
    return chosen


def choose_nested(inner_losses: Sequence[NDArray[np.floating]], costs: Sequence[int]) -> NDArray[np.int64]:
    """Make the choice inside the training part of every fold.

    Args:
        inner_losses: Q arrays (R, K, N), rows of fold k NaN in [:, k].
        costs: Q numbers.

    Returns:
        (R, K) position of the candidate chosen for each fold.
    """
    repeats, folds, _ = inner_losses[0].shape
    chosen = np.zeros((repeats, folds), np.int64)
    for r in range(repeats):
        for k in range(folds):
            chosen[r, k] = choose(np.stack([losses[r, k] for losses in inner_losses]), costs)
    return chosen
