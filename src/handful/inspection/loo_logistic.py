"""What the other rows call each row: leave-one-out class probabilities of a kernel logistic model, in closed form.

The model is logistic regression on centred features of length one. Its dual is solved once for all classes with
Böhning's bound on the curvature (Böhning 1992), and what a row would be called without itself follows from the
row's leverage (Rahimi Rad and Maleki 2020, "A scalable estimate of the out-of-sample prediction error via approximate
leave-one-out", equation 5; here with one curvature per row, the mean over the classes). No fold is left out, so five
rows of a class are enough. Labels may be wrong: after each round they are mixed with what the model believes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.utils.extmath import randomized_svd

from handful.threads import one_thread

Array = NDArray[np.float64]

# Chosen on goemotions (single labels), clinc150, masakhanews, trashnet and esc10; see benchmarks/label_errors.py.
_PENALTY = 0.3
_TRUST = 0.8
"""How probable a label is taken to be right before looking."""
_ROUNDS, _STEPS = 3, 25

# Directions kept of rows and features that both have more.
_WIDEST = 256

# Curvature of a row that is certain; keeps the division finite.
_FLAT = 1e-3


def centred(features: NDArray[np.floating]) -> Array:
    """Rows of length one, minus their mean, scaled so that their mean squared length is one; zeros where all agree.

    Args:
        features: (N, D).
    """
    x = np.asarray(features, np.float64)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    x = x - x.mean(0)
    spread = float(np.sqrt((x**2).sum(1).mean()))
    return x / spread if spread > 1e-6 else np.zeros_like(x)


def narrowed(x: Array) -> Array:
    """The same rows in the directions they spread most in: (N, D) → (N, R), R at most 256."""
    rows, width = x.shape
    if min(rows, width) > _WIDEST:
        left, values, _ = randomized_svd(x, _WIDEST, n_iter=2, random_state=0)
        return np.asarray(left * values)
    if rows < width:
        values, left = np.linalg.eigh(x @ x.T)
        return np.asarray(left * np.sqrt(np.maximum(values, 0)))
    return x


@one_thread()
def left_out(views: Sequence[NDArray[np.floating]], index: NDArray[np.int64], classes: int) -> Array:
    """Logarithms of the probabilities of each class for each row, by all rows but itself.

    Args:
        views: one (N, D) matrix of features per view; their scores are averaged.
        index: (N,) number of the label of each row.
        classes: C.

    Returns:
        (N, C), the exponentials of each row sum to one.
    """
    scores = np.mean([_scores(narrowed(centred(view)), index, classes) for view in views], axis=0)
    return np.asarray(log_softmax(scores, axis=1))


def _scores(z: Array, index: NDArray[np.int64], classes: int) -> Array:
    """(N, C) leave-one-out scores of rows z (N, R)."""
    given = np.eye(classes)[index]  # (N, C)
    share = given.mean(0)
    prior = np.log(given * _TRUST + (1 - given) * (1 - _TRUST) / max(classes - 1, 1))
    values, axes = np.linalg.eigh(z.T @ z)
    z = z @ axes  # orthogonal columns: the bounded Newton step is a division
    step = 1 / (_PENALTY + 0.5 * np.maximum(values, 0))
    weights = np.zeros((z.shape[1], classes))
    targets, loo_scores = given, np.tile(share, (len(z), 1))
    for _ in range(_ROUNDS):
        for _ in range(_STEPS):
            gradient = z.T @ (targets - softmax(z @ weights, axis=1)) - _PENALTY * weights
            weights += step[:, None] * gradient
        scores = z @ weights
        proba = softmax(scores, axis=1)
        curvature = np.maximum((proba * (1 - proba)).mean(1), _FLAT)  # (N,)
        inner = np.linalg.inv(_PENALTY * np.eye(len(values)) + z.T @ (curvature[:, None] * z))
        leverage = np.einsum("nr,rs,ns->n", z, inner, z, optimize=True)
        loo_scores = scores - (leverage / (1 - curvature * leverage))[:, None] * (targets - proba)
        targets = 0.5 * given + 0.5 * softmax(prior + loo_scores, axis=1)
    return np.asarray(loo_scores)
