"""The gate: a model whose weights moved replaces the frozen one only if held-out rows say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from handful.evaluation.association import labels_tell
from handful.evaluation.intervals import Estimate, better, difference
from handful.evaluation.metrics import Measured
from handful.evaluation.metrics import losses as losses_of

if TYPE_CHECKING:
    from handful.tasks.base import Targets

Floats = NDArray[np.floating]

LEVEL = 0.90
"""The interval of a gain; that it lies above zero happens to a worthless rival in one case of twenty."""

SURE = 0.95
"""How likely a rival must be to help where only the rows speak for it."""


@dataclass(frozen=True)
class Prior:
    """What benchmarks say about a strategy before a row is seen: its gain as a share of the loss below it."""

    mean: float
    """Over sets."""
    spread: float
    """Standard deviation over sets."""


def gain(below: Floats, above: Floats, groups: NDArray[np.integer] | None = None) -> Estimate:
    """By how much the held-out loss falls, with Student's interval of the paired difference.

    The loss, since accuracy on forty rows moves in steps; the arm below is paired with the one above row by row.

    Args:
        below: (N,) loss of the arm that has to be beaten.
        above: (N,) loss of its rival.
        groups: (N,) rows that are not independent share a number; None where all are.
    """
    return difference(losses_of(below), losses_of(above), groups, LEVEL)


def expected(found: Estimate, below: float, prior: Prior | None) -> tuple[float, float]:
    """The gain to expect, given the held-out rows and what is known from other sets, and its standard deviation.

    The mean of two normal distributions, each weighted by its precision; without a prior the rows speak alone.

    Args:
        found: the gain on the rows, with its interval.
        below: mean loss of the arm that has to be beaten.
        prior: what is known, or None.
    """
    error = (found.high - found.low) / 2 / ndtri(0.5 + LEVEL / 2)
    if error == 0 or prior is None or below == 0:  # every row gains the same, or nothing else is known
        return found.value, float(error)
    known, spread = prior.mean * below, prior.spread * below
    weight = spread**2 / (error**2 + spread**2) if np.isfinite(error) else 0.0  # of what the rows say
    return weight * found.value + (1 - weight) * known, float(spread * np.sqrt(1 - weight))


def chance_to_help(found: Estimate, below: float, prior: Prior | None) -> float:
    """How likely a gain is above zero, given the same as in ``expected``."""
    mean, deviation = expected(found, below, prior)
    if deviation == 0:
        return float(mean > 0)
    return float(ndtr(mean / deviation)) if np.isfinite(deviation) else 0.5


@dataclass(frozen=True)
class Gated:
    """Two arms on the same folds, and which one stays."""

    gain: Estimate
    """How much lower the rival's loss is on all rows."""
    chance: float
    """How likely the rival is to help, with what is known about it from other sets."""
    learnable: bool
    """Whether labels, beyond doubt mean something: to the rival, or to what the frozen backbones see."""
    passed: bool
    """Whether the rival replaces the arm below."""
    whole: NDArray[np.float64]
    """(N, K) answers when the gate decides for every fold without the rows of that fold."""


def gate(
    below: NDArray[np.float64],
    above: NDArray[np.float64],
    targets: Targets,
    folds: NDArray[np.integer],
    groups: NDArray[np.integer] | None,
    prior: Prior | None = None,
    seen: Seen | None = None,
) -> Gated:
    """Let one arm try to replace another.

    It has to be better on the held-out rows, beyond doubt unless other sets speak for it too; and where labels mean
    nothing, nothing that was learned from them may move a weight. They mean something if the rival is surer, or by the
    headline metric better, than an answer that looks at no item, or if what frozen backbones see depends on them;
    either beyond doubt.

    Args:
        below: (N, K) held-out answers of the arm that stays unless it is beaten.
        above: (N, K) those of its rival, on the same folds.
        targets: of the N rows.
        folds: (N,) fold of each row.
        groups: (N,) rows that are not independent share a number, or None.
        prior: what is known about the rival from other sets.
        seen: what frozen backbones see in the rows; None asks the rival alone.
    """
    ahead = _Ahead.of(above, targets)
    losses = targets.task.losses(below, targets)  # (N,)

    def judged(rows: NDArray[np.bool_]) -> tuple[Estimate, float, bool]:
        own = None if groups is None else groups[rows]
        found = gain(losses[rows], ahead.losses[rows], own)
        tell = max(lead.low for lead in ahead.leads(rows, own)) > 0
        tell = tell or (seen is not None and seen.tells(own, rows))
        return found, chance_to_help(found, float(losses[rows].mean()), prior), tell

    def passes(found: Estimate, chance: float, learnable: bool) -> bool:
        # Rows and other sets that both speak for a rival are enough; rows alone have to be sure.
        return found.value > 0 and (prior is not None or chance >= SURE) and learnable

    found, chance, learnable = judged(np.ones(len(targets), bool))
    whole = below.copy()
    for k in np.unique(folds):
        if passes(*judged(folds != k)):
            whole[folds == k] = above[folds == k]
    return Gated(found, chance, learnable, passes(found, chance, learnable), whole)


@dataclass(frozen=True)
class Seen:
    """What frozen backbones see, which knows nothing of the labels."""

    rows: NDArray[np.float32]
    """(N, D) in the rows."""
    names: NDArray[np.float32] | None
    """(C, D) in the names of the classes; None where these say nothing."""
    design: NDArray[np.float32]
    """(N, K) what is wanted of the rows, as a linear map learns it."""

    def tells(self, groups: NDArray[np.integer] | None, rows: NDArray[np.bool_] | slice = slice(None)) -> bool:
        """Whether what is seen in some of the rows depends on what is wanted of them, beyond doubt."""
        return labels_tell(self.rows[rows], self.design[rows], groups, self.names)


@dataclass(frozen=True)
class _Ahead:
    """An arm beside an answer that looks at no item, on the same rows."""

    losses: Floats
    """(N,) of the arm."""
    none: Floats
    """(N,) of the other."""
    score: Measured
    """The headline metric of the arm."""
    nothing: Measured
    """The same of the other."""

    @classmethod
    def of(cls, outputs: NDArray[np.float64], targets: Targets) -> _Ahead:
        task, metric = targets.task, targets.task.headline
        constant = np.broadcast_to(task.constant(targets), outputs.shape)
        own, none = (task.losses(answer, targets) for answer in (outputs, constant))
        score, nothing = (metric.of(answer[None], targets) for answer in (outputs, constant))
        return cls(own, none, score, nothing)

    def leads(self, rows: NDArray[np.bool_] | slice, groups: NDArray[np.integer] | None) -> tuple[Estimate, Estimate]:
        """By how much the arm is surer, and by how much it is better."""
        surer = gain(self.none[rows], self.losses[rows], groups)
        return surer, better(self.score.take(rows), self.nothing.take(rows), groups, LEVEL)


def chance_to_show(
    below: NDArray[np.float64], targets: Targets, groups: NDArray[np.integer] | None, prior: Prior
) -> float:
    """How likely a rival, before it is tried, is to be shown better than an answer that looks at no item.

    Every row is expected to lose the share of its loss that the prior says, and as large a share of the errors to go,
    so that this share alone is unknown: it has to lift the lower end of the lead over no model at all, in loss or in
    the headline metric, above zero. Few rows of few classes rarely let it.

    Args:
        below: (N, K) held-out answers of the arm that has to be beaten.
        targets: of the N rows.
        groups: (N,) rows that are not independent share a number, or None.
        prior: what is known about the rival from other sets.
    """
    ahead = _Ahead.of(below, targets)
    surer, improved = ahead.leads(slice(None), groups)
    left = 1 - ahead.score.value if ahead.score.metric.higher_is_better else ahead.score.value
    return max(_chance(surer, float(ahead.losses.mean()), prior), _chance(improved, left, prior))


def _chance(ahead: Estimate, left: float, prior: Prior) -> float:
    """How likely losing a share of what is left lifts the lower end of a lead above zero."""
    if left == 0:  # nothing is left to lose
        return float(ahead.low > 0)
    return float(ndtr((prior.mean + ahead.low / left) / prior.spread))
