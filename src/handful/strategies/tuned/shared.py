"""The strategy ``shared``: one training of the blocks that the heads of several targets hang on, held out for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.engines import Engine
from handful.strategies.tuned.cross_fit import CrossFit, HeldOutScores
from handful.strategies.tuned.fit import Adapted, linear_map, moved_by, scores_of, settled, start, with_names
from handful.strategies.tuned.recipe import ItemRecipe
from handful.strategies.tuned.strategy import Tuned
from handful.strategies.tuned.trainings import Hear, Moved, Part, heard, trained
from handful.tasks.base import Targets
from handful.training.activations import Activations
from handful.training.batches import Balanced, Wanted
from handful.training.body import features_of
from handful.training.loop import Update
from handful.training.objectives import Objective
from handful.training.objectives.classify import CrossEntropy
from handful.training.objectives.several_heads import HeadLoss, SeveralHeads


@dataclass(eq=False, repr=False)
class Shared(Tuned):
    """What ``partial`` does for one target, for several at once: a classifier for each on the same top blocks."""

    name = "shared"
    trainable_fraction: float = 0.34
    """The share of the blocks, from the top, that take part."""
    learning_rate: float = 1e-4
    """The highest learning rate."""
    updates: int = 60
    """How many times the weights are moved."""
    layer_decay: float = 0.9
    """Factor on the rate from each block to the one below it."""
    smoothing: float = 0.1
    """Share of the target that is spread over all classes."""

    def objective(self) -> Objective:
        """Cross-entropy with smoothed labels, or what a task has in its place."""
        return CrossEntropy(self.smoothing)


@dataclass(frozen=True)
class HeadTargets:
    """What one head learns: what is wanted of those items that have its target."""

    targets: Targets
    """Of the M rows that have it."""
    rows: NDArray[np.int64]
    """(M,) where they stand among the items of all heads, in order."""
    names: NDArray[np.int64]
    """(C,) where the names of its classes stand, which are items too; none where they say nothing."""


@dataclass(frozen=True)
class HeadsSetup:
    """What the trainings of several heads have in common."""

    heads: Sequence[HeadTargets]
    """Each with the rows that have its target."""
    activations: Activations
    """Of the items of all heads, then of the names of their classes."""
    recipe: ItemRecipe
    """How weights move."""


@dataclass(frozen=True)
class AnsweredHeads:
    """What comes back of a training that is asked about rows: no weights."""

    log: tuple[Update, ...]
    """Every update."""
    scores: tuple[NDArray[np.float32] | None, ...]
    """Of each head (M, K); None where it had nothing to tell apart."""
    moved: int
    """How many weights could move."""
    named: bool
    """Whether names of classes were learned from as well."""


def adapt_heads(
    setup: HeadsSetup,
    rows: NDArray[np.int64],
    *,
    checkpoint: Path | None = None,
    progress: Callable[[Update, int], bool | None] = lambda update, total: None,
) -> Adapted:
    """Move weights so that several heads, each on its own rows, answer better.

    Each begins as the head that is fitted to frozen features. Of each an update sees as many rows as the recipe says.

    Args:
        setup: the heads, and how weights move.
        rows: positions of the items to learn from.
        checkpoint: where the state of the training is kept.
        progress: called after every update.

    Raises:
        TrainingError: the training ran away.
    """
    recipe, activations = setup.recipe, setup.activations
    parts = [part for head in setup.heads if (part := _among(head, rows)) is not None]
    learned = [with_names(activations, p.rows, p.targets, recipe.label_name_weight, p.names) for p in parts]
    extra = [own[len(part.rows) :] for part, (own, _) in zip(parts, learned, strict=True)]
    items = np.unique(np.concatenate([part.rows for part in parts]))
    entries = np.concatenate([items, *extra])  # (M,) the rows of all heads, then the names of each
    strata = np.full((len(parts), len(entries)), -1)
    designs, losses, maps = list[NDArray[np.float32]](), list[HeadLoss](), []
    end = len(items)
    for i, (part, (own, targets)) in enumerate(zip(parts, learned, strict=True)):
        at = np.concatenate([np.searchsorted(items, part.rows), end + np.arange(len(extra[i]))])
        end += len(extra[i])
        strata[i, at] = targets.task.strata(targets)
        design = targets.task.design(targets)
        design = design[:, design.any(0)]  # what no row is of has nothing to be learned from
        maps.append(linear_map(targets.task.main, activations.frozen_in(own), design, recipe.penalty))
        first, objective = sum(d.shape[1] for d in designs), targets.task.objective(recipe.objective)
        losses.append(HeadLoss(first, design.shape[1], objective))
        wide = np.full((len(entries), design.shape[1]), np.nan, np.float32)
        wide[at] = design
        designs.append(wide)
    body = start(activations, recipe, int(entries[0]))
    body.classify(np.concatenate([coef for coef, _ in maps], 1), np.concatenate([bias for _, bias in maps]))
    wanted = Wanted(np.concatenate(designs, 1), strata, None)
    source = Balanced(
        activations, entries, wanted, recipe.batch, recipe.settings.seed, tokens=recipe.tokens, device=body.device
    )
    done = moved_by(body, SeveralHeads(losses), source, recipe, checkpoint, progress)
    return settled(activations, [replace(done, named=len(entries) > len(items))], recipe)


def cross_fit_heads(
    setup: HeadsSetup,
    folds: NDArray[np.int64],
    engine: Engine,
    *,
    file: Callable[[int], Path | None] = lambda fold: None,
    progress: Callable[[int, Update], None] = lambda fold, update: None,
) -> list[CrossFit]:
    """Move weights without each fold in turn, of which the rows are held out from all heads at once.

    Args:
        setup: the heads, and how weights move.
        folds: (N,) fold of each item.
        engine: where the trainings run.
        file: fold → where the state of its training is kept.
        progress: called with the fold after every update, as by ``cross_fit``.

    Returns:
        What the trainings came to for each head, with an even share of the time that they took.

    Raises:
        TrainingError: a training ran away.
        MachineError: a process of the engine ended before its training was over.
    """
    begun = time.perf_counter()
    gathered = [HeldOutScores(head.targets, folds[head.rows]) for head in setup.heads]
    learnable = [k for k in range(int(folds.max()) + 1) if any(one.learnable(k) for one in gathered)]
    parts = [Part(np.flatnonzero(folds != k), k, file(k)) for k in learnable]

    def hear(part: Part, update: Update) -> None:
        assert part.fold is not None
        progress(part.fold, update)

    with closing(trained(engine, answered_heads, setup, parts, hear)) as results:
        for k, result in zip(learnable, results, strict=True):
            for one, scores in zip(gathered, result.scores, strict=True):
                if scores is not None and one.learnable(k):
                    one.add(k, scores, result.log, result.moved, result.named)
    share = (time.perf_counter() - begun) / len(gathered)
    return [one.cross_fit(share) for one in gathered]


def answered_heads(hear: Hear | None, setup: HeadsSetup, part: Part) -> AnsweredHeads:
    """Train on a part of the items, and score all of them with each head; as ``trainings.answered``."""
    adapted = adapt_heads(setup, part.rows, checkpoint=part.checkpoint, progress=heard(hear, part))
    items = np.unique(np.concatenate([head.rows for head in setup.heads]))
    seen = features_of(adapted.body, setup.activations, items)  # (N, D), once for all heads
    scores = []
    for head in setup.heads:
        learned = np.isin(head.rows, part.rows)
        own = seen[np.searchsorted(items, head.rows)]
        tells = _among(head, part.rows) is not None
        scores.append(scores_of(own, learned, head.targets, setup.recipe.penalty) if tells else None)
    return AnsweredHeads(adapted.log, tuple(scores), adapted.moved, adapted.named)


def moved_heads(hear: Hear | None, setup: HeadsSetup, part: Part) -> Moved:
    """Train on a part of the items, and keep what moved; as ``trainings.moved``."""
    adapted = adapt_heads(setup, part.rows, checkpoint=part.checkpoint, progress=heard(hear, part))
    return Moved(adapted.log, adapted.delta)


def _among(head: HeadTargets, rows: NDArray[np.int64]) -> HeadTargets | None:
    """A head with those of its rows that are among some items; None where these have nothing to tell apart."""
    at = np.flatnonzero(np.isin(head.rows, rows))
    targets = head.targets.take(at)
    several = len(at) and targets.task.design(targets).std(0).any()
    return HeadTargets(targets, head.rows[at], head.names) if several else None
