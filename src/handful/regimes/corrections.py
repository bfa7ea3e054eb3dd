"""Learning from corrections: a linear model takes in labelled items at once, by a few solves, and keeps what it knew.

The shipped model is the prior, the corrections are the data. Its scores ``s`` (of whatever backbone, moved or not) stay
as they are, and a linear map ``x W`` on the frozen features ``x`` that the model keeps of its training rows is added:

    Σ_corrections w · loss(s + x W, label)  +  μ/2 Σ_known rows ‖x W‖²  +  λ/2 ‖W‖²

The second term is the curvature of the loss at the known rows (Laplace; Ritter et al. 2018, "Online structured Laplace
approximations for overcoming catastrophic forgetting"), with one number for all rows in place of each row's own: a
change costs by how much it moves the answers to them. For squared loss that is recursive least squares (Plackett 1950),
the exact answer to all rows together. The sum of two linear maps is one, so that what comes out is a plain model.

Shapes: ``M`` known rows, ``Q`` corrections, ``D`` width of the features, ``K`` scores of an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, logsumexp, softmax

from handful.data.targets import in_order, names_in
from handful.errors import OptionError
from handful.evaluation.intervals import Estimate, difference
from handful.evaluation.metrics import losses
from handful.features.view import Matrix, unit_rows
from handful.strategies.frozen.solver import rotate
from handful.tasks.base import HeadTask, Targets
from handful.threads import one_thread

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Strength:
    """How much corrections count against what was known."""

    weight: float = 4.0
    """How many rows one correction counts for."""
    known: float = 0.1
    """How much each known row holds its answer, ``μ``: the curvature of the loss where an answer is rather sure."""
    ridge: float = 0.3
    """How much is held in directions of which the known rows say nothing, ``λ``."""
    rounds: int = 4
    """How often a correction that is not answered as it says counts twice as much as before."""


@dataclass(frozen=True)
class Rows:
    """Items with what is wanted of them, as the shipped model sees them."""

    features: Matrix
    """(N, D) what the frozen backbones see; scaled to length one where they are read."""
    scores: NDArray[np.float64]
    """(N, K) what the shipped model scores, sharpened."""
    labels: tuple[str, ...]
    """N labels as a column holds them."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, some: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> Rows:
        """Some of the rows, in that order."""
        at = np.arange(len(self))[np.asarray(some, None if len(some) else np.int64)]
        return Rows(self.features[at], self.scores[at], tuple(self.labels[i] for i in at))

    def joined(self, other: Rows) -> Rows:
        """These rows and others after them."""
        return Rows(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.scores, other.scores]),
            self.labels + other.labels,
        )


@dataclass(frozen=True)
class Learned:
    """What corrections add to a model."""

    task: HeadTask
    """What is answered."""
    names: tuple[str, ...]
    """Of what is answered, sorted; those of the model and new ones."""
    own: tuple[int, ...]
    """Where the names of the model stand among them; empty where answers have no names."""
    level: float
    """The score of a new name before anything was learned of it."""
    coef: NDArray[np.float64]
    """(D, K) what is added to the scores, for features of length one."""
    intercept: NDArray[np.float64]
    """(K,)."""

    def scores(self, features: Matrix, scores: Floats) -> NDArray[np.float64]:
        """What is scored now. (N, D) features, (N, K before) scores of the shipped model → (N, K)."""
        return self.widened(scores) + unit_rows(features) @ self.coef + self.intercept

    def widened(self, scores: Floats) -> NDArray[np.float64]:
        """Scores of the shipped model with a column for each name, those of new ones at the same level."""
        if len(self.own) in (0, len(self.names)):
            return np.asarray(scores, np.float64)
        wide = np.full((len(scores), len(self.names)), self.level)
        wide[:, list(self.own)] = scores
        return wide

    def losses(self, rows: Rows) -> NDArray[np.float64]:
        """What the answers to rows cost now, in nats. (N,)."""
        return costs(self.task, self.scores(rows.features, rows.scores), rows.labels, self.names)


@one_thread()
def learn(
    task: HeadTask, names: Sequence[str], known: Rows, corrections: Rows, strength: Strength = Strength()  # noqa: B008
) -> Learned:  # fmt: skip
    """Fit what corrections add to a model.

    Args:
        task: what is answered.
        names: of the model; labels that are none of them become new ones.
        known: M rows of which the model learned.
        corrections: Q rows, at least one.
        strength: how much they count.

    Raises:
        OptionError: there is nothing to learn from, or a label can be no new name of this task.
    """
    if not len(corrections):
        raise OptionError("learning from corrections needs at least one, got none. Send one.")
    start = prior(task, names, known, corrections.labels)
    wanted = task.design(task.coded(corrections.labels, start.names)).astype(np.float64)  # (Q, K)
    x = np.concatenate([unit_rows(known.features), unit_rows(corrections.features)])
    z, basis = rotate(x)  # (M + Q, R), (D, R)
    z1 = np.concatenate([z, np.ones((len(z), 1))], 1).astype(np.float64)
    held, moving = z1[: len(known)], z1[len(known) :]
    stiff = strength.known * held.T @ held + strength.ridge * np.eye(z1.shape[1])  # (R + 1, R + 1)
    offset = start.widened(corrections.scores)
    weights = np.full(len(corrections), strength.weight)
    if not start.names:  # of numbers the mean moves, and how sure it is stays: the precision is the second column
        sure, mean = float(np.mean(offset[:, 1])), offset[:, 0] / offset[:, 1]
        apart = np.stack([mean - wanted[:, 0], np.zeros(len(mean))], 1)
        w = sure * _steps(stiff, moving, weights, 1.0, 1, lambda s: apart + s)
        return replace(start, coef=basis.astype(np.float64) @ w[:-1], intercept=w[-1])
    right = task.wanted(task.coded(corrections.labels, start.names))
    curvature, shares = (0.5, lambda s: softmax(s, axis=1)) if task.exclusive else (0.25, expit)
    for _ in range(strength.rounds):
        w = _steps(stiff, moving, weights, curvature, 60, lambda s: shares(offset + s) - wanted)
        said = task.words(task.outputs(offset + moving @ w), start.names)
        wrong = np.array([one != other for one, other in zip(said, right, strict=True)])
        if not wrong.any():
            break
        weights = np.where(wrong, 2 * weights, weights)
    return replace(start, coef=basis.astype(np.float64) @ w[:-1], intercept=w[-1])


def prior(task: HeadTask, names: Sequence[str], known: Rows, labels: Sequence[str]) -> Learned:
    """The model before anything is learned, with a column for each name that is new.

    A new name begins as one that no known row has: as frequent as one row of M + 1.

    Raises:
        OptionError: ratings, numbers and classes that a threshold divides have no new names.
    """
    every = tuple(names)
    if names:
        fresh = {name for label in labels for name in names_in(label, task.name)} - set(names)
        if fresh and in_order(task.name):
            raise OptionError(
                f"a rating must be one of {', '.join(names)}, got {sorted(fresh)[0]!r}: where it stands in their order "
                "is not known. Tune again with it."
            )
        if fresh and task.decided(names):
            raise OptionError(
                f"a label must be one of {', '.join(names)}, got {sorted(fresh)[0]!r}: the model chooses between these "
                "two by a threshold (--must-find). Tune again with it."
            )
        every = tuple(sorted({*names, *fresh})) if fresh else tuple(names)
    level = -np.log(len(known) + 1.0)
    if task.exclusive and len(known):
        level += float(logsumexp(known.scores, axis=1).mean())
    width = len(every) if every else known.scores.shape[1]
    own = tuple(every.index(name) for name in names)
    return Learned(task, every, own, level, np.zeros((known.features.shape[1], width)), np.zeros(width))


@dataclass(frozen=True)
class Harm:
    """What a correction would cost elsewhere."""

    apart: Estimate
    """By how much the mean loss of known rows or earlier corrections would rise, in nats."""
    changed: bool = True
    """Whether another answer would be given to any of them."""

    @property
    def beyond_doubt(self) -> bool:
        """Whether the rise is more than chance, and more than a shift of confidence that corrections bring."""
        return self.apart.low > (TOLERATED if self.changed else TOLERATED_UNCHANGED)

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        rise = f"{self.apart.value:.2f} nats ({self.apart.low:.2f} to {self.apart.high:.2f})"
        return f"it would make the answers to rows that are known worse, by {rise} each"


TOLERATED = 0.05
"""Nats by which the mean loss of what is known may rise for corrections."""
TOLERATED_UNCHANGED = 0.3
"""The same where every answer stays what it was: a new class takes its share of the confidence of few rows."""


def harm(start: Learned, now: Learned, after: Learned, known: Rows, earlier: Rows | None = None) -> Harm:
    """What learning costs where the right answer is known already.

    Known rows are compared with the shipped model, so that many small harms add up to one that is seen; earlier
    corrections with what was learned so far.

    Args:
        start: before anything was learned, with the new names; see ``prior``.
        now: what was learned so far.
        after: what would be learned.
        known: rows of the training.
        earlier: corrections that were learned from; None where there are none.
    """
    of_known = _harm(start, after, known)
    if of_known.beyond_doubt or earlier is None:
        return of_known
    old = set(now.names)
    some = [i for i, label in enumerate(earlier.labels) if old.issuperset(names_in(label, now.task.name))]
    if len(some) < 2:
        return of_known
    rows = earlier.take(some)
    later = _harm(now, after, rows)
    return later if later.beyond_doubt else of_known


def _harm(before: Learned, after: Learned, rows: Rows) -> Harm:
    scores = [(one, one.scores(rows.features, rows.scores)) for one in (before, after)]
    said = [one.task.words(one.task.outputs(own), one.names) for one, own in scores]
    return Harm(difference(losses(after.losses(rows)), losses(before.losses(rows))), said[0] != said[1])


def costs(task: HeadTask, scores: Floats, labels: Sequence[str], names: Sequence[str]) -> NDArray[np.float64]:
    """What answers to rows cost, in nats, each hedged as if it were one of many. (N, K), N labels → (N,)."""
    targets: Targets = task.coded(labels, names)
    return np.asarray(task.losses_at(np.asarray(scores), targets, np.ones(1))[0], np.float64)


def _steps(
    stiff: NDArray[np.float64], x: NDArray[np.float64], weights: Floats, curvature: float, steps: int, gradient: Any
) -> NDArray[np.float64]:  # fmt: skip
    """Minimise ``Σ weight loss(x W) + tr(Wᵀ stiff W)/2`` by accelerated steps that never overshoot.

    As in ``strategies.frozen.solver``; for squared loss the first step is the exact answer.

    Args:
        stiff: (R, R) what holds the map.
        x: (Q, R) rows that move it.
        weights: (Q,) how much each counts.
        curvature: an upper bound on the loss's second derivative.
        steps: how many are taken.
        gradient: scores (Q, K) → derivative of the loss, the same shape.

    Returns:
        (R, K).
    """
    heavy = weights[:, None] * x  # (Q, R)
    bound = cho_factor(stiff + curvature * heavy.T @ x)
    w = ahead = np.zeros((len(stiff), gradient(np.zeros((len(x), 1))).shape[1]))
    momentum = 1.0
    for _ in range(steps):
        slope = stiff @ ahead + heavy.T @ gradient(x @ ahead)
        new = ahead - cho_solve(bound, slope)
        if (slope * (new - w)).sum() > 0:
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / following * (new - w)
        w, momentum = new, following
    return w
