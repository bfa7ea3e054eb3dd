"""Pace: how long this machine takes to read rows, to answer them, and to move weights once, measured on a few rows."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from handful.backbones.chat import Tokens
from handful.backbones.decoding import SIDE_BY_SIDE, steps
from handful.errors import HandfulError
from handful.strategies.language.recipes import Lesson, TokenRecipe, fit_recipe
from handful.strategies.language.stage import Stage
from handful.training.loop import Update
from handful.training.objectives.classify import CrossEntropy
from handful.training.tokens import TokenBody

# So many rows are read, and so many tokens of answers are said, to see what they take.
_READ, _SAID = 4, 3

# Looking how fast the machine is may take so much of the time that is left; where it would take more, the time that
# reading took is multiplied by what the rest has to compute.
_SHARE = 0.1

REREAD = 2.4
"""What a row of an update costs, in rows that are read: a forward and a backward pass, and some more."""


@dataclass(frozen=True)
class Pace:
    """Seconds that things take."""

    reading: float
    """Reading all rows once."""
    answering: float
    """Answering all of them, beside reading them; 0 where no arm answers."""
    row: float
    """Reading a row of middling length."""
    updates: Mapping[str, float]
    """Recipe → one update."""

    @property
    def asking(self) -> float:
        """Asking an arm about all rows."""
        return self.reading + self.answering


def pace_of(stage: Stage, recipes: Sequence[TokenRecipe], factor: float) -> Pace:
    """Measure a few rows of middling length.

    Args:
        stage: the rows.
        recipes: whose updates are measured.
        factor: how many rows stand for one, as the two answers of a pair do.
    """
    stage.terms.say("measuring how fast this machine is", 0, 0)
    tokens = stage.tokens
    middling = sorted(tokens, key=lambda row: len(row.ids))[len(tokens) // 2 :]
    token = _reading(stage, middling[:_READ])
    everything = token * sum(len(row.ids) for row in tokens)
    row = everything / len(tokens)
    updates = {recipe.name: factor * _update(stage, recipe, middling, row) for recipe in recipes}
    choices = len(stage.terms.choices)  # each label is read as an answer, too
    return Pace(everything * (1 + choices), _answering(stage, token), row, updates)


def _worth_a_look(stage: Stage, seconds: float) -> bool:
    """Whether a measurement that takes about so many seconds leaves the time for what it is made for."""
    return seconds <= _SHARE * stage.left


def _reading(stage: Stage, rows: Sequence[Tokens]) -> float:
    """Seconds for reading a token."""
    taken = []
    for _ in range(2):  # the first pass of a process also wakes threads up
        start = time.perf_counter()
        stage.backbone.losses(rows)
        taken.append(time.perf_counter() - start)
    return min(taken) / sum(len(row.ids) for row in rows)


def _answering(stage: Stage, token: float) -> float:
    """Seconds for answering all rows, where each answer is as long as it may be and a token is read in ``token``."""
    if not stage.speaks:
        return 0.0
    prompts = [row.question for row in stage.tokens[:SIDE_BY_SIDE]]
    if not _worth_a_look(stage, token * (sum(len(prompt.ids) for prompt in prompts) + _SAID * len(prompts))):
        return token * stage.sampling.most * len(stage.tokens)  # a token that is said is read, too
    said = []
    for _ in steps(stage.backbone, prompts, replace(stage.sampling, most=_SAID)):
        said.append(time.perf_counter())
    each = min(np.diff(said), default=0.0)  # the first token is said after all of the prompt was read
    return float(each) * stage.sampling.most * math.ceil(len(stage.tokens) / SIDE_BY_SIDE)


def _update(stage: Stage, recipe: TokenRecipe, rows: Sequence[Tokens], row: float) -> float:
    """Seconds for one update, by the second one of a training that is thrown away."""
    if not _worth_a_look(stage, 2 * REREAD * row * recipe.batch):
        return REREAD * row * recipe.batch
    some = [rows[i % len(rows)] for i in range(recipe.batch)]
    # Of pairs the chosen answers are learned alone, and replayed answers are counted by whoever asks.
    alone = replace(recipe, objective=CrossEntropy(), replay=0.0, batch=min(recipe.batch, len(stage.tokens)))
    ended: list[float] = []

    def stamp(update: Update, total: int, body: TokenBody) -> None:
        ended.append(time.perf_counter())

    try:
        lesson = Lesson.of(stage.backbone, some, alone)
        settings = alone.settings(2, stage.terms.seed)
        fit_recipe(stage.backbone, lesson, np.arange(len(some)), alone, settings, progress=stamp)
    except HandfulError:  # it fails again where it is tried, and is told there
        return REREAD * row * alone.batch
    return ended[-1] - ended[0]
