"""How often boxes are right that are as sure as this: two numbers per label, learned from held-out boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]

_EDGE = 1e-6


def learned_confidence(scores: Sequence[Floats], right: Sequence[NDArray[np.bool_]]) -> NDArray[np.float32]:
    """For each of C labels slope and intercept of the log odds that a box is right (Platt 1999), (C, 2).

    Args:
        scores: C times how probable the middles of boxes were, from 0 to 1, of all held-out pictures.
        right: C times whether they were right.
    """
    return np.array([_line(x, y) for x, y in zip(scores, right, strict=True)], np.float32).reshape(-1, 2)


def _line(scores: Floats, right: NDArray[np.bool_]) -> tuple[float, float]:
    if len(np.unique(right)) < 2:  # one that is right more and one that is wrong more, as in Platt's targets
        share = (right.sum() + 1) / (len(right) + 2)
        return 0.0, float(logit(share))
    found = LogisticRegression(C=1.0).fit(_odds(scores)[:, None], right)
    slope = float(found.coef_[0, 0])
    return (slope, float(found.intercept_[0])) if slope > 0 else (0.0, float(logit(right.mean())))


def confidence(scores: Floats, line: NDArray[np.floating]) -> Floats:
    """How often boxes of a label are right that are as sure as these, from 0 to 1. (A,) → (A,)."""
    return np.asarray(np.exp(-np.logaddexp(0, -(float(line[0]) * _odds(scores) + float(line[1])))))


def _odds(scores: Floats) -> Floats:
    share = np.clip(scores, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(share) - np.log1p(-share))
