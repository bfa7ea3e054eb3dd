"""Who gains: at each site, the model of all sites against one of its own rows alone, on the same held-out rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.intervals import Estimate, difference, interval
from handful.evaluation.metrics import Scale, share

TOGETHER, ALONE, TIE, TOO_FEW = "together", "alone", "tie", "too few"
"""What rows can show: that the model of all sites is better here, that one of this site alone is, neither, or nothing
since there are too few of them."""
KEPT = "kept"
"""What a site tells where noise is added: nothing, since what its rows show would be told without any."""
VERDICTS = (TOGETHER, ALONE, TIE, TOO_FEW, KEPT)


@dataclass(frozen=True)
class Gain:
    """What a site has of fitting together, on its own rows, each held out."""

    together: Estimate
    """The share that the model of all sites answers right."""
    alone: Estimate
    """The share that a model of this site's rows alone answers right."""
    apart: Estimate
    """The first minus the second, paired."""
    rows: int
    """On how many rows."""

    @property
    def verdict(self) -> str:
        """One of ``VERDICTS``."""
        if not np.isfinite(self.apart.low):
            return TOO_FEW
        return TIE if self.apart.holds_zero else TOGETHER if self.apart.value > 0 else ALONE

    def as_dict(self) -> dict[str, Any]:
        """What was found, as plain values."""
        if self.verdict == TOO_FEW:
            return {"verdict": TOO_FEW, "rows": self.rows}
        figures = {"together": self.together, "alone": self.alone, "apart": self.apart}
        return {"verdict": self.verdict, "rows": self.rows, **{k: one.as_dict() for k, one in figures.items()}}

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        if self.verdict == TOO_FEW:
            return f"of your {self.rows:,} rows none could be held out: {_ADVICE[TOO_FEW]}"
        scale = Scale()
        figures = (
            f"together {self.together.told(scale)} of your {self.rows:,} rows are answered right while held out, "
            f"alone {self.alone.told(scale)}: {scale.apart(self.apart.value, self.apart.low, self.apart.high)}"
        )
        return f"{figures}. {_ADVICE[self.verdict]}"


_ADVICE = {
    TOGETHER: "The model of all sites is better for you.",
    ALONE: "A model of your rows alone is better for you: use `handful tune` on them.",
    TIE: "Your rows cannot tell them apart.",
    TOO_FEW: "whether you gain cannot be told.",
}


def compared(
    together: NDArray[np.bool_], alone: NDArray[np.bool_], groups: NDArray[np.integer], held_out: bool
) -> Gain:  # fmt: skip
    """Compare the model of all sites with one of a site's own rows.

    Args:
        together: (N,) whether the first answered each row right, held out.
        alone: (N,) the same of the second.
        groups: (N,) rows that share a number stand for each other.
        held_out: whether there were rows enough to hold any out for the second.
    """
    dependent = None if len(np.unique(groups)) == len(groups) else groups
    if len(together) < _FEWEST or not held_out:
        nothing = Estimate(float("nan"), -np.inf, np.inf)
        return Gain(nothing, nothing, nothing, len(together))
    one, other = share(together), share(alone)
    apart = difference(one, other, dependent)
    return Gain(interval(one, dependent), interval(other, dependent), apart, len(together))


_FEWEST = 2
