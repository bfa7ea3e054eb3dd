"""Linear heads as data: a convex loss of scores with bounded curvature, and the penalties worth trying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float32]
# (scores (F, M, S, K), targets (M, K)) → gradient, same shape; may overwrite the scores
Gradient = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Loss:
    """A convex loss with bounded curvature."""

    gradient: Gradient
    """Derivative of the loss by the scores."""
    curvature: float
    """An upper bound on the loss's second derivative."""
    steps: int
    """How many accelerated steps are taken: a fixed number, so that no fit depends on what is solved beside it."""


@dataclass(frozen=True)
class Head:
    """One way to make a linear map from features to scores."""

    name: str
    """How it is called in ``--strategies`` and in the scores."""
    loss: Loss | None = None
    """What is minimised; None: nothing is, and the columns are the means of the rows of each target (nearest mean)."""
    penalties: tuple[float, ...] = (0.0,)
    """The penalties worth trying; a single 0 where there are none."""
    optional: bool = False
    """Whether a search that is short of time leaves it out first."""
    contrasts: Callable[[int], Array] | None = None
    """K → (K, J) sums of columns that are fitted in place of the K columns themselves; what is found for a sum counts
    for each of its columns. None: the columns themselves."""

    @property
    def steps(self) -> int:
        """How many solver steps a fit takes: what its cost depends on."""
        return 0 if self.loss is None else self.loss.steps

    def lighter(self, times: float) -> Head:
        """The same with penalties so many times lighter."""
        return replace(self, penalties=tuple(penalty / times for penalty in self.penalties))


def softmax_gradient(scores: Array, targets: Array) -> Array:
    """Probabilities minus targets; scores of rows of length one stay far below what overflows."""
    np.minimum(scores, 80, out=scores)
    np.exp(scores, out=scores)
    classes = scores.shape[-1]
    total = scores.reshape(-1, classes) @ np.ones((classes, 1), np.float32)  # a product beats a sum over few columns
    scores /= total.reshape(*scores.shape[:-1], 1)
    scores -= targets[:, None, :]
    return scores


def squared_gradient(scores: Array, targets: Array) -> Array:
    """Scores minus targets of -1 and +1."""
    scores -= (2 * targets - 1)[:, None, :]
    return scores


def hinge_gradient(scores: Array, targets: Array) -> Array:
    """Half the squared hinge of each class against the rest."""
    signs = (2 * targets - 1)[:, None, :]
    return np.asarray(-signs * np.maximum(0, 1 - signs * scores), np.float32)


def binary_gradient(scores: Array, targets: Array) -> Array:
    """Probability of each column alone minus its target of 0 or 1."""
    return np.asarray(expit(scores, out=scores) - targets[:, None, :], np.float32)


def distance_gradient(scores: Array, targets: Array) -> Array:
    """Scores minus targets, which are numbers of any size."""
    scores -= targets[:, None, :]
    return scores


def above(classes: int) -> Array:
    """Sums of ordered columns, each of all that lie above a threshold: (K, K - 1), 1 where the column counts.

    Cumulative reduction (Frank & Hall 2001, "A simple approach to ordinal classification"): one question per threshold.
    """
    return np.tri(classes, classes - 1, -1, np.float32)


SOFTMAX = Loss(softmax_gradient, curvature=0.5, steps=48)
SQUARED = Loss(squared_gradient, curvature=1.0, steps=1)
HINGE = Loss(hinge_gradient, curvature=1.0, steps=40)
BINARY = Loss(binary_gradient, curvature=0.25, steps=48)
DISTANCE = Loss(distance_gradient, curvature=1.0, steps=1)
