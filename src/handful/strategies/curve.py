"""The learning curve of a frozen model: its heads fitted on ever larger parts of the rows, on cached features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from handful.evaluation.curves import Curve, curve_of
from handful.evaluation.metrics import confusion
from handful.evaluation.protocol import MANY
from handful.evaluation.selection import pool
from handful.features.sight import Sight
from handful.features.view import View
from handful.strategies.ensemble import Member, training_rows
from handful.strategies.frozen import Frozen
from handful.strategies.linear import ABSENT, Array, decompose, rotate
from handful.strategies.search import Search, zero_shot_scores

SHARES = (0.25, 0.5, 1.0)
"""Parts of the rows that a fold leaves to learn from."""
DRAWS = 6
"""How often the parts are drawn anew, up to ``MANY`` rows; once above."""
# The heaviest members speak for the ensemble: a curve needs its slope, not its last tenth of a point.
_MEMBERS = 4

Reader = Callable[[int, NDArray[np.int64]], NDArray[np.floating]]


def forecast(frozen: Frozen, sight: Sight, rng: np.random.Generator) -> Curve:
    """The learning curve of the frozen rung, and what more labels are worth to it.

    Args:
        frozen: the outcome of rung 0.
        sight: what it saw: features of the N rows and of the names of the classes.
        rng: decides which rows are learned from.
    """
    rows, answers = frozen.rows, frozen.whole.argmax(2)  # (R, N)
    table = np.sum([confusion(rows.truth, some, len(rows.labels)) for some in answers], 0)
    sizes, right = learning_curve(frozen.found, sight, rng)
    return curve_of(sizes.tolist(), right, float((answers == rows.truth).mean()), table, rows.labels, rows.groups)


def learning_curve(
    found: Search, sight: Sight, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Answer every row by models that learned from a quarter, a half and all of the rows outside its fold.

    A larger part holds the smaller one of the same draw, and every class keeps its share, and one row at least. The
    setting is the one that all rows chose, so that levels are a little high; slopes are what the curve is for.

    Args:
        found: all settings on the same folds.
        sight: features of the N rows and of the names of the classes.
        rng: decides which rows are learned from.

    Returns:
        (J,) mean numbers of rows learned from, and (J, N) share of draws in which each row was answered right.
    """
    truth = found.truth
    few = len(truth) <= MANY
    members = found.members(range(len(found.settings)))[: _MEMBERS if few else 1]
    repeats = [found.folds[d % len(found.folds)] for d in range(DRAWS if few else 1)]
    weights = np.stack([_parts(fold, truth, rng) for fold in repeats])  # (S, K, J, N)
    fits = weights.reshape(-1, len(truth))
    alike: dict[tuple[View, float], list[Member]] = {}
    for member in members:
        alike.setdefault((member.setting.view, member.setting.name_weight), []).append(member)
    own = np.stack([np.arange(int(fold.max()) + 1)[:, None] == fold for fold in repeats])  # (S, K, N)
    asked = np.repeat(own[:, :, None], len(SHARES), 2).reshape(fits.shape)  # (F, N)
    readers: list[Reader] = []
    with threadpool_limits(1, user_api="blas"):
        for (view, name_weight), some in alike.items():
            readers += _readers(some, view, name_weight, sight, truth, fits)
        shares = np.array([member.weight for some in alike.values() for member in some])
        right = np.zeros(fits.shape, bool)
        for fit, rows in enumerate(map(np.flatnonzero, asked)):
            answers = pool([read(fit, rows) for read in readers], shares / shares.sum())
            right[fit, rows] = answers.argmax(-1) == truth[rows]
    sizes = weights.sum(-1).mean((0, 1))
    return sizes.astype(np.float64), right.reshape(weights.shape).sum(1).mean(0).astype(np.float64)


def _parts(fold: NDArray[np.int64], truth: NDArray[np.int64], rng: np.random.Generator) -> Array:
    """Weights (K, J, N): 1 for the rows that a fit learns from."""
    out = np.zeros((int(fold.max()) + 1, len(SHARES), len(truth)), np.float32)
    for k in range(len(out)):
        for c in np.unique(truth):
            rows = rng.permutation(np.flatnonzero((truth == c) & (fold != k)))
            dice = rng.random()
            for j, share in enumerate(SHARES):
                # Rounded up or down at random, so that the mean over classes and draws is the share.
                out[k, j, rows[: max(1, int(share * len(rows) + dice))]] = 1
    return out


def _readers(
    members: Sequence[Member], view: View, name_weight: float, sight: Sight, truth: NDArray[np.int64], fits: Array
) -> list[Reader]:
    """What members that read the same rows say: each gives the sharpened scores (n, C) of some rows by one fit."""
    features, names = view.matrix(sight.items), view.matrix(sight.names) if sight.names else None
    if np.isinf(name_weight):
        assert names is not None
        scores = zero_shot_scores(features, names)
        return [partial(_named, scores, m.sharpness) for m in members]
    rows, targets, counts = training_rows(features, names, truth, name_weight)
    extra = np.broadcast_to(counts[len(truth) :], (len(fits), len(rows) - len(truth)))
    weights = np.concatenate([fits, extra], 1)
    z, _ = rotate(rows)
    basis = decompose(z, weights) if any(m.setting.head.steps for m in members) else None
    out: list[Reader] = []
    for member in members:
        coef, intercept = member.setting.head.path(z, targets, weights, [member.setting.penalty], basis)
        out.append(partial(_linear, z[: len(truth)], coef[:, :, 0], intercept[:, 0], member.sharpness))
    return out


def _named(scores: Array, sharpness: float, fit: int, rows: NDArray[np.int64]) -> NDArray[np.floating]:
    return np.asarray(sharpness * scores[rows])


def _linear(
    z: Array, coef: Array, intercept: Array, sharpness: float, fit: int, rows: NDArray[np.int64]
) -> NDArray[np.floating]:
    return np.asarray(sharpness * np.maximum(z[rows] @ coef[fit] + intercept[fit], ABSENT))
