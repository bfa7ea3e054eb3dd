"""Held-out scores of a strategy that moves weights: one training per fold."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.engines import Engine, Inline
from handful.evaluation.calibration import calibrated
from handful.evaluation.metrics import Scale
from handful.strategies.frozen.search import SHARPNESS
from handful.strategies.frozen.solver import ABSENT
from handful.strategies.tuned.fit import in_rows
from handful.strategies.tuned.recipe import ItemRecipe
from handful.strategies.tuned.trainings import Part, Setup, answered, trained
from handful.tasks.base import Targets
from handful.training.activations import Activations
from handful.training.loop import Update

_HERE = Inline()


@dataclass(frozen=True)
class CrossFit:
    """What the trainings of all folds came to."""

    outputs: NDArray[np.float64]
    """(N, K) held-out answers, calibrated on the other folds; where items are answered by their parts, (P, K)."""
    sharpness: float
    """The calibration that all held-out scores support."""
    curves: tuple[tuple[Update, ...], ...]
    """The log of each fold's training."""
    train: float
    """The headline metric on the rows that a fold learned from, mean over folds."""
    held: float
    """The same on the rows that it did not."""
    moved: int
    """How many weights could move."""
    seconds: float
    """What all folds took."""
    named: int
    """In how many of them the names of the classes were learned from as well."""
    scale: Scale = field(default_factory=Scale)
    """How ``train`` and ``held`` are told."""


def cross_fit(
    targets: Targets,
    activations: Activations,
    folds: NDArray[np.int64],
    recipe: ItemRecipe,
    *,
    file: Callable[[int], Path | None] = lambda fold: None,
    progress: Callable[[int, Update], None] = lambda fold, update: None,
    go_on: Callable[[int, NDArray[np.float64]], bool] = lambda done, losses: True,
    engine: Engine = _HERE,
) -> CrossFit | None:
    """Fit a recipe without each fold in turn.

    Args:
        targets: what is wanted of the N rows.
        activations: of all N rows, at the depth of the recipe.
        folds: (N,) fold of each row.
        recipe: how.
        file: fold → where the state of its training is kept.
        progress: called with the fold after every update, or with all of them once the fold is over where it runs in
            another process.
        go_on: called after every fold with the folds done and the loss of the rows held out so far; where it
            says no, the rest is left undone.
        engine: where the trainings run; the answers are the same everywhere but for rounding, see ``trained``.

    Returns:
        The held-out answers, or None where it was stopped.

    Raises:
        TrainingError: a training ran away.
        MachineError: a process of the engine ended before its training was over.
    """
    start, task = time.perf_counter(), targets.task
    scores = np.full(task.design(targets).shape, ABSENT, np.float32)
    rows, fold = task.row_targets(targets), in_rows(folds, targets)  # items, or their parts
    curves, right, moved, named = [], list[float](), 0, 0
    count = int(folds.max()) + 1
    parts = [Part(np.flatnonzero(folds != k), k, file(k)) for k in range(count)]
    parts = [part for part in parts if task.design(targets.take(part.rows)).std(0).any()]
    learnable = {part.fold for part in parts}
    setup = Setup(targets, activations, recipe)

    def hear(part: Part, update: Update) -> None:
        assert part.fold is not None
        progress(part.fold, update)

    with closing(trained(engine, answered, setup, parts, hear)) as results:
        for k in range(count):
            out = fold == k
            if k not in learnable:  # nothing to tell apart
                scores[out] = 0
                continue
            result = next(results)
            scores[out] = result.scores[out]
            right.append(_measured(result.scores[~out], targets.take(folds != k)))
            curves.append(result.log)
            moved, named = result.moved, named + result.named
            if 0 < k < count - 1:  # one fold alone has no other to be calibrated on
                done = fold <= k
                sofar, _ = calibrated(scores[done], rows.take(done), fold[done], SHARPNESS)
                if not go_on(k + 1, rows.task.losses(sofar, rows.take(done))):
                    return None
    outputs, sharpness = calibrated(scores, rows, fold, SHARPNESS)
    held, train = _measured(scores, targets), float(np.mean(right)) if right else 0.0
    scale, seconds = task.headline.scale, time.perf_counter() - start
    return CrossFit(outputs, sharpness, tuple(curves), train, held, moved, seconds, named, scale)


def _measured(scores: NDArray[np.float32], targets: Targets) -> float:
    """The headline metric of scores, (N, K) or of parts (P, K)."""
    task = targets.task
    return task.headline.of(task.gathered(task.outputs(scores)[None], targets), targets).value
