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
    start, gathered = time.perf_counter(), HeldOutScores(targets, folds)
    count = int(folds.max()) + 1
    parts = [Part(np.flatnonzero(folds != k), k, file(k)) for k in range(count) if gathered.learnable(k)]
    setup = Setup(targets, activations, recipe)

    def hear(part: Part, update: Update) -> None:
        assert part.fold is not None
        progress(part.fold, update)

    with closing(trained(engine, answered, setup, parts, hear)) as results:
        for k in range(count):
            if not gathered.learnable(k):
                continue
            result = next(results)
            gathered.add(k, result.scores, result.log, result.moved, result.named)
            if 0 < k < count - 1 and not go_on(k + 1, gathered.losses(k)):  # one fold has no other to be calibrated on
                return None
    return gathered.cross_fit(time.perf_counter() - start)


class HeldOutScores:
    """The scores of held-out rows, gathered fold by fold; of folds without anything to tell apart they are 0."""

    def __init__(self, targets: Targets, folds: NDArray[np.int64]) -> None:
        """Args: targets: what is wanted of the N rows; folds: (N,) the fold of each."""
        self._targets, self._folds = targets, folds
        self._rows, self._fold = targets.task.row_targets(targets), in_rows(folds, targets)  # items, or their parts
        self._scores = np.full(targets.task.design(targets).shape, ABSENT, np.float32)
        self._curves: list[tuple[Update, ...]] = []
        self._right: list[float] = []
        self._moved = self._named = 0
        several = [self._design_of(k).std(0).any() for k in range(int(folds.max()) + 1)]
        self._learnable = {k for k, differ in enumerate(several) if differ}
        self._scores[~np.isin(self._fold, list(self._learnable))] = 0

    def learnable(self, fold: int) -> bool:
        """Whether the rows of the other folds have anything to tell apart."""
        return fold in self._learnable

    def add(self, fold: int, scores: NDArray[np.float32], log: tuple[Update, ...], moved: int, named: bool) -> None:
        """Take what a training without a fold came to: (N, K) scores of all rows, or (P, K) of their parts."""
        out = self._fold == fold
        self._scores[out] = scores[out]
        self._right.append(_measured(scores[~out], self._targets.take(self._folds != fold)))
        self._curves.append(log)
        self._moved, self._named = moved, self._named + named

    def losses(self, fold: int) -> NDArray[np.float64]:
        """The losses of all rows up to a fold, calibrated."""
        done = self._fold <= fold
        sofar, _ = calibrated(self._scores[done], self._rows.take(done), self._fold[done], SHARPNESS)
        return self._rows.task.losses(sofar, self._rows.take(done))

    def cross_fit(self, seconds: float) -> CrossFit:
        """What all folds came to, in so many seconds."""
        outputs, sharpness = calibrated(self._scores, self._rows, self._fold, SHARPNESS)
        held, train = _measured(self._scores, self._targets), float(np.mean(self._right)) if self._right else 0.0
        return CrossFit(
            outputs, sharpness, tuple(self._curves), train, held, self._moved, seconds, self._named,
            self._targets.task.headline.scale,
        )  # fmt: skip

    def _design_of(self, fold: int) -> NDArray[np.float32]:
        """What the rows of the other folds are fitted to."""
        return self._targets.task.design(self._targets.take(np.flatnonzero(self._folds != fold)))


def _measured(scores: NDArray[np.float32], targets: Targets) -> float:
    """The headline metric of scores, (N, K) or of parts (P, K)."""
    task = targets.task
    return task.headline.of(task.gathered(task.outputs(scores)[None], targets), targets).value
