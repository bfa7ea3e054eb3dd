"""The protocol of cross-validation: how many folds and repeats a number of rows deserves, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.splits import fold_ids

MANY = 200
"""Above this many rows one repeat of five folds is enough to start with."""
FOLDS = 5
REPEATS = 5
FEWEST_FOLDS = 3
"""One fold to score on, one to choose by, one to learn from; and as many as trainings that take minutes can pay for."""


@dataclass(frozen=True)
class Protocol:
    """How rows are held out."""

    kind: str
    """``folds``, or ``logo`` (leave one group out)."""
    folds: int
    """K, how many folds a repeat has."""
    repeats: int
    """R, how often the folds are drawn anew."""
    grouped: bool
    """Whether rows of one group stay together because the source says so."""

    @property
    def name(self) -> str:
        """As it stands in ``scores.json``, for example ``nested 5x5 stratified``."""
        if self.kind == "logo":
            return "nested leave-one-group-out"
        return f"nested {self.repeats}x{self.folds} stratified{' grouped' if self.grouped else ''}"

    @property
    def fewest(self) -> Protocol:
        """How rows are held out from trainings that cost too much for many folds: once, in three of them."""
        if self.folds <= FEWEST_FOLDS:
            return replace(self, repeats=1)
        return Protocol("folds", FEWEST_FOLDS, 1, self.grouped)


def protocol_for(
    truth: NDArray[np.integer], groups: NDArray[np.integer], grouped: bool, affordable_repeats: int = REPEATS
) -> Protocol:
    """Decide how rows are held out.

    Single rows are never left out one by one: whoever is left out makes its own class rarer among the others, so on
    noise the answers are wrong more often than chance, by as much as the interval is wide (Kohavi 1995 shows the
    extreme case). Stratified folds take about the same share from every class.

    Args:
        truth: (N,) class numbers.
        groups: (N,) rows that must stay together share a number.
        grouped: whether the source names groups (speaker, document), beyond duplicates.
        affordable_repeats: how many repeats the budget allows; counts only above ``MANY`` rows.
    """
    rows, distinct = len(groups), len(np.unique(groups))
    few = distinct < 2 * FOLDS
    if grouped and few:
        return Protocol("logo", distinct, 1, grouped)
    rarest = min(len(np.unique(groups[truth == c])) for c in np.unique(truth))
    folds = min(distinct, FOLDS, max(FEWEST_FOLDS, rarest)) if few else FOLDS
    repeats = REPEATS if rows <= MANY else max(1, min(REPEATS, affordable_repeats))
    return Protocol("folds", folds, repeats, grouped)


def draw_folds(
    protocol: Protocol, truth: NDArray[Any], groups: NDArray[np.integer], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Give every row a fold in every repeat.

    Args:
        protocol: how rows are held out.
        truth: (N,) class numbers, or (N, S) how much each row has of each of S things.
        groups: (N,) rows that share a number share a fold.
        rng: source of the draws.

    Returns:
        (R, N) fold numbers.
    """
    if protocol.kind == "logo":
        return np.asarray(np.unique(groups, return_inverse=True)[1], np.int64)[None]
    return np.stack([fold_ids(truth, groups, protocol.folds, rng) for _ in range(protocol.repeats)])
