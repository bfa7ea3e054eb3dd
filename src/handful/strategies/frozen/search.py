"""The search over heads: every view × head × penalty × label-name weight, on the same folds, in one go.

For F folds the fits that leave out one fold give the out-of-fold scores, and the fits that leave out two
give, for either of the two, the scores that a choice inside the other's training part may see. Nested
cross-validation then costs F (F + 1) / 2 fits per repeat in place of F², and the choice for the refit on all
rows costs nothing more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import combinations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from handful.backbones.entries import price_of
from handful.engines import Engine
from handful.evaluation.selection import choose, pool, weigh
from handful.features.view import View, unit_rows
from handful.strategies.frozen.ensemble import Member, training_rows
from handful.strategies.frozen.known_looks import inputs_of, known
from handful.strategies.frozen.search_space import Grid, Setting
from handful.strategies.frozen.spaces import Rows, scores_of, spaces
from handful.tasks.base import Targets
from handful.tasks.heads import Array, Head
from handful.threads import one_thread

Floats = NDArray[np.float64]

# How many numbers are held at once: 64 MB.
_CELLS = 1 << 24

# Sharpness is searched on this grid, relative to the spread of a setting's scores.
SHARPNESS = np.geomspace(0.25, 32, 12)


ZERO_SHOT = Head("zero-shot")
"""Names alone: the similarity of a row to what each name says."""


@dataclass(frozen=True)
class Outcome:
    """What the fits of one setting came to: R repeats of F folds over N rows, K numbers of an answer."""

    setting: Setting
    """What was fitted."""
    scores: Array
    """(R, N, K) scores of each row by the fit that left out its fold."""
    sharpness: float
    """Calibration on all out-of-fold scores, with smoothed targets."""
    losses: NDArray[np.floating]
    """(N,) loss of each row at the sharpness that makes it lowest, mean over repeats; where rows are parts, of
    each item the mean over these."""
    inner_sharpness: Floats
    """(R, F) calibration inside the training part of each fold, with smoothed targets."""
    inner_losses: NDArray[np.floating]
    """(R, F, N) lowest loss of each row, or item, inside the training part of fold k; NaN for its own rows."""
    seconds: float
    """What the fits took."""


@dataclass(frozen=True)
class Search:
    """The outcomes of all settings on the same folds, and the choices they support."""

    targets: Targets
    """What is wanted of the N rows, which may be parts of items."""
    folds: NDArray[np.int64]
    """(R, N) the fold of each row in each repeat."""
    outcomes: tuple[Outcome, ...]
    """One per setting."""

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What was compared."""
        return tuple(outcome.setting for outcome in self.outcomes)

    def nested(self, among: Sequence[int]) -> Floats:
        """Out-of-fold answers when weights, backbones and calibration are found inside each training part.

        Args:
            among: positions of the settings that are pooled.

        Returns:
            (R, N, K).
        """
        out = np.zeros(self.outcomes[among[0]].scores.shape)
        for r in range(len(self.folds)):
            for k in range(int(self.folds.max()) + 1):
                shares = self._shares(among, [self.outcomes[q].inner_losses[r, k] for q in among])
                rows = self.folds[r] == k
                answers = (
                    self.targets.task.outputs(self.outcomes[q].scores[r, rows] * self.outcomes[q].inner_sharpness[r, k])
                    for q in shares
                )
                out[r, rows] = pool(self.targets.task, answers, np.array(list(shares.values())))
        return out

    def members(self, among: Sequence[int]) -> tuple[Member, ...]:
        """The settings that all rows support, heaviest first: what the refit pools."""
        shares = self._shares(among, [self.outcomes[q].losses for q in among])
        return self._pooled(shares, {q: self.outcomes[q].sharpness for q in shares})

    def members_without(self, among: Sequence[int], repeat: int, fold: int) -> tuple[Member, ...]:
        """The settings that the rows outside one fold support, calibrated on these: what answers that fold."""
        shares = self._shares(among, [self.outcomes[q].inner_losses[repeat, fold] for q in among])
        return self._pooled(shares, {q: float(self.outcomes[q].inner_sharpness[repeat, fold]) for q in shares})

    def _pooled(self, shares: Mapping[int, float], sharpness: Mapping[int, float]) -> tuple[Member, ...]:
        """The settings with a weight, heaviest first, each with its calibration."""
        order = sorted(shares, key=lambda q: -shares[q])
        return tuple(Member(self.settings[q], shares[q], sharpness[q]) for q in order)

    @cached_property
    def _prices(self) -> dict[tuple[str, ...], float]:
        """What a prediction costs by the backbones that it runs; asked once, since folders are looked up for it."""
        return {look: price_of(look) for look in dict.fromkeys(setting.view.backbones for setting in self.settings)}

    @cached_property
    def _inputs(self) -> dict[tuple[str, ...], frozenset[str | None]]:
        """The modalities that each look reads; asked once, as well."""
        return {look: inputs_of(look) for look in self._prices}

    def _shares(self, among: Sequence[int], losses: Sequence[NDArray[np.floating]]) -> dict[int, float]:
        """Position → weight of the settings that count, all reading the same backbones.

        Which backbones those are is chosen by the weighted mean of the losses, which a pool never exceeds, by what is
        known of them, and by what they cost.
        """
        looks: dict[tuple[str, ...], list[int]] = {}
        for position, q in enumerate(among):
            looks.setdefault(self.settings[q].view.backbones, []).append(position)
        table = np.stack([loss[~np.isnan(losses[0])] for loss in losses])  # (Q, n)
        last = [self.settings[q].last for q in among]
        weights = {look: weigh(table[at], [last[i] for i in at]) for look, at in looks.items()}
        means = np.stack([weights[look] @ table[at] for look, at in looks.items()])  # (looks, n)
        said = known(list(looks), [self._inputs[look] for look in looks])
        look = list(looks)[choose(means, [self._prices[look] for look in looks], said)]
        return {among[at]: float(w) for at, w in zip(looks[look], weights[look], strict=True) if w > 0}


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
    targets: Targets,
    features: Mapping[View, Array],
    names: Mapping[View, Array],
    folds: NDArray[np.int64],
    grid: Grid,
    engine: Engine,
    progress: Callable[[int, int], None] = lambda done, total: None,
    counted: Mapping[View, NDArray[np.bool_]] = MappingProxyType({}),
) -> Search:
    """Score every setting of a grid on the same folds.

    Args:
        targets: what is wanted of the N rows; where these are parts of items, settings compete by the losses of items,
            each the mean over its parts.
        features: view → (N, D).
        names: view → (C, D) features of the label names; empty where there are none.
        folds: (R, N) fold numbers.
        grid: what to try.
        engine: where the fits run.
        progress: called with the number of settings done and in all.
        counted: view → (D,) which of its columns are counts, of those that have any.

    Returns:
        The outcome of every setting.
    """
    plan = Splits.of(folds)
    weights = grid.name_weights if names else (0.0,)
    looks = [(v, w) for v in grid.views for w in weights]
    last = {v.backbones: v for v in reversed(grid.views)}  # the first view of each, since last layers come first
    jobs = [
        _Job(targets, plan, features[v], names.get(v), grid, v, w, v == last[v.backbones], counted.get(v))
        for v, w in looks
    ]
    outcomes: list[Outcome] = []
    total = len(grid) if names else len(replace(grid, name_weights=(0.0,), zero_shot=False))
    for some in engine.map(_settings, jobs):
        outcomes += some
        progress(len(outcomes), total)
    return Search(targets, folds, tuple(outcomes))


@dataclass(frozen=True)
class _Job:
    """One view with one weight of the label names: all heads and penalties on it share a decomposition."""

    targets: Targets
    plan: Splits
    features: Array
    names: Array | None
    grid: Grid
    view: View
    name_weight: float
    last: bool
    counted: NDArray[np.bool_] | None = None

    def __repr__(self) -> str:
        return f"view {self.view.name}, label names counting {self.name_weight:g} rows"


def _settings(job: _Job) -> list[Outcome]:
    items = len(job.targets)
    out = []
    # Small decompositions lose more than they gain by being shared among cores; the engine has one job per core.
    with one_thread():
        solved = spaces(*_training_rows(job))
        bases = [space.basis(job.grid.heads) for space in solved]
        for head in job.grid.heads:
            start, penalties = time.perf_counter(), job.grid.penalties_of(head)
            fits = [space.fit(head, penalties, basis) for space, basis in zip(solved, bases, strict=True)]
            share = (time.perf_counter() - start) / len(penalties)
            for s, penalty in enumerate(penalties):
                each = [
                    (space.z[:items], coef[:, :, s], intercept[:, None, s])  # (N, R), (F, R, K), (F, 1, K)
                    for space, (coef, intercept) in zip(solved, fits, strict=True)
                ]
                scores = partial(scores_of, each)
                setting = Setting(head.name, head, job.view, penalty, job.name_weight, job.last)
                out.append(_outcome(job, setting, scores, share))
    if job.grid.zero_shot and job.names is not None and job.name_weight == job.grid.name_weights[0]:
        named = zero_shot_scores(job.features, job.names)
        everywhere = partial(_named, named, len(job.plan.weights))
        setting = Setting(ZERO_SHOT.name, ZERO_SHOT, job.view, name_weight=np.inf, last=job.last)
        out.append(_outcome(job, setting, everywhere, 0.0))
    return out


def _named(scores: Array, fits: int, rows: slice) -> Array:
    some = scores[rows]
    return np.broadcast_to(some, (fits, *some.shape))


def _outcome(job: _Job, setting: Setting, scores: Callable[[slice], Array], seconds: float) -> Outcome:
    """Reduce the scores of every fit, (F, n, K) of some rows at a time, to what choices and estimates need."""
    task, targets, plan, rows = job.targets.task, job.targets, job.plan, np.arange(len(job.targets))
    outer, inner, lead = _left_out(job, scores)
    factors = SHARPNESS / task.spread(outer)
    whole = task.losses_at(outer, targets, factors).mean(1)  # (P, N)
    inside = np.empty((len(factors), *inner.shape[:-1]), np.float32)  # (P, R, F, N)
    for some in _blocks(len(rows), inner[:, :, :1].size):
        inside[..., some] = task.losses_at(inner[:, :, some], targets.take(rows[some]), factors)
    inside[:, plan.held_out] = np.nan
    cost = np.nanmean(inside, -1)  # (P, R, F)
    chosen = cost.argmin(0)  # (R, F)
    losses = _by_item(np.take_along_axis(inside, chosen[None, :, :, None], 0)[0], targets.item)  # (R, F, N)
    # Settings compete by their plain losses; confidence is smoothed, or rows that are all right would make it certain.
    seen = ~plan.held_out
    smooth = whole.mean(1) + factors * lead[plan.outer, rows].mean() / (len(rows) + 2)  # (P,)
    inner_lead = lead[plan.inner, rows].mean(-1, where=seen) / (seen.sum(-1) + 2)  # (R, F)
    inner_smooth = cost + np.multiply.outer(factors, inner_lead)  # (P, R, F)
    return Outcome(
        setting, outer, float(factors[smooth.argmin()]), _by_item(whole[whole.mean(1).argmin()], targets.item),
        factors[inner_smooth.argmin(0)], losses, seconds,
    )  # fmt: skip


def _by_item(losses: NDArray[np.floating], item: NDArray[np.int64] | None) -> NDArray[np.floating]:
    """Losses of parts as those of items, each the mean over its parts; an item without any costs nothing. (..., N)."""
    if item is None:
        return losses
    counts = np.bincount(item)
    firsts = np.cumsum(counts) - counts
    there = counts > 0
    out = np.zeros((*losses.shape[:-1], len(counts)), losses.dtype)
    out[..., there] = np.add.reduceat(losses, firsts[there], axis=-1) / counts[there]
    return out


def _left_out(job: _Job, scores: Callable[[slice], Array]) -> tuple[Array, Array, Array]:
    """Scores (R, N, K) without the row's fold, (R, F, N, K) without another either, smoothing (F, N) in every fit."""
    plan, rows = job.plan, np.arange(len(job.targets))
    fits, _, width = scores(slice(0, 1)).shape
    outer, inner = (np.empty((*at.shape, width), np.float32) for at in (plan.outer, plan.inner))
    lead = np.empty((fits, len(rows)), np.float32)
    for some in _blocks(len(rows), fits * width):
        block = scores(some)  # (F, n, K)
        at = np.arange(block.shape[1])
        outer[:, some] = block[plan.outer[:, some], at]
        inner[:, :, some] = block[plan.inner[:, :, some], at]
        lead[:, some] = job.targets.task.smoothing(block, job.targets.take(rows[some]))
    return outer, inner, lead


def _blocks(rows: int, cells: int) -> list[slice]:
    """Runs of rows, of each of which there are so many cells, that fit into memory together."""
    step = max(1, _CELLS // cells)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def zero_shot_scores(features: Array, names: Array) -> Array:
    """Cosine between items and label names. (N, D), (C, D) → (N, C)."""
    return np.asarray(unit_rows(features) @ unit_rows(names).T, np.float32)


def _training_rows(job: _Job) -> tuple[Rows, Array]:
    """M rows, the items and then the label names, and their weights per fit (F, M)."""
    design = job.targets.task.design(job.targets)
    rows, weight = training_rows(job.features, job.names, design, job.name_weight, job.counted)
    extra = np.broadcast_to(weight[rows.items :], (len(job.plan.weights), len(rows.x) - rows.items))
    return rows, np.concatenate([job.plan.weights, extra], 1)
