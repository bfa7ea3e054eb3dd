"""The search over heads: every view × head × penalty × label-name weight, on the same folds, in one go.

For K folds the fits that leave out one fold give the out-of-fold scores, and the fits that leave out two
give, for either of the two, the scores that a choice inside the other's training part may see. Nested
cross-validation then costs K (K + 1) / 2 fits per repeat in place of K², and the choice for the refit on all
rows costs nothing more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.calibration import log_losses, probabilities, spread_of
from handful.evaluation.selection import choose, choose_nested
from handful.features.view import View, unit_rows
from handful.strategies.heads import Centroid, Head
from handful.strategies.linear import ABSENT, Array, rotate

# Sharpness is searched on this grid, relative to the spread of a setting's scores.
SHARPNESS = np.geomspace(0.25, 32, 15)


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


@dataclass
class Search:
    """What the search found: Q settings, R repeats of K folds over N rows, C classes."""

    folds: NDArray[np.int64]
    """(R, N) the fold of each row in each repeat."""
    truth: NDArray[np.int64]
    """(N,) true classes."""
    settings: list[Setting] = field(default_factory=list)
    """Q settings, in the order of the arrays below."""
    scores: list[Array] = field(default_factory=list)
    """Q arrays (R, N, C): scores of each row by the fit that left out its fold."""
    outer_sharpness: list[float] = field(default_factory=list)
    """Q numbers: calibration on all out-of-fold scores."""
    outer_losses: list[NDArray[np.float64]] = field(default_factory=list)
    """Q arrays (N,): calibrated log loss of each row, mean over repeats."""
    inner_sharpness: list[NDArray[np.float64]] = field(default_factory=list)
    """Q arrays (R, K): calibration inside the training part of each fold."""
    inner_losses: list[NDArray[np.float64]] = field(default_factory=list)
    """Q arrays (R, K, N): calibrated log loss of each row inside the training part of fold k; NaN for its own rows."""

    seconds: list[float] = field(default_factory=list)
    """Q numbers: what each setting took."""

    def add(self, setting: Setting, scores: Array, plan: Splits, seconds: float) -> None:
        """Reduce the scores of every fit, (F, N, C), to what choices and estimates need."""
        rows = np.arange(scores.shape[1])
        outer = scores[plan.outer, rows]  # (R, N, C)
        inner = scores[plan.inner, rows]  # (R, K, N, C)
        base = 1 / spread_of(outer)
        held = plan.held_out  # (R, K, N)
        best: NDArray[np.float64] | None = None
        for factor in SHARPNESS * base:
            losses = np.where(held, np.nan, log_losses(inner, self.truth, factor))
            mean = np.nanmean(losses, -1)  # (R, K)
            if best is None:
                best, chosen, kept = mean, np.full(mean.shape, factor), losses
                continue
            better = mean < best
            best, chosen = np.where(better, mean, best), np.where(better, factor, chosen)
            kept = np.where(better[..., None], losses, kept)
        whole = [log_losses(outer, self.truth, factor).mean(0) for factor in SHARPNESS * base]
        at = int(np.argmin([loss.mean() for loss in whole]))
        self.settings.append(setting)
        self.scores.append(outer)
        self.outer_sharpness.append(float(SHARPNESS[at] * base))
        self.outer_losses.append(whole[at])
        self.inner_sharpness.append(chosen)
        self.inner_losses.append(kept)
        self.seconds.append(seconds)

    def of_arm(self, arm: str) -> list[int]:
        """Positions of the settings of one arm."""
        return [q for q, setting in enumerate(self.settings) if setting.arm == arm]

    def nested(self, among: Sequence[int]) -> NDArray[np.float64]:
        """Out-of-fold probabilities when the choice and the calibration are made inside each training part.

        Args:
            among: positions of the settings that compete.

        Returns:
            (R, N, C), rows sum to 1.
        """
        costs = [self.settings[q].view.cost for q in among]
        chosen = choose_nested([self.inner_losses[q] for q in among], costs)
        out = np.zeros(self.scores[0].shape)
        for r, k in np.ndindex(chosen.shape):
            q, rows = among[int(chosen[r, k])], self.folds[r] == k
            out[r, rows] = probabilities(self.scores[q][r, rows], self.inner_sharpness[q][r, k])
        return out

    def best(self, among: Sequence[int]) -> int:
        """The setting that all rows support: the choice for the refit."""
        costs = [self.settings[q].view.cost for q in among]
        return among[choose(np.stack([self.outer_losses[q] for q in among]), costs)]


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
        The scores and losses of every setting.
    """
    classes = int(truth.max()) + 1
    plan, found = Splits.of(folds), Search(folds, truth)
    for view in grid.views:
        for name_weight in grid.name_weights if names else (0.0,):
            rows, targets, weights = _training_rows(features[view], names.get(view), truth, name_weight, plan.weights)
            z, _ = rotate(rows)
            for head in grid.heads:
                _run(found, plan, z, targets, weights, head, view, grid.penalties_of(head), name_weight)
                tick(len(grid.penalties_of(head)))
        if grid.zero_shot and names:
            scores = zero_shot_scores(features[view], names[view])
            everywhere = np.broadcast_to(scores, (len(plan.weights), len(truth), classes))
            found.add(Setting("zero-shot", Centroid, view, name_weight=np.inf), everywhere, plan, 0.0)
            tick(1)
    return found


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


def _run(
    found: Search, plan: Splits, z: Array, targets: Array, weights: Array, head: type[Head], view: View,
    penalties: tuple[float, ...], name_weight: float,
) -> None:  # fmt: skip
    start = time.perf_counter()
    coef, intercept = head.path(z, targets, weights, penalties)  # (F, R, S, C), (F, S, C)
    share = (time.perf_counter() - start) / len(penalties)
    items = z[: len(found.truth)]
    for s, penalty in enumerate(penalties):
        scores = np.maximum(items @ coef[:, :, s] + intercept[:, None, s], ABSENT)  # (F, N, C)
        found.add(Setting(head.name, head, view, penalty, name_weight), scores, plan, share)
