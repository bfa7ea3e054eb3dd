"""The gate: a model whose weights moved replaces the frozen one only if held-out rows say so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from handful.evaluation.association import labels_tell
from handful.evaluation.calibration import hedged_losses, leads, log_losses, probabilities, spread_of
from handful.evaluation.intervals import Estimate, group_means, paired_difference

Floats = NDArray[np.floating]

LEVEL = 0.90
"""The interval of a gain; that it lies above zero happens to a worthless rival in one case of twenty."""

SURE = 0.95
"""How likely a rival must be to help where only the rows speak for it."""


@dataclass(frozen=True)
class Prior:
    """What benchmarks say about a strategy before a row is seen: its gain as a share of the log loss below it."""

    mean: float
    """Over sets."""
    spread: float
    """Standard deviation over sets."""


def gain(below: Floats, above: Floats, groups: NDArray[np.integer] | None = None) -> Estimate:
    """By how much the held-out log loss falls, with Student's interval of the paired difference.

    Log loss, since accuracy on forty rows moves in steps; the arm below is paired with the one above row by row.

    Args:
        below: (N,) log loss of the arm that has to be beaten.
        above: (N,) log loss of its rival.
        groups: (N,) rows that are not independent share a number; None where all are.
    """
    difference = np.asarray(below, float) - np.asarray(above, float)
    if groups is not None:
        difference = group_means(difference, groups)
    n = len(difference)
    mean = float(difference.mean())
    if n < 3:
        return Estimate(mean, -np.inf, np.inf)
    half = float(stdtrit(n - 1, 0.5 + LEVEL / 2) * difference.std(ddof=1) / np.sqrt(n))
    return Estimate(mean, mean - half, mean + half)


def expected(found: Estimate, below: float, prior: Prior | None) -> tuple[float, float]:
    """The gain to expect, given the held-out rows and what is known from other sets, and its standard deviation.

    The mean of two normal distributions, each weighted by its precision; without a prior the rows speak alone.

    Args:
        found: the gain on the rows, with its interval.
        below: mean log loss of the arm that has to be beaten.
        prior: what is known, or None.
    """
    error = (found.high - found.low) / 2 / ndtri(0.5 + LEVEL / 2)
    if error == 0 or prior is None or below == 0:  # every row gains the same, or nothing else is known
        return found.value, float(error)
    known, spread = prior.mean * below, prior.spread * below
    weight = spread**2 / (error**2 + spread**2) if np.isfinite(error) else 0.0  # of what the rows say
    return weight * found.value + (1 - weight) * known, float(spread * np.sqrt(1 - weight))


def chance_to_help(found: Estimate, below: float, prior: Prior | None) -> float:
    """How likely a gain is above zero, given the same as in ``expected``."""
    mean, deviation = expected(found, below, prior)
    if deviation == 0:
        return float(mean > 0)
    return float(ndtr(mean / deviation)) if np.isfinite(deviation) else 0.5


@dataclass(frozen=True)
class Gated:
    """Two arms on the same folds, and which one stays."""

    gain: Estimate
    """How much lower the rival's log loss is on all rows."""
    chance: float
    """How likely the rival is to help, with what is known about it from other sets."""
    learnable: bool
    """Whether labels beyond doubt mean something: to the rival, or to what the frozen backbones see."""
    passed: bool
    """Whether the rival replaces the arm below."""
    whole: NDArray[np.float64]
    """(N, C) answers when the gate decides for every fold without the rows of that fold."""


def gate(
    below: NDArray[np.float64],
    above: NDArray[np.float64],
    truth: NDArray[np.integer],
    folds: NDArray[np.integer],
    groups: NDArray[np.integer] | None,
    prior: Prior | None = None,
    seen: Floats | None = None,
    names: Floats | None = None,
) -> Gated:
    """Let one arm try to replace another.

    It has to be better on the held-out rows, beyond doubt unless other sets speak for it too; and where labels mean
    nothing, nothing that was learned from them may move a weight. They mean something if the rival is surer, or right
    more often, than who knows how frequent the classes are, or if what frozen backbones see depends on them; either
    beyond doubt.

    Args:
        below: (N, C) held-out probabilities of the arm that stays unless it is beaten.
        above: (N, C) those of its rival, on the same folds.
        truth: (N,) class numbers.
        folds: (N,) fold of each row.
        groups: (N,) rows that are not independent share a number, or None.
        prior: what is known about the rival from other sets.
        seen: (N, D) what frozen backbones see in the rows; None asks the rival alone.
        names: (C, D) what they see in the names of the classes; None where these say nothing.
    """
    shares = np.bincount(truth, minlength=below.shape[1]) / len(truth)
    losses = np.stack([hedged_losses(below, truth), hedged_losses(above, truth), -np.log(shares[truth])])  # (3, N)
    right = (above.argmax(1) == truth).astype(float)

    def judged(rows: NDArray[np.bool_]) -> tuple[Estimate, float, bool]:
        first, second, none = losses[:, rows]
        own = None if groups is None else groups[rows]
        found = gain(first, second, own)
        ahead = gain(none, second, own).low > 0 or _more_often(right[rows], truth[rows], shares, own).low > 0
        tell = ahead or (seen is not None and labels_tell(seen[rows], truth[rows], own, names))
        return found, chance_to_help(found, float(first.mean()), prior), tell

    def passes(found: Estimate, chance: float, learnable: bool) -> bool:
        # Rows and other sets that both speak for a rival are enough; rows alone have to be sure.
        return found.value > 0 and (prior is not None or chance >= SURE) and learnable

    found, chance, learnable = judged(np.ones(len(truth), bool))
    whole = below.copy()
    for k in np.unique(folds):
        if passes(*judged(folds != k)):
            whole[folds == k] = above[folds == k]
    return Gated(found, chance, learnable, passes(found, chance, learnable), whole)


def chance_to_show(
    below: NDArray[np.float64], truth: NDArray[np.integer], groups: NDArray[np.integer] | None, prior: Prior
) -> float:
    """How likely a rival, before it is tried, is to be shown better than knowing how frequent the classes are.

    Every row is expected to lose the share of its loss that the prior says, and as large a share of the errors to go,
    so that this share alone is unknown: it has to lift the lower end of the lead over no model at all, in log loss or
    in how often it is right, above zero. Few rows of few classes rarely let it.

    Args:
        below: (N, C) held-out probabilities of the arm that has to be beaten.
        truth: (N,) class numbers.
        groups: (N,) rows that are not independent share a number, or None.
        prior: what is known about the rival from other sets.
    """
    shares = np.bincount(truth, minlength=below.shape[1]) / len(truth)
    losses, right = hedged_losses(below, truth), (below.argmax(1) == truth).astype(float)
    surer, oftener = gain(-np.log(shares[truth]), losses, groups), _more_often(right, truth, shares, groups)
    return max(_chance(surer, float(losses.mean()), prior), _chance(oftener, float(1 - right.mean()), prior))


def _chance(ahead: Estimate, left: float, prior: Prior) -> float:
    """How likely losing a share of what is left lifts the lower end of a lead above zero."""
    if left == 0:  # nothing is left to lose
        return float(ahead.low > 0)
    return float(ndtr((prior.mean + ahead.low / left) / prior.spread))


def _more_often(
    right: Floats, truth: NDArray[np.integer], shares: Floats, groups: NDArray[np.integer] | None
) -> Estimate:
    """By how much more often an arm is right than whoever always says the most frequent class."""
    return paired_difference(right, (truth == shares.argmax()).astype(float), groups, LEVEL)


def calibrated(
    scores: NDArray[np.float32], truth: NDArray[np.integer], folds: NDArray[np.integer], factors: Floats
) -> tuple[NDArray[np.float64], float]:
    """Probabilities of held-out scores, those of a fold calibrated on the other folds.

    Args:
        scores: (N, C) held out.
        truth: (N,) class numbers.
        folds: (N,) fold of each row.
        factors: P values of sharpness to choose from, relative to the spread of the scores.

    Returns:
        (N, C) probabilities, and the sharpness that all rows support.
    """
    values = np.asarray(factors) / spread_of(scores)
    ahead = np.zeros(len(truth))
    for k in np.unique(folds):  # each fold is a fit of its own, and may lack other classes
        ahead[folds == k] = leads(scores[folds == k], truth[folds == k])
    # With the smoothed targets of the frozen heads, so that rows that are all right make nothing certain.
    losses = log_losses(scores, truth, values) + values[:, None] * ahead / (len(truth) + 2)  # (P, N)
    out = np.zeros(scores.shape)
    for k in np.unique(folds):
        own = folds == k
        out[own] = probabilities(scores[own], float(values[losses[:, ~own].mean(1).argmin()]))
    return out, float(values[losses.mean(1).argmin()])
