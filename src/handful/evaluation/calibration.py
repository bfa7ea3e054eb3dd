"""Calibration: one temperature, fitted on out-of-fold scores, that makes confidence mean what it says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

Floats = NDArray[np.floating]

# Confidence is never certainty: the smallest probability that a log loss is charged for.
SMALLEST = 1e-6


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


def spread_of(scores: Floats) -> float:
    """Mean distance of a score to the highest of its row: the scale on which sharpness is searched.

    Heads differ in scale by orders of magnitude; scores of classes that a fold never saw are left out.
    """
    gap = np.max(scores, -1, keepdims=True) - scores
    known = gap < 1e3
    return max(float(gap[known].mean()), 1e-9)
