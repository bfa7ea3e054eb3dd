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
    """(n, K) what each row is answered by a fit of all others (leave-one-out)."""

    @classmethod
    def on(cls, x: Matrix, targets: Targets) -> Self:
        """Fit rows of length one, with the penalty of which held-out losses are lowest.

        What a fit of squared loss would have said of a row without it follows from the row's leverage h: its residual
        is divided by 1 - h (Allen 1974, "The relationship between variable selection and data augmentation").

        Args:
            x: (n, D).
            targets: of the n rows.
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
            leverage = np.minimum(1 / len(x) + rows.z**2 @ (1 / shrunk), _MOST)[:, :, None]  # (n, S, 1)
            pull = head.loss.gradient(scores.copy(), design)
            held_out = scores + pull * leverage / (1 - leverage)
            sharp, costs = zip(*(_sharpest(own, targets) for own in held_out.swapaxes(0, 1)), strict=True)
            best = int(np.argmin(costs))
            answers, sharpest = calibrated(held_out[:, best], targets, np.arange(len(x)) % PARTS, FACTORS)
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
