"""Metrics: functions of sums of per-item statistics, so that one interval and one difference serve all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.plan import PATTERN

Floats = NDArray[np.float64]


class Kind(Enum):
    """What is known of a metric beforehand, which decides how its interval is made."""

    SHARE = "share"
    """One sum over another, where every item adds a number from 0 to 1 above the line: accuracy, exact match."""
    RATIO = "ratio"
    """One sum over another, without bounds: loss per token, mean absolute error."""
    FUNCTION = "function"
    """A function of several sums: macro-F1, kappa, R²."""


def quotient(sums: Floats) -> Floats:
    """The first of two sums divided by the second. (..., 2) → (...)."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def mean_quotient(sums: Floats) -> Floats:
    """The mean of P quotients, of those that have anything below the line. (..., 2 P) → (...)."""
    above, below = np.split(sums, 2, axis=-1)
    there = below > 1e-9  # sums of shares of repeats are zero up to rounding
    quotients = np.where(there, above / np.where(there, below, 1), 0)
    return np.asarray(quotients.sum(-1) / np.maximum(there.sum(-1), 1))


_MINUS = "\N{MINUS SIGN}"

# Below this width of an interval, in shares, whole percents would hide what was measured.
_NARROW = 0.03


def hundredths(share: float, digits: int = 0) -> str:
    """A share as a number out of 100; never rounded to a 0 or a 100 that it is not.

    Args:
        share: between 0 and 1.
        digits: decimals to show.
    """
    if 0.0005 <= share < 0.005 or 0.995 <= share < 0.9995:
        digits = max(digits, 1)
    text = f"{100 * share:.{digits}f}"
    return text.removesuffix(".0") if digits == 1 and share in (0.0, 1.0) else text


@dataclass(frozen=True)
class Scale:
    """How the values of a metric, and differences of them, are told: the one place where scores are rounded."""

    title: str = "accuracy"
    """What is measured."""
    percent: bool = True
    """Whether in hundredths."""
    higher_is_better: bool = True
    """Whether more is better."""
    unit: str = ""
    """What it is counted in; empty for shares and plain numbers."""

    @property
    def heading(self) -> str:
        """What is measured, where a sentence begins with it: ``Macro F1``."""
        return f"{self.title[0].upper()}{self.title[1:]}"

    def told(self, value: float, digits: int = 0) -> str:
        """A value: ``85%``, ``0.42`` or ``1.3 nats per token``; of a share so many decimals of a percent."""
        return f"{self.figure(value, digits)}{self._unit}"

    def figure(self, value: float, digits: int = 0) -> str:
        """The same without its unit, but for that of a share."""
        return f"{hundredths(value, digits)}%" if self.percent else self.plain(value)

    def digits(self, low: float, high: float) -> int:
        """How many decimals of a percent a score deserves: none, unless its interval is very narrow."""
        return 1 if self.percent and high - low < _NARROW else 0

    @staticmethod
    def plain(value: float) -> str:
        """A number without its unit, with a real minus sign."""
        return f"{value:.3g}".replace("-", _MINUS)

    def between(self, low: float, high: float, word: str = "and") -> str:
        """The ends of an interval: ``73% and 93%``, or ``1.2 and 1.4 nats per token``."""
        digits = self.digits(low, high)
        return f"{self.figure(low, digits)} {word} {self.told(high, digits)}"

    def apart(self, value: float, low: float, high: float) -> str:
        """A difference with its interval: ``5 points (−21 to +12)``, or in the unit; a small one has a decimal."""
        if self.percent:
            digits = self.digits(0.0, max(map(abs, (value, low, high))))
            size = self.signed(abs(value), digits).removeprefix("+")
            points = "point" if size == "1" else "points"
            return f"{size} {points} ({self.signed(low, digits)} to {self.signed(high, digits)})"
        return f"{abs(value):.3g}{self._unit} ({self.signed(low)} to {self.signed(high)})"

    def signed(self, value: float, digits: int = 0) -> str:
        """A difference with its sign, a real minus sign, and none on zero: ``+5`` points of 100, or ``−0.12``."""
        text = f"{100 * value:+.{digits}f}" if self.percent else f"{value:+.3g}"
        return "0" if not float(text) else text.replace("-", _MINUS)

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


@dataclass(frozen=True)
class Metric:
    """A score of many items that is a function of sums over them.

    ``N`` items, ``S`` statistics of each, ``R`` repeats of held-out answers.
    """

    name: str
    """What it is called in ``--metric`` and in the scores."""
    statistics: Callable[[Any, Any], Floats]
    """Outputs (R, N, ...) and targets of N items → (N, S), mean over repeats: repeats add no items."""
    kind: Kind = Kind.SHARE
    """How its interval is made."""
    value: Callable[[Floats], Floats] = quotient
    """Sums (..., S) → the score (...)."""
    higher_is_better: bool = True
    """Whether more is better."""
    unit: str = ""
    """What it is counted in, where it is no share: ``nats per token``."""
    percent: bool = True
    """Whether it is told in hundredths, where it has no unit."""
    spare: Callable[[Any, Any], Floats] | None = None
    """Targets, and the answer (K,) of who looks at no item or None → (P, 2, S): for each of P parts that few items may
    decide, as a rare class, what one item more would add if it were all right, and if it were all wrong. An answer that
    looks at no item is the same on one item more: what it adds is known. Only of functions: shares and ratios know how
    unsure they are."""

    least: Callable[[Any], float] | None = None
    """Targets → the smallest error that an item can have, where errors come in steps: rows without any do not say that
    there is none."""
    plain: str = ""
    """What it is, in a few plain words."""
    headline: str = ""
    """What a score says on top of a page, with ``{}`` for the figure, where there are better words than its name."""

    @property
    def title(self) -> str:
        """Its name as it is read: ``macro F1``."""
        if self.name.startswith(PATTERN):  # as it was typed
            return self.name
        return "R²" if self.name == "r2" else self.name.replace("_", " ").replace("f1", "F1").replace("ap50", "AP50")

    @property
    def scale(self) -> Scale:
        """How its values are told."""
        return Scale(self.title, self.percent and not self.unit, self.higher_is_better, self.unit)

    def of(self, outputs: Any, targets: Any) -> Measured:
        """Measure the answers to N items.

        Args:
            outputs: (R, N, ...) held-out answers.
            targets: what is wanted of the items.
        """
        spare = None if self.spare is None else self.spare(targets, _blind(outputs))
        return Measured(self, self.statistics(outputs, targets), spare, self.least(targets) if self.least else 0.0)


@dataclass(frozen=True)
class Measured:
    """What N items add to the sums of a metric."""

    metric: Metric
    """The metric."""
    sums: Floats
    """(N, S)."""
    spare: Floats | None = None
    """(P, 2, S) what one item more of each part would add, right or wrong; None where that is not asked."""
    least: float = 0.0
    """The smallest error that an item can have, above nothing; 0 where errors have no steps."""

    def __len__(self) -> int:
        return len(self.sums)

    @property
    def value(self) -> float:
        """The score of all items."""
        return float(self.metric.value(self.sums.sum(0)))

    @property
    def scores(self) -> Floats:
        """(N,) the score of each item alone, of a share or ratio."""
        return quotient(self.sums)

    @property
    def pulls(self) -> Floats:
        """(N,) how far each item pulls a quotient of two sums from where it is (Cochran 1977, section 6.3)."""
        total, weight = self.sums.T
        return np.asarray((total - self.value * weight) / weight.mean())

    @property
    def shares(self) -> Floats:
        """(N,) what each item adds to the score, of which they are the mean.

        Its own score; of a function of two sums, such as F1, how far it pulls that from where it is.
        """
        if self.metric.kind is not Kind.FUNCTION:
            return self.scores
        return self.value + self.pulls if self.sums[:, 1].any() else np.zeros(len(self))  # nothing was to be found

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> Measured:
        """The same for some of the items."""
        return replace(self, sums=self.sums[rows])


def mean_absolute_error(
    statistics: Callable[[Any, Any], Floats], plain: str, least: Callable[[Any], float] | None = None
) -> Metric:
    """How far off answers are on the mean, of numbers or of ratings.

    Args:
        statistics: outputs and targets → (N, 2): the error of each item, and one.
        plain: what it is, in a few plain words.
        least: targets → the smallest error, where errors come in steps.
    """
    return Metric(
        "mean_absolute_error", statistics, Kind.RATIO, higher_is_better=False, percent=False, least=least, plain=plain,
        headline="Off by about {} on the mean",
    )  # fmt: skip


def no_outputs(outputs: Any, targets: Any) -> Floats:
    """The statistics of a metric whose sums were counted elsewhere, as those of answers in words are."""
    raise TypeError("this metric is made of what was counted elsewhere")


def _blind(outputs: Floats) -> Floats | None:
    """The answer (K,) of who looks at no item, which shows in numbers that are the same for all of them; or None.

    Args:
        outputs: (R, N, K).
    """
    first = outputs[0, 0]
    return first if outputs.shape[1] > 1 and bool((outputs == first).all()) else None


SHARE = Metric("share", no_outputs)
"""How large a share of items is right, whatever right means."""
LOSS = Metric("loss", no_outputs, Kind.RATIO, higher_is_better=False, unit="nats")
"""Nats per item, or per token."""


def share(right: NDArray[Any]) -> Measured:
    """The share of N items of which something is true, or the mean of N numbers from 0 to 1. (N,)."""
    return ratio(SHARE, right)


def losses(nats: NDArray[np.floating]) -> Measured:
    """The mean loss of N items. (N,)."""
    return ratio(LOSS, nats)


def each(scores: NDArray[Any]) -> Floats:
    """The statistics of a metric that is the mean of one number per item. (N,) → (N, 2): the number, and one."""
    above = np.asarray(scores, np.float64)
    return np.stack([above, np.ones(len(above))], 1)


def ratio(metric: Metric, total: NDArray[Any], weight: NDArray[Any] | None = None) -> Measured:
    """A share or ratio of N items.

    Args:
        metric: which one.
        total: (N,) what each item adds above the line.
        weight: (N,) what it adds below; 1 by default.
    """
    if weight is None:
        return Measured(metric, each(total))
    return Measured(metric, np.stack([np.asarray(total, np.float64), np.asarray(weight, np.float64)], 1))
