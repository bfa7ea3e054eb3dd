"""Strategies that make a language model answer as the rows do, as scikit-learn estimators of prompts and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from handful.backbones import catalog
from handful.backbones.base import default_device
from handful.backbones.decoding import answers
from handful.backbones.language import LanguageBackbone
from handful.data.conversations import Conversation, asked
from handful.errors import DataError, OptionError
from handful.features.item_estimator import ItemEstimator
from handful.strategies.language.forgetting import replayed
from handful.strategies.language.in_context import Examples, Shots, question_of, tokens_of
from handful.strategies.language.recipes import RECIPES, Lesson, fit_recipe
from handful.tasks.generation.metrics import exact_match

Prompt = str | Sequence[Mapping[str, Any]]


class LanguageEstimator(ItemEstimator):
    """What both share: prompts and answers go in, answers come out.

    Learned: ``backbone_`` (the model that answers), ``sampling_`` (how long an answer may be, and how little it may
    repeat itself: as the answers of the rows).
    """

    backbone: Any
    seed: int

    def predict(self, prompts: Sequence[Prompt]) -> list[str]:
        """The most likely answer to each of N prompts.

        Raises:
            DataError: a prompt is empty or no conversation.
            sklearn.exceptions.NotFittedError: ``fit`` was not called.
        """
        check_is_fitted(self, "backbone_")
        backbone, sampling = self.backbone_, self.sampling_
        questions = [question_of(asked(prompt), backbone, self._examples(), sampling.most) for prompt in prompts]
        return answers(backbone, questions, sampling)

    def score(self, prompts: Sequence[Prompt], wanted: Sequence[str]) -> float:
        """The share of answers that are exact, but for space between words."""
        return float(np.mean([exact_match(a, b) for a, b in zip(self.predict(prompts), wanted, strict=True)]))

    def losses(self, prompts: Sequence[Prompt], wanted: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Minus the log likelihood of wanted answers in nats, (N,), and how many tokens each has, (N,)."""
        check_is_fitted(self, "backbone_")
        backbone: LanguageBackbone = self.backbone_
        return backbone.losses(tokens_of(_rows(prompts, wanted), backbone.chat, backbone.context, self._examples()))

    def _examples(self) -> Examples | None:
        """What is shown before each question."""
        return None

    def _start(self, rows: Sequence[Conversation]) -> LanguageBackbone:
        """The model as it is, and how long answers may get."""
        backbone = self.backbone
        if not isinstance(backbone, LanguageBackbone):
            name = catalog.defaults("language")[0] if backbone == "auto" else str(backbone)
            backbone = catalog.load(name, "language").to(default_device())
        assert isinstance(backbone, LanguageBackbone)
        self.sampling_ = backbone.sampling(rows, self.seed)
        return backbone


@dataclass(eq=False, repr=False)
class Prompted(LanguageEstimator):
    """A frozen model that is shown rows as earlier turns of the conversation."""

    name: ClassVar[str] = "in-context"

    backbone: Any = "auto"
    """A name of the catalogue, a folder or hub id, or a LanguageBackbone; auto takes the default one."""
    kind: str = "nearest"
    """``nearest`` or ``diverse``."""
    count: int = 4
    """How many rows are shown; 0 asks the model as it is."""
    seed: int = 0
    """Not used: the most likely answer is given."""

    def fit(self, prompts: Sequence[Prompt], wanted: Sequence[str]) -> Prompted:
        """Keep N prompts and their answers to show.

        Raises:
            DataError: a prompt or answer is missing.
        """
        rows = _rows(prompts, wanted)
        self.backbone_ = self._start(rows)
        self.examples_ = Examples(rows, Shots(self.kind, self.count)) if self.count else None
        return self

    def _examples(self) -> Examples | None:
        return self.examples_


@dataclass(eq=False, repr=False)
class Instructed(LanguageEstimator):
    """A model whose weights move until the answers of the rows are likely.

    Learned beside: ``delta_`` (what moved), ``log_`` (every update), ``moved_`` (how many weights could move).
    """

    name: ClassVar[str] = "lora"

    backbone: Any = "auto"
    """A name of the catalogue, a folder or hub id, or a LanguageBackbone; auto takes the default one."""
    strategy: str = "lora"
    """Which weights move, one of ``RECIPES``."""
    updates: int = 100
    """How many times they are moved."""
    learning_rate: float | None = None
    """The highest learning rate; by default that of the strategy."""
    batch: int = 4
    """Rows per update."""
    wise_alpha: float = 1.0
    """How far to go from the weights as they were to the tuned ones, 0 to 1 (WiSE-FT): less forgets less."""
    l2_sp: float = 0.0
    """How strongly the weights are drawn back to where they began."""
    replay: float = 0.0
    """How many answers of the model as it was, to general prompts, go with each row of an update; 0.25 is a start."""
    seed: int = 0
    """Fixes the order of rows."""

    def fit(self, prompts: Sequence[Prompt], wanted: Sequence[str]) -> Instructed:
        """Learn from N prompts and their answers.

        Raises:
            DataError: a prompt or answer is missing.
            OptionError: there is no such strategy, or the model cannot be tuned so.
            TrainingError: the training ran away.
        """
        if self.strategy not in RECIPES:
            raise OptionError(
                f"strategy must be one of {', '.join(RECIPES)}, got {self.strategy!r}. Choose one of them."
            )
        rows = _rows(prompts, wanted)
        start = self._start(rows)
        known = RECIPES[self.strategy]
        recipe = replace(known, learning_rate=self.learning_rate or known.learning_rate, batch=self.batch)
        recipe = replace(recipe, l2_sp=self.l2_sp, wise_alpha=self.wise_alpha, replay=self.replay)
        why = recipe.tuner.refusal(start)
        if why is not None:
            raise OptionError(f"strategy {self.strategy} cannot be used: {why}. Choose another.")
        kept = replayed(start, self.seed) if self.replay else ()
        lesson = Lesson.of(start, [start.chat.tokens(row, start.context) for row in rows], recipe, replay=kept)
        tuned = fit_recipe(start, lesson, np.arange(len(rows)), recipe, recipe.settings(self.updates, self.seed))
        self.delta_, self.log_, self.moved_ = tuned.delta, tuned.log, tuned.moved
        self.backbone_ = tuned.backbone(start)
        return self


def _rows(prompts: Sequence[Prompt], wanted: Sequence[str]) -> list[Conversation]:
    """Prompts and answers as rows."""
    if isinstance(prompts, str) or len(prompts) != len(wanted) or not len(prompts):
        raise DataError(
            f"prompts and answers must be lists of one length, at least 1, got {len(prompts)} and {len(wanted)}. "
            "Give one answer for each prompt."
        )
    empty = next((i for i, answer in enumerate(wanted) if not str(answer).strip()), None)
    if empty is not None:
        raise DataError(f"the answer of row {empty} must not be empty. Write it, or leave the row out.")
    return [Conversation(asked(prompt), str(answer)) for prompt, answer in zip(prompts, wanted, strict=True)]
