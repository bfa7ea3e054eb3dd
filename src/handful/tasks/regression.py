"""The task of a number: a mean and how far from it the truth may be, as a normal distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from handful.errors import DataError
from handful.evaluation.conformal import LEVEL, limit_of
from handful.evaluation.curves import Needs
from handful.evaluation.metrics import Kind, Metric, each, mean_absolute_error
from handful.seeding import generator
from handful.tasks.base import Baseline, Floats, HeadTask, Targets
from handful.tasks.heads import DISTANCE, Head
from handful.tasks.link import MEAN, NORMAL, Link

if TYPE_CHECKING:
    from handful.training.objectives import Objective

Statistics = NDArray[np.float64]

# The largest loss of a row, in nats: one that is a hundred times further away than expected is a mistake of its own.
_MOST = 20.0
_HALF_LOG = 0.5 * math.log(2 * math.pi)
# Rows are parted by their number into so many parts at most, of so many rows at least, to be shared out evenly.
_PARTS, _ROWS = 10, 8
# Numbers that are nearer to each other than this share of how unsure they are, are the same answer.
_SAME = 0.5
# Answers are low, middle or high by these limits, in standard deviations: thirds of a normal distribution.
_THIRDS = (-0.43, 0.43)
_DIGITS = 12


def _errors(outputs: Floats, targets: Targets) -> Floats:
    """(R, N) how far each answer is from the number of its row."""
    return np.asarray(outputs[..., 0] - targets.values, np.float64)


def _absolute(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2): the absolute error, and one."""
    return each(np.abs(_errors(outputs, targets)).mean(0))


def _squared(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 4): the squared error, the square of the number, the number, and one; numbers from their mean."""
    error, own = (_errors(outputs, targets) ** 2).mean(0), targets.values - targets.values.mean()
    return np.stack([error, own**2, own, np.ones(len(own))], 1)


def explained(sums: Statistics) -> Statistics:
    """R²: one minus the squared errors by the squared distances from the mean. (..., 4) → (...)."""
    error, squares, total, count = np.moveaxis(sums, -1, 0)
    return np.asarray(1 - error / np.maximum(squares - total**2 / np.maximum(count, 1e-9), 1e-12))


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        # Mean absolute error, in the unit of the numbers.
        mean_absolute_error(_absolute, "how far off an answer is"),
        # Share of the variance that is explained.
        Metric(
            "r2",
            _squared,
            Kind.FUNCTION,
            explained,
            percent=False,
            plain="the share of what makes the numbers differ that is explained",
            headline="Explains a share of about {} of what makes the numbers differ",
        ),  # fmt: skip
    )
}
"""Name in ``--metric`` → metric; the first one is the headline."""

RIDGE = Head("ridge", DISTANCE, (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03))


@dataclass(frozen=True)
class Regression(HeadTask):
    """A number for an item; see ``tasks.base.HeadTask``.

    Outputs (..., N, 2) are a mean and a standard deviation, in the unit of the numbers. Scores (..., N, 2) are the
    natural parameters of that normal distribution, in standard deviations of the training rows: precision times mean,
    and precision. So a sum of scores is a product of distributions, and sharpness is precision.
    """

    centre: float = 0.0
    """Mean of the numbers that were learned from."""
    scale: float = 1.0
    """Their standard deviation."""
    low: float = -math.inf
    """The lowest of them."""
    high: float = math.inf
    """The highest."""
    digits: int = 3
    """How many decimals an answer is written with."""

    name: ClassVar[str] = "regression"
    metrics: ClassVar = METRICS
    heads: ClassVar = {RIDGE.name: RIDGE}
    main: ClassVar = RIDGE
    reference: ClassVar = Baseline("mean", "always answering the mean")
    about: ClassVar = "the number"
    doubts: ClassVar = False
    columns: ClassVar = ("low", "high", "outside")

    def read(self, column: Sequence[Any], source: str = "items") -> Targets:
        """Numbers as they are, with what answers need to know of them."""
        values = np.array([float(cell) for cell in column], np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            scale = float(values.std())
        if not np.isfinite(scale):
            raise DataError(
                f"the numbers of {source} must be of a size that can be squared, got {float(np.abs(values).max()):g}. "
                "Write them in another unit."
            )
        if not scale > 1e-12 * max(1.0, float(np.abs(values).max(initial=0))):
            got = f"{values[0]:g} in every row" if len(values) else "none"
            raise DataError(f"the numbers of {source} must differ, got {got}. Add rows with other numbers.")
        exact = max((_decimals(str(cell)) for cell in column), default=0)
        fine = max(0, math.ceil(1 - math.log10(scale)))  # to a tenth of the spread and one digit more
        task = replace(
            self, centre=float(values.mean()), scale=scale, low=float(values.min()), high=float(values.max()),
            digits=min(_DIGITS, max(exact, fine)),
        )  # fmt: skip
        return Targets(task, values)

    def coded(self, column: Sequence[str], names: Sequence[str]) -> Targets:
        """Numbers as they are, in the unit and range that were learned."""
        return Targets(self, np.array([float(cell) for cell in column], np.float64))

    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """Parts of about as many rows, by their number."""
        parts = int(np.clip(len(targets) // _ROWS, 1, _PARTS))
        cuts = np.unique(np.quantile(targets.values, np.arange(1, parts) / parts)) if parts > 1 else np.zeros(0)
        part = np.searchsorted(cuts, targets.values, side="left")
        return np.unique(part, return_inverse=True)[1].astype(np.int64)

    def wanted(self, targets: Targets) -> list[str]:
        """The numbers, with as many decimals as answers have."""
        return [self._told(value) for value in targets.values.tolist()]

    def design(self, targets: Targets) -> NDArray[np.float32]:
        """(N, 2): the number in standard deviations from the mean, and one."""
        own = self._standard(targets.values)
        return np.stack([own, np.ones_like(own)], 1).astype(np.float32)

    def likeness(self, targets: Targets) -> NDArray[np.float32]:
        """1 for equal numbers, less the further they are apart: half at about 0.6 standard deviations."""
        own = self._standard(targets.values)
        return np.asarray(np.exp(-2 * (own[:, None] - own[None]) ** 2), np.float32)

    def named(self, targets: Targets) -> Targets:
        """Numbers have no names."""
        return targets.take([])

    def names_tell(self, similar: Floats, targets: Targets) -> bool:
        """Never."""
        return False

    def objective(self, named: Objective) -> Objective:
        """Half the squared error."""
        from handful.training.objectives.classify import SquaredError

        return SquaredError()

    @property
    def link(self) -> Link:
        """A normal distribution, and its mean."""
        return Link(NORMAL, MEAN, (self.centre, self.scale))

    def outputs(self, scores: Floats) -> NDArray[np.float64]:
        """Mean and standard deviation."""
        pull, precision = np.moveaxis(np.asarray(scores, np.float64), -1, 0)
        precision = np.maximum(precision, 1e-6)
        return np.stack([self.centre + self.scale * pull / precision, self.scale / np.sqrt(precision)], -1)

    def scores(self, outputs: Floats) -> NDArray[np.float64]:
        """Precision times mean, and precision."""
        precision = (self.scale / np.maximum(outputs[..., 1], 1e-9)) ** 2
        return np.stack([precision * self._standard(outputs[..., 0]), precision], -1)

    def losses(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """Minus the log density, hedged: one row made up says no more than that numbers are twice as far spread."""
        n = outputs.shape[-2]
        mean, sd, own = self._standard(outputs[..., 0]), outputs[..., 1] / self.scale, self._standard(targets.values)
        answer, vague = _log_density(own, mean, sd), _log_density(own, np.zeros_like(own), np.full_like(own, 2.0))
        return np.asarray(-np.logaddexp(np.log(n) + answer, vague) + np.log(n + 1))

    def losses_at(self, scores: Floats, targets: Targets, factors: Floats) -> NDArray[np.float32]:
        """Minus the log density, at several values of precision."""
        pull, precision = scores[..., 0], np.maximum(scores[..., 1], 1e-6)
        apart = precision * (self._standard(targets.values) - pull / precision) ** 2
        log = np.log(precision)
        losses = [0.5 * (factor * apart - log - np.log(factor)) + _HALF_LOG for factor in factors]
        return np.asarray(np.minimum(np.stack(losses), _MOST), np.float32)

    def smoothing(self, scores: Floats, targets: Targets) -> Floats:
        """What a row costs that is as far away as rows are from their mean."""
        return np.asarray(0.5 * np.maximum(scores[..., 1], 1e-6))

    def spread(self, scores: Floats) -> float:
        """A third of the precision: the search begins below what the mean alone has."""
        return max(float(scores[..., 1].mean()) / 3, 1e-9)

    def constant(self, targets: Targets) -> NDArray[np.float64]:
        """Mean and standard deviation of the rows."""
        return np.array([targets.values.mean(), max(float(targets.values.std()), 1e-9 * self.scale)])

    def words(self, outputs: Floats, names: Sequence[str]) -> list[str]:
        """The mean."""
        return [self._told(value) for value in outputs[..., 0].tolist()]

    def spoken(self, words: Sequence[str], names: Sequence[str]) -> NDArray[np.float64]:
        """The number, as unsure as rows are spread."""
        own = self.coded(words, names).values
        return np.stack([own, np.full(len(own), self.scale)], 1)

    def values(self, outputs: Floats, names: Sequence[str]) -> list[Any]:
        """A float for each row."""
        return [float(value) for value in outputs[..., 0]]

    def confidence(self, outputs: Floats) -> NDArray[np.float64]:
        """The share of the variance that is explained."""
        return np.clip(1 - (outputs[..., 1] / self.scale) ** 2, 0, 1)

    def own(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """How often a number would be as far from the answer."""
        return np.asarray(2 * ndtr(-np.abs(targets.values - outputs[..., 0]) / outputs[..., 1]))

    def beside(self, outputs: Floats, limit: float | None) -> Mapping[str, list[str]]:
        """The interval that held nine of ten held-out numbers, and whether the answer is outside of what was seen."""
        mean, half = outputs[..., 0], outputs[..., 1] * (np.nan if limit is None else limit)
        low, high = (
            [self._told(x) if math.isfinite(x) else "" for x in end.tolist()] for end in (mean - half, mean + half)
        )
        outside = np.where(mean < self.low, "below", np.where(mean > self.high, "above", ""))
        return {"low": low, "high": high, "outside": outside.tolist()}

    def misfits(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """How many standard deviations each number is from its answer."""
        return np.asarray((np.abs(_errors(outputs, targets)) / outputs[..., 1]).mean(0))

    def within(self, outputs: Floats, limit: float, names: Sequence[str]) -> list[str]:
        """``low to high``."""
        beside = self.beside(outputs, limit)
        return [f"{low} to {high}" for low, high in zip(beside["low"], beside["high"], strict=True)]

    def kinds(self, outputs: Floats) -> NDArray[np.int64]:
        """0 for low numbers, 1 for middling ones, 2 for high ones."""
        return np.digitize(self._standard(outputs[..., 0]), _THIRDS).astype(np.int64)

    def support(self, outputs: Floats, answer: str, names: Sequence[str]) -> NDArray[np.float64]:
        """The number itself."""
        return np.asarray(outputs[..., 0], np.float64)

    def told_support(self, change: float) -> str:
        """In the unit of the numbers."""
        return f"{change:+.3g}"

    def told_mark(self, change: float) -> str:
        """In the unit of the numbers."""
        return f"{change:+.2g}"

    @property
    def point(self) -> float:
        """A hundredth of the spread of the numbers."""
        return 0.01 * self.scale

    def told_answer(self, answer: str, support: float) -> str:
        """The number that the model answers."""
        return self._told(support)

    def can_answer(self, answer: str, names: Sequence[str]) -> bool:
        """No number is asked for by name."""
        return False

    def same(self, first: Floats, second: Floats) -> NDArray[np.bool_]:
        """Whether they differ by less than half of how unsure they are."""
        return np.asarray(np.abs(first[..., 0] - second[..., 0]) < _SAME * np.minimum(first[..., 1], second[..., 1]))

    def holds(self, targets: Targets) -> bool:
        """Whether they are finite numbers."""
        plain = targets.values.ndim == 1 and targets.values.dtype == np.float64
        return plain and bool(np.isfinite(targets.values).all())

    def width(self, names: Sequence[str]) -> int:
        """Two, and no names."""
        if names:
            raise ValueError("numbers have no names")
        return 2

    def restored(self, settings: Mapping[str, Any]) -> Regression:
        """The task with the settings of a record."""
        task = super().restored(settings)
        numbers = (task.centre, task.scale, task.low, task.high)
        plain = all(isinstance(x, float | int) and math.isfinite(x) for x in numbers) and type(task.digits) is int
        if not plain or not (task.scale > 0 and task.low < task.high and 0 <= task.digits <= _DIGITS):
            raise ValueError("settings of regression must be finite numbers")
        return task

    def needs(self, outputs: Floats, targets: Targets) -> Needs:
        """Nothing in particular."""
        return Needs()

    def details(self, outputs: Floats, targets: Targets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """Every metric with its interval, how far the numbers are spread, and how wide prediction intervals are."""
        measured = self.measured(outputs, targets, groups, generator(0, "numbers"))
        seen = {"low": self.low, "high": self.high, "mean": self.centre, "spread": self.scale}
        told = {"metrics": measured, "numbers": seen}
        limit = limit_of(self.misfits(outputs, targets))
        if limit is None:
            return told
        half = limit * float(outputs[..., 1].mean())
        return {**told, "prediction_interval": {"level": LEVEL, "half_width": half}}

    def _standard(self, values: Floats) -> NDArray[np.float64]:
        return np.asarray((np.asarray(values, np.float64) - self.centre) / self.scale)

    def _told(self, value: float) -> str:
        text = f"{value:.{self.digits}f}"
        return text.lstrip("-") if not float(text) else text


def _log_density(own: Floats, mean: Floats, sd: Floats) -> NDArray[np.float64]:
    return np.asarray(-0.5 * ((own - mean) / sd) ** 2 - np.log(sd) - _HALF_LOG)


def _decimals(text: str) -> int:
    """How many decimals a number is written with."""
    _, point, rest = text.partition(".")
    return len(rest) if point and rest.isdigit() else 0


REGRESSION = Regression()
