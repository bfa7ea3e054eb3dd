"""One class under two names: classes of different sites whose names or whose rows are nearly alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from handful.regimes.federated.sums import Sums

# Two classes look like one where no other is as near to either, and the squared distance of their means is at most so
# many times what chance makes of rows of one class, or without that at most such a share of the usual one. On banking77
# (two sites, one class of nine under two names, 10 rows each) 36 of 40 such pairs were found and no other, in one look.
_CHANCE, _SHARE = 1.3, 0.1
# Classes with fewer rows than this have no mean to speak of: of news with 5 rows, others look as near.
_FEWEST = 10


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


def alike(sites: Mapping[str, Sequence[str]], whole: Sums) -> list[Pair]:
    """Pairs of classes that no site has both of, and that look like one.

    Args:
        sites: site → the classes that it has rows of.
        whole: the sums of all of them, of one fold.
    """
    owners = {name: sorted(site for site, own in sites.items() if name in own) for name in whole.names}
    rows = np.maximum(whole.counts[0], 1.0)  # (C,)
    centres = whole.totals[0] / rows[:, None]
    lengths = (centres**2).sum(1)
    square = np.maximum(lengths[:, None] + lengths[None] - 2 * centres @ centres.T, 0.0)  # (C, C)
    by_chance = _scatter(whole) * (1 / rows[:, None] + 1 / rows[None])
    apart = np.maximum(square - by_chance, 0.0)
    usual = float(np.median(apart[np.triu_indices(len(rows), 1)]))
    np.fill_diagonal(square, np.inf)
    nearest = square.argmin(1)
    pairs = []
    for a, b in combinations(range(len(rows)), 2):
        one, two = whole.names[a], whole.names[b]
        if set(owners[one]) & set(owners[two]) or not (owners[one] and owners[two]):
            continue
        near = square[a, b] <= _CHANCE * by_chance[a, b] or apart[a, b] <= _SHARE * usual
        where = (owners[one][0], owners[two][0])
        if _plain(one) == _plain(two):
            pairs.append(Pair(one, two, where, "their names differ in capitals, blanks or signs only"))
        elif min(rows[a], rows[b]) >= _FEWEST and nearest[a] == b and nearest[b] == a and near:
            pairs.append(Pair(one, two, where, "their rows look as alike as those of one class"))
    return pairs


def _scatter(whole: Sums) -> float:
    """The sum over the columns of the variance of rows of length one within their class. Sums of one fold."""
    counts = np.maximum(whole.counts[0], 1e-9)
    between = float(((whole.totals[0] ** 2).sum(1) / counts).sum())
    rows = whole.rows
    squares = rows if whole.grams is None else float(np.trace(whole.grams[0]))
    return max(squares - between, 0.0) / max(rows - np.count_nonzero(whole.counts[0]), 1.0)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
