"""Synthetic rows: scarce classes are filled up between their own rows, in the space of features.

Interpolation between a row and one of its nearest neighbours of the same class (SMOTE; Chawla et al. 2002).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.features.view import unit_rows
from handful.regimes.part import Part, PoolArm
from handful.seeding import generator
from handful.strategies.frozen.ensemble import Linear
from handful.tasks.base import HeadTask

Floats = NDArray[np.floating]


def between(
    cosines: Floats, strata: NDArray[np.integer], wanted: NDArray[np.integer], neighbours: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Where new rows lie: each between a row and one of its nearest neighbours of the same class.

    Args:
        cosines: (N, N) between rows.
        strata: (N,) the class of each row.
        wanted: (S,) how many new rows each class is to have; a class of one row can have none.
        neighbours: so many nearest rows may be the other end.
        rng: draws the rows, their neighbours and how far the new row is from either.

    Returns:
        (Q,) rows, (Q,) neighbours, and (Q,) how far from the first to the second, from 0 to 1.
    """
    first, second = [], []
    for c, count in enumerate(wanted.tolist()):
        own = np.flatnonzero(strata == c)
        if len(own) < 2 or not count:
            continue
        near = cosines[np.ix_(own, own)].copy()
        np.fill_diagonal(near, -np.inf)
        order = np.argsort(-near, axis=1, kind="stable")[:, : min(neighbours, len(own) - 1)]
        start = rng.integers(len(own), size=count)
        first.append(own[start])
        second.append(own[order[start, rng.integers(order.shape[1], size=count)]])
    if not first:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    return np.concatenate(first), np.concatenate(second), rng.random(sum(map(len, first)))


@dataclass(frozen=True)
class SyntheticRows(PoolArm):
    """Every class gets rows until it has as many as the most frequent one, at most so many times its own."""

    most: float = 5.0
    """At most so many new rows per row of a class."""
    neighbours: int = 5
    """A new row lies between a row and one of so many nearest ones."""
    weight: float = 1.0
    """How much a new row counts, in rows."""
    name = "synthetic-rows"
    by_class = True

    def refuses(self, task: HeadTask) -> str:
        """Scarce are classes, and what lies between two rows of a class is of that class."""
        return "" if task.exclusive else f"{task.name} has no classes that could be scarce"

    def applies(self, part: Part) -> bool:
        """Where a class has less than half of the rows that the most frequent one has."""
        counts = np.bincount(part.targets.task.strata(part.targets))
        return bool(2 * counts[counts > 0].min() < counts.max()) and bool(self.scarce(part).any())

    def scarce(self, part: Part) -> NDArray[np.int64]:
        """(S,) how many rows each class is short of, of what it can be given."""
        counts = np.bincount(part.targets.task.strata(part.targets))
        return np.asarray(np.minimum(counts.max() - counts, (self.most * counts).astype(np.int64)), np.int64)

    def fit(self, part: Part) -> Linear:
        """Fill scarce classes up, and fit."""
        wanted = self.scarce(part)
        if not wanted.any():
            return part.plain
        rows, _ = part.alike
        task, strata = part.targets.task, part.targets.task.strata(part.targets)
        first, second, way = between(rows @ rows.T, strata, wanted, self.neighbours, generator(part.seed, "synthetic"))
        step = way[:, None].astype(np.float32)
        more = {key: (1 - step) * unit_rows(x[first]) + step * unit_rows(x[second]) for key, x in part.items.items()}
        counts = np.concatenate([np.ones(len(rows)), np.full(len(first), self.weight)])
        own = replace(part, items={key: unit_rows(x) for key, x in part.items.items()})
        return part.as_sure(own.fitted(more, task.design(part.targets)[first], counts))
