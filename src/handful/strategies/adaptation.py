"""Adaptation: a recipe carried out on kept activations, and what moved put to use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.data.splits import fold_ids
from handful.errors import TrainingError
from handful.evaluation.intervals import interval
from handful.evaluation.metrics import share
from handful.features.view import unit_rows
from handful.seeding import generator
from handful.strategies.heads import Logistic
from handful.strategies.linear import ABSENT
from handful.strategies.recipe import SWEEP, SWEPT, Recipe
from handful.tasks.classification.softmax import log_losses_of
from handful.training.activations import Activations
from handful.training.batches import Balanced
from handful.training.body import Body, features_of, trainable
from handful.training.loop import Penalty, Update, train
from handful.training.objectives import Objective
from handful.training.objectives.contrast import PairwiseCosine, Prototypical, SupervisedContrastive
from handful.training.objectives.penalties import RDrop
from handful.training.pulls import Adversary, NearStart
from handful.training.tuners import Blocks
from handful.training.tuners.base import Delta

_ON_FEATURES = (PairwiseCosine, Prototypical, SupervisedContrastive)
"""Objectives that need no scores; for all others a classifier learns with the body."""


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
    truth: NDArray[np.int64],
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[Update, int], None] = lambda update, total: None,
) -> Adapted:
    """Move weights so that some rows are told apart better.

    Args:
        activations: what the frozen blocks give, at the depth of the recipe.
        rows: (M,) the rows to learn from.
        truth: (M,) their class numbers.
        recipe: how.
        checkpoint: where the state of the training is kept.
        progress: called after every update.

    Returns:
        What moved, and how it went.

    Raises:
        TrainingError: the training ran away.
    """
    if recipe.sweep:
        recipe = at_best_rate(activations, rows, truth, recipe)
    if recipe.gradual:
        recipe = unfrozen(activations, rows, truth, recipe)
    if recipe.members == 1:
        parts = [_once(activations, rows, truth, recipe, checkpoint, progress)]
    else:
        left_out = _parts(truth, recipe.members, recipe.settings.seed)
        parts = []
        for m in range(recipe.members):
            settings = replace(recipe.settings, seed=recipe.settings.seed + m)
            at, file = np.flatnonzero(left_out != m), _beside(checkpoint, str(m))
            parts.append(_once(activations, rows[at], truth[at], replace(recipe, settings=settings), file, progress))
        if recipe.student is not None:
            taught, file = replace(recipe, objective=recipe.student), _beside(checkpoint, "student")
            teacher = _taught(parts, left_out, activations, rows, truth, recipe.penalty)
            student = _once(activations, rows, truth, taught, file, progress, teacher)
            parts = [replace(student, named=any(part.named for part in parts))]  # by way of its teachers
    if len(parts) == 1 and recipe.fade == 1:
        return parts[0]
    delta = recipe.tuner.combine([part.delta for part in parts], [1.0] * len(parts))
    if recipe.fade != 1:
        delta = recipe.tuner.faded(start(activations, recipe), delta, recipe.fade)
    body = start(activations, recipe)
    recipe.tuner.load(body, delta)
    return replace(parts[0], delta=delta, body=body.eval())


def _once(
    activations: Activations,
    rows: NDArray[np.int64],
    truth: NDArray[np.int64],
    recipe: Recipe,
    checkpoint: Path | None = None,
    progress: Callable[[Update, int], None] = lambda update, total: None,
    teacher: NDArray[np.float32] | None = None,
) -> Adapted:
    """One training; ``teacher`` is (M, C) scores of the rows to learn from, and has none for names."""
    count = len(rows)
    if teacher is None:
        rows, truth = with_names(activations, rows, truth, recipe.names)
    body = start(activations, recipe, int(rows[0]))
    if not isinstance(recipe.objective, _ON_FEATURES):  # the head first, then the body (Kumar et al. 2022, LP-FT)
        # Seen once for all trainings on these activations, unless what moves begins elsewhere.
        seen = activations.frozen[rows] if recipe.begin is None else features_of(body, activations, rows)
        head = Logistic(recipe.penalty).fit(seen, truth.tolist())
        body.classify(head.coef_, head.intercept_)
    groups = recipe.tuner.prepare(body, recipe.decay)
    moved = trainable(body.blocks)
    objective: Objective = RDrop(recipe.objective, recipe.r_drop) if recipe.r_drop else recipe.objective
    penalties: list[Penalty] = []
    if recipe.l2_sp:
        penalties.append(NearStart.of([weight for group in groups for weight in group.weights], recipe.l2_sp))
    if recipe.adversary:
        penalties.append(Adversary(recipe.adversary))
    classes, number = np.unique(truth, return_inverse=True)
    twice = bool(recipe.r_drop)
    seed, tokens = recipe.settings.seed, recipe.tokens
    size = recipe.size(len(rows), len(classes))
    source = Balanced(activations, rows, number, size, seed, twice, tokens, teacher, body.device)
    body.dropout = recipe.noisy
    with body.learning():
        log = train(
            body, objective, source, groups, replace(recipe.settings, dropout=body.dropout),
            penalties=penalties, checkpoint=checkpoint, progress=progress,
        )  # fmt: skip
    return Adapted(recipe.tuner.delta(body), log, moved, body, len(rows) > count)


def with_names(
    activations: Activations, rows: NDArray[np.int64], truth: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows to learn from, and after them the names of all classes, where these tell something.

    They do where the nearest name is that of the row's class beyond doubt more often than the most frequent class is
    right: of the rows to learn from, before anything is learned. Codes, numbers and names that mislead do not.

    Args:
        activations: what the frozen blocks give, for the names as well where they are texts.
        rows: (M,) the rows.
        truth: (M,) their class numbers.
        count: for how many rows a name counts.
    """
    if not activations.names or not count:
        return rows, truth
    seen, first = unit_rows(activations.frozen), len(activations) - activations.names
    right = (seen[rows] @ seen[first:].T).argmax(1) == truth
    if interval(share(right)).low <= np.bincount(truth).max() / len(truth):
        return rows, truth
    classes = np.tile(np.arange(activations.names), count)
    return np.concatenate([rows, first + classes]), np.concatenate([truth, classes])


def _parts(truth: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """(M,) which member of a soup does without a row; no class is left out whole: its only row stays with all."""
    part = fold_ids(truth, np.arange(len(truth)), min(count, len(truth)), generator(seed, "soup"))
    single = np.bincount(truth, minlength=int(truth.max()) + 1)[truth] == 1
    return np.where(single, -1, part)


def scored(
    body: Body, activations: Activations, learned: NDArray[np.bool_], truth: NDArray[np.int64], penalty: float,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Scores of a logistic head on what a body sees, fitted on some of the rows; classes not among these are absent.

    Args:
        body: what moved.
        activations: what the frozen blocks give.
        learned: (M,) which rows the head learns from.
        truth: (M,) class numbers, of C classes.
        penalty: λ of the head.
        rows: (M,) which rows of the activations; all of them by default.

    Returns:
        (M, C) scores before any softmax.
    """
    x = features_of(body, activations, np.arange(len(truth)) if rows is None else rows)
    head = Logistic(penalty).fit(x[learned], truth[learned].tolist())
    scores = np.full((len(truth), int(truth.max()) + 1), ABSENT, np.float32)
    scores[:, head.classes_] = head.decision_function(x)
    return scores


def _taught(
    parts: Sequence[Adapted], left_out: NDArray[np.int64], activations: Activations, rows: NDArray[np.int64],
    truth: NDArray[np.int64], penalty: float,
) -> NDArray[np.float32]:  # fmt: skip
    """(M, C) what members answer to rows that they did not learn from; to the others, the mean of all."""
    number = np.unique(truth, return_inverse=True)[1]
    answers = [
        scored(part.body, activations, left_out != m, number, penalty, rows) for m, part in enumerate(parts)
    ]  # P × (M, C)
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
    truth: NDArray[np.int64],
    recipe: Recipe,
    rates: Sequence[float],
    updates: int = SWEPT,
) -> dict[float, float]:
    """What a few updates at each rate come to, on all rows so that losses can be compared.

    Args:
        activations: what the frozen blocks give.
        rows: (M,) the rows to learn from.
        truth: (M,) their class numbers.
        recipe: everything but the rate.
        rates: what to try.
        updates: how many updates each rate gets; the loss is that before the last one.

    Returns:
        Rate → loss, infinite where the training ran away.
    """
    found = {}
    for rate in rates:
        settings = replace(recipe.settings, rate=rate, updates=updates, schedule="constant")
        try:
            found[rate] = _once(activations, rows, truth, replace(recipe, settings=settings, batch=_ALL)).log[-1].loss
        except TrainingError:
            found[rate] = math.inf
    return found


def at_best_rate(activations: Activations, rows: NDArray[np.int64], truth: NDArray[np.int64], recipe: Recipe) -> Recipe:
    """The recipe at the rate, of five around its own, with which a few updates lower the loss the most."""
    losses = swept(activations, rows, truth, recipe, [factor * recipe.settings.rate for factor in SWEEP])
    return replace(recipe, sweep=False, settings=replace(recipe.settings, rate=min(losses, key=losses.__getitem__)))


def unfrozen(activations: Activations, rows: NDArray[np.int64], truth: NDArray[np.int64], recipe: Recipe) -> Recipe:
    """How many blocks may move: one more at a time, top block first, a step back when held-out rows get worse.

    Gradual unfreezing (Howard & Ruder 2018) with a stop that is measured, on a fifth of the rows that are held out
    inside; the training that counts then runs on all rows.
    """
    inside = fold_ids(truth, np.arange(len(truth)), min(5, len(truth)), generator(recipe.settings.seed, "gradual")) != 0
    learned, asked = rows[inside], rows[~inside]
    _, number = np.unique(truth, return_inverse=True)
    if len(np.unique(number[inside])) < len(np.unique(number)) or not len(asked):
        return replace(recipe, gradual=False, tuner=Blocks(top=1))
    best, blocks = math.inf, 0
    for top in range(1, len(activations.backbone.blocks) - activations.depth + 1):
        tried = _once(activations, learned, truth[inside], replace(recipe, tuner=Blocks(top=top)))
        x = features_of(tried.body, activations, np.concatenate([learned, asked]))
        head = Logistic(recipe.penalty).fit(x[: len(learned)], number[inside].tolist())
        loss = float(log_losses_of(head.predict_proba(x[len(learned) :]), number[~inside]).mean())
        if loss >= best:
            break
        best, blocks = loss, top
    return replace(recipe, gradual=False, tuner=Blocks(top=max(1, blocks)))


def start(activations: Activations, recipe: Recipe, example: int = 0) -> Body:
    """The untouched blocks that a recipe moves.

    Args:
        activations: what the frozen blocks give.
        recipe: how they move.
        example: a row to learn from, since what is learned may begin as what is seen there.
    """
    body = Body(activations.backbone, recipe.first(activations.backbone))
    if len(activations):
        body.measure(activations.state([example]))
    if recipe.begin is not None:
        recipe.tuner.load(body, recipe.begin)
    return body
