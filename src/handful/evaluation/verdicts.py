"""Verdicts: held-out answers of every arm in, Scores with intervals, ties and reasons out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handful.data.names import in_a_row
from handful.evaluation.curves import Curve
from handful.evaluation.intervals import Estimate, difference, interval, widened
from handful.evaluation.metrics import Measured, Metric, Scale
from handful.evaluation.scores import Arm, Scores

if TYPE_CHECKING:
    from handful.tasks.base import AnyTargets, Targets, Task

# (R, N, K) of heads; of language models what the task counted of their answers to N rows.
Outputs = Any


@dataclass(frozen=True)
class Held:
    """The out-of-fold answers of one arm."""

    name: str
    """What the arm is called."""
    outputs: Outputs
    """To N rows, every choice made inside the training part of the fold: (R, N, K) of heads."""
    rung: int = 0
    """The rung of the ladder."""
    seconds: float = 0.0
    """What the arm's fits took."""
    setting: dict[str, Any] | None = None
    """The options that its refit on all rows uses."""
    gate: str = ""
    """How it fared against the arm below it, in words, where weights moved."""
    on_few: Outputs | None = None
    """(1, N, K) the same on the few folds on which weights move; None where none did."""

    def measured(self, rows: Rows, metric: Metric, few: bool = False) -> Measured:
        """What its answers add to the sums of a metric, on all repeats or on the few folds."""
        return metric.of(self.outputs if self.on_few is None or not few else self.on_few, rows.targets)


@dataclass(frozen=True)
class Rows:
    """What is known about the rows that were held out."""

    targets: AnyTargets
    """Of the N rows."""
    groups: NDArray[np.int64] | None
    """(N,) rows that are not independent share a number; None where all are."""
    positions: tuple[int, ...]
    """(N,) zero-based position of each row in its source."""
    folds: int = 0
    """How many folds the answers of the whole procedure come from, where these are the few on which weights move."""
    finer: Metric | None = None
    """What tells arms apart where the rows are too few for the metric to do that; None for nothing."""


@dataclass(frozen=True)
class HeadRows(Rows):
    """What is known about rows that heads answered."""

    targets: Targets
    """Of the N rows."""


def promised(estimate: Estimate, curve: Curve | None, scale: Scale, folds: int = 0) -> Estimate:
    """The interval of the model that is shipped: it learned from all rows, those that were measured from fewer.

    Its better end is moved on by what the learning curve expects of the rows that a fold leaves out. The value stays
    what was measured, and the worse end too, since that expectation may be wrong. A curve that is told otherwise moves
    nothing.

    Args:
        estimate: what was measured.
        curve: what the folds say about fewer and more labels; None: nothing is moved.
        scale: of the metric that was measured.
        folds: how many folds were measured on, where they are others than those of the curve.
    """
    if curve is None or curve.scale != scale:
        return estimate
    return widened(estimate, curve.unseen(folds), scale)


def compare(
    arms: Sequence[Held], whole: Outputs, chosen: str, rows: Rows, metric: Metric, rng: np.random.Generator
) -> tuple[Arm, ...]:
    """Set every arm against the chosen one, and the chosen one against the reference, always on the same folds.

    Args:
        arms: all arms, cheapest first.
        whole: (R, N, K) answers of the whole procedure, the choice of arm included.
        chosen: the arm that the whole procedure ended with.
        rows: what was held out.
        metric: what is estimated, and what arms are compared by.
        rng: source of bootstrap draws.
    """
    few = rows.folds > 0
    taken = next((arm.on_few for arm in arms if arm.name == chosen), None)
    procedure = Held(chosen, whole, on_few=whole if few else taken)
    # On all repeats and on the few folds: what every arm is set against is measured once.
    own = [procedure.measured(rows, metric, on_few) for on_few in (False, True)]
    reference = next((arm for arm in arms if arm.name == rows.targets.task.reference.name), None)
    out = []
    for arm in arms:
        measured = interval(arm.measured(rows, metric), rows.groups, rng=rng)
        versus, apart, by = reference if arm.name == chosen else procedure, None, None
        if arm.name != chosen:
            alike = few or arm.rung > 0
            apart = difference(arm.measured(rows, metric, alike), own[alike], rows.groups, rng=rng)
        elif reference is not None:
            apart = difference(own[few], reference.measured(rows, metric, few), rows.groups, rng=rng)
        if arm is reference and arm.name == chosen:
            versus, apart = None, None
        if apart is not None and versus is not None:
            apart, by = _by_finer(apart, arm, versus, rows, metric)
        verdict, reason = _judge(arm.name, chosen, apart, by or metric, rows.targets.task)
        if by is not None:
            reason += f" {_too_few(metric, rows, arm.name, versus.name if versus else '')}"
        if arm.gate:
            reason = f"{reason} {arm.gate}."
        name, outputs = versus.name if versus else None, whole if arm.name == chosen else arm.outputs
        further = {
            other.name: interval(other.of(outputs, rows.targets), rows.groups, rng=rng)
            for other in rows.targets.task.beside_metric(outputs, metric)
        }
        out.append(
            Arm(
                arm.name, arm.rung, measured, verdict, reason, name, apart, arm.seconds, arm.setting, further,
                None if by is None else by.scale,
            )
        )  # fmt: skip
    return tuple(out)


def _by_finer(apart: Estimate, arm: Held, versus: Held, rows: Rows, metric: Metric) -> tuple[Estimate, Metric | None]:
    """The difference of two arms, by the finer metric where that alone shows one and the other does not object."""
    if rows.finer is None or not apart.holds_zero:
        return apart, None
    finer = difference(arm.measured(rows, rows.finer), versus.measured(rows, rows.finer), rows.groups)
    gain = finer.value if rows.finer.higher_is_better else -finer.value
    objects = gain * (apart.value if metric.higher_is_better else -apart.value) < 0
    return (apart, None) if finer.holds_zero or objects else (finer, rows.finer)


def _too_few(metric: Metric, rows: Rows, name: str, versus: str) -> str:
    """That it was not the metric that told two arms apart."""
    assert rows.finer is not None
    return (
        f"That is by its {rows.finer.title}: {len(rows.targets)} rows are too few for {metric.title} to tell "
        f"{name} from {versus}."
    )


def _judge(name: str, chosen: str, apart: Estimate | None, metric: Metric, task: Task) -> tuple[str, str]:
    """The verdict on an arm and the sentence for it, from its difference to what it is set against."""
    reference, taken = task.reference, f"Taken for {task.taken_for}"
    if apart is None and name == reference.name:
        return "chosen", "Taken since nothing that was tried is better beyond doubt."
    if apart is None:
        return "chosen", f"{taken}; there is no reference arm to compare with."
    gain = apart if metric.higher_is_better else -apart
    told = apart if apart.holds_zero else gain if gain.value > 0 else -gain  # above zero where a side is named
    size = metric.scale.apart(told.value, told.low, told.high)
    if name == chosen:
        if apart.holds_zero:
            return "chosen", f"{taken}, but a tie with {reference.words}: {size}."
        side = "but worse" if gain.value < 0 else "better"
        return "chosen", f"{taken}, {side} than {reference.words} by {size}."
    if apart.holds_zero:
        return "tie", f"Cannot be told from {chosen} on these rows: {size} apart."
    side = "worse" if gain.value < 0 else "better"
    return side, f"{side.capitalize()} than {chosen} by {size}."


def sentence(estimate: Estimate, arms: Sequence[Arm], rows: Rows, metric: Metric) -> str:
    """The cross-validated result in words, with what it does not show."""
    chosen, task = next(arm for arm in arms if arm.verdict == "chosen"), rows.targets.task
    value = estimate.told(metric.scale)
    between = metric.scale.between(estimate.low, estimate.high)
    plain = f" ({metric.plain})" if metric.plain else ""
    said = f"{metric.title}{plain} {value}, between {between} (95 % interval, {len(rows.targets)} rows held out)"
    ties = [arm.name for arm in arms if arm.verdict == "tie"]
    gain = chosen.gain(metric.scale)
    if chosen.name == task.reference.name or (gain is not None and gain.low <= 0):
        return f"{said}; not yet better than {task.reference.words}: {task.nothing_shown}."
    if chosen.by is not None and gain is not None:
        few = f"{len(rows.targets)} rows are too few for {metric.title} to tell {chosen.name} from {chosen.versus}"
        by = chosen.by.apart(gain.value, gain.low, gain.high)
        return f"{said}. {few}, so {chosen.name} is taken for its {chosen.by.title}, which is better by {by}."
    if ties:
        return f"{said}; {chosen.name} is taken, {in_a_row(ties)} cannot be told from it."
    return f"{said}; {chosen.name} is taken."


def assemble(
    arms: Sequence[Held], whole: Outputs, chosen: str, rows: Rows,
    *, metric: Metric, protocol: str, rng: np.random.Generator, curve: Curve | None = None,
) -> Scores:  # fmt: skip
    """Put the Scores of a run together.

    Args:
        arms: all arms, cheapest first.
        whole: (R, N, K) answers of the whole procedure, the choice of arm included.
        chosen: the arm that became the model.
        rows: what was held out.
        metric: what is estimated and compared.
        protocol: how rows were held out, in words.
        rng: source of bootstrap draws.
        curve: what the folds say about fewer and more labels; without it the interval is about the models of the folds.
    """
    measured = interval(metric.of(whole, rows.targets), rows.groups, rng=rng)
    estimate = promised(measured, curve, metric.scale, rows.folds)
    # What is claimed of the model stands in the row of its arm as well: one score has one interval.
    compared = tuple(
        replace(arm, estimate=estimate) if arm.name == chosen else arm
        for arm in compare(arms, whole, chosen, rows, metric, rng)
    )
    return Scores(
        task=rows.targets.task.name,
        metric=metric.name,
        scale=metric.scale,
        n=len(rows.targets),
        protocol=protocol,
        chosen=chosen,
        estimate=estimate,
        arms=compared,
        details=rows.targets.task.details(whole, rows.targets, rows.groups),
        scales={
            other.name: other.scale for arm in arms for other in rows.targets.task.beside_metric(arm.outputs, metric)
        },
        sentence=sentence(estimate, compared, rows, metric),
        curve=curve,
    )
