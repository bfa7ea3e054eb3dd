"""Intervals: how far a score measured on a handful of rows may be from the truth.

One method per situation, and their coverage on real data is in ``benchmarks/``:

=====================================  ===========================================================================
accuracy, rows independent             Wilson score interval on N rows
accuracy, rows in groups               Wilson on the number of independent rows that the groups are worth
another metric                         percentile bootstrap over rows (or groups), reaching at least as far down as
                                       Wilson does when all of as many rows are right, as far up when all are wrong
difference of two arms, same folds     Bonett & Price adjusted Wald interval on the paired rows (or groups)
=====================================  ===========================================================================

Repeated folds score every row several times; a row counts once, with the share of repeats in which it was
right, because repeats add no rows. These intervals are about the models of the folds;
``verdicts.promised`` makes that of the shipped model, which learned from all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

LEVEL = 0.95

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Estimate:
    """A number and how far it may be from the truth."""

    value: float
    """The point estimate."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        return f"{self.value:{spec}} ({self.low:{spec}} to {self.high:{spec}})"

    def __str__(self) -> str:
        return format(self)

    @property
    def holds_zero(self) -> bool:
        """Whether zero lies in the interval: for a difference, whether the two arms are tied."""
        return self.low <= 0 <= self.high

    def as_dict(self) -> dict[str, float]:
        """``value``, ``low`` and ``high``, rounded to six digits."""
        return {key: round(number, 6) for key, number in asdict(self).items()}


def wilson(share: float, n: float, level: float = LEVEL) -> Estimate:
    """Score interval of a share (Wilson 1927, JASA 22:209), which works near 0 and 1 and for few rows.

    Args:
        share: right answers as a share of all, between 0 and 1.
        n: how many independent rows the share rests on, at least 1; may be a fraction.
        level: the nominal coverage.
    """
    z = ndtri(0.5 + level / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(float(share), float(max(0.0, centre - half)), float(min(1.0, centre + half)))


def independent_rows(right: Floats, groups: NDArray[np.integer] | None) -> float:
    """How many independent rows grouped rows are worth: N over the design effect (Kish 1965).

    The variance of the mean is estimated from group totals; where groups are alike it equals N, where all
    rows of a group share one fate it equals the number of groups.

    Args:
        right: (N,) share of repeats in which each row was right.
        groups: (N,) group of each row, or None where rows are independent.

    Returns:
        A number between the number of groups and N.
    """
    n = len(right)
    if groups is None:
        return float(n)
    _, index = np.unique(groups, return_inverse=True)
    count = int(index.max()) + 1
    if count in (1, n):
        return float(count)
    share = right.mean()
    totals = np.bincount(index, weights=right - share)
    between = (totals**2).sum() * count / (count - 1) / n**2
    within = share * (1 - share) / n
    if within == 0:  # all right or all wrong: nothing tells the groups apart, so trust only the groups
        return float(count)
    return float(np.clip(n * within / max(between, 1e-12), count, n))


def accuracy_interval(right: Floats, groups: NDArray[np.integer] | None = None, level: float = LEVEL) -> Estimate:
    """Wilson interval of an accuracy from out-of-fold correctness.

    Args:
        right: (N,) share of repeats in which each row was right.
        groups: (N,) group of each row, or None.
        level: the nominal coverage.
    """
    return wilson(float(np.mean(right)), independent_rows(right, groups), level)


def bootstrap(
    statistic: Callable[[NDArray[np.integer]], float],
    n: int,
    rng: np.random.Generator,
    groups: NDArray[np.integer] | None = None,
    level: float = LEVEL,
    draws: int = 1000,
) -> Estimate:
    """Percentile bootstrap over rows, or over whole groups (Efron & Tibshirani 1993).

    Rows that are all right, or all wrong, leave it nothing to draw, and its interval would have no width; so no
    interval ends closer to 1 or 0 than the Wilson interval of as many rows (or groups) that share one fate.

    Args:
        statistic: row numbers, some repeated → the metric on these rows, between 0 and 1.
        n: how many rows there are.
        rng: source of the draws.
        groups: (N,) group of each row; groups are drawn whole.
        level: the nominal coverage.
        draws: how many resamples.
    """
    index = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    members = [np.flatnonzero(index == g) for g in range(int(index.max()) + 1)]
    values = []
    for _ in range(draws):
        drawn = rng.integers(len(members), size=len(members))
        values.append(statistic(np.concatenate([members[g] for g in drawn])))
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    value = statistic(np.arange(n))
    low = min(low, value, wilson(1.0, len(members), level).low)
    high = max(high, value, wilson(0.0, len(members), level).high)
    return Estimate(float(value), float(low), float(high))


def group_means(values: Floats, groups: NDArray[np.integer]) -> NDArray[np.float64]:
    """The mean of each group's values. (N,), (N,) → (G,)."""
    _, index = np.unique(groups, return_inverse=True)
    return np.asarray(np.bincount(index, weights=values) / np.bincount(index))


def paired_difference(
    first: Floats, second: Floats, groups: NDArray[np.integer] | None = None, level: float = LEVEL
) -> Estimate:
    """Interval of the difference of two accuracies on the same rows.

    The adjusted Wald interval of Bonett & Price 2012 (J. Educ. Behav. Stat. 37:479): one row is added in
    favour of each arm, so that a handful of rows that all agree is not taken for certainty. Grouped rows are
    averaged within their group first. Student's quantile replaces the normal one, since the spread is estimated
    from the same few rows.

    Args:
        first: (N,) share of repeats in which the first arm was right on each row.
        second: (N,) the same for the second arm.
        groups: (N,) group of each row, or None.
        level: the nominal coverage.

    Returns:
        The difference first minus second, with its interval.
    """
    difference = np.asarray(first, float) - np.asarray(second, float)
    value = float(difference.mean())
    if groups is not None:
        difference = group_means(difference, groups)
    n = len(difference)
    padded = np.concatenate([difference, [1.0, -1.0]])
    centre, spread = padded.mean(), padded.std()
    half = stdtrit(n + 1, 0.5 + level / 2) * spread / np.sqrt(n + 2)
    return Estimate(value, float(min(value, max(-1.0, centre - half))), float(max(value, min(1.0, centre + half))))
