"""Held-out scores of a strategy that moves weights: one training per fold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.calibration import log_losses_of
from handful.evaluation.gate import calibrated
from handful.strategies.adaptation import adapt, scored
from handful.strategies.linear import ABSENT
from handful.strategies.recipe import Recipe
from handful.strategies.search import SHARPNESS
from handful.training.activations import Activations
from handful.training.loop import Update


@dataclass(frozen=True)
class HeldOut:
    """What the trainings of all folds came to."""

    proba: NDArray[np.float64]
    """(N, C) held-out probabilities, calibrated on the other folds."""
    sharpness: float
    """The calibration that all held-out scores support."""
    curves: tuple[tuple[Update, ...], ...]
    """The log of each fold's training."""
    train: float
    """Mean accuracy on the rows that a fold learned from."""
    held: float
    """Mean accuracy on the rows that it did not."""
    moved: int
    """How many weights could move."""
    seconds: float
    """What all folds took."""
    named: int
    """In how many of them the names of the classes were learned from as well."""


def hold_out(
    activations: Activations,
    truth: NDArray[np.int64],
    folds: NDArray[np.int64],
    recipe: Recipe,
    *,
    file: Callable[[int], Path | None] = lambda fold: None,
    progress: Callable[[int, Update], None] = lambda fold, update: None,
    go_on: Callable[[int, NDArray[np.float64]], bool] = lambda done, losses: True,
) -> HeldOut | None:
    """Fit a recipe without each fold in turn.

    Args:
        activations: of all N rows, at the depth of the recipe.
        truth: (N,) class numbers.
        folds: (N,) fold of each row.
        recipe: how.
        file: fold → where the state of its training is kept.
        progress: called with the fold after every update.
        go_on: called after every fold with the folds done and the log loss of the rows held out so far; where it
            says no, the rest is left undone.

    Returns:
        The held-out answers, or None where it was stopped.

    Raises:
        TrainingError: a training ran away.
    """
    start = time.perf_counter()
    scores = np.full((len(truth), int(truth.max()) + 1), ABSENT, np.float32)
    curves, right, moved, named = [], list[float](), 0, 0
    count = int(folds.max()) + 1
    for k in range(count):
        rows, out = np.flatnonzero(folds != k), folds == k
        if len(np.unique(truth[rows])) < 2:  # nothing to tell apart
            scores[out] = 0
            continue
        tried = adapt(activations, rows, truth[rows], recipe, checkpoint=file(k), progress=_of_fold(k, progress))
        found = scored(tried.body, activations, ~out, truth, recipe.penalty)
        scores[out] = found[out]
        right.append(float((found[rows].argmax(1) == truth[rows]).mean()))
        curves.append(tried.log)
        moved, named = tried.moved, named + tried.named
        if 0 < k < count - 1:  # one fold alone has no other to be calibrated on
            done = folds <= k
            sofar, _ = calibrated(scores[done], truth[done], folds[done], SHARPNESS)
            if not go_on(k + 1, log_losses_of(sofar, truth[done])):
                return None
    proba, sharpness = calibrated(scores, truth, folds, SHARPNESS)
    held = float((scores.argmax(1) == truth).mean())
    train = float(np.mean(right)) if right else 0.0
    return HeldOut(proba, sharpness, tuple(curves), train, held, moved, time.perf_counter() - start, named)


def _of_fold(fold: int, progress: Callable[[int, Update], None]) -> Callable[[Update, int], None]:
    return lambda update, total: progress(fold, update)
