"""Calibration by temperature scaling: one sharpness, from held-out scores, that makes confidence mean what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from handful.tasks.base import Targets


def calibrated(
    scores: NDArray[np.float32], targets: Targets, folds: NDArray[np.integer], factors: NDArray[np.floating]
) -> tuple[NDArray[np.float64], float]:
    """Answers of held-out scores, those of a fold calibrated on the other folds.

    Args:
        scores: (N, K) held out.
        targets: of the N rows.
        folds: (N,) fold of each row.
        factors: P values of sharpness to choose from, relative to the spread of the scores.

    Returns:
        (N, K) answers, and the sharpness that all rows support.
    """
    task, values = targets.task, np.asarray(factors) / targets.task.spread(scores)
    smooth = np.zeros(len(targets))
    for k in np.unique(folds):  # each fold is a fit of its own, and may lack other classes
        own = folds == k
        smooth[own] = task.smoothing(scores[own], targets.take(own))
    # With the smoothed targets of the frozen heads, so that rows that are all right make nothing certain.
    losses = task.losses_at(scores, targets, values) + values[:, None] * smooth / (len(targets) + 2)  # (P, N)
    out = np.zeros(scores.shape)
    for k in np.unique(folds):
        own = folds == k
        out[own] = task.outputs(scores[own] * float(values[losses[:, ~own].mean(1).argmin()]))
    return out, float(values[losses.mean(1).argmin()])
