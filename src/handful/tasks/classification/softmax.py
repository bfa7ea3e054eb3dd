"""Softmax and log loss: scores of classes as probabilities, what they cost, and the scale of their sharpness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

Floats = NDArray[np.floating]

# Confidence is never certainty: the smallest probability that a log loss is charged for.
SMALLEST = 1e-6

# Two classes whose scores are further apart than this: the fold never saw one of them.
UNSEEN = 1e3


def probabilities(scores: Floats, sharpness: float) -> NDArray[np.float64]:
    """Softmax of ``sharpness * scores``. (..., C) → (..., C), rows sum to 1."""
    return np.asarray(softmax(np.asarray(scores, np.float64) * sharpness, axis=-1))


def log_losses(scores: Floats, truth: NDArray[np.integer], factors: Floats) -> NDArray[np.float32]:
    """Minus the log probability of the true class, for several values of sharpness at once.

    Args:
        scores: (..., N, C) decision scores.
        truth: (N,) true classes.
        factors: P values of sharpness.

    Returns:
        (P, ..., N).
    """
    at = np.broadcast_to(truth[:, None], (*scores.shape[:-1], 1))
    # How far each class is ahead of the true one.
    behind = np.asarray(scores - np.take_along_axis(scores, at, -1), np.float32)
    top = behind.max(-1)
    behind -= top[..., None]
    ones = np.ones((scores.shape[-1], 1), np.float32)
    losses = np.stack(
        [np.float32(factor) * top + np.log((np.exp(np.float32(factor) * behind) @ ones)[..., 0]) for factor in factors]
    )
    return np.asarray(np.minimum(losses, np.float32(-np.log(SMALLEST))), np.float32)


def hedged_losses(proba: Floats, truth: NDArray[np.integer]) -> NDArray[np.float64]:
    """Log losses where no answer is surer than N rows allow, so that one row cannot outweigh all others. → (N,).

    One part in N + 1 of each answer is what is said without any row: that all classes are as likely (Laplace's rule of
    succession, with one row made up in place of one for each class). A row that a fold is wrong about and certain of
    costs log((N + 1) C) at most, not fourteen nats.

    Args:
        proba: (N, C) held-out probabilities.
        truth: (N,) class numbers.
    """
    rows, classes = proba.shape
    return np.asarray(-np.log((rows * proba[np.arange(rows), truth] + 1 / classes) / (rows + 1)))


def leads(scores: Floats, truth: NDArray[np.integer]) -> Floats:
    """How far the true class of each row is ahead of the mean of the others: what smoothed targets cost.

    Where all rows are right, the log loss alone asks for ever more sharpness. Platt 1999 aims at (N + 1) / (N + 2)
    in place of 1; where the other classes share the rest, a row's log loss grows by its lead times the sharpness,
    divided by N + 2.

    Args:
        scores: (..., N, C) decision scores.
        truth: (N,) true classes.

    Returns:
        (..., N); classes that a fold never saw are left out, and a row of such a class has no lead.
    """
    first = scores[..., 0, :]  # an unseen class is as far behind in any row of a fit
    known = (first.max(-1, keepdims=True) - first < UNSEEN).astype(scores.dtype)  # (..., C)
    others = known.sum(-1, keepdims=True) - 1  # (..., 1)
    own = scores[..., np.arange(len(truth)), truth]  # (..., N)
    ahead = (others + 1) * own - (scores @ known[..., None])[..., 0]  # (..., N)
    return np.asarray(known[..., truth] * ahead / np.maximum(others, 1))


def spread_of(scores: Floats) -> float:
    """Mean distance of a score to the highest of its row: the scale on which sharpness is searched.

    Heads differ in scale by orders of magnitude; scores of classes that a fold never saw are left out.
    """
    gap = np.max(scores, -1, keepdims=True) - scores
    known = gap < UNSEEN
    return max(float(gap[known].mean()), 1e-9)


def expected_error(proba: NDArray[np.float64], truth: NDArray[np.integer], bins: int = 15) -> float:
    """Expected calibration error: how far confidence is from the share of right answers (Guo et al. 2017, eq. 3).

    Args:
        proba: (N, C).
        truth: (N,) class numbers.
        bins: how many equal parts confidence is cut into.
    """
    sure, right = proba.max(1), proba.argmax(1) == truth
    part = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = np.bincount(part, weights=sure - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))
