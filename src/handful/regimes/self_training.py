"""Self-training: what a model answers surely to items of the pool is learned from as if it had been labelled.

Answers are taken where the nearest labelled rows agree with them, no more per class than the labelled rows bear, and
they count for less than these (Yarowsky 1995; Lee 2013, "Pseudo-label"; balanced as in Zou et al. 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.features.view import Matrix
from handful.regimes.part import Part, PoolArm
from handful.strategies.frozen.ensemble import Linear
from handful.tasks.base import HeadTask, Targets

Floats = NDArray[np.floating]


def strange(rows: Matrix, pool: Matrix, share: float) -> NDArray[np.bool_]:
    """Which items of a pool are further from every row than nearly all rows are from the others.

    Args:
        rows: (N, D) of length one.
        pool: (M, D) of length one.
        share: the share of rows that may be as far.

    Returns:
        (M,) truths.
    """
    among = rows @ rows.T
    np.fill_diagonal(among, -np.inf)
    return np.asarray((pool @ rows.T).max(1) < np.quantile(among.max(1), share))


def agreement(task: HeadTask, answers: Targets, targets: Targets, cosines: Floats, neighbours: int) -> Floats:
    """How far the rows nearest to each item want what is answered to it.

    Args:
        task: of both.
        answers: what is answered to M items, as targets.
        targets: of N rows.
        cosines: (M, N) between items and rows.
        neighbours: how many rows are asked.

    Returns:
        (M,) from 0 to 1: the mean likeness of what the neighbours want.
    """
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :neighbours]  # (M, n)
    alike = [task.likeness(answers.joined(targets.take(at)))[: len(at), len(at) :].diagonal() for at in nearest.T]
    return np.asarray(np.mean(alike, axis=0))


def balanced(sure: Floats, strata: NDArray[np.integer], most: NDArray[np.integer]) -> NDArray[np.int64]:
    """The surest items of every class, no more of each than it may have.

    Args:
        sure: (M,) how sure each answer is; items at or below 0 are never taken.
        strata: (M,) the class of each answer.
        most: (S,) how many items of each class may be taken.

    Returns:
        Positions, in order.
    """
    picked = []
    for c, limit in enumerate(most.tolist()):
        own = np.flatnonzero((strata == c) & (sure > 0))
        picked.append(own[np.argsort(-sure[own], kind="stable")][:limit])
    return np.sort(np.concatenate(picked)) if picked else np.zeros(0, np.int64)


def weights_of(strata: NDArray[np.integer], rows: NDArray[np.integer], share: float) -> NDArray[np.float32]:
    """How much each taken item counts: all of a class together at most a share of its labelled rows.

    Args:
        strata: (Q,) the class of each item.
        rows: (S,) how many labelled rows each class has.
        share: of the weight of these.
    """
    counts = np.bincount(strata, minlength=len(rows))
    each = np.minimum(1.0, share * rows / np.maximum(counts, 1))
    return np.asarray(each[strata], np.float32)


@dataclass(frozen=True)
class SelfTraining(PoolArm):
    """Answers to the pool that are likely right are learned from, in rounds."""

    rounds: int = 1
    """How often the pool is answered, each time by the model of the round before."""
    neighbours: int = 3
    """How many labelled rows have a say about an answer."""
    agree: float = 0.3
    """How far they must agree with it, from 0 to 1."""
    sure: float = 0.6
    """How sure an answer must be of itself, from 0 to 1."""
    most: float = 16.0
    """Items that are taken per labelled row of the same class."""
    share: float = 1.0
    """How much the items of a class count together, in labelled rows of that class."""
    rare: float = 0.05
    """Items further from all rows than this share of the rows is from the others are not learned from."""
    name = "self-training"

    def refuses(self, task: HeadTask) -> str:
        """Answers of tasks without classes are never sure in the sense that is needed here."""
        return "" if task.self_trains else f"what is answered in {task.name} is no label to learn from"

    def fit(self, part: Part) -> Linear:
        """Answer the pool, take what is likely right, fit again; the half not learned from says how sure it may be."""
        model, half = part.plain, np.arange(part.count) % 2 == 0
        for _ in range(self.rounds):
            at, answers = self.taken(part, part.answered(model, part.pool))
            if not len(at):
                break
            model = self._learned(part, at, answers)
        if model is part.plain:
            return model
        return part.as_sure(model, self._learned(part, at[half[at]], answers.take(half[at])), ~half)

    def _learned(self, part: Part, at: NDArray[np.int64], answers: Targets) -> Linear:
        """Fit on the rows and on the items at some positions of the pool, with what was answered to these."""
        strata, rows = _classes(part.targets, answers)
        weights = np.concatenate([np.ones(len(part.targets), np.float32), weights_of(strata, rows, self.share)])
        picked = {key: x[at] for key, x in part.pool.items()}
        return part.fitted(picked, part.targets.task.design(answers), weights)

    def taken(self, part: Part, outputs: Floats) -> tuple[NDArray[np.int64], Targets]:
        """Positions of the items whose answers (M, K) are learned from, and these answers as targets."""
        targets, task = part.targets, part.targets.task
        answers = task.coded(task.words(outputs, targets.names), targets.names)
        answers = replace(targets, values=answers.values)
        rows, pool = part.alike
        sure = task.confidence(outputs)
        agreed = agreement(task, answers, targets, pool @ rows.T, min(self.neighbours, len(rows)))
        good = (agreed >= self.agree) & (sure >= self.sure) & ~strange(rows, pool, self.rare)
        strata, counts = _classes(targets, answers)
        at = balanced(np.where(good, sure, 0), strata, np.ceil(self.most * counts).astype(np.int64))
        return at, answers.take(at)


def _classes(targets: Targets, answers: Targets) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(M,) the class of each answer, and (S,) how many rows each class has."""
    task = targets.task
    strata = task.strata(answers)
    own = task.strata(targets)
    return strata, np.bincount(own, minlength=max(int(strata.max(initial=0)), int(own.max())) + 1)
