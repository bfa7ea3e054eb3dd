"""Adaptation: a recipe (objective × tuner × settings) carried out on kept activations, and what moved put to use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.features.view import unit_rows
from handful.strategies.heads import Logistic
from handful.training.activations import Activations
from handful.training.batches import Balanced
from handful.training.body import Body, trainable
from handful.training.loop import Penalty, Settings, Update, train
from handful.training.objectives import Objective
from handful.training.objectives.contrast import PairwiseCosine, Prototypical, SupervisedContrastive
from handful.training.tuners import Blocks, Tuner
from handful.training.tuners.base import Delta

Matrix = NDArray[np.float32]

_ON_FEATURES = (PairwiseCosine, Prototypical, SupervisedContrastive)
"""Objectives that need no scores; for all others a classifier learns with the body."""


@dataclass(frozen=True)
class Recipe:
    """One way to move weights."""

    objective: Objective
    """What is minimised."""
    tuner: Tuner = field(default_factory=Blocks)
    """Which weights may move."""
    share: float = 0.5
    """The share of the blocks, from the top, that take part; those below stay frozen and run once."""
    settings: Settings = field(default_factory=Settings)
    """The options of the loop."""
    batch: int = 16
    """About how many rows an update sees, as many of each class."""
    decay: float = 1.0
    """Factor on the rate from each block to the one below it."""
    penalty: float = 0.1
    """λ of the logistic head that is fitted on the tuned features in the end."""
    fade: float = 1.0
    """Which share of the way from the frozen weights to the tuned ones is gone (WiSE-FT)."""
    dropout: bool = False
    """Whether the backbone's dropout is on while it learns."""
    penalties: tuple[Penalty, ...] = ()
    """What is added to the objective."""
    twice: bool = False
    """Whether every row goes through twice in an update, as R-Drop wants it."""

    def first(self, backbone: Backbone) -> int:
        """How many blocks stay frozen."""
        count = len(backbone.blocks)
        return count - max(1, min(count, math.ceil(self.share * count - 1e-9)))


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
    body = start(activations, recipe)
    device = next(body.parameters()).device
    if not isinstance(recipe.objective, _ON_FEATURES):  # the head first, then the body (Kumar et al. 2022, LP-FT)
        x = features_of(body, activations, rows)
        head = Logistic(recipe.penalty).fit(x, truth.tolist())
        body.classify(torch.from_numpy(head.coef_).to(device), torch.from_numpy(head.intercept_).to(device))
    groups = recipe.tuner.prepare(body, recipe.decay)
    moved = trainable(body.blocks)
    _, number = np.unique(truth, return_inverse=True)
    source = Balanced(activations, rows, number, recipe.batch, recipe.settings.seed, recipe.twice, device)
    body.dropout = recipe.dropout
    with body.learning():
        log = train(
            body, recipe.objective, source, groups, recipe.settings,
            penalties=recipe.penalties, checkpoint=checkpoint, progress=progress,
        )  # fmt: skip
    delta = recipe.tuner.delta(body)
    if recipe.fade != 1:
        delta = recipe.tuner.faded(start(activations, recipe), delta, recipe.fade)
        body = start(activations, recipe)
        recipe.tuner.load(body, delta)
    return Adapted(delta, log, moved, body)


def start(activations: Activations, recipe: Recipe) -> Body:
    """The untouched blocks that a recipe moves."""
    body = Body(activations.backbone, recipe.first(activations.backbone))
    if len(activations):
        body.measure(activations.state([0]))
    return body


def features_of(body: Body, activations: Activations, rows: Sequence[int] | NDArray[np.int64]) -> Matrix:
    """What a body sees in some rows. M rows → (M, D)."""
    found: dict[int, Matrix] = {}
    with torch.inference_mode():
        for at, state in activations.states([int(row) for row in rows]):
            z = body.seen(state).float().cpu().numpy()
            found.update(zip(at, z, strict=True))
    return np.stack([found[i] for i in range(len(rows))])


def installed(backbone: Backbone, tuner: Tuner, first: int, delta: Delta) -> Backbone:
    """A backbone with what moved in its place; the one it was made from stays as it was.

    Args:
        backbone: untouched.
        tuner: made the delta.
        first: how many blocks stayed frozen.
        delta: what moved.
    """
    body = Body(backbone, first)
    tuner.load(body, delta)
    return backbone.with_top(list(body.eval().blocks), tuner.name, first)


def fitted_head(x: Matrix, labels: Sequence[str], penalty: float) -> Logistic:
    """The head on tuned features."""
    return Logistic(penalty).fit(unit_rows(x), labels)
