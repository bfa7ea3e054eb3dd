"""The decision: the arm ships whose loss on new items is expected to be lowest, given the rows and what is known of it.

What is claimed is another question, which the rows alone answer (``verdicts``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri
from scipy.stats import norm

from handful.evaluation.intervals import LEVEL as _CLAIMED
from handful.evaluation.intervals import Estimate, better, difference
from handful.evaluation.metrics import LOSS, Measured, ratio
from handful.evaluation.metrics import losses as losses_of

if TYPE_CHECKING:
    from handful.tasks.base import Targets

Floats = NDArray[np.floating]

LEVEL = 0.90
"""The interval of a gain; that it lies above zero happens to a worthless rival in one case of twenty."""

PRICE = 0.02
"""Of the loss an arm has to save so much to be worth a model, or a backbone, more at every prediction."""

SURE = 0.95
"""How likely a rival must be to help where only the rows speak for it."""


@dataclass(frozen=True)
class Prior:
    """What other sets say about a strategy before a row is seen: its gain as a share of the loss below it.

    A mixture of two normal distributions: trainings that go as they usually do, and a few that do harm.
    """

    mean: float
    """Of trainings that go as usual."""
    spread: float
    """Their standard deviation."""
    harmful: float = 0.0
    """The share of trainings that do harm."""
    harm: float = -0.5
    """The mean gain of these."""
    harm_spread: float = 0.5
    """Their standard deviation."""
    better: int = 0
    """In how many draws of other sets it was better than the arm below."""
    of: int = 0
    """Of how many."""

    @property
    def parts(self) -> tuple[tuple[float, float, float], ...]:
        """Weight, mean and standard deviation of each part that there is."""
        usual = (1 - self.harmful, self.mean, self.spread)
        return (usual, (self.harmful, self.harm, self.harm_spread)) if self.harmful else (usual,)


def gain(
    below: Floats, above: Floats, groups: NDArray[np.integer] | None = None, weights: Floats | None = None
) -> Estimate:
    """By how much the held-out loss falls, with Student's interval of the paired difference.

    The loss, since accuracy on forty rows moves in steps; the arm below is paired with the one above row by row.

    Args:
        below: (N,) loss of the arm that has to be beaten.
        above: (N,) loss of its rival.
        groups: (N,) rows that are not independent share a number; None where all are.
        weights: (N,) how much each row counts; alike by default.
    """
    if weights is None:
        return difference(losses_of(below), losses_of(above), groups, LEVEL)
    first, second = (ratio(LOSS, weights * losses, weights) for losses in (below, above))
    return difference(first, second, groups, LEVEL)


def best_beyond_doubt(
    arms: Sequence[Measured], groups: NDArray[np.integer] | None, finer: Sequence[Measured] | None = None
) -> int:
    """Which arm to take where nothing but the rows speaks.

    Each in turn replaces the one before if it is better beyond doubt. With many arms one of them is lucky: each is
    asked for so much more (Bonferroni) that a worthless arm is taken in at most one run of twenty, however many were
    tried. Of the error of an interval half lies above it, so that there is room for a second look by a finer metric.

    Args:
        arms: of each arm what N rows add to the sums of one metric; the one that stays unless it is beaten comes first.
        groups: (N,) rows that are not independent share a number; None where all are.
        finer: the same in a finer metric, which decides where N rows are too few for the first one to tell two arms
            apart, and do not speak against it; None where there is none.

    Returns:
        The position of the arm.
    """
    best, level = 0, 1 - (1 - _CLAIMED) / max(1, len(arms) - 1)
    for i, arm in enumerate(arms[1:], 1):
        gain = better(arm, arms[best], groups, level)
        if gain.holds_zero and gain.value >= 0 and finer is not None:
            gain = better(finer[i], finer[best], groups, level)
        if gain.low > 0:
            best = i
    return best


@dataclass(frozen=True)
class Expected:
    """What a gain is expected to be on new items."""

    mean: float
    """In the unit of the loss."""
    chance: float
    """How likely it is above zero."""


def expected(estimate: Estimate, below: float, prior: Prior | None) -> Expected:
    """The gain to expect, given the held-out rows and what is known from other sets.

    Each part of the prior and the rows are two normal distributions: the mean of both, each weighted by its precision;
    parts count by how well they foretold the rows. Without a prior the rows speak alone.

    Args:
        estimate: the gain on the rows, with its interval.
        below: mean loss of the arm that has to be beaten.
        prior: what is known, or None.
    """
    error = float((estimate.high - estimate.low) / 2 / ndtri(0.5 + LEVEL / 2))
    if prior is None or below <= 0 or error == 0:  # nothing else is known, or every row gains the same
        if not np.isfinite(error):
            return Expected(estimate.value, 0.5)
        chance = float(ndtr(estimate.value / error)) if error else float(estimate.value > 0)
        return Expected(estimate.value, chance)
    logs, means, chances = [], [], []
    for weight, mean, spread in prior.parts:
        known, varies = mean * below, spread * below
        trust = varies**2 / (error**2 + varies**2) if np.isfinite(error) else 0.0  # in what the rows say
        middle, deviation = trust * estimate.value + (1 - trust) * known, varies * np.sqrt(1 - trust)
        foretold = norm.logpdf(estimate.value, known, np.hypot(error, varies)) if np.isfinite(error) else 0.0
        logs.append(np.log(weight) + foretold)
        means.append(middle)
        chances.append(ndtr(middle / max(deviation, 1e-12)))
    weights = np.exp(np.array(logs) - logsumexp(logs))
    return Expected(float(weights @ np.array(means)), float(weights @ np.array(chances)))


def judged(
    estimate: Estimate, below: float, blind: float, prior: Prior | None = None, price: float = PRICE
) -> tuple[Expected, bool]:
    """What a gain is expected to be on new items, and whether it is enough for a rival to ship.

    Args:
        estimate: the gain on the rows, with its interval.
        below: mean loss of the arm that has to be beaten.
        blind: mean loss of an answer that looks at no item.
        prior: what is known of the rival from other sets, or None.
        price: the share of the loss that it has to save, where other sets speak for it.
    """
    outlook = expected(estimate, below, prior)
    worth = outlook.mean - max(0.0, below - blind)
    passed = worth > price * below if prior is not None else worth > 0 and outlook.chance >= SURE
    return outlook, passed


@dataclass(frozen=True)
class Decided:
    """Two arms on the same folds, and which one stays."""

    gain: Estimate
    """How much lower the rival's loss is on all rows."""
    expected: Expected
    """What that is expected to be on new items, with what is known about the rival from other sets."""
    passed: bool
    """Whether the rival replaces the arm below."""
    whole: NDArray[np.float64]
    """(N, K) answers when every fold is decided without its own rows."""

    def told(self, prior: Prior | None, too_little: str) -> str:
        """What rows and other sets say of the rival, in one plain sentence.

        Args:
            prior: what the decision knew from other sets.
            too_little: what a gain is that was expected and not taken, after "too little to".
        """
        side = "lower" if self.gain.value >= 0 else "higher"
        ends = f"{self.gain.low:+.2f} to {self.gain.high:+.2f}".replace("-", "\N{MINUS SIGN}")
        size = f"{abs(self.gain.value):.2f} {side} (gain {ends})"
        short = not self.passed and self.gain.value > 0
        if prior is None:
            said = f"On these rows its loss is {size} than that of the model before it"
            return said + ", which is not beyond doubt" * short
        draws = f", where it was better in {prior.better} of {prior.of} draws" if prior.of else ""
        said = f"The chance that it does better on new items than the model before it is {self.expected.chance:.0%}"
        said = f"{said}, judged by these rows, on which its loss is {size}, and by other data sets{draws}"
        return said + f"; that is too little to {too_little}" * short


def decide(
    below: NDArray[np.float64],
    above: NDArray[np.float64],
    targets: Targets,
    folds: NDArray[np.integer],
    groups: NDArray[np.integer] | None,
    prior: Prior | None = None,
    weights: Floats | None = None,
    price: float = PRICE,
) -> Decided:
    """Let one arm try to replace another.

    Where other sets speak for it, it ships if its loss is expected to be so much lower that it is worth its price;
    where the rows speak alone, if it is lower beyond doubt. What lies above the loss of an answer that looks at no item
    is no gain: where labels mean nothing, an arm that is less sure of itself has learned nothing either.

    Args:
        below: (N, K) held-out answers of the arm that stays unless it is beaten.
        above: (N, K) those of its rival, on the same folds.
        targets: of the N rows.
        folds: (N,) fold of each row.
        groups: (N,) rows that are not independent share a number, or None.
        prior: what is known about the rival from other sets.
        weights: (N,) how much each row counts, where what will be asked is another mixture than the rows.
        price: the share of the loss that the rival has to save, where other sets speak for it; 0: it costs nothing.
    """
    first, second = (targets.task.losses(answers, targets) for answers in (below, above))  # (N,)

    def by(rows: NDArray[np.bool_]) -> tuple[Estimate, Expected, bool]:
        counts = None if weights is None else weights[rows]
        estimate = gain(first[rows], second[rows], None if groups is None else groups[rows], counts)
        loss, some = float(np.average(first[rows], weights=counts)), targets.take(rows)
        blind = float(np.average(some.task.losses(some.task.blind(some), some), weights=counts))
        return estimate, *judged(estimate, loss, blind, prior, price)

    estimate, outlook, passed = by(np.ones(len(targets), bool))
    whole = below.copy()
    for k in np.unique(folds):
        if by(folds != k)[2]:
            whole[folds == k] = above[folds == k]
    return Decided(estimate, outlook, passed, whole)
