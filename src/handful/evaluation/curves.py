"""Learning curves: the score against the number of labels, and what more of them are worth, with an interval.

A curve from a handful of rows is noisy, so what it says is weighed against what curves did elsewhere: over development
sets (``benchmarks/forecast.py``) twice the rows added about the same share of the root of the errors. The forecast is
the precision-weighted mean of both (Gelman et al. 2013, "Bayesian Data Analysis", eq. 2.10), and its interval also
holds the luck of the draw: which rows one happens to label next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from handful.data.names import in_a_row
from handful.errors import OptionError
from handful.evaluation.intervals import LEVEL, Estimate, interval
from handful.evaluation.metrics import Measured, Scale

Floats = NDArray[np.floating]

# Accuracy comes near its end with the rows to the power of minus this. Hestness et al. 2017 find 0.1 to 0.5; on frozen
# features, from a fifth of the rows to twice of them, the development sets fit best near the lower end.
POWER = 0.15
# What twice the rows add, as a share of the root of the errors: mean over development sets, and how it varies between
# sets. (A share of the errors themselves promises too little where few are left, and too much where most are.)
REMOVED, VARIES = 0.06, 0.025
# What a curve from smaller parts cannot know: how it bends further on, in accuracy.
BENDS = 0.01
# How far the gain of one draw is from the mean of draws, in standard errors of an accuracy on as many rows.
LUCK = 0.45
# Beyond this many times the rows nothing was measured.
FURTHEST = 4
# Twice the labels for less than this are not worth asking for.
FLAT = 0.01
# Where so many times that may be gained, they might help after all.
_HELPS = 5
# So few errors that no class stands out.
RARE = 0.03


@dataclass(frozen=True)
class Needs:
    """Where further labels are missed most."""

    names: tuple[str, ...] = ()
    """Classes in the order in which they need labels: those with hardly any rows, then those with most errors."""
    mixed: tuple[str, str] | None = None
    """The two classes that are most often taken for each other; None where none are."""
    scarce: tuple[str, ...] = ()
    """Classes with hardly any rows."""


@dataclass(frozen=True)
class Point:
    """The score with so many labels."""

    rows: int
    """How many rows were learned from, on the mean."""
    score: Estimate
    """Of the rows that were held out, with its 95 % interval; the intervals share these rows."""


@dataclass(frozen=True)
class Curve:
    """Accuracy against the number of labels, and what it promises."""

    n: int
    """How many labels there are now."""
    points: tuple[Point, ...]
    """From few labels to many."""
    doubled: float
    """What twice the labels are expected to add to the score."""
    unsure: float
    """Standard deviation of that expectation."""
    luck: float
    """Standard deviation of what one draw of as many further rows adds, around the expectation."""
    needs: tuple[str, ...]
    """Classes in the order in which they need labels: those with hardly any rows, then those with most errors."""
    mixed: tuple[str, str] | None
    """The two classes that are most often taken for each other; None where none are."""
    scale: Scale = field(default_factory=Scale)
    """How its scores are told."""
    scarce: tuple[str, ...] = ()
    """Classes with hardly any rows, of which the score says next to nothing."""
    out_of_reach: bool = False
    """Whether many rows are out of the reach of the backbones: what more labels show them says little of the labels."""

    def gain(self, more: int) -> Estimate:
        """How much better further labels, spread as the present ones, make the score; 95 % interval.

        Raises:
            OptionError: fewer than one label, or so many that nothing is known.
        """
        if not 1 <= more <= (FURTHEST - 1) * self.n:
            raise OptionError(
                f"a forecast must be for 1 to {(FURTHEST - 1) * self.n} more labels, got {more}: nothing was measured "
                f"beyond {FURTHEST} times the {self.n} there are. Ask for fewer."
            )
        grown = 1 + more / self.n
        part = (1 - grown**-POWER) / (1 - 2**-POWER)  # of what twice the labels add
        # Draws that grow share their rows: the luck of the added ones is what is left, 1 / n - 1 / (n + more).
        spread = np.hypot(part * self.unsure, self.luck * np.sqrt(2 * (1 - 1 / grown)))
        value, half = part * self.doubled, ndtri(0.5 + LEVEL / 2) * spread
        most = np.inf if self.scale.higher_is_better else self.points[-1].score.value  # no error falls below nothing
        return Estimate(*(float(min(gain, most)) for gain in (value, value - half, value + half)))

    def unseen(self, folds: int = 0) -> float:
        """What a model of all rows is expected to be above the models of the folds, which learned from fewer.

        Args:
            folds: how many folds the rows were dealt into; 0: into those of the curve.
        """
        part = 1 - 1 / folds if folds else self.points[-1].rows / self.n
        return float(self.doubled * (part**-POWER - 1) / (1 - 2**-POWER))

    @property
    def flat(self) -> bool:
        """Whether twice the labels are expected to add next to nothing."""
        return self.doubled < self._flat or self.perfect

    @property
    def _flat(self) -> float:
        """The gain from twice the labels below which they are not worth asking for."""
        return FLAT * (1.0 if self.scale.percent else abs(self.points[-1].score.value))

    @property
    def perfect(self) -> bool:
        """Whether there is hardly an error left."""
        last = self.points[-1].score.value
        return last > 1 - RARE if self.scale.percent else not self.scale.higher_is_better and last == 0

    @property
    def sentence(self) -> str:
        """What to do about labels, in one or two sentences."""
        worth = f"{told(self.gain(self.n), self.scale)}, {LEVEL:.0%} interval".replace("%", " %")
        if not self.flat:
            alike = "spread over the classes as these" if self.needs or self.scale.percent else "like these"
            said = f"{self.n} more labels, {alike}, are worth {worth}."
            return f"{said} {self.needs[0]} needs them most." if self.needs else said
        if self.out_of_reach:
            return f"As the rows are read now, twice as many labels are worth {worth}: see to what is not read first."
        if self.gain(self.n).high >= _HELPS * self._flat:
            return f"Whether more labels help {self.n} rows cannot say: twice as many are worth {worth}."
        if self.scarce:
            few, it_is = ("have", "they are") if len(self.scarce) > 1 else ("has", "it is")
            return (
                f"More labels, spread over the classes as these, will not help: twice as many are worth {worth}. More "
                f"of {in_a_row(self.scarce)}, which {few} hardly any rows, would show how well {it_is} recognised."
            )
        said = f"More labels will not help: twice as many are worth {worth}."
        if self.perfect:
            return f"{said} There is little left to gain."
        if self.mixed is None:
            return said
        return f"{said} Look at the classes {self.mixed[0]} and {self.mixed[1]} instead: they are taken for each other."

    def as_dict(self) -> dict[str, Any]:
        """The curve as it stands in ``scores.json``."""
        return {
            "n": self.n,
            "points": [{"rows": p.rows, **p.score.as_dict()} for p in self.points],
            "doubled": self.doubled,
            "unsure": self.unsure,
            "luck": self.luck,
            "needs": list(self.needs),
            "mixed": None if self.mixed is None else list(self.mixed),
            "scale": asdict(self.scale),
            "scarce": list(self.scarce),
            "out_of_reach": self.out_of_reach,
            "forecast": {"more": self.n, "level": LEVEL, **self.gain(self.n).as_dict()},
            "sentence": self.sentence,
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Curve:
        """Read back what ``as_dict`` wrote."""
        points = tuple(Point(p["rows"], Estimate(p["value"], p["low"], p["high"])) for p in raw["points"])
        mixed = None if raw["mixed"] is None else (raw["mixed"][0], raw["mixed"][1])
        return cls(
            raw["n"],
            points,
            raw["doubled"],
            raw["unsure"],
            raw["luck"],
            tuple(raw["needs"]),
            mixed,
            Scale(**raw["scale"]),
            tuple(raw.get("scarce", ())),
            bool(raw.get("out_of_reach", False)),
        )


def curve_of(
    sizes: Sequence[float],
    measured: Sequence[Measured],
    now: float,
    needs: Needs,
    groups: NDArray[np.integer] | None = None,
    labels: int | None = None,
    rng: np.random.Generator | None = None,
) -> Curve:
    """What held-out answers at several sizes say about more labels.

    Args:
        sizes: J mean numbers of rows learned from, rising; at least two.
        measured: J times the N rows while they were held out, mean over draws, by a share, a ratio or a quotient of
            two sums.
        now: the out-of-fold score with all rows.
        needs: where labels are missed most.
        groups: (N,) rows that are not independent share a number; None where all are.
        labels: how many labels there are, where not all of their rows answer; None: N.
        rng: source of the draws, of a quotient of two sums only.
    """
    scale = measured[0].metric.scale
    scores = np.stack([m.shares for m in measured])  # (J, N)
    asked = scores.shape[1]
    n = asked if labels is None else labels
    better = scores if scale.higher_is_better else -scores
    x = np.asarray(sizes, float) ** -POWER
    # Least squares: a score falls by ``slope`` per unit of rows to the minus POWER. One slope per row shows how
    # far the mean slope may be off: the same rows answer at every size, so that their ease cancels out.
    apart = float(((x - x.mean()) ** 2).sum())
    weight = (x - x.mean()) / apart if apart else np.zeros_like(x)
    drop = (n**-POWER - (2 * n) ** -POWER) * -(weight @ better)  # (N,) what twice the rows would add, row by row
    if groups is not None:
        _, index = np.unique(groups, return_inverse=True)
        count = int(index.max()) + 1
        drop = np.bincount(index, weights=drop) * count / n
    spread = float(drop.std(ddof=1) / np.sqrt(len(drop)))
    if scale.percent:
        errors = max(1 - now, 0.5 / asked)  # no row wrong is no proof that none ever will be
        before, varies, bends, most = REMOVED * np.sqrt(errors), VARIES * np.sqrt(errors), BENDS, 1.0
        luck = LUCK * np.sqrt(max(errors * (1 - errors), 0.5 / n) / n)
    else:  # of other scores nothing is known from elsewhere but that errors do not grow
        before, varies, bends, most = 0.0, np.inf, BENDS * abs(now), max(abs(now), 1e-9)
        luck = LUCK * float(scores[-1].std(ddof=1)) / np.sqrt(n)
    noise = float(np.hypot(spread, bends)) if apart else most  # one size shows nothing
    trust = varies**2 / (varies**2 + noise**2) if np.isfinite(varies) else 1.0  # in what these rows show
    doubled = trust * float(drop.mean()) + (1 - trust) * before
    unsure = np.sqrt(trust) * noise  # of the weighted mean
    points = tuple(Point(round(size), interval(m, groups, rng=rng)) for size, m in zip(sizes, measured, strict=True))
    gain, sd, chance = (round(float(number), 6) for number in (max(doubled, 0.0), unsure, luck))  # as they are written
    return Curve(n, points, gain, sd, chance, needs.names, needs.mixed, scale, needs.scarce)


def told(gain: Estimate, scale: Scale) -> str:
    """A gain in points: ``+5 points (+1 to +9)``; of an error, by how much it falls: ``−0.1 (−0.2 to 0)``."""
    value, low, high = (scale.signed(x) for x in (gain.value, gain.low, gain.high))
    if scale.percent:
        return f"{value} point{'s' * (value[1:] != '1')} ({low} to {high})"
    if not scale.higher_is_better:
        value, high, low = (scale.signed(-x) for x in (gain.value, gain.low, gain.high))
    return f"{value} in {scale.title} ({low} to {high})"
