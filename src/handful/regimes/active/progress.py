"""How far a labelling has come: the score, its learning curve, what more labels are worth, and whether to stop.

Rows that were asked because the model was in doubt are harder than the pool, and typical ones are easier: a score of
them would be too low or too high. So the score rests on the first rows of one fixed draw of the pool (the control),
however they came to be labelled, each answered by a fit of all other labels. Rows asked otherwise are learned from and
never count in the score. Nor does the control decide what else is asked (``learner``), so that a row of it lies to the
other labels as any new item does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.curves import Curve, curve_of, told
from handful.evaluation.intervals import Estimate, better, interval
from handful.evaluation.metrics import Measured, Scale
from handful.regimes.active.fits import Fitted, Rows, fit_of
from handful.regimes.active.quick_fit import learnable
from handful.seeding import generator
from handful.tasks.base import HeadTask, Targets

MORE = 20
"""What so many more labels are worth is told."""
FEWEST = 5
"""Nothing is told of fewer rows of the control."""
ENOUGH = 10
"""Nobody is told to stop by fewer rows of the control."""
SHARES = (0.125, 0.25, 0.5, 1.0)
"""Points of the learning curve, as parts of the labels."""
WORTHLESS = 0.02
"""So many more labels may be left out when even the upper end of what they are worth is below this, in accuracy, or as
a share of a score that has no hundredths."""

Checked = tuple[Measured, Targets, NDArray[np.float64]]
"""The m rows of the control by the first metric, what is wanted of them, and what is answered (m, K)."""


@dataclass(frozen=True)
class OverRandom:
    """What asking as it was asked gained over drawing by chance, by the same number of labels of either kind."""

    labels: int
    """How many labels: as many as the control has."""
    gain: Estimate
    """By how much the first labels are better than the control, on the rows of the control; 95 % interval."""


@dataclass(frozen=True)
class Progress:
    """How far a labelling has come."""

    n: int
    """How many labels there are."""
    checked: int
    """How many of them the score rests on."""
    estimate: Estimate | None
    """The score of the model on the pool, unbiased, with its 95 % interval; None while there are too few rows."""
    scale: Scale
    """How the score is told."""
    curve: Curve | None
    """The score against the number of labels (``curve.points``); None while there are too few."""
    worth: Estimate | None
    """What 20 more labels are worth; None while nobody can say."""
    may_stop: bool
    """Whether even the upper end of that is next to nothing."""
    over_random: OverRandom | None
    """What asking gained over drawing by chance; None while nobody can say."""
    advice: str
    """What to do, in a sentence."""


@dataclass(frozen=True)
class Labelled:
    """The rows with a label, in the order in which they were asked."""

    task: HeadTask
    """What is wanted of an item."""
    x: Rows
    """The n items: (n, D) rows of length one, or their parts."""
    labels: Sequence[str]
    """Of the n rows."""
    control: NDArray[np.int64]
    """(m,) places among the n of the rows that the score rests on, in the order of their draw."""

    def measured(self, rows: NDArray[np.int64], fit: Fitted | None = None) -> Checked | None:
        """The rows of the control by a fit of some rows, each by one without it.

        Args:
            rows: (k,) places of the rows to learn from.
            fit: what was learned from them, where it is known.

        Returns:
            By the first metric, with targets (m,) and outputs (m, K); None where nothing can be learned from the rows.
        """
        if fit is None:
            targets = learnable(self.task, [self.labels[i] for i in rows])
            if targets is None:
                return None
            fit = fit_of(self.x[rows], targets)
        place = {int(row): i for i, row in enumerate(rows)}
        outputs = fit.unaware(self.x[self.control], [place.get(row) for row in self.control.tolist()])
        task, known = fit.targets.task, fit.targets.names
        answers, wanted = task.against(outputs, [self.labels[i] for i in self.control], known)
        return task.headline.of(answers[None], wanted), wanted, answers


def progress_of(some: Labelled, fit: Fitted | None, more: int = MORE) -> Progress:
    """How far a labelling has come.

    Args:
        some: the rows with a label.
        fit: what all of them say, where it is known.
        more: for how many more labels it is told what they are worth.
    """
    n, m, scale = len(some.labels), len(some.control), some.task.headline.scale
    whole = some.measured(np.arange(n), fit) if m >= FEWEST else None
    if whole is None:
        return Progress(n, m, None, scale, None, None, False, None, _too_few(some))
    measured, targets, answers = whole
    rng = generator(0, "progress")
    estimate = interval(measured, rng=rng)
    curve = _curve(some, whole, rng)
    worth = None if curve is None or more > 3 * n else curve.gain(more)
    may_stop = worth is not None and m >= ENOUGH and worth.high < _next_to_nothing(estimate, scale)
    return Progress(
        n, m, estimate, scale, curve, worth, may_stop, _over_random(some, rng), _advice(worth, may_stop, more, scale)
    )


def _curve(some: Labelled, whole: Checked, rng: np.random.Generator) -> Curve | None:
    """The learning curve, by fits of the first labels."""
    n, (measured, targets, answers) = len(some.labels), whole
    sizes, each = [], []
    for size in dict.fromkeys(round(share * n) for share in SHARES[:-1]):
        part = some.measured(np.arange(size))
        if part is not None:
            sizes.append(size)
            each.append(part[0])
    if not sizes:
        return None
    needs = targets.task.needs(answers[None], targets)
    return curve_of([*sizes, n], [*each, measured], measured.value, needs, labels=n, rng=rng)


def _over_random(some: Labelled, rng: np.random.Generator) -> OverRandom | None:
    """The first labels against as many that were drawn by chance, on the same rows."""
    if len(some.control) < ENOUGH:
        return None
    asked, drawn = some.measured(np.arange(len(some.control))), some.measured(some.control)
    if asked is None or drawn is None:
        return None
    return OverRandom(len(some.control), better(asked[0], drawn[0], rng=rng))


def _next_to_nothing(estimate: Estimate, scale: Scale) -> float:
    return WORTHLESS * (1.0 if scale.percent else abs(estimate.value))


def _too_few(some: Labelled) -> str:
    missing = FEWEST - len(some.control)
    if missing > 0:
        return f"Go on: {missing} more of the items drawn by chance, and the score can be told."
    return f"Go on: nothing can be learned yet from {len(some.labels)} labels."


def _advice(worth: Estimate | None, may_stop: bool, more: int, scale: Scale) -> str:
    if worth is None:
        return "Go on: these labels cannot say yet what more of them are worth."
    said = f"{more} more labels are worth {told(worth, scale)}"
    return f"You can stop: {said}." if may_stop else f"Go on: {said}."
