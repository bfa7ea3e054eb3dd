"""Held-out scores of a strategy that moves weights: one training per fold, side by side on the cores here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.engines.local import Inline
from handful.evaluation.calibration import log_losses_of
from handful.evaluation.gate import calibrated
from handful.strategies.adaptation import Adapted, Recipe, adapt
from handful.strategies.heads import Logistic
from handful.strategies.linear import ABSENT
from handful.strategies.search import SHARPNESS
from handful.training.activations import Activations
from handful.training.body import features_of
from handful.training.devices import share_the_cores
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
    final: Adapted | None = None
    """The fit on all rows, where it was asked for."""


@dataclass(frozen=True)
class _Fit:
    """What is kept of the training of one fold."""

    log: tuple[Update, ...]
    moved: int
    head: Logistic
    scores: NDArray[np.float32]
    adapted: Adapted | None


def hold_out(
    activations: Activations,
    truth: NDArray[np.int64],
    folds: NDArray[np.int64],
    recipe: Recipe,
    *,
    file: Callable[[int], Path | None] = lambda fold: None,
    progress: Callable[[int, Update], None] = lambda fold, update: None,
    go_on: Callable[[int, NDArray[np.float64]], bool] = lambda done, losses: True,
    finish: bool = False,
) -> HeldOut | None:
    """Fit a recipe without each fold in turn.

    Args:
        activations: of all N rows, at the depth of the recipe.
        truth: (N,) class numbers.
        folds: (N,) fold of each row.
        recipe: how.
        file: fold → where the state of its training is kept; the fit on all rows has the number after the last.
        progress: called with the fold after every update.
        go_on: called after every fold with the folds done and the log loss of the rows held out so far; where it
            says no, the rest is left undone.
        finish: whether to fit all rows as well: beside the last fold, where a core would otherwise wait for it.

    Returns:
        The held-out answers, or None where it was stopped.

    Raises:
        TrainingError: a training ran away.
    """
    start = time.perf_counter()
    scores = np.full((len(truth), int(truth.max()) + 1), ABSENT, np.float32)
    curves, right, moved = [], list[float](), 0
    count, final = int(folds.max()) + 1, None

    def fit(k: int) -> _Fit | None:
        rows = np.flatnonzero(folds != k)  # all of them for the number after the last
        if len(np.unique(truth[rows])) < 2:  # nothing to tell apart
            return None
        tried = adapt(activations, rows, truth[rows], recipe, checkpoint=file(k), progress=_of_fold(k, progress))
        x = features_of(tried.body, activations, np.arange(len(truth)))
        head = Logistic(recipe.penalty).fit(x[rows], truth[rows].tolist())
        # What moved is as large as the model: of a fold only the answers are kept.
        return _Fit(tried.log, tried.moved, head, head.decision_function(x), tried if k == count else None)

    jobs = range(count + finish)
    fits = Inline().map(share_the_cores(fit), jobs) if side_by_side(activations, recipe) else map(fit, jobs)
    for k, fitted in enumerate(fits):
        rows, out = np.flatnonzero(folds != k), folds == k
        if fitted is None:
            scores[out] = 0
            continue
        if k == count:
            final = fitted.adapted
            continue
        head, found = fitted.head, fitted.scores
        scores[np.ix_(out, head.classes_)] = found[out]
        right.append(float((head.classes_[found[rows].argmax(1)] == truth[rows]).mean()))
        curves.append(fitted.log)
        moved = fitted.moved
        if 0 < k < count - 1:  # one fold alone has no other to be calibrated on
            done = folds <= k
            sofar, _ = calibrated(scores[done], truth[done], folds[done], SHARPNESS)
            if not go_on(k + 1, log_losses_of(sofar, truth[done])):
                return None
    proba, sharpness = calibrated(scores, truth, folds, SHARPNESS)
    held = float((scores.argmax(1) == truth).mean())
    train = float(np.mean(right)) if right else 0.0
    return HeldOut(proba, sharpness, tuple(curves), train, held, moved, time.perf_counter() - start, final)


def side_by_side(activations: Activations, recipe: Recipe) -> bool:
    """Whether fits of a recipe run at once, one core each: on a CPU, and where none throws torch's global dice."""
    return activations.backbone.device.type == "cpu" and not recipe.noisy


def _of_fold(fold: int, progress: Callable[[int, Update], None]) -> Callable[[Update, int], None]:
    return lambda update, total: progress(fold, update)
