"""A trial of an arm: its held-out answers on the few folds, and whether it replaces what stands below it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.decision import Decided, Prior, decide
from handful.evaluation.verdicts import HeadRows, Held
from handful.regimes.part import Part, PoolArm
from handful.strategies.frozen.ensemble import describe
from handful.tasks.base import Targets

Floats = NDArray[np.float64]

FREE = 0.0
"""What an arm has to save to be worth its price at prediction: one linear map answers, as before."""


@dataclass(frozen=True)
class Folds:
    """The few folds that arms are compared on, each as what may be learned from without it."""

    rows: HeadRows
    """The N rows that are held out in turn."""
    fold: NDArray[np.int64]
    """(N,) fold of each row."""
    parts: tuple[Part, ...]
    """Of each fold: the other rows, the pool, and the settings chosen without the fold."""
    held: tuple[Part, ...]
    """Of each fold: its own rows."""

    @property
    def targets(self) -> Targets:
        """Of the N rows."""
        return self.rows.targets


@dataclass(frozen=True)
class Trial:
    """An arm on the few folds."""

    arm: PoolArm
    """What was tried."""
    outputs: Floats
    """(N, K) held-out answers."""
    decided: Decided
    """How it fared against what stood below it."""
    prior: Prior | None
    """What other sets say about it, if they do."""
    seconds: float
    """What its fits took."""
    weights: Floats | None = None
    """(N,) how much each row counted, as the pool has its like; None: all alike."""

    def held(self, part: Part) -> Held:
        """The arm as it stands in the scores."""
        setting = {"learned from": f"{part.count} unlabelled items", **describe(part.members)}
        outputs = self.outputs[None]
        return Held(self.arm.name, outputs, 1, self.seconds, setting, self.told, outputs)

    @property
    def told(self) -> str:
        """What rows and other sets say, in words."""
        words = self.decided.told(self.prior, "be taken")
        return words if self.weights is None else f"{words}; rows count as much as the pool has of their like"


def tried(
    arm: PoolArm, folds: Folds, below: Floats, prior: Prior | None = None, weights: Floats | None = None
) -> Trial:
    """Fit an arm without each fold in turn, and let it face what stands.

    Args:
        arm: what is tried.
        folds: what may be learned from without each fold.
        below: (N, K) held-out answers of what stands, on the same folds.
        prior: what is known of the arm from other sets.
        weights: (N,) how much each row counts, where what will be asked is another mixture than the rows.
    """
    start = time.perf_counter()
    outputs, targets = np.zeros_like(below), folds.targets
    for k, (part, own) in enumerate(zip(folds.parts, folds.held, strict=True)):
        outputs[folds.fold == k] = part.answered(arm.fit(part), own.items)
    decided = decide(below, outputs, targets, folds.fold, folds.rows.groups, prior, weights, FREE)
    return Trial(arm, outputs, decided, prior, time.perf_counter() - start, weights)


def best(trials: Sequence[Trial], folds: Folds, below: Floats, rows: NDArray[np.bool_]) -> Trial | None:
    """The arm of which most is expected, of those that may replace what stands by some of the rows; None: it stays.

    Args:
        trials: every arm against what stands.
        folds: what they were tried on.
        below: (N, K) held-out answers of what stands.
        rows: (N,) which rows have a say.
    """
    chosen, most = None, -np.inf
    groups = folds.rows.groups
    for trial in trials:
        decided = decide(
            below[rows], trial.outputs[rows], folds.targets.take(rows), folds.fold[rows],
            None if groups is None else groups[rows], trial.prior,
            None if trial.weights is None else trial.weights[rows], FREE,
        )  # fmt: skip
        if decided.passed and decided.expected.mean > most:
            chosen, most = trial, decided.expected.mean
    return chosen


def whole_of(trials: Sequence[Trial], folds: Folds, below: Floats) -> Floats:
    """(N, K) answers of the whole procedure: those of each fold by the arm that the other folds choose."""
    whole = below.copy()
    for k in range(len(folds.parts)):
        own = folds.fold == k
        chosen = best(trials, folds, below, ~own)
        if chosen is not None:
            whole[own] = chosen.outputs[own]
    return whole
