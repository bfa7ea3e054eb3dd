"""The search over heads: every view × head × penalty × label-name weight, on the same folds, in one go.

For K folds the fits that leave out one fold give the out-of-fold scores, and the fits that leave out two
give, for either of the two, the scores that a choice inside the other's training part may see. Nested
cross-validation then costs K (K + 1) / 2 fits per repeat in place of K², and the choice for the refit on all
rows costs nothing more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from handful.evaluation.calibration import log_losses, probabilities, spread_of
from handful.evaluation.selection import choose, choose_nested
from handful.features.view import View, unit_rows
from handful.strategies.heads import Centroid, Head
from handful.strategies.linear import ABSENT, Array, decompose, rotate

Floats = NDArray[np.float64]

# Sharpness is searched on this grid, relative to the spread of a setting's scores.
SHARPNESS = np.geomspace(0.25, 32, 12)


@dataclass(frozen=True)
class Setting:
    """One way to make a head: what the search compares."""

    arm: str
    """The family that the setting belongs to in the scores, for example ``logistic`` or ``zero-shot``."""
    head: type[Head]
    """The estimator."""
    view: View
    """The features it reads."""
    penalty: float = 0.0
    """λ, or 0 where the head has none."""
    name_weight: float = 0.0
    """How many rows a label's name counts for; infinity: the names alone."""

    def describe(self) -> dict[str, object]:
        """The setting as plain values for ``scores.json``."""
        return {
            "head": self.head.name,
            "view": self.view.name,
            "penalty": self.penalty or None,
            "name_weight": None if np.isinf(self.name_weight) else self.name_weight,
        }


@dataclass(frozen=True)
class Grid:
    """What to try."""

    heads: tuple[type[Head], ...]
    """The estimators, cheapest first."""
    views: tuple[View, ...]
    """The feature matrices."""
    name_weights: tuple[float, ...] = (0.0,)
    """How many rows a label's name counts for; only where names have features."""
    zero_shot: bool = False
    """Whether to score the label names alone."""
    penalties: int | None = None
    """How many penalties per head, spread over its range; all by default."""

    def penalties_of(self, head: type[Head]) -> tuple[float, ...]:
        """The penalties to try for a head."""
        known = head.penalties
        if self.penalties is None or self.penalties >= len(known):
            return known
        at = np.linspace(0, len(known) - 1, self.penalties + 2)[1:-1].round().astype(int)
        return tuple(known[i] for i in dict.fromkeys(at.tolist()))

    def __len__(self) -> int:
        per_view = sum(len(self.penalties_of(head)) for head in self.heads) * len(self.name_weights)
        return len(self.views) * (per_view + self.zero_shot)


@dataclass(frozen=True)
class Outcome:
    """What the fits of one setting came to: R repeats of K folds over N rows, C classes."""

    setting: Setting
    """What was fitted."""
    scores: Array
    """(R, N, C) scores of each row by the fit that left out its fold."""
    sharpness: float
    """Calibration on all out-of-fold scores."""
    losses: NDArray[np.floating]
    """(N,) calibrated log loss of each row, mean over repeats."""
    inner_sharpness: Floats
    """(R, K) calibration inside the training part of each fold."""
    inner_losses: NDArray[np.floating]
    """(R, K, N) calibrated log loss of each row inside the training part of fold k; NaN for its own rows."""
    seconds: float
    """What the fits took."""


@dataclass(frozen=True)
class Search:
    """The outcomes of all settings on the same folds, and the choices they support."""

    folds: NDArray[np.int64]
    """(R, N) the fold of each row in each repeat."""
    truth: NDArray[np.int64]
    """(N,) true classes."""
    outcomes: tuple[Outcome, ...]
    """One per setting."""

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What was compared."""
        return tuple(outcome.setting for outcome in self.outcomes)

    def of_arm(self, arm: str) -> list[int]:
        """Positions of the settings of one arm."""
        return [q for q, setting in enumerate(self.settings) if setting.arm == arm]

    def nested(self, among: Sequence[int]) -> Floats:
        """Out-of-fold probabilities when the choice and the calibration are made inside each training part.

        Args:
            among: positions of the settings that compete.

        Returns:
            (R, N, C), rows sum to 1.
        """
        some = [self.outcomes[q] for q in among]
        chosen = choose_nested([o.inner_losses for o in some], [o.setting.view.cost for o in some])
        out = np.zeros(some[0].scores.shape)
        for r, k in np.ndindex(chosen.shape):
            outcome, rows = some[int(chosen[r, k])], self.folds[r] == k
            out[r, rows] = probabilities(outcome.scores[r, rows], float(outcome.inner_sharpness[r, k]))
        return out

    def best(self, among: Sequence[int]) -> int:
        """The setting that all rows support: the choice for the refit."""
        some = [self.outcomes[q] for q in among]
        return among[choose(np.stack([o.losses for o in some]), [o.setting.view.cost for o in some])]


@dataclass(frozen=True)
class Splits:
    """Which fit scores which row: F fits leave out one or two folds each."""

    weights: Array
    """(F, N) 1 for training rows, 0 for rows left out."""
    outer: NDArray[np.int64]
    """(R, N) the fit that left out just the fold of the row."""
    inner: NDArray[np.int64]
    """(R, K, N) the fit that left out fold k and the fold of the row."""
    held_out: NDArray[np.bool_]
    """(R, K, N) whether the row lies in fold k itself."""

    @classmethod
    def of(cls, folds: NDArray[np.int64]) -> Splits:
        """Plan the fits for (R, N) fold numbers."""
        repeats, rows = folds.shape
        count = int(folds.max()) + 1
        weights: list[Array] = []
        at = np.zeros((repeats, count, count), np.int64)
        for r, fold in enumerate(folds):
            for k in range(count):
                at[r, k, k] = len(weights)
                weights.append((fold != k).astype(np.float32))
            for i, j in combinations(range(count), 2):
                at[r, i, j] = at[r, j, i] = len(weights)
                weights.append(((fold != i) & (fold != j)).astype(np.float32))
        repeat = np.arange(repeats)[:, None]
        outer = at[repeat, folds, folds]
        inner = np.stack([at[repeat, k, folds] for k in range(count)], 1)
        held = np.stack([folds == k for k in range(count)], 1)
        return cls(np.stack(weights), outer, inner, held)


def search(
    features: Mapping[View, Array],
    names: Mapping[View, Array],
    truth: NDArray[np.int64],
    folds: NDArray[np.int64],
    grid: Grid,
    tick: Callable[[int], None] = lambda done: None,
) -> Search:
    """Score every setting of a grid on the same folds.

    Args:
        features: view → (N, D).
        names: view → (C, D) features of the label names; empty where there are none.
        truth: (N,) class numbers 0..C-1.
        folds: (R, N) fold numbers.
        grid: what to try.
        tick: called with the number of settings just done.

    Returns:
        The outcome of every setting.
    """
    plan = Splits.of(folds)
    jobs = [(view, weight) for view in grid.views for weight in (grid.name_weights if names else (0.0,))]

    def run(job: tuple[View, float]) -> list[Outcome]:
        view, name_weight = job
        return _settings(plan, features[view], names.get(view), truth, grid, view, name_weight)

    outcomes: list[Outcome] = []
    # One thread per core, each with its own fits: small decompositions lose more than they gain by being shared.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for some in pool.map(run, jobs):
            outcomes += some
            tick(len(some))
    return Search(folds, truth, tuple(outcomes))


def _settings(
    plan: Splits, features: Array, names: Array | None, truth: NDArray[np.int64], grid: Grid, view: View, weight: float
) -> list[Outcome]:
    """Every head and penalty on one view with one weight of the label names."""
    rows, targets, weights = _training_rows(features, names, truth, weight, plan.weights)
    z, _ = rotate(rows)
    basis = decompose(z, weights) if any(head.steps for head in grid.heads) else None
    items, out = z[: len(truth)], []
    for head in grid.heads:
        start, penalties = time.perf_counter(), grid.penalties_of(head)
        coef, intercept = head.path(z, targets, weights, penalties, basis)  # (F, R, S, C), (F, S, C)
        share = (time.perf_counter() - start) / len(penalties)
        for s, penalty in enumerate(penalties):
            scores = np.maximum(items @ coef[:, :, s] + intercept[:, None, s], ABSENT)  # (F, N, C)
            setting = Setting(head.name, head, view, penalty, weight)
            out.append(_outcome(setting, scores, truth, plan, share))
    if grid.zero_shot and names is not None and weight == grid.name_weights[0]:
        scores = zero_shot_scores(features, names)
        everywhere = np.broadcast_to(scores, (len(plan.weights), *scores.shape))
        out.append(_outcome(Setting("zero-shot", Centroid, view, name_weight=np.inf), everywhere, truth, plan, 0.0))
    return out


def _outcome(setting: Setting, scores: Array, truth: NDArray[np.int64], plan: Splits, seconds: float) -> Outcome:
    """Reduce the scores of every fit, (F, N, C), to what choices and estimates need."""
    rows = np.arange(scores.shape[1])
    outer, inner = scores[plan.outer, rows], scores[plan.inner, rows]  # (R, N, C), (R, K, N, C)
    factors = SHARPNESS / spread_of(outer)
    whole = log_losses(outer, truth, factors).mean(1)  # (P, N)
    best = int(whole.mean(1).argmin())
    inside = log_losses(inner, truth, factors)  # (P, R, K, N)
    inside[:, plan.held_out] = np.nan
    chosen = np.nanmean(inside, -1).argmin(0)  # (R, K)
    losses = np.take_along_axis(inside, chosen[None, :, :, None], 0)[0]  # (R, K, N)
    return Outcome(setting, outer, float(factors[best]), whole[best], factors[chosen], losses, seconds)


def zero_shot_scores(features: Array, names: Array) -> Array:
    """Cosine between items and label names. (N, D), (C, D) → (N, C)."""
    return np.asarray(unit_rows(features) @ unit_rows(names).T, np.float32)


def refit(setting: Setting, features: Array, names: Array | None, labels: Sequence[str]) -> Head:
    """Fit the chosen setting on all rows.

    Args:
        setting: what the search chose.
        features: (N, D) in the setting's view.
        names: (C, D) features of the sorted label names, or None.
        labels: N class names.
    """
    head = setting.head(**({"penalty": setting.penalty} if setting.penalty else {}))
    if not setting.name_weight:
        return head.fit(features, labels)
    assert names is not None
    classes = sorted(set(labels))
    if np.isinf(setting.name_weight):
        return head.fit(names, classes)
    weight = np.concatenate([np.ones(len(features)), np.full(len(names), setting.name_weight)])
    return head.fit(np.concatenate([features, names]), [*labels, *classes], sample_weight=weight)


def _training_rows(
    features: Array, names: Array | None, truth: NDArray[np.int64], name_weight: float, weights: Array
) -> tuple[Array, Array, Array]:
    classes = int(truth.max()) + 1
    eye = np.eye(classes, dtype=np.float32)
    if not name_weight or names is None:
        return unit_rows(features), eye[truth], weights
    rows = np.concatenate([unit_rows(features), unit_rows(names)])
    extra = np.full((len(weights), classes), name_weight, np.float32)
    return rows, np.concatenate([eye[truth], eye]), np.concatenate([weights, extra], 1)
