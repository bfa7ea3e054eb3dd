"""The promise of a detector: from which score on it raises an alarm, how often it does so falsely, and what it finds.

Normal items that were scored while they were held out are scored as new ones are. With n of them, the share of new
normal items that score above the r-th highest is r / (n + 1) on the mean, and follows a Beta(r, n + 1 - r) distribution
(order statistics of what can be exchanged; Vovk, Gammerman & Shafer 2005, section 2; Wilks 1941). So nothing below
1 / (n + 1) can be claimed, however few alarms were seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from handful.errors import OptionError
from handful.evaluation.intervals import LEVEL, Estimate, interval
from handful.evaluation.metrics import share

Scores = NDArray[np.float64]

FALSE_ALARMS = 0.05
"""The share of normal items that may raise a false alarm, where nothing else is asked for."""


@dataclass(frozen=True)
class Asked:
    """What a detector is to keep."""

    false_alarms: float = FALSE_ALARMS
    """The share of normal items that may raise a false alarm."""
    must_find: float | None = None
    """The share of bad items that must be found, whatever that costs in false alarms; None where that is not asked."""


@dataclass(frozen=True)
class Promise:
    """From which score on an item raises an alarm, and what that means."""

    threshold: float
    """An item that scores above this raises an alarm."""
    normal: int
    """How many independent normal items it rests on."""
    false_alarms: Estimate
    """The share of new normal items that raise a false alarm: on the mean, and its interval."""
    bad: int = 0
    """How many bad items there were to measure with."""
    caught: int = 0
    """How many of these raise an alarm."""
    found: Estimate | None = None
    """The share of new bad items that raise an alarm; None without any to measure with."""
    asked: Asked = Asked()
    """What was asked for."""
    kept: bool = True
    """Whether what was asked for can be promised by so few items; where it cannot, the nearest that can is."""

    @property
    def least(self) -> float:
        """The lowest share of false alarms that so many normal items can promise."""
        return least_promised(self.normal)

    def alarms(self, scores: Scores) -> NDArray[np.bool_]:
        """Which items raise an alarm. (N,)."""
        return scores > self.threshold

    def as_dict(self) -> dict[str, Any]:
        """The promise as it stands in ``scores.json`` and in a model."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Promise:
        """Read back what ``as_dict`` wrote.

        Raises:
            TypeError, KeyError, ValueError: it is something else.
        """
        found = None if raw["found"] is None else Estimate(**raw["found"])
        made = cls(
            **{**raw, "false_alarms": Estimate(**raw["false_alarms"]), "found": found, "asked": Asked(**raw["asked"])}
        )
        if not math.isfinite(made.threshold) or made.normal < 1 or made.bad < 0:
            raise ValueError("threshold")
        return made


def least_promised(normal: int) -> float:
    """The lowest share of false alarms that so many normal items can promise."""
    return 1 / (normal + 1)


def needed_for(share_of_alarms: float) -> int:
    """How many normal items a share of false alarms takes to be promised."""
    return math.ceil(1 / share_of_alarms - 1e-9) - 1


def rate_of(above: int, normal: int) -> Estimate:
    """The share of new normal items that score higher than one of n that were held out.

    Args:
        above: how many of the n score as high as that one or higher, itself included, from 1.
        normal: n.
    """
    tail = (1 - LEVEL) / 2
    low, high = (float(betaincinv(above, normal + 1 - above, share)) for share in (tail, 1 - tail))
    return Estimate(above / (normal + 1), min(low, above / (normal + 1)), high)


def promised(normal: Scores, bad: Scores, asked: Asked) -> Promise:
    """Choose the threshold, and say what it keeps.

    Args:
        normal: (n,) scores of normal items while each was held out, one of each group of items that belong together.
        bad: (m,) scores of bad items, none of which was learned from.
        asked: what it is to keep.

    Raises:
        OptionError: bad items must be found, and there are none to choose the threshold by.
    """
    n, m = len(normal), len(bad)
    if asked.must_find is not None and not m:
        raise OptionError(
            "--must-find must have bad items to choose the threshold by, got none. Put a few into a folder of their "
            "own, such as bad, or leave it out."
        )
    if asked.must_find is None:
        above = max(1, math.floor(asked.false_alarms * (n + 1) + 1e-9))
        threshold = float(np.sort(normal)[n - above])
        rate, possible = rate_of(above, n), asked.false_alarms >= least_promised(n) - 1e-9
    else:
        # A new bad item is missed as often as r / (m + 1) where the threshold is just below the r-th lowest of m.
        missed = math.floor((1 - asked.must_find) * (m + 1) + 1e-9)
        possible, missed = missed >= 1, max(1, missed)
        threshold = float(np.nextafter(np.sort(bad)[missed - 1], -np.inf))
        # What is chosen by bad items leaves the normal ones to measure with: their share, and Wilson's interval.
        rate, slips = interval(share(normal > threshold)), rate_of(missed, m)
        least = Estimate(1 - slips.value, 1 - slips.high, 1 - slips.low)
        return Promise(threshold, n, rate, m, int((bad > threshold).sum()), least, asked, possible)
    found = interval(share(bad > threshold)) if m else None
    return Promise(threshold, n, rate, m, int((bad > threshold).sum()), found, asked, possible)
