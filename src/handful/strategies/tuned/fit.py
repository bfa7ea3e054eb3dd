"""Adaptation: a recipe carried out on kept activations, and what moved put to use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.splits import fold_ids
from handful.errors import TrainingError
from handful.features.view import unit_rows
from handful.seeding import generator
from handful.strategies.frozen.solver import ABSENT, fit_head
from handful.strategies.tuned.lessons import AREAS, easier_half, in_areas
from handful.strategies.tuned.recipe import ON_FEATURES, SWEEP, SWEPT, ItemRecipe
from handful.tasks.base import Targets
from handful.tasks.heads import Head
from handful.training.activations import Activations
from handful.training.batches import Balanced, Wanted
from handful.training.body import Body, features_of, trainable
from handful.training.loop import Penalty, Update, train
from handful.training.model_penalties import Adversary, NearStart
from handful.training.objectives import Objective
from handful.training.objectives.penalties import RDrop
from handful.training.parts import PartActivations, PartBody
from handful.training.tuners import Blocks
from handful.training.tuners.base import Delta

# A batch of all rows, and of the names beside them.
_ALL = 1 << 30


@dataclass(frozen=True)
class Adapted:
    """What an adaptation came to."""

    delta: Delta
    """What moved."""
    log: tuple[Update, ...]
    """Every update."""
    moved: int
    """How many weights could move."""
    body: Body
    """The trained blocks."""
    named: bool
    """Whether the names of the classes were learned from as well."""


def adapt(
    activations: Activations,
    rows: NDArray[np.int64],
    targets: Targets,
    recipe: ItemRecipe,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[Update, int], bool | None] = lambda update, total: None,
) -> Adapted:
    """Move weights so that some rows are told apart better.

    Args:
        activations: what the frozen blocks give, at the depth of the recipe.
        rows: (M,) the rows to learn from.
        targets: what is wanted of them.
        recipe: how.
        checkpoint: where the state of the training is kept.
        progress: called after every update.

    Returns:
        What moved, and how it went.

    Raises:
        TrainingError: the training ran away.
    """
    if recipe.sweep:
        recipe = at_best_rate(activations, rows, targets, recipe)
    if recipe.gradual:
        recipe = unfrozen(activations, rows, targets, recipe)
    if recipe.lesson:
        second, log = after_lesson(activations, rows, targets, recipe)
        done = adapt(activations, rows, targets, second, checkpoint=checkpoint, progress=progress)
        later = (replace(update, number=update.number + len(log)) for update in done.log)
        return replace(done, log=(*log, *later))
    if recipe.members == 1:
        parts = [_once(activations, rows, targets, recipe, checkpoint, progress)]
    else:
        left_out = _parts(targets, recipe.members, recipe.settings.seed)
        parts = []
        for m in range(recipe.members):
            settings = replace(recipe.settings, seed=recipe.settings.seed + m)
            at, file = np.flatnonzero(left_out != m), _beside(checkpoint, str(m))
            some, own = targets.take(at), replace(recipe, settings=settings)
            parts.append(_once(activations, rows[at], some, own, file, progress))
        if recipe.student is not None:
            taught, file = replace(recipe, objective=recipe.student), _beside(checkpoint, "student")
            teacher = _taught(parts, left_out, activations, rows, targets, recipe.penalty)
            student = _once(activations, rows, targets, taught, file, progress, teacher)
            parts = [replace(student, named=any(part.named for part in parts))]  # by way of its teachers
    return settled(activations, parts, recipe)


def settled(activations: Activations, parts: Sequence[Adapted], recipe: ItemRecipe) -> Adapted:
    """The mean of one or more trainings, as far from the frozen weights as the recipe goes."""
    if len(parts) == 1 and recipe.wise_alpha == 1:
        return parts[0]
    delta = recipe.tuner.combine([part.delta for part in parts], [1.0] * len(parts))
    if recipe.wise_alpha != 1:
        delta = recipe.tuner.faded(start(activations, recipe), delta, recipe.wise_alpha)
    body = start(activations, recipe)
    recipe.tuner.load(body, delta)
    return replace(parts[0], delta=delta, body=body.eval())


def _once(
    activations: Activations,
    rows: NDArray[np.int64],
    targets: Targets,
    recipe: ItemRecipe,
    checkpoint: Path | None = None,
    progress: Callable[[Update, int], bool | None] = lambda update, total: None,
    teacher: NDArray[np.float32] | None = None,
) -> Adapted:
    """One training; ``teacher`` is (M, K) scores of the rows to learn from, and has none for names."""
    count, task = len(rows), targets.task
    if teacher is None:
        rows, targets = with_names(activations, rows, targets, recipe.label_name_weight)
    body = start(activations, recipe, int(rows[0]))
    design, strata = task.design(targets), task.strata(targets)
    design = design[:, design.any(0)]  # what no row is of has nothing to be learned from
    if not isinstance(recipe.objective, ON_FEATURES):  # the head first, then the body (Kumar et al. 2022, LP-FT)
        # Seen once for all trainings on these activations, unless what moves begins elsewhere.
        seen = activations.frozen_in(rows) if recipe.begin is None else features_of(body, activations, rows)
        body.classify(*linear_map(task.main, seen, design, recipe.penalty))
    objective = recipe.objective if isinstance(recipe.objective, ON_FEATURES) else task.objective(recipe.objective)
    objective = RDrop(objective, recipe.r_drop) if recipe.r_drop else objective
    drawn, units, wanted = activations.drawn_from(rows, Wanted(
        design, strata, lambda own: task.likeness(targets.take(own)), teacher, task.row_targets(targets).item
    ))  # fmt: skip
    size = recipe.size(len(units), len(np.unique(wanted.strata)), drawn.together)
    source = Balanced(drawn, units, wanted, size, recipe.settings.seed, bool(recipe.r_drop), recipe.tokens, body.device)
    return replace(moved_by(body, objective, source, recipe, checkpoint, progress), named=len(rows) > count)


def moved_by(
    body: Body,
    objective: Objective,
    source: Balanced,
    recipe: ItemRecipe,
    checkpoint: Path | None = None,
    progress: Callable[[Update, int], bool | None] = lambda update, total: None,
) -> Adapted:
    """Move what a recipe lets move of a body, with its classifier where it has one, so that an objective falls.

    Args:
        body: untouched blocks.
        objective: what is minimised.
        source: the rows of each update.
        recipe: how weights move.
        checkpoint: where the state of the training is kept.
        progress: called after every update.

    Raises:
        TrainingError: the training ran away.
    """
    groups = recipe.tuner.prepare(body, recipe.layer_decay)
    moved = trainable(body.blocks)
    penalties: list[Penalty] = []
    if recipe.l2_sp:
        penalties.append(NearStart.of([weight for group in groups for weight in group.weights], recipe.l2_sp))
    if recipe.adversary:
        penalties.append(Adversary(recipe.adversary))
    body.dropout = recipe.noisy
    with body.learning():
        log = train(
            body, objective, source, groups, replace(recipe.settings, dropout=body.dropout),
            penalties=penalties, checkpoint=checkpoint, progress=progress,
        )  # fmt: skip
    return Adapted(recipe.tuner.delta(body), log, moved, body, False)


def with_names(
    activations: Activations,
    rows: NDArray[np.int64],
    targets: Targets,
    count: int,
    names: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], Targets]:
    """The rows to learn from, and after them the names of all classes, where these tell something.

    Args:
        activations: what the frozen blocks give, for the names as well where they are texts.
        rows: (M,) the rows.
        targets: what is wanted of them.
        count: for how many rows a name counts.
        names: (C,) which items the names of the classes are; by default all those that the activations have.
    """
    if names is None:
        names = np.arange(len(activations) - activations.names, len(activations))
    if not len(names) or not count:
        return rows, targets
    seen = unit_rows(activations.frozen)
    if not targets.task.names_tell(seen[rows] @ seen[names].T, targets):
        return rows, targets
    named = targets.task.named(targets)
    for _ in range(count):
        rows, targets = np.concatenate([rows, names]), targets.joined(named)
    return rows, targets


def _parts(targets: Targets, count: int, seed: int) -> NDArray[np.int64]:
    """(M,) which member of a soup does without a row; no stratum is left out whole: its only row stays with all."""
    strata = targets.task.strata(targets)
    part = fold_ids(strata, np.arange(len(strata)), min(count, len(strata)), generator(seed, "soup"))
    single = np.bincount(strata, minlength=int(strata.max()) + 1)[strata] == 1
    return np.where(single, -1, part)


def linear_map(
    head: Head, features: NDArray[np.float32], design: NDArray[np.float32], penalty: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A head fitted to features of rows: (N, D), (N, K) → coef (D, K), intercept (K,)."""
    weights = np.ones((1, len(design)), np.float32)
    coef, intercept = fit_head(head, unit_rows(features), design, weights, [penalty])
    return coef[0, :, 0], intercept[0, 0]


def fitted(
    features: NDArray[np.float32], targets: Targets, penalty: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The head of a tuned backbone: (N, D) what it sees → coef (D, K), intercept (K,)."""
    return linear_map(targets.task.main, features, targets.task.design(targets), penalty)


def scored(
    body: Body, activations: Activations, learned: NDArray[np.bool_], targets: Targets, penalty: float,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Scores of a head on what a body sees, fitted on some of the rows; classes not among these are absent.

    Args:
        body: what moved.
        activations: what the frozen blocks give.
        learned: (M,) which rows the head learns from.
        targets: what is wanted of the M rows.
        penalty: λ of the head.
        rows: (M,) which rows of the activations; all of them by default.

    Returns:
        (M, K) scores, or (P, K) of the parts of the rows.
    """
    x = features_of(body, activations, np.arange(len(targets)) if rows is None else rows)
    return scores_of(x, learned, targets, penalty)


def scores_of(
    features: NDArray[np.float32], learned: NDArray[np.bool_], targets: Targets, penalty: float
) -> NDArray[np.float32]:
    """The same of features of the M rows, (M, D), or of their parts, (P, D)."""
    coef, intercept = fitted(features[in_rows(learned, targets)], targets.take(learned), penalty)
    return np.asarray(np.maximum(unit_rows(features) @ coef + intercept, ABSENT), np.float32)


def in_rows(some: NDArray[np.generic], targets: Targets) -> NDArray[Any]:
    """What is known of each of N items, (N,), as known of each row that heads learn from: of the P parts of these."""
    item = targets.task.row_targets(targets).item
    return some if item is None else some[item]


def _taught(
    parts: Sequence[Adapted], left_out: NDArray[np.int64], activations: Activations, rows: NDArray[np.int64],
    targets: Targets, penalty: float,
) -> NDArray[np.float32]:  # fmt: skip
    """(M, K) what members answer to rows that they did not learn from; to the others, the mean of all."""
    present = targets.task.design(targets).any(0)
    answers = [
        scored(part.body, activations, left_out != m, targets, penalty, rows)[:, present]
        for m, part in enumerate(parts)
    ]  # P × (M, K)
    found: NDArray[np.float32] = np.stack(answers).mean(0)
    for m, answer in enumerate(answers):
        found[left_out == m] = answer[left_out == m]
    return found


def _beside(file: Path | None, part: str) -> Path | None:
    """Where one of several trainings keeps its state."""
    return None if file is None else file.with_stem(f"{file.stem}-{part}")


def swept(
    activations: Activations,
    rows: NDArray[np.int64],
    targets: Targets,
    recipe: ItemRecipe,
    rates: Sequence[float],
    updates: int = SWEPT,
) -> dict[float, float]:
    """What a few updates at each rate come to, on all rows so that losses can be compared.

    Args:
        activations: what the frozen blocks give.
        rows: (M,) the rows to learn from.
        targets: what is wanted of them.
        recipe: everything but the rate.
        rates: what to try.
        updates: how many updates each rate gets; the loss is that before the last one.

    Returns:
        Rate → loss, infinite where the training ran away.
    """
    losses = {}
    for rate in rates:
        settings = replace(recipe.settings, rate=rate, updates=updates, schedule="constant")
        try:
            losses[rate] = (
                _once(activations, rows, targets, replace(recipe, settings=settings, batch=_ALL)).log[-1].loss
            )
        except TrainingError:
            losses[rate] = math.inf
    return losses


def at_best_rate(activations: Activations, rows: NDArray[np.int64], targets: Targets, recipe: ItemRecipe) -> ItemRecipe:
    """The recipe at the rate, of five around its own, with which a few updates lower the loss the most."""
    losses = swept(activations, rows, targets, recipe, [factor * recipe.settings.rate for factor in SWEEP])
    return replace(recipe, sweep=False, settings=replace(recipe.settings, rate=min(losses, key=losses.__getitem__)))


def after_lesson(
    activations: Activations, rows: NDArray[np.int64], targets: Targets, recipe: ItemRecipe
) -> tuple[ItemRecipe, tuple[Update, ...]]:
    """The recipe for the second lesson, which begins where the first one ended, and the updates of the first.

    The first tells areas of classes apart, where the recipe asks for that and names have any; else it sees easy rows.
    """
    updates = recipe.settings.updates
    half = max(1, updates // 2)
    first = replace(recipe, lesson="", label_name_weight=0, settings=replace(recipe.settings, updates=half))
    coarse = in_areas(targets) if recipe.lesson == AREAS else None
    if coarse is not None:
        learned = _once(activations, rows, coarse, first)
    else:
        easy = easier_half(activations.frozen[rows], targets.task.strata(targets))
        learned = _once(activations, rows[easy], targets.take(easy), first)
    rest = replace(recipe.settings, updates=max(1, updates - half))
    return replace(recipe, lesson="", settings=rest, begin=learned.delta), learned.log


def unfrozen(activations: Activations, rows: NDArray[np.int64], targets: Targets, recipe: ItemRecipe) -> ItemRecipe:
    """How many blocks may move: one more at a time, top block first, a step back when held-out rows get worse.

    Gradual unfreezing (Howard & Ruder 2018) with a stop that is measured, on a fifth of the rows that are held out
    inside; the training that counts then runs on all rows.
    """
    task, count = targets.task, len(targets)
    strata = task.strata(targets)
    inside = fold_ids(strata, np.arange(count), min(5, count), generator(recipe.settings.seed, "gradual")) != 0
    if len(np.unique(strata[inside])) < len(np.unique(strata)) or inside.all():
        return replace(recipe, gradual=False, tuner=Blocks(top=1))
    best, blocks = math.inf, 0
    for top in range(1, len(activations.backbone.blocks) - activations.depth + 1):
        tried = _once(activations, rows[inside], targets.take(inside), replace(recipe, tuner=Blocks(top=top)))
        scores = scored(tried.body, activations, inside, targets, recipe.penalty, rows)
        held = scores[in_rows(~inside, targets)]
        loss = float(task.losses_at(held, targets.take(~inside), np.ones(1)).mean())
        if loss >= best:
            break
        best, blocks = loss, top
    return replace(recipe, gradual=False, tuner=Blocks(top=max(1, blocks)))


def start(activations: Activations, recipe: ItemRecipe, example: int = 0) -> Body:
    """The untouched blocks that a recipe moves.

    Args:
        activations: what the frozen blocks give.
        recipe: how they move.
        example: a row to learn from, since what is learned may begin as what is seen there.
    """
    kind = PartBody if isinstance(activations, PartActivations) else Body
    body = kind(activations.backbone, recipe.first(activations.backbone))
    if len(activations):
        body.measure(activations.example(example))
    if recipe.begin is not None:
        recipe.tuner.load(body, recipe.begin)
    return body
