"""Alignment: what is learned from rows is put right for a pool that is another mixture of the same things.

Two assumptions, one arm each: classes are more or less frequent and look as before (label shift), every item is what it
was but some kinds come more often (covariate shift).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from handful.features.view import Matrix
from handful.regimes.part import Part, PoolArm
from handful.strategies.frozen.ensemble import Linear
from handful.strategies.frozen.solver import fit_head, rotate
from handful.tasks.base import HeadTask
from handful.tasks.heads import SOFTMAX, Head

Floats = NDArray[np.floating]

# A ratio of frequencies or densities is never trusted beyond this.
MOST = 5.0
_DENSITY = Head("density", SOFTMAX, (1.0,))
_TINY = 1e-9


def shares_in(answers: Floats, before: Floats, strength: float, steps: int = 200) -> NDArray[np.float64]:
    """How frequent classes are among items, by expectation and maximisation (Saerens, Latinne & Decaestecker 2002).

    Args:
        answers: (M, C) probabilities, by a model that learned where classes were as frequent as ``before``.
        before: (C,) how frequent.
        strength: so many items of the old mixture are added, since answers are never as right as they are sure.
        steps: how often the two are repeated.

    Returns:
        (C,) shares that sum to 1.
    """
    odds = np.asarray(answers, np.float64) / np.maximum(before, _TINY)
    after = np.array(before, np.float64)
    for _ in range(steps):
        own = odds * after
        own /= np.maximum(own.sum(1, keepdims=True), _TINY)
        after = (own.sum(0) + strength * before) / (len(answers) + strength)
    return np.asarray(after / after.sum())


def shares_differ(rows: Floats, strata: NDArray[np.integer], pool: Floats) -> float:
    """Whether classes are as frequent in a pool as among the rows, by what is answered to both: a p-value.

    Rows are drawn class by class, so that only what varies within a class is chance.

    Args:
        rows: (N, C) what was answered to the rows while they were held out.
        strata: (N,) the class of each row.
        pool: (M, C) what is answered to the pool.
    """
    within = np.zeros(rows.shape[1])
    for c in np.unique(strata):
        own = rows[strata == c]
        within += own.var(0, ddof=1) * len(own) if len(own) > 1 else 0.25
    error = within / len(rows) ** 2 + pool.var(0) / len(pool)
    apart = (pool.mean(0) - rows.mean(0)) ** 2 / np.maximum(error, _TINY)
    return float(chi2.sf(apart.sum() * (rows.shape[1] - 1) / rows.shape[1], rows.shape[1] - 1))


def moved(model: Linear, before: Floats, after: Floats) -> Linear:
    """A softmax model for classes that are as frequent as ``after``: the logarithm of each ratio joins its scores."""
    return replace(model, intercept=model.intercept + log_ratio(before, after))


def log_ratio(before: Floats, after: Floats) -> NDArray[np.float32]:
    """(C,) the logarithm of how much more frequent each class became, never beyond what is trusted."""
    return np.asarray(np.log(trusted_ratio(before, after)), np.float32)


def trusted_ratio(before: Floats, after: Floats) -> NDArray[np.float64]:
    """(C,) how much more frequent each class became, never beyond what is trusted."""
    return np.asarray(np.clip(np.maximum(after, _TINY) / np.maximum(before, _TINY), 1 / MOST, MOST))


def density_ratio(rows: Matrix, pool: Matrix) -> NDArray[np.float64]:
    """How much more often the pool has what each row is (logistic density ratio; Bickel, Brückner & Scheffer 2009).

    Args:
        rows: (N, D) of length one.
        pool: (M, D) of length one.

    Returns:
        (N,) ratios between a fifth and five times, of mean 1.
    """
    z, _ = rotate(np.concatenate([rows, pool]))
    side = np.repeat([0, 1], [len(rows), len(pool)])
    weights = np.where(side == 0, len(pool) / len(rows), 1.0).astype(np.float32)  # both sides count alike
    weights *= np.float32(len(rows) / len(pool))
    coef, intercept = fit_head(_DENSITY, z, np.eye(2, dtype=np.float32)[side], weights[None], _DENSITY.penalties)
    scores = z[: len(rows)] @ coef[0, :, 0] + intercept[0, 0]  # (N, 2)
    ratio = np.clip(np.exp(np.float64(scores[:, 1] - scores[:, 0])), 1 / MOST, MOST)
    return np.asarray(ratio / ratio.mean())


def effective(weights: Floats) -> float:
    """How many rows of equal weight tell as much as these (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


@dataclass(frozen=True)
class LabelShift(PoolArm):
    """Classes are as frequent as the pool says; what they look like stays."""

    strength: float = 1.0
    """So many items of the old mixture stand beside each item of the pool."""
    name = "label-shift"
    for_shift = True
    by_class = True

    def refuses(self, task: HeadTask) -> str:
        """Only of classes that shut each other out can be said how frequent they are."""
        return "" if task.exclusive else f"{task.name} has no classes whose frequency could differ"

    def shares(self, part: Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(C,) how frequent classes are among the rows, and in the pool."""
        before = part.targets.task.constant(part.targets)
        return before, shares_in(part.answers, before, self.strength * part.count)

    def fit(self, part: Part) -> Linear:
        """Move the intercepts."""
        return moved(part.plain, *self.shares(part))

    def weights(self, part: Part) -> NDArray[np.float64]:
        """(N,) how much each row counts where classes are as frequent as in the pool; of mean 1."""
        weights = part.targets.task.design(part.targets) @ trusted_ratio(*self.shares(part))
        return np.asarray(weights / weights.mean(), np.float64)


@dataclass(frozen=True)
class Importance(PoolArm):
    """Rows count as often as the pool has their like."""

    name = "importance"
    for_shift = True

    def weights(self, part: Part) -> NDArray[np.float64]:
        """(N,) of mean 1."""
        return density_ratio(*part.alike)

    def fit(self, part: Part) -> Linear:
        """Fit with these weights."""
        return part.as_sure(part.fitted(weights=self.weights(part)))
