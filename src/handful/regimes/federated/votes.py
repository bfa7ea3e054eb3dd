"""What held-out rows say of several heads, as sums over rows, and which head is taken by these sums.

``K`` folds, ``S`` penalties, ``P`` values of sharpness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError
from handful.regimes.federated.heads import Maps
from handful.regimes.federated.sums import Added, Floats
from handful.tasks.base import Targets
from handful.tasks.classification.softmax import SMALLEST

FACTORS = np.geomspace(0.5, 512.0, 21)
"""What scores may be multiplied by."""


@dataclass(frozen=True)
class Votes(Added):
    """What rows say of heads that learned from none of the rows of their fold, anywhere."""

    rows: Floats
    """(K,) how many rows there are."""
    independent: Floats
    """(K,) how many of them stand for themselves: copies, and rows of one group, count once."""
    losses: Floats
    """(K, S, P) the sum of their losses, in nats."""
    leads: Floats
    """(K, S) the sum of what smoothed targets cost, per unit of sharpness; see ``HeadTask.smoothing``."""
    right: Floats
    """(K, S) how many are answered right."""


@dataclass(frozen=True)
class Setting:
    """One penalty with one sharpness."""

    penalty: int
    """Which of the S."""
    sharpness: float
    """What scores are multiplied by."""


@dataclass(frozen=True)
class Choice:
    """What was taken by the sums of all sites."""

    final: Setting
    """By all rows: what the model is made with."""
    by_fold: tuple[Setting, ...]
    """K, each by the rows of all other folds, so that no row chooses what it is scored with."""
    rows: float
    """How many rows were held out."""
    independent: float
    """How many of them stand for themselves."""
    right: float
    """How many of them were answered right."""


def held_out_scores(maps: Sequence[Maps], features: NDArray[np.floating], folds: NDArray[np.integer]) -> Floats:
    """Each row by the maps of its own fold. K maps, (N, D), (N,) → (S, N, C)."""
    out = np.zeros((maps[0].coef.shape[0], len(features), maps[0].coef.shape[2]))
    for fold, own in enumerate(maps):
        out[:, folds == fold] = own.scores(features[folds == fold])
    return out


@dataclass(frozen=True)
class Scale:
    """What losses are summed up for."""

    factors: Floats = field(default_factory=lambda: FACTORS)
    """The P values of sharpness."""
    most: float = np.inf
    """Nats that a row counts for at most."""


def votes_of(
    scores: Floats, targets: Targets, folds: NDArray[np.integer], groups: NDArray[np.integer], count: int,
    scale: Scale = Scale(),  # noqa: B008
) -> Votes:  # fmt: skip
    """What the rows of a site say.

    Args:
        scores: (S, N, C) held out.
        targets: of the N rows, with the classes of all sites.
        folds: (N,) fold of each row.
        groups: (N,) rows that share a number stand for each other.
        count: how many folds there are, K.
        scale: what losses are summed up for.
    """
    each = np.minimum(targets.task.losses_at(scores, targets, scale.factors), scale.most)  # (P, S, N)
    losses = np.moveaxis(each, 0, -1).astype(np.float64)  # (S, N, P)
    leads = np.stack([_leads(own, targets, folds) for own in scores])  # (S, N)
    right = np.stack([right_of(own, targets) for own in scores])  # (S, N)
    own = [folds == fold for fold in range(count)]
    return Votes(
        np.array([float(rows.sum()) for rows in own]),
        np.array([float(len(np.unique(groups[rows]))) for rows in own]),
        np.stack([losses[:, rows].sum(1) for rows in own]),
        np.stack([leads[:, rows].sum(1) for rows in own]),
        np.stack([right[:, rows].sum(1) for rows in own]).astype(np.float64),
    )


def right_of(scores: Floats, targets: Targets) -> NDArray[np.bool_]:
    """Which rows are answered as they should be. (N, C) → (N,)."""
    said, wanted = targets.task.words(targets.task.outputs(scores), targets.names), targets.task.wanted(targets)
    return np.array([one == other for one, other in zip(said, wanted, strict=True)], bool)


def _leads(scores: Floats, targets: Targets, folds: NDArray[np.integer]) -> Floats:
    """(N,) what smoothed targets cost; each fold is a fit of its own, and may lack other classes."""
    out = np.zeros(len(targets))
    for fold in np.unique(folds):
        own = folds == fold
        out[own] = targets.task.smoothing(scores[own], targets.take(own))
    return out


def chosen(votes: Votes) -> Choice:
    """Take the penalty and the sharpness of the lowest mean loss on rows that were held out.

    The same numbers as from the rows themselves, as ``evaluation.calibration`` takes them.

    Raises:
        DataError: nobody held out a row.
    """
    rows = float(votes.rows.sum())
    if rows <= 0:
        raise DataError("no site answered how its rows fare, so that nothing can be chosen. Start all of them again.")
    every = np.arange(len(votes.rows))
    final = _setting(votes, np.ones(len(every), bool), rows)
    by_fold = []
    for fold in every:
        others = (every != fold) & (votes.rows > 0)
        by_fold.append(_setting(votes, others, rows) if others.any() else final)
    right = sum(float(votes.right[fold, setting.penalty]) for fold, setting in enumerate(by_fold))
    return Choice(final, tuple(by_fold), rows, float(votes.independent.sum()), right)


def _setting(votes: Votes, some: NDArray[np.bool_], rows: float) -> Setting:
    cost = votes.losses[some].sum(0) + FACTORS * votes.leads[some].sum(0)[:, None] / (rows + 2)  # (S, P)
    penalty, factor = np.unravel_index(int(cost.argmin()), cost.shape)
    return Setting(int(penalty), float(FACTORS[factor]))


def by_choice(scores: Floats, by_fold: Sequence[Setting], folds: NDArray[np.integer]) -> Floats:
    """Scores with the setting that was taken for each fold. (S, N, C), K settings, (N,) → (N, C)."""
    out = np.zeros(scores.shape[1:])
    for fold, setting in enumerate(by_fold):
        own = folds == fold
        out[own] = setting.sharpness * scores[setting.penalty, own]
    return out


def added(votes: Sequence[Votes]) -> Votes:
    """The votes of several sites together.

    Raises:
        DataError: there are none.
    """
    if not votes:
        raise DataError("a site at least must answer how its rows fare, got none. Start all of them again.")
    return reduce(Votes.__add__, votes)


def check_votes(votes: Votes, rows: Floats | None) -> None:
    """Refuse votes that so many rows cannot give.

    Args:
        votes: of the right shapes.
        rows: (K,) how many rows the site told before; None where noise was added to them.

    Raises:
        DataError: they are not finite, or more or less than so many rows can say.
    """
    if not all(np.isfinite(part).all() for part in votes.parts):
        raise DataError("its answers must be finite numbers, got NaN or infinity")
    if rows is None:
        return
    most = -np.log(SMALLEST) * rows[:, None, None] * (1 + 1e-3)
    if (
        (votes.rows != rows).any() or (votes.independent > rows).any() or (votes.independent < 0).any()
        or (votes.losses < 0).any() or (votes.losses > most).any()
        or (votes.right < 0).any() or (votes.right > rows[:, None]).any()
    ):  # fmt: skip
        raise DataError("its answers must be those of the rows whose sums it sent, got others")
