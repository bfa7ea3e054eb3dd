"""One class under two names: classes of different sites whose names or whose rows are nearly alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from handful.regimes.federated.sums import Floats, Sums

# Two means are as near as those of one class may be where their distance is at most so many times what chance alone
# makes of rows of one class, and no other class is as near.
_CHANCE = 2.0
# Classes with fewer rows than this have no mean to speak of.
_FEWEST = 3


@dataclass(frozen=True)
class Pair:
    """Two classes that may be one."""

    first: str
    """One of them."""
    second: str
    """The other."""
    sites: tuple[str, str]
    """A site that has the one, and a site that has the other."""
    why: str
    """What is alike."""

    @property
    def sentence(self) -> str:
        """What to do about them."""
        one, two = self.sites
        return (
            f"“{self.first}” of {one} and “{self.second}” of {two} may be one class under two names: {self.why}. "
            "If they are, call them alike and fit again."
        )


def alike(sites: Mapping[str, Sums], scatter: float) -> list[Pair]:
    """Pairs of classes that no site has both of, and that look like one.

    Args:
        sites: site → its counts and totals, of one fold.
        scatter: the sum over the columns of the variance of rows within their class.
    """
    every = {name: one.aligned(sorted({*one.names})) for name, one in sites.items()}
    counts: dict[str, float] = {}
    totals: dict[str, Floats] = {}
    owner: dict[str, set[str]] = {}
    for site, sums in every.items():
        for c, name in enumerate(sums.names):
            if sums.counts[0, c] > 0:
                counts[name] = counts.get(name, 0.0) + float(sums.counts[0, c])
                totals[name] = totals.get(name, np.zeros(sums.width)) + sums.totals[0, c]
                owner.setdefault(name, set()).add(site)
    names = sorted(counts)
    centres = np.stack([totals[name] / counts[name] for name in names])
    square = ((centres[:, None] - centres[None]) ** 2).sum(-1)
    np.fill_diagonal(square, np.inf)
    pairs = []
    for a, b in combinations(range(len(names)), 2):
        one, two = names[a], names[b]
        if owner[one] & owner[two]:
            continue
        where = (min(owner[one]), min(owner[two]))
        by_chance = scatter * (1 / counts[one] + 1 / counts[two])
        nearest = square[a].argmin() == b and square[b].argmin() == a
        if _plain(one) == _plain(two):
            pairs.append(Pair(one, two, where, "their names differ in capitals, blanks or signs only"))
        elif min(counts[one], counts[two]) >= _FEWEST and nearest and square[a, b] <= _CHANCE * by_chance:
            pairs.append(Pair(one, two, where, "their rows look as alike as those of one class"))
    return pairs


def within_scatter(whole: Sums) -> float:
    """The sum over the columns of the variance of rows of length one within their class. Sums of one fold."""
    counts = np.maximum(whole.counts[0], 1e-9)
    between = float(((whole.totals[0] ** 2).sum(1) / counts).sum())
    rows = whole.rows
    squares = rows if whole.grams is None else float(np.trace(whole.grams[0]))
    return max(squares - between, 0.0) / max(rows - np.count_nonzero(whole.counts[0]), 1.0)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
