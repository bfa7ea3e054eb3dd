"""The choice: which setting the held-out losses support, made the same way inside a fold and at the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

# A dearer candidate must be better by this many standard errors of the paired difference.
SURE = float(ndtri(0.975))
# An unusual one of equal cost by this many: the one-standard-error rule of Breiman et al. 1984, CART, section 3.4.3.
LIKELY = 1.0


def choose(losses: NDArray[np.floating], costs: Sequence[int], usual: Sequence[bool]) -> int:
    """Pick the candidate with the lowest mean loss, unless what is cheaper or usual is as good within the noise.

    Ten rows cannot tell forty settings apart, and the luckiest of them is rarely the best.

    Args:
        losses: (Q, N) loss of each candidate on each row, rows outside the training part NaN.
        costs: Q numbers, what a prediction costs.
        usual: Q truths, whether a candidate looks at the rows in the usual way.

    Returns:
        The position of the chosen candidate.
    """
    price, plain = np.asarray(costs), np.asarray(usual)
    known = losses[:, ~np.isnan(losses[0])]
    means = known.mean(1)
    chosen: int | None = None
    for level in np.unique(price):
        at = np.flatnonzero(price == level)
        best = int(at[np.argmin(means[at])])
        steady = at[plain[at]]
        if len(steady):
            best = _better(known, int(steady[np.argmin(means[steady])]), best, LIKELY)
        chosen = best if chosen is None else _better(known, chosen, best, SURE)
    assert chosen is not None
    return chosen


def _better(losses: NDArray[np.floating], kept: int, rival: int, errors: float) -> int:
    """The rival, if its mean gain over the kept one is more than so many standard errors; otherwise the kept one."""
    gain = losses[kept] - losses[rival]
    return rival if gain.mean() > errors * gain.std(ddof=1) / np.sqrt(len(gain)) else kept


def choose_nested(
    inner_losses: Sequence[NDArray[np.floating]], costs: Sequence[int], usual: Sequence[bool]
) -> NDArray[np.int64]:
    """Make the choice inside the training part of every fold.

    Args:
        inner_losses: Q arrays (R, K, N), rows of fold k NaN in [:, k].
        costs: Q numbers.
        usual: Q truths.

    Returns:
        (R, K) position of the candidate chosen for each fold.
    """
    repeats, folds, _ = inner_losses[0].shape
    chosen = np.zeros((repeats, folds), np.int64)
    for r in range(repeats):
        for k in range(folds):
            chosen[r, k] = choose(np.stack([losses[r, k] for losses in inner_losses]), costs, usual)
    return chosen
