"""The quick fit: a linear head in closed form on cached features, and what it answers to each row without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError, OptionError
from handful.evaluation.calibration import calibrated
from handful.evaluation.intervals import difference
from handful.evaluation.metrics import losses
from handful.features.view import Matrix
from handful.regimes.active.acquisition import margin
from handful.strategies.frozen.solver import Basis, fit_head
from handful.strategies.frozen.spaces import TINY
from handful.tasks.base import HeadTask, Targets
from handful.tasks.heads import Array, Head
from handful.threads import one_thread

FACTORS = np.geomspace(0.5, 64.0, 15)
"""What scores may be multiplied by, relative to their spread."""
PARTS = 5
"""In so many parts sharpness is found for the others."""
_MOST = 0.999
"""No row decides its own answer altogether; keeps the division finite."""


@dataclass(frozen=True)
class QuickFit:
    """A head fitted on n rows."""

    targets: Targets
    """What is wanted of the n rows."""
    coef: Array
    """(D, S, K), one map per penalty."""
    intercept: Array
    """(S, K)."""
    sharpness: tuple[float, ...]
    """What the scores of each are multiplied by."""
    best: int
    """Which of the S has the lowest held-out loss: the one that answers."""
    held_out: NDArray[np.float64]
    """(n, K) what each row is answered by a fit of all others (leave-one-out), or of those of all other items."""

    @classmethod
    def on(cls, x: Matrix, targets: Targets) -> Self:
        """Fit rows of length one, with the penalty of which held-out losses are lowest.

        What a fit of squared loss would have said of a row without it follows from the row's leverage h: its residual
        is divided by 1 - h (Allen 1974, "The relationship between variable selection and data augmentation"). Parts of
        an item are left out together, by the block of leverages between them.

        Args:
            x: (n, D).
            targets: of the n rows; where they are parts, with the item of each.
        """
        head, task = quick_head(targets.task), targets.task
        assert head.loss is not None
        with one_thread():
            rows, design = _spanned(x), task.design(targets)
            coef, intercept = fit_head(
                head, rows.z, design, np.ones((1, len(x)), np.float32), head.penalties, rows.basis
            )
            scores = np.einsum("nr,rsk->nsk", rows.z, coef[0], optimize=True) + intercept  # (n, S, K)
            shrunk = rows.basis.values[0][:, None] + np.asarray(head.penalties, np.float32)  # (R, S)
            pull = head.loss.gradient(scores.copy(), design)
            held_out = scores + _without(rows.z, shrunk, pull, targets.item)
            folds = (np.arange(len(x)) if targets.item is None else targets.item) % PARTS
            sharp, costs = zip(*(_sharpest(own, targets) for own in held_out.swapaxes(0, 1)), strict=True)
            best = int(np.argmin(costs))
            answers, sharpest = calibrated(held_out[:, best], targets, folds, FACTORS)
            weights = np.einsum("dr,rsk->dsk", rows.back, coef[0], optimize=True)
            centred = intercept[0] - np.einsum("d,dsk->sk", rows.centre, weights)
        return cls(targets, weights, centred, (*sharp[:best], sharpest, *sharp[best + 1 :]), best, answers)

    @cached_property
    def knows(self) -> bool:
        """Whether held-out answers are better than the reference, which looks at no item, beyond doubt.

        Of labels asked because they are typical that is easier shown than of the pool; it only says that there is
        something to be in doubt about.
        """
        task, targets = self.targets.task, self.targets
        blind = np.broadcast_to(task.constant(targets), self.held_out.shape)
        own, reference = (task.losses(answers, targets) for answers in (self.held_out, blind))
        return difference(losses(own), losses(reference)).high < 0

    def outputs(self, x: Matrix) -> NDArray[np.float64]:
        """What is answered to items, by their features: (N, D) → (N, K)."""
        return self._answered(x, self.best)

    def unaware(self, x: Matrix, places: Sequence[int | None]) -> NDArray[np.float64]:
        """What is answered to items, each by a fit without it. (m, D) → (m, K).

        Args:
            x: their features.
            places: of each its place among the n it learned from; None: it is none of them.
        """
        answers = self.outputs(x)
        for i, place in enumerate(places):
            if place is not None:
                answers[i] = self.held_out[place]
        return answers

    def doubt(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much each answer is in doubt, from 0 to 1. (N, K) → (N,)."""
        return margin(self.targets.task, answers)

    def arms(self, x: Matrix) -> list[NDArray[np.float64]]:
        """What each of the S maps answers, from the stiffest to the one that follows the rows most: S of (N, K)."""
        return [self._answered(x, s) for s in range(len(self.sharpness))]

    @one_thread()
    def _answered(self, x: Matrix, s: int) -> NDArray[np.float64]:
        return self.targets.task.outputs(self.sharpness[s] * (x @ self.coef[:, s] + self.intercept[s]))


@dataclass(frozen=True)
class _Spanned:
    """Rows along their principal axes."""

    z: Array
    """(n, R) centred."""
    basis: Basis
    """Their principal axes, which are those of ``z`` already."""
    back: Array
    """(D, R) what is solved for R numbers as a map of D."""
    centre: Array
    """(D,) what was taken from every row."""


def _without(z: Array, shrunk: Array, pull: Array, item: NDArray[np.int64] | None) -> Array:
    """What scores change by where a row, or all rows of its item, were not learned from. → (n, S, K).

    Args:
        z: (n, R) centred rows along their axes.
        shrunk: (R, S) spread along the axes with each penalty.
        pull: (n, S, K) scores less what is wanted.
        item: (n,) of each row its item, in order; None: rows are left out one by one.
    """
    if item is None:
        leverage = np.minimum(1 / len(z) + z**2 @ (1 / shrunk), _MOST)[:, :, None]  # (n, S, 1)
        return np.asarray(pull * leverage / (1 - leverage))
    out = np.empty_like(pull)
    starts = np.flatnonzero(np.diff(item, prepend=-1))
    for first, end in zip(starts, [*starts[1:], len(z)], strict=True):
        own = z[first:end]
        leverages = (own * (1 / shrunk.T)[:, None]) @ own.T + 1 / len(z)  # (S, W, W)
        rest = np.eye(end - first) - _MOST * leverages
        residual = np.linalg.solve(rest, pull[first:end].swapaxes(0, 1))  # (S, W, K)
        out[first:end] = residual.swapaxes(0, 1) - pull[first:end]
    return out


def _spanned(x: Matrix) -> _Spanned:
    """Rows along the axes they are spread on, by whichever of (n, n) and (D, D) is smaller. (n, D)."""
    centre = x.mean(0)
    rows = np.asarray(x - centre, np.float64)
    if len(x) <= x.shape[1]:
        values, left = np.linalg.eigh(rows @ rows.T)
        wide = _wider(values)
        z, back = left[:, wide] * np.sqrt(values[wide]), rows.T @ (left[:, wide] / np.sqrt(values[wide]))
    else:
        values, axes = np.linalg.eigh(rows.T @ rows)
        wide = _wider(values)
        z, back = rows @ axes[:, wide], axes[:, wide]
    width = int(wide.sum())
    own = np.eye(width, dtype=np.float32)
    basis = Basis(np.zeros((1, width), np.float32), values[None, wide].astype(np.float32), own[None])
    return _Spanned(z.astype(np.float32), basis, back.astype(np.float32), np.asarray(centre, np.float32))


def _wider(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(R,) the axes that are more than rounding, one at least."""
    wider = values > TINY * max(values[-1], TINY)
    wider[-1] = True
    return np.asarray(wider)


def _sharpest(scores: Array, targets: Targets) -> tuple[float, float]:
    """The sharpness that suits held-out scores (n, K) best, and their mean loss with it."""
    factors = FACTORS / targets.task.spread(scores)
    losses = targets.task.losses_at(scores, targets, factors).mean(1)
    return float(factors[losses.argmin()]), float(losses.min())


def quick_head(task: HeadTask) -> Head:
    """The head of a task that is solved in one step.

    Raises:
        OptionError: it has none.
    """
    for head in task.heads.values():
        if head.steps == 1 and head.contrasts is None:
            return head
    raise OptionError(
        f"a task that asks for labels must have a head of squared loss, which is solved in one step, got {task.name} "
        f"with {', '.join(task.heads)}. Give the task one, or label its items without handful."
    )


def learnable(task: HeadTask, labels: Sequence[str]) -> Targets | None:
    """Labels as targets; None while nothing can be learned from them, as where all are of one class."""
    try:
        return task.read(labels, "the answers") if len(labels) > 2 else None
    except DataError:
        return None
