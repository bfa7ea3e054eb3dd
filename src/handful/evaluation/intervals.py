"""Intervals: how far a score measured on a handful of items may be from the truth; one for scores, one for differences.

How an interval is made depends on the kind of metric, and its coverage on real data is in ``benchmarks/``:

==================  ============================================  ================================================
kind                of a score                                    of the difference of two, on the same items
==================  ============================================  ================================================
share (accuracy)    Wilson score interval on N items              Bonett & Price adjusted Wald interval
ratio (loss)        delta method, Student's quantile              the same on the paired residuals
function (F1)       bootstrap over items, rare parts unsure,      the same draws for both
                    as much wider as few items need
==================  ============================================  ================================================

Items that are not independent (rows of one speaker, near copies) share a number in ``groups``: they count as what they
are worth together, and are drawn together.

Repeated folds score every item several times; an item counts once, with its mean over repeats, because repeats add no
items. These intervals are about the models of the folds; ``verdicts.promised`` makes that of the shipped model, which
learned from all items.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from handful.evaluation.metrics import Kind, Measured, Scale

LEVEL = 0.95

DRAWS = 2000
"""How often items are drawn anew for the interval of a function."""

Floats = NDArray[np.floating]
Groups = NDArray[np.integer] | None

# Draws are held in memory so many numbers at a time.
_BATCH = 5_000_000


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

    def __neg__(self) -> Estimate:
        return Estimate(-self.value, -self.high, -self.low)

    @property
    def holds_zero(self) -> bool:
        """Whether zero lies in the interval: for a difference, whether the two arms are tied."""
        return self.low <= 0 <= self.high

    def figure(self, scale: Scale) -> str:
        """The number as it stands in a table, ``85%`` or without its unit ``0.42``; as exact as its interval allows."""
        return scale.figure(self.value, self.digits(scale))

    def told(self, scale: Scale) -> str:
        """The number with its unit: ``85%`` or ``0.42 nats``."""
        return scale.told(self.value, self.digits(scale))

    def digits(self, scale: Scale) -> int:
        """How many decimals of a percent it deserves."""
        return scale.digits(self.low, self.high)

    def as_dict(self) -> dict[str, float]:
        """``value``, ``low`` and ``high``, rounded to six digits."""
        return {key: round(number, 6) for key, number in asdict(self).items()}


def interval(
    measured: Measured, groups: Groups = None, level: float = LEVEL, rng: np.random.Generator | None = None
) -> Estimate:
    """A score with its interval.

    Args:
        measured: what N items add to the sums of the metric.
        groups: (N,) items that are not independent share a number; None where all are.
        level: the nominal coverage.
        rng: source of the draws, of a function of several sums only.
    """
    if measured.metric.kind is Kind.SHARE:
        right = measured.scores
        return wilson(float(right.mean()), independent_rows(right, groups), level)
    if measured.metric.kind is Kind.RATIO:
        plain = _student(measured.value, measured.pulls, groups, level)
        return plain if measured.metric.higher_is_better else _stepped(measured, plain, groups, level)
    assert rng is not None, "a function of several sums needs draws"
    values = _drawn((measured,), groups, rng)[0]
    found = _percentiles(measured.value, values, _independent(measured, groups), level)
    if not measured.metric.higher_is_better:
        return replace(found, low=max(0.0, found.low))
    return replace(found, low=max(0.0, found.low) if values.min() >= 0 else found.low, high=min(1.0, found.high))


def difference(
    first: Measured, second: Measured, groups: Groups = None, level: float = LEVEL,
    rng: np.random.Generator | None = None,
) -> Estimate:  # fmt: skip
    """First minus second on the same items, with the interval of the paired difference.

    Args:
        first: N items of one arm.
        second: the same items of another, by the same metric.
        groups: (N,) items that are not independent share a number; None where all are.
        level: the nominal coverage.
        rng: source of the draws, of a function of several sums only.
    """
    if first.metric.kind is Kind.SHARE:
        return _adjusted_wald(first.scores - second.scores, groups, level)
    if first.metric.kind is Kind.RATIO:
        return _student(first.value - second.value, first.pulls - second.pulls, groups, level)
    assert rng is not None, "a function of several sums needs draws"
    one, other = _drawn((first, second), groups, rng)
    return _percentiles(first.value - second.value, one - other, _independent(first, groups), level)


def better(
    first: Measured, second: Measured, groups: Groups = None, level: float = LEVEL,
    rng: np.random.Generator | None = None,
) -> Estimate:  # fmt: skip
    """By how much the first is better than the second, above zero where it is; arguments as of ``difference``."""
    found = difference(first, second, groups, level, rng)
    return found if first.metric.higher_is_better else -found


def wilson(share: float, n: float, level: float = LEVEL) -> Estimate:
    """Score interval of a share (Wilson 1927, JASA 22:209), which works near 0 and 1 and for few items.

    Args:
        share: right answers as a share of all, between 0 and 1.
        n: how many independent items the share rests on, at least 1; may be a fraction.
        level: the nominal coverage.
    """
    z = ndtri(0.5 + level / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(float(share), float(max(0.0, centre - half)), float(min(1.0, centre + half)))


def independent_rows(right: Floats, groups: Groups) -> float:
    """How many independent items grouped ones are worth: N over the design effect (Kish 1965).

    The variance of the mean is estimated from group totals; where groups are alike it equals N, where all
    items of a group share one fate it equals the number of groups.

    Args:
        right: (N,) share of repeats in which each item was right.
        groups: (N,) group of each item, or None where items are independent.

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


def _adjusted_wald(apart: Floats, groups: Groups, level: float) -> Estimate:
    """The interval of a difference of two shares, from (N,) differences of single items.

    The adjusted Wald interval of Bonett & Price 2012 (J. Educ. Behav. Stat. 37:479): one item is added in
    favour of each arm, so that a handful of items that all agree is not taken for certainty. Grouped items are
    averaged within their group first. Student's quantile replaces the normal one, since the spread is estimated
    from the same few items.
    """
    value = float(apart.mean())
    if groups is not None:
        _, index = np.unique(groups, return_inverse=True)
        apart = np.bincount(index, weights=apart) / np.bincount(index)
    n = len(apart)
    padded = np.concatenate([apart, [1.0, -1.0]])
    centre, spread = padded.mean(), padded.std()
    half = stdtrit(n + 1, 0.5 + level / 2) * spread / np.sqrt(n + 2)
    return Estimate(value, float(min(value, max(-1.0, centre - half))), float(max(value, min(1.0, centre + half))))


def _stepped(measured: Measured, estimate: Estimate, groups: Groups, level: float) -> Estimate:
    """An interval of a mean error that comes in steps: as many items as may have an error have at least the smallest.

    Where no item of a handful has one the spread is nothing, which is not certainty: Wilson's interval of their share.
    """
    estimate = replace(estimate, low=max(0.0, estimate.low))  # no error is below nothing
    if not np.isfinite(estimate.high) or not measured.least:  # too few items to say anything, or no steps
        return estimate
    wrong = (measured.scores > 0).astype(float)
    share = wilson(float(wrong.mean()), independent_rows(wrong, groups), level)
    return replace(estimate, high=max(estimate.high, measured.least * share.high))


def _student(value: float, pulls: Floats, groups: Groups, level: float) -> Estimate:
    """The delta method (Cochran 1977, section 6.3) with Student's quantile; items of a group are added first."""
    if groups is not None:
        # A group's sum, scaled so that the mean over groups is that over items.
        _, index = np.unique(groups, return_inverse=True)
        sums = np.bincount(index, weights=pulls)
        pulls = sums * len(sums) / len(pulls)
    n = len(pulls)
    return student(value, float(pulls.std(ddof=1)) if n > 1 else np.inf, n, level)


def student(value: float, spread: float, n: int, level: float = LEVEL) -> Estimate:
    """Student's interval of a mean.

    Args:
        value: the mean.
        spread: the standard deviation of what it is the mean of.
        n: how many independent numbers that are.
        level: the nominal coverage.
    """
    if n < 3:  # a spread from two numbers says nothing
        return Estimate(value, -np.inf, np.inf)
    half = float(stdtrit(n - 1, 0.5 + level / 2) * spread / np.sqrt(n))
    return Estimate(value, value - half, value + half)


def _drawn(measured: tuple[Measured, ...], groups: Groups, rng: np.random.Generator) -> list[Floats]:
    """The scores of one or two arms on items drawn anew, whole groups together, the same draws for all. (DRAWS,) each.

    The bootstrap (Efron & Tibshirani 1993) draws nothing but what was seen: four items of a rare class that are all
    right, or on which two arms agree, leave it certain. So every draw adds to each part half an item that is right and
    half an item that is wrong, on the mean, as Jeffreys' prior of a share does; where two arms are compared, half an
    item on which either is right alone.
    """
    n = len(measured[0])
    index = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(index.max()) + 1
    totals = [np.stack([np.bincount(index, column, count) for column in m.sums.T], 1) for m in measured]  # (G, S)
    step = max(1, _BATCH // max(count, totals[0].shape[1]))
    out: list[list[Floats]] = [[] for _ in measured]
    for start in range(0, DRAWS, step):
        draws = min(step, DRAWS - start)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)  # (draws, G)
        parts = 0 if measured[0].spare is None else len(measured[0].spare)
        half = rng.gamma(0.5, size=(2, draws, parts))
        for at, (m, total) in enumerate(zip(measured, totals, strict=True)):
            sums = weights @ total  # (draws, S)
            if m.spare is not None:
                right, wrong = (half[at], half[1 - at])
                sums += np.tensordot(right, m.spare[:, 0], 1) + np.tensordot(wrong, m.spare[:, 1], 1)
            out[at].append(m.metric.value(sums))
    return [np.concatenate(values) for values in out]


def _independent(measured: Measured, groups: Groups) -> int:
    """How many items, or groups of these, are drawn."""
    return len(measured) if groups is None else len(np.unique(groups))


def _percentiles(value: float, values: Floats, n: int, level: float) -> Estimate:
    """The middle of what was drawn from n items, as much wider as so few items draw too narrowly.

    Means of drawn items spread by the n-th part of the squares where an estimate takes the (n - 1)-th, and their
    quantiles are near the normal ones where Student's are needed (Hesterberg 2015, section 4.1, who moves the levels;
    three items draw no tails to move them to, so that the ends are moved here). Five items: by more than half.
    """
    if n < 3:  # as of a ratio
        return Estimate(value, -np.inf, np.inf)
    tail = 0.5 + level / 2
    wider = float(np.sqrt(n / (n - 1)) * stdtrit(n - 1, tail) / ndtri(tail))
    low, high = value + wider * (np.quantile(values, [1 - tail, tail]) - value)
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def widened(estimate: Estimate, more: float, scale: Scale) -> Estimate:
    """The same with its better end moved on: of shares up to 1 at most, of errors down to 0 at most."""
    if not scale.higher_is_better:
        return replace(estimate, low=max(0.0, estimate.low - more))
    return replace(estimate, high=min(1.0, estimate.high + more))
