"""Recipes for language models: a tuner moves weights so that answers, or better answers, become likelier."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.chat import Tokens
from handful.backbones.language import LanguageBackbone, Tell, untold
from handful.training.activations import Activations
from handful.training.apply_delta import arrays_of, installed
from handful.training.body import trainable
from handful.training.devices import give_back, give_back_at_once, hold_rounded
from handful.training.loop import Penalty, Settings, Update, train
from handful.training.model_penalties import NearStart
from handful.training.objectives import Objective
from handful.training.objectives.classify import CrossEntropy
from handful.training.objectives.preference import DPO, IPO
from handful.training.recipe import Recipe
from handful.training.tokens import LONG, AnswerBatches, PairBatches, TokenBody
from handful.training.tuners import IA3, Adapter, Bias, Blocks, LoRA, Prefix, Prompt
from handful.training.tuners.base import Delta

LEAST_UPDATES = 16
"""With fewer updates nothing moves far enough to be told from where it began."""

# Pieces of many sizes leave holes in memory: after 100 updates of smollm2-135m by LoRA 0.4 GB that nobody uses.
_TIDY = 4


@dataclass(frozen=True, kw_only=True)
class TokenRecipe(Recipe):
    """One way to move the weights of a language model."""

    name: str
    """As the arm is called."""
    objective: Objective = field(default_factory=CrossEntropy)
    """What is minimised."""
    learning_rate: float = 5e-4
    """The highest learning rate."""
    batch: int = 4
    """Rows, or pairs, per update."""
    replay: float = 0.0
    """How many answers of the model as it was go with each row of an update."""
    invents: float = 0.0
    """How many rows the model makes up for each row to learn from, to learn from these too."""

    @property
    def pairs(self) -> bool:
        """Whether it learns from preferences."""
        return isinstance(self.objective, DPO | IPO)

    @property
    def beside(self) -> int:
        """How many answers of the model as it was go with an update."""
        return math.ceil(self.replay * self.batch)

    def settings(self, updates: int, seed: int) -> Settings:
        """The options of the loop for so many updates."""
        return Settings(
            updates=updates, rate=self.learning_rate, schedule="cosine", weight_decay=0.0, seed=seed, dropout=False
        )


RECIPES: dict[str, TokenRecipe] = {
    recipe.name: recipe
    for recipe in (
        TokenRecipe(name="lora", tuner=LoRA(rank=8)),
        TokenRecipe(name="bias", tuner=Bias(), learning_rate=2e-3),
        TokenRecipe(name="ia3", tuner=IA3(), learning_rate=1e-3),
        TokenRecipe(name="prefix", tuner=Prefix(), learning_rate=5e-3),
        TokenRecipe(name="prompt", tuner=Prompt(), learning_rate=1e-2),
        TokenRecipe(name="adapters", tuner=Adapter(), learning_rate=1e-3),
        TokenRecipe(name="partial", tuner=Blocks(), trainable_fraction=0.2, learning_rate=1e-4),
        TokenRecipe(name="full", tuner=Blocks(), learning_rate=3e-5),
    )
}
"""What can be asked for by name; ``lora`` is tried by default."""

INVENTING: dict[str, TokenRecipe] = {"synthetic": TokenRecipe(name="synthetic", tuner=LoRA(rank=8), invents=1.0)}
"""What learns from rows that the model made up itself, beside those of the user."""

PREFERENCES: dict[str, TokenRecipe] = {
    recipe.name: recipe
    for recipe in (
        TokenRecipe(name="dpo", tuner=LoRA(rank=8), objective=DPO(0.1, supervised=0.2), learning_rate=1e-4),
        TokenRecipe(name="ipo", tuner=LoRA(rank=8), objective=IPO(0.1, supervised=0.2), learning_rate=1e-4),
    )
}
"""The same for rows with a chosen and a rejected answer."""


@dataclass(frozen=True)
class TunedLanguage:
    """A language model whose weights moved."""

    recipe: TokenRecipe
    """How."""
    first: int
    """How many blocks at the bottom stayed as they were."""
    delta: Delta
    """What moved."""
    log: tuple[Update, ...]
    """Every update."""
    moved: int
    """How many weights could move."""

    def setting(self, updates: int) -> dict[str, Any]:
        """What a report tells of it."""
        return {
            "weights moved": f"{self.moved:,}",
            "updates": updates,
            "learning rate": self.recipe.learning_rate,
            "way from the weights as they were": f"{self.recipe.wise_alpha:.0%}",
        }

    def backbone(self, start: LanguageBackbone, share: float = 1.0) -> LanguageBackbone:
        """The model with what moved in its place.

        Args:
            start: where it began.
            share: how much of what moved is taken, from 0 to 1 (WiSE-FT).
        """
        delta = self.delta
        if share != 1:
            delta = self.recipe.tuner.faded(TokenBody(start, self.first), delta, share)
        made = installed(start, self.recipe.tuner.name, self.first, arrays_of(delta))
        assert isinstance(made, LanguageBackbone)
        return made


@dataclass(frozen=True)
class Lesson:
    """Rows as a language model learns from them."""

    tokens: Sequence[Tokens]
    """N rows; of pairs N chosen and then N rejected ones."""
    activations: Activations
    """What the blocks below those that move gave for them."""
    reference: NDArray[np.float64] | None = None
    """(2 N,) log likelihoods of the answers of pairs before anything moved."""
    replayed: int = 0
    """How many of the rows, the last ones, are answers of the model as it was."""

    @classmethod
    def of(
        cls,
        backbone: LanguageBackbone,
        tokens: Sequence[Tokens],
        recipe: TokenRecipe,
        reference: NDArray[np.float64] | None = None,
        replay: Sequence[Tokens] = (),
        tell: Tell = untold,
    ) -> Lesson:
        """Run what does not move once, over the rows and over answers of the model as it was."""
        every = [*tokens, *(replay if recipe.replay else ())]
        activations = Activations.of(backbone, [every], recipe.first(backbone), progress=tell)
        return cls(every, activations, reference, len(every) - len(tokens))

    @property
    def kept(self) -> NDArray[np.int64]:
        """The rows that are answers of the model as it was."""
        return np.arange(len(self.tokens) - self.replayed, len(self.tokens))


def fit_recipe(
    backbone: LanguageBackbone,
    lesson: Lesson,
    rows: NDArray[np.int64],
    recipe: TokenRecipe,
    settings: Settings,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[Update, int, TokenBody], bool | None] = lambda update, total, body: None,
) -> TunedLanguage:
    """Move weights so that the answers of some rows become likelier.

    Args:
        backbone: where to start; it stays as it is.
        lesson: all rows.
        rows: (M,) the rows (or pairs) to learn from.
        recipe: how.
        settings: how many updates, at which rate and on which schedule.
        checkpoint: where the state of the training is kept.
        progress: called after every update with the model as it is; True ends the training.

    Raises:
        TrainingError: the loss ran away.
        MachineError: memory ran out.
    """
    body = TokenBody(backbone, recipe.first(backbone))
    # Likelihoods of pairs are set against those of the untouched model, which are computed in single precision.
    body.rounds_on_cpu = not recipe.pairs
    body.measure(lesson.activations.state([int(rows[0])]))
    groups = recipe.tuner.prepare(body)
    moved = trainable(body.blocks)
    penalties: list[Penalty] = []
    if recipe.l2_sp:
        penalties.append(NearStart.of([weight for group in groups for weight in group.weights], recipe.l2_sp))
    source: AnswerBatches | PairBatches
    if recipe.pairs:
        assert lesson.reference is not None
        source = PairBatches(lesson.activations, lesson.tokens, lesson.reference, rows, recipe.batch, settings.seed)
    else:
        source = AnswerBatches(
            lesson.activations, lesson.tokens, rows, recipe.batch, settings.seed, lesson.kept, recipe.beside
        )
    if settings.mixed and not recipe.pairs:  # alarms look at pairs outside of the loop, where nothing is rounded
        hold_rounded(body)
    if max(len(row.ids) for row in lesson.tokens) > LONG:
        give_back_at_once()

    def after(update: Update, total: int) -> bool | None:
        if update.number % _TIDY == 0:
            give_back()
        return progress(update, total, body)

    log = train(
        body, recipe.objective, source, groups, settings, penalties=penalties, checkpoint=checkpoint, progress=after
    )
    delta = recipe.tuner.delta(body)
    if recipe.wise_alpha != 1:
        delta = recipe.tuner.faded(TokenBody(backbone, body.first), delta, recipe.wise_alpha)
    return TunedLanguage(recipe, body.first, delta, log, moved)
