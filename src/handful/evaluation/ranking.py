"""Rankings: how many of the items that are ranked first are wanted ones, as shares with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.intervals import Estimate, interval
from handful.evaluation.metrics import Measured, Scale, share


@dataclass(frozen=True)
class Ranking:
    """How well N held-out items are ranked, those first that are wanted most.

    Intervals take the ranking as it is: they say what other items of the same kind may show, not what other labels
    would have made of it.
    """

    k: int
    """How many are shown."""
    precision: Estimate
    """Of those that are shown, the share that is wanted: precision at k."""
    recall: Estimate
    """Of those that are wanted, the share that is shown: recall at k."""
    average_precision: Estimate
    """The mean, over the wanted ones, of the precision down to each of them: average precision."""
    at_random: float
    """Of all items, the share that is wanted: what showing any k of them would find."""

    def __str__(self) -> str:
        """All of it in one sentence."""
        scale = Scale()
        ends = scale.between(self.precision.low, self.precision.high, "to")
        return (
            f"of the {self.k} ranked first {self.precision.told(scale)} are wanted ({ends}), at random "
            f"{scale.told(self.at_random)}; they are {self.recall.told(scale)} of all that are wanted; average "
            f"precision {self.average_precision.told(scale)}"
        )


def ranked(
    scores: NDArray[np.floating], wanted: NDArray[np.bool_], k: int, groups: NDArray[np.int64] | None,
    rng: np.random.Generator,
) -> Ranking:  # fmt: skip
    """Rank N items by their scores and measure the ranking.

    Args:
        scores: (N,) the highest first; ties are broken at random.
        wanted: (N,) which are wanted; some are, and some are not.
        k: how many are shown, at most N.
        groups: (N,) items that are not independent share a number; None where all are.
        rng: breaks ties, and draws items for intervals.
    """
    order = np.lexsort((rng.random(len(scores)), -scores))
    hits = np.cumsum(wanted[order])
    at = np.empty(len(order), np.int64)
    at[order] = np.arange(len(order))  # (N,) the place of each item, from 0
    above = hits[at] / (at + 1)  # (N,) the precision down to each item

    def measured(values: NDArray[np.floating] | NDArray[np.bool_], rows: NDArray[np.bool_]) -> Estimate:
        some: Measured = share(values[rows])
        return interval(some, None if groups is None else groups[rows], rng=rng)

    shown = at < k
    return Ranking(
        k, measured(wanted, shown), measured(shown, wanted), measured(above, wanted), float(wanted.mean())
    )  # fmt: skip
