"""The protocol: how many folds and repeats a number of rows deserves, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.data.splits import fold_ids

FEW = 30
"""Below this many rows each row (or group) is left out on its own."""
MANY = 200
"""Above this many rows one repeat of five folds is enough to start with."""
FOLDS = 5
REPEATS = 5


@dataclass(frozen=True)
class Protocol:
    """How rows are held out."""

    kind: str
    """``loo`` (leave one row or group out) or ``folds``."""
    folds: int
    """K, how many folds a repeat has."""
    repeats: int
    """R, how often the folds are drawn anew."""
    grouped: bool
    """Whether rows of one group stay together because the source says so."""

    @property
    def name(self) -> str:
        """As it stands in ``scores.json``, for example ``nested 5x5 stratified``."""
        if self.kind == "loo":
            return f"nested leave-one-{'group' if self.grouped else 'row'}-out"
        return f"nested {self.repeats}x{self.folds} stratified{' grouped' if self.grouped else ''}"


def protocol_for(groups: NDArray[np.integer], grouped: bool, affordable_repeats: int = REPEATS) -> Protocol:
    """Decide how rows are held out.

    Args:
        groups: (N,) rows that must stay together share a number.
        grouped: whether the source names groups (speaker, document), beyond duplicates.
        affordable_repeats: how many repeats the budget allows; counts only above ``MANY`` rows.
    """
    rows, distinct = len(groups), len(np.unique(groups))
    if rows < FEW or distinct < 2 * FOLDS:
        return Protocol("loo", distinct if distinct <= FEW else FOLDS, 1, grouped)
    repeats = REPEATS if rows <= MANY else max(1, min(REPEATS, affordable_repeats))
    return Protocol("folds", FOLDS, repeats, grouped)


def draw_folds(
    protocol: Protocol, truth: NDArray[np.integer], groups: NDArray[np.integer], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Give every row a fold in every repeat.

    Args:
        protocol: how rows are held out.
        truth: (N,) class numbers.
        groups: (N,) rows that share a number share a fold.
        rng: source of the draws.

    Returns:
        (R, N) fold numbers.
    """
    if protocol.kind == "loo":
        return np.asarray(np.unique(groups, return_inverse=True)[1], np.int64)[None]
    return np.stack([fold_ids(truth, groups, protocol.folds, rng) for _ in range(protocol.repeats)])
