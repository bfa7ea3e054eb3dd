"""The gate: a model whose weights moved replaces the frozen one only if held-out rows say so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from handful.evaluation.calibration import leads, log_losses, log_losses_of, probabilities, spread_of
from handful.evaluation.intervals import Estimate, group_means

Floats = NDArray[np.floating]

LEVEL = 0.90
"""The interval of the gain; that it lies above zero happens to a worthless rival in one case of twenty."""


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


@dataclass(frozen=True)
class Gated:
    """Two arms on the same folds, and which one stays."""

    gain: Estimate
    """How much lower the rival's log loss is on all rows."""
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
) -> Gated:
    """Let one arm try to replace another.

    Args:
        below: (N, C) held-out probabilities of the arm that stays unless it is beaten.
        above: (N, C) those of its rival, on the same folds.
        truth: (N,) class numbers.
        folds: (N,) fold of each row.
        groups: (N,) rows that are not independent share a number, or None.
    """
    first, second = log_losses_of(below, truth), log_losses_of(above, truth)
    found = gain(first, second, groups)
    whole = below.copy()
    for k in np.unique(folds):
        own, others = folds == k, folds != k
        if gain(first[others], second[others], None if groups is None else groups[others]).low > 0:
            whole[own] = above[own]
    return Gated(found, found.low > 0, whole)


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
