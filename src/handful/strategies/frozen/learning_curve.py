"""The learning curve of a frozen model: its heads fitted on ever larger parts of the rows, on cached features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.curves import Curve, curve_of
from handful.evaluation.metrics import ratio
from handful.evaluation.protocol import MANY
from handful.evaluation.selection import pool
from handful.features.feature_set import FeatureSet
from handful.features.view import View
from handful.strategies.frozen.ensemble import Member, training_rows
from handful.strategies.frozen.rung import Frozen
from handful.strategies.frozen.search import Search, zero_shot_scores
from handful.strategies.frozen.spaces import scores_of, spaces
from handful.tasks.heads import Array
from handful.threads import one_thread

SHARES = (0.25, 0.5, 1.0)
"""Parts of the rows that a fold leaves to learn from."""
DRAWS = 6
"""How often the parts are drawn anew, up to ``MANY`` rows; once above."""
# The heaviest members speak for the ensemble: a curve needs its slope, not its last tenth of a point.
_MEMBERS = 4

Scores = NDArray[np.float64]
Reader = Callable[[int, NDArray[np.int64]], NDArray[np.floating]]


def forecast(frozen: Frozen, sight: FeatureSet, rng: np.random.Generator, out_of_reach: bool = False) -> Curve:
    """The learning curve of the frozen rung, and what more labels are worth to it.

    Args:
        frozen: the outcome of rung 0.
        sight: what it saw: features of the N rows and of the names of the classes.
        rng: decides which rows are learned from.
        out_of_reach: whether many rows are out of the reach of the backbones.
    """
    targets, metric = frozen.rows.targets, frozen.rows.targets.task.headline
    sizes, scores = learning_curve(frozen.search, sight, rng)
    now, needs = metric.of(frozen.whole, targets).value, targets.task.needs(frozen.whole, targets)
    curve = curve_of(sizes.tolist(), [ratio(metric, some) for some in scores], now, needs, frozen.rows.groups)
    return replace(curve, out_of_reach=out_of_reach)


def learning_curve(search: Search, sight: FeatureSet, rng: np.random.Generator) -> tuple[Scores, Scores]:
    """Answer every row by models that learned from a quarter, a half and all of the rows outside its fold.

    A larger part holds the smaller one of the same draw, and every stratum keeps its share, and one row at least. The
    setting is the one that all rows chose, so that levels are a little high; slopes are what the curve is for.

    Args:
        search: all settings on the same folds.
        sight: features of the N rows and of the names of the classes.
        rng: decides which rows are learned from.

    Returns:
        (J,) mean numbers of rows learned from, and (J, N) the headline score of each row, mean over draws.
    """
    task, targets, count = search.targets.task, search.targets, len(search.targets)
    few = count <= MANY
    members = search.members(range(len(search.settings)))[: _MEMBERS if few else 1]
    repeats = [search.folds[d % len(search.folds)] for d in range(DRAWS if few else 1)]
    weights = np.stack([_parts(fold, task.strata(targets), rng) for fold in repeats])  # (S, F, J, N)
    fits = weights.reshape(-1, count)
    design = task.design(targets)
    alike: dict[tuple[View, float], list[Member]] = {}
    for member in members:
        alike.setdefault((member.setting.view, member.setting.name_weight), []).append(member)
    own = np.stack([np.arange(int(fold.max()) + 1)[:, None] == fold for fold in repeats])  # (S, K, N)
    asked = np.repeat(own[:, :, None], len(SHARES), 2).reshape(fits.shape)  # (F, N)
    readers: list[Reader] = []
    with one_thread():
        for (view, name_weight), some in alike.items():
            readers += _readers(some, view, name_weight, sight, design, fits)
        shares = np.array([member.weight for some in alike.values() for member in some])
        scores = np.zeros(fits.shape)
        for fit, rows in enumerate(map(np.flatnonzero, asked)):
            answers = pool(task, (task.outputs(read(fit, rows)) for read in readers), shares / shares.sum())
            scores[fit, rows] = task.headline.of(answers[None], targets.take(rows)).scores
    sizes = weights.sum(-1).mean((0, 1))
    return sizes.astype(np.float64), scores.reshape(weights.shape).sum(1).mean(0)


def _parts(fold: NDArray[np.int64], strata: NDArray[np.int64], rng: np.random.Generator) -> Array:
    """Weights (F, J, N): 1 for the rows that a fit learns from."""
    out = np.zeros((int(fold.max()) + 1, len(SHARES), len(strata)), np.float32)
    for k in range(len(out)):
        for c in np.unique(strata):
            rows = rng.permutation(np.flatnonzero((strata == c) & (fold != k)))
            dice = rng.random()
            for j, share in enumerate(SHARES):
                # Rounded up or down at random, so that the mean over strata and draws is the share.
                out[k, j, rows[: max(1, int(share * len(rows) + dice))]] = 1
    return out


def _readers(
    members: Sequence[Member], view: View, name_weight: float, sight: FeatureSet, design: Array, fits: Array
) -> list[Reader]:
    """What members that read the same rows say: each gives the sharpened scores (n, K) of some rows by one fit."""
    features, names = view.matrix(sight.items), view.matrix(sight.names) if sight.names else None
    if np.isinf(name_weight):
        assert names is not None
        scores = zero_shot_scores(features, names)
        return [partial(_named, scores, m.sharpness) for m in members]
    counted = view.counted(sight.counts, sight.items)
    rows, weight = training_rows(features, names, design, name_weight, counted)
    extra = np.broadcast_to(weight[rows.items :], (len(fits), len(rows.x) - rows.items))
    solved = spaces(rows, np.concatenate([fits, extra], 1))
    bases = [space.basis([m.setting.head for m in members]) for space in solved]
    out: list[Reader] = []
    for member in members:
        each = []
        for space, basis in zip(solved, bases, strict=True):
            coef, intercept = space.fit(member.setting.head, [member.setting.penalty], basis)
            each += [(space.z[: rows.items], coef[f : f + 1, :, 0], intercept[f : f + 1]) for f in range(len(coef))]
        out.append(partial(_linear, each, member.sharpness))
    return out


def _named(scores: Array, sharpness: float, fit: int, rows: NDArray[np.int64]) -> NDArray[np.floating]:
    return np.asarray(sharpness * scores[rows])


def _linear(
    each: Sequence[tuple[Array, Array, Array]], sharpness: float, fit: int, rows: NDArray[np.int64]
) -> NDArray[np.floating]:
    return np.asarray(sharpness * scores_of(each[fit : fit + 1], rows)[0])
