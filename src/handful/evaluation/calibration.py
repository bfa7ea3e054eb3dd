"""Calibration: one temperature, fitted on out-of-fold scores, that makes confidence mean what it says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

Floats = NDArray[np.floating]

# Confidence is never certainty: the smallest probability that a log loss is charged for.
SMALLEST = 1e-6


def probabilities(scores: Floats, sharpness: float) -> NDArray[np.float64]:
    """Softmax of ``sharpness * scores``. (..., C) → (..., C), rows sum to 1."""
    return np.asarray(softmax(np.asarray(scores, np.float64) * sharpness, axis=-1))


def log_losses(scores: Floats, truth: NDArray[np.integer], sharpness: float) -> NDArray[np.float64]:
    """Minus the log probability of the true class. scores (..., N, C), truth (N,) → (..., N)."""
    logs = log_softmax(np.asarray(scores, np.float64) * sharpness, axis=-1)
    at = np.broadcast_to(truth[:, None], (*logs.shape[:-1], 1))
    return np.asarray(-np.maximum(np.take_along_axis(logs, at, -1)[..., 0], np.log(SMALLEST)))


def spread_of(scores: Floats) -> float:
    """Mean distance of a score to the highest of its row: the scale on which sharpness is searched.

    Heads differ in scale by orders of magnitude; scores of classes that a fold never saw are left out.
    """
    gap = np.max(scores, -1, keepdims=True) - scores
    known = gap < 1e3
    return max(float(gap[known].mean()), 1e-9)
