"""Verdicts: out-of-fold probabilities of every arm in, Scores with intervals, ties and reasons out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.curves import Curve
from handful.evaluation.intervals import (
    LEVEL,
    Estimate,
    accuracy_interval,
    bootstrap,
    independent_rows,
    paired_difference,
    wilson,
)
from handful.evaluation.metrics import METRICS, confusion
from handful.evaluation.scores import Arm, ClassScore, HeldOut, Scores

REFERENCE = "majority"
"""The arm that every other one must beat to be worth anything."""

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Held:
    """The out-of-fold answers of one arm."""

    name: str
    """What the arm is called."""
    proba: Probabilities
    """(R, N, C), every choice made inside the training part of the fold."""
    rung: int = 0
    """The rung of the ladder."""
    seconds: float = 0.0
    """What the arm's fits took."""
    setting: dict[str, Any] | None = None
    """The options that its refit on all rows uses."""
    gate: str = ""
    """How it fared against the arm below it, in words, where the gate was asked."""
    on_few: Probabilities | None = None
    """(1, N, C) the same on the few folds on which weights move; None where none did."""

    def right(self, truth: NDArray[np.integer], few: bool = False) -> NDArray[np.float64]:
        """(N,) the share of repeats in which each row was answered right, or whether it was on the few folds."""
        answers = self.proba if self.on_few is None or not few else self.on_few
        return np.asarray((answers.argmax(2) == truth).mean(0), np.float64)


@dataclass(frozen=True)
class Rows:
    """What is known about the rows that were held out."""

    truth: NDArray[np.int64]
    """(N,) class numbers."""
    labels: tuple[str, ...]
    """C class names."""
    groups: NDArray[np.int64] | None
    """(N,) rows that are not independent share a number; None where all are."""
    positions: tuple[int, ...]
    """(N,) zero-based position of each row in its source."""
    folds: int = 0
    """How many folds the answers of the whole procedure come from, where these are the few on which weights move."""


def measure(proba: Probabilities, rows: Rows, metric: str, rng: np.random.Generator, level: float = LEVEL) -> Estimate:
    """The metric of out-of-fold answers (R, N, C), with its interval."""
    predicted, classes = proba.argmax(2), len(rows.labels)
    if metric == "accuracy":
        return accuracy_interval((predicted == rows.truth).mean(0), rows.groups, level)
    score = METRICS[metric]

    def statistic(at: NDArray[np.integer]) -> float:
        return score(np.sum([confusion(rows.truth[at], row[at], classes) for row in predicted], 0))

    return bootstrap(statistic, len(rows.truth), rng, rows.groups, level)


def promised(estimate: Estimate, curve: Curve | None, folds: int = 0) -> Estimate:
    """The interval of the model that is shipped: it learned from all rows, those that were measured from fewer.

    Its upper end is moved up by what the learning curve expects of the rows that a fold leaves out. The value stays
    what was measured, and the lower end too, since that expectation may be wrong.

    Args:
        estimate: what was measured.
        curve: what the folds say about fewer and more labels; None: nothing is moved.
        folds: how many folds were measured on, where they are others than those of the curve.
    """
    if curve is None:
        return estimate
    return replace(estimate, high=min(1.0, estimate.high + curve.unseen(folds)))


def compare(
    arms: Sequence[Held], whole: Probabilities, chosen: str, rows: Rows, metric: str, rng: np.random.Generator
) -> tuple[Arm, ...]:
    """Set every arm against the chosen one, and the chosen one against the reference, always on the same folds.

    Args:
        arms: all arms, cheapest first.
        whole: (R, N, C) answers of the whole procedure, the choice of arm included.
        chosen: the arm that the whole procedure ended with.
        rows: what was held out.
        metric: the metric of the estimates; differences are always of accuracies.
        rng: source of bootstrap draws.
    """
    few = rows.folds > 0
    taken = next((arm.on_few for arm in arms if arm.name == chosen), None)
    procedure = Held(chosen, whole, on_few=whole if few else taken)
    out = []
    for arm in arms:
        estimate = measure(arm.proba, rows, metric, rng)
        if arm.name == chosen:
            versus = next((a for a in arms if a.name == REFERENCE), None)
            first = procedure.right(rows.truth, few)
            second = None if versus is None else versus.right(rows.truth, few)
        else:
            versus, alike = procedure, few or arm.rung > 0
            first, second = (one.right(rows.truth, alike) for one in (arm, procedure))
        difference = None if second is None else paired_difference(first, second, rows.groups)
        verdict, reason = _judge(arm.name, chosen, difference)
        if arm.gate:
            reason = f"{reason} Against the arm below, {arm.gate}."
        name = versus.name if versus else None
        out.append(Arm(arm.name, arm.rung, estimate, verdict, reason, name, difference, arm.seconds, arm.setting))
    return tuple(out)


def _judge(name: str, chosen: str, difference: Estimate | None) -> tuple[str, str]:
    if difference is None:
        return "chosen", "Taken for its held-out log loss; there is no reference arm to compare with."
    points = f"{abs(100 * difference.value):.0f} points ({_signed(difference.low)} to {_signed(difference.high)})"
    if name == chosen:
        if difference.holds_zero:
            return (
                "chosen",
                f"Taken for its held-out log loss, but a tie with always answering the same class: {points}.",
            )
        side = "but worse" if difference.value < 0 else "better"
        return "chosen", f"Taken for its held-out log loss, {side} than always answering the same class by {points}."
    if difference.holds_zero:
        return "tie", f"Cannot be told from {chosen} on these rows: {points} apart."
    side = "worse" if difference.value < 0 else "better"
    return side, f"{side.capitalize()} than {chosen} by {points}."


def _signed(share: float) -> str:
    """A difference in points, with a real minus sign and no sign on zero."""
    points = round(100 * share)
    return f"{points:+d}".replace("-", "\N{MINUS SIGN}") if points else "0"


def class_scores(whole: Probabilities, rows: Rows) -> tuple[NDArray[np.float64], tuple[ClassScore, ...]]:
    """The confusion table (C, C), mean over repeats, and each class's recall and precision with their intervals.

    How often a class is answered varies over repeats, so that its precision rests on the mean number of such answers;
    where rows come in groups they count for less, as they do in the accuracy of all rows.
    """
    classes = len(rows.labels)
    predicted = whole.argmax(2)
    table = np.mean([confusion(rows.truth, row, classes) for row in predicted], 0)  # (C, C)
    right = (predicted == rows.truth).mean(0)
    worth = independent_rows(right, rows.groups) / len(right)
    out = []
    for c, name in enumerate(rows.labels):
        own = rows.truth == c
        answered = table[:, c].sum()
        recall = accuracy_interval(right[own], None if rows.groups is None else rows.groups[own])
        precision = wilson(float(table[c, c] / answered), max(1.0, worth * answered)) if answered else None
        out.append(ClassScore(name, int(own.sum()), recall, precision))
    return table, tuple(out)


def held_out_answers(whole: Probabilities, rows: Rows) -> tuple[HeldOut, ...]:
    """What was answered for each row while it was held out, in the order of the rows."""
    mean = whole.mean(0)  # (N, C)
    best = mean.argmax(1)
    return tuple(
        HeldOut(row, rows.labels[t], rows.labels[b], float(mean[i, b]), float(mean[i, t]))
        for i, (row, t, b) in enumerate(zip(rows.positions, rows.truth, best, strict=True))
    )


def score_test(predicted: Sequence[str], labels: Sequence[str], metric: str, rng: np.random.Generator) -> Estimate:
    """The metric on the N rows that the source keeps for a test, with its interval.

    Args:
        predicted: N class names answered.
        labels: N true class names; some may be of classes that no training row has.
        metric: one of ``METRICS``.
        rng: source of bootstrap draws.
    """
    names, coded = np.unique([*labels, *predicted], return_inverse=True)
    truth, answers = np.split(coded, 2)
    rows = Rows(truth, tuple(names.tolist()), None, tuple(range(len(truth))))
    return measure(np.eye(len(names))[None, answers], rows, metric, rng)


def sentence(estimate: Estimate, arms: Sequence[Arm], rows: Rows, metric: str) -> str:
    """The cross-validated result in words, with what it does not show."""
    chosen = next(arm for arm in arms if arm.verdict == "chosen")
    kind = metric.replace("_", " ")
    between = f"between {estimate.low:.0%} and {estimate.high:.0%} (95 % interval, {len(rows.truth)} rows held out)"
    said = f"{kind} {estimate.value:.0%}, {between}"
    ties = [arm.name for arm in arms if arm.verdict == "tie"]
    if chosen.difference is not None and chosen.difference.low <= 0:
        return f"{said}; not yet better than always answering the same class: collect more rows."
    if ties:
        return f"{said}; {chosen.name} is taken, {_listed(ties)} cannot be told from it."
    return f"{said}; {chosen.name} is taken."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def assemble(
    arms: Sequence[Held], whole: Probabilities, chosen: str, rows: Rows,
    *, metric: str, protocol: str, rng: np.random.Generator, curve: Curve | None = None,
) -> Scores:  # fmt: skip
    """Put the Scores of a run together.

    Args:
        arms: all arms, cheapest first.
        whole: (R, N, C) answers of the whole procedure, the choice of arm included.
        chosen: the arm that became the model.
        rows: what was held out.
        metric: one of ``METRICS``.
        protocol: how rows were held out, in words.
        rng: source of bootstrap draws.
        curve: what the folds say about fewer and more labels; without it the interval is about the models of the folds.
    """
    estimate = promised(measure(whole, rows, metric, rng), curve, rows.folds)
    compared = compare(arms, whole, chosen, rows, metric, rng)
    table, classes = class_scores(whole, rows)
    return Scores(
        metric=metric,
        n=len(rows.truth),
        labels=rows.labels,
        protocol=protocol,
        chosen=chosen,
        estimate=estimate,
        arms=compared,
        confusion=table,
        classes=classes,
        sentence=sentence(estimate, compared, rows, metric),
        curve=curve,
    )
