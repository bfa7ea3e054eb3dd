"""The stage of a language run: rows on their folds, and what the time pays for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.backbones.chat import Tokens
from handful.backbones.language import LanguageBackbone, Sampling, Tell
from handful.data.conversations import Conversation
from handful.data.splits import fold_ids
from handful.errors import OptionError
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Measured, Metric
from handful.evaluation.verdicts import Held
from handful.progress import Say
from handful.seeding import generator
from handful.strategies.language.forgetting import replayed
from handful.strategies.language.in_context import Shots, best_count
from handful.strategies.language.recipes import RECIPES, Lesson, TokenRecipe, TunedLanguage, fit_recipe
from handful.tasks.base import AnyTargets
from handful.tasks.generation import GENERATION, Generation
from handful.tasks.generation.metrics import EXACT_MATCH, LOSS, TOKEN_F1, Judge
from handful.training.loop import Update
from handful.training.tokens import TokenBody

FOLDS = 4

# Fewer parts that can be held out give no interval.
_LEAST_FOLDS = 3

# An answer of more tokens than this is not short: it is scored by its loss, and not by being the same.
_SHORT = 32

Watch = Callable[[Update, TokenBody], bool]
"""Looks at a model after every update; True ends its training."""


def unwatched(update: Update, body: TokenBody) -> bool:
    """Let a training go on."""
    return False


@dataclass(frozen=True)
class LanguageTerms:
    """Under which terms a language model learns."""

    wanted: tuple[str, ...] = ("base", "in-context", "lora")
    """Which arms to try."""
    named: bool = False
    """Whether the user named them: what cannot be afforded is then an error."""
    budget: float = 600.0
    """Seconds; 0: nothing moves."""
    before: float = 0.0
    """Seconds of the whole run that are not among these: loading, and what is kept for the end."""
    task: Generation = GENERATION
    """What is wanted: answers, or the better of two."""
    metric: Metric = LOSS
    """What arms are compared by."""
    judge: Judge | None = None
    """Who says what an answer is worth, or which of two is better."""
    updates: int | None = None
    """How many updates; by default two for each row, between 40 and 200."""
    seed: int = 0
    """Fixes folds, orders and draws."""
    checkpoints: Path | None = None
    """Where the state of trainings is kept."""
    say: Say = lambda stage, done, total: None
    """Told how far things are."""
    choices: tuple[str, ...] = ()
    """The C labels, where answers are labels; how often the right one is the likeliest is then a score too."""
    recipes: Mapping[str, TokenRecipe] = field(default_factory=lambda: dict(RECIPES))
    """Name → how weights move."""
    again: Callable[..., str] = lambda **options: (
        f"handful.tune(…, {', '.join(f'{k}={v!r}' for k, v in options.items())})"
    )
    """Options by name → what to type for a run with them."""

    @property
    def finer(self) -> Metric | None:
        """What arms are compared by where the rows are too few for the metric to tell them apart; None for nothing.

        Of a handful of answers few more are right or wrong, but each says how likely the wanted one was.
        """
        finer = self.task.finer
        return None if finer is None or finer.name == self.metric.name else finer

    @property
    def wants_texts(self) -> bool:
        """Whether the metric looks at what an arm answers."""
        return self.judge is not None or self.metric in (EXACT_MATCH, TOKEN_F1)


@dataclass(frozen=True)
class LanguageResult:
    """What a language model came to."""

    arms: tuple[Held, ...]
    """What each arm made of the rows that were held out."""
    chosen: str
    """The arm that becomes the model."""
    stage: Stage
    """The rows on their folds."""
    shots: Shots | None
    """The examples that the chosen arm shows, if any."""
    tuned: TunedLanguage | None
    """What moved, fitted on all rows, if weights move in the chosen arm."""
    forgetting: Estimate | None
    """How much the loss on general questions rose where weights moved, in nats per token."""
    notes: tuple[str, ...]
    """What was tried or left out, and why."""
    curves: Mapping[str, tuple[tuple[Update, ...], ...]]
    """Arm → its log of updates on each fold."""


@dataclass
class Stage:
    """The rows on their folds."""

    backbone: LanguageBackbone
    """The model as it is."""
    rows: Sequence[Conversation]
    """N rows."""
    tokens: Sequence[Tokens]
    """The N rows as the model reads them, without examples."""
    groups: NDArray[np.int64] | None
    """(N,) rows of one number are held out together, or None."""
    terms: LanguageTerms
    """Under which terms."""
    folds: NDArray[np.int64]
    """(N,) the fold of each row."""
    used: int
    """How many folds are held out in turn; fewer than there are where time is short."""
    counts: tuple[int, ...] = (Shots.count,)
    """How many examples may be shown: what is chosen from."""
    choosing: int = 0
    """On how many rows the number of examples is chosen."""
    begun: float = field(default_factory=time.perf_counter)
    """When the time of the run began to count."""

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.terms.budget - (time.perf_counter() - self.begun)

    def telling(self, what: str) -> Tell:
        """What tells how far something is."""
        return lambda done, total: self.terms.say(what, done, total)

    @cached_property
    def speaks(self) -> bool:
        """Whether every arm answers every prompt: where the metric looks at answers, and where they are short."""
        middle = np.median([row.asked for row in self.tokens])
        counted = self.terms.task.counted and bool(middle <= _SHORT) and self.terms.budget > 0
        return self.terms.wants_texts or counted

    @cached_property
    def sampling(self) -> Sampling:
        """How prompts are answered."""
        return self.backbone.sampling(self.rows, self.terms.seed)

    @cached_property
    def replay(self) -> list[Tokens]:
        """Answers of the model as it is, to be kept while weights move; made when first asked for."""
        return replayed(self.backbone, self.terms.seed, self.telling("answering general prompts"))

    def lesson(
        self, recipe: TokenRecipe, tokens: Sequence[Tokens] | None = None, reference: NDArray[np.float64] | None = None
    ) -> Lesson:
        """The rows as a recipe learns from them; of pairs the tokens and the log likelihoods at the start."""
        replay = self.replay if recipe.replay else ()
        told = self.telling(f"reading rows for {recipe.name}")
        return Lesson.of(self.backbone, self.tokens if tokens is None else tokens, recipe, reference, replay, told)

    def shots(self, kind: str, fold: int | None) -> Shots:
        """How many examples of a kind are shown, chosen on rows to learn from alone.

        Args:
            kind: ``nearest`` or ``diverse``.
            fold: which rows take no part; None for none.
        """
        if len(self.counts) == 1:
            return Shots(kind, self.counts[0])
        at = np.arange(len(self.rows)) if fold is None else np.flatnonzero(self.folds != fold)
        rng = generator(self.terms.seed, f"examples {fold}")
        asked = np.sort(rng.permutation(len(at))[: self.choosing])
        groups = None if self.groups is None else self.groups[at]
        rows = [self.rows[i] for i in at.tolist()]
        part = "" if fold is None else f" for fold {fold + 1} of {self.used}"
        told = self.telling(f"choosing how many {kind} examples are shown{part}")
        return Shots(kind, best_count(self.backbone, rows, groups, kind, self.counts, asked, told))

    @cached_property
    def targets(self) -> AnyTargets:
        """What is wanted of the rows that are held out."""
        return self.terms.task.targets([self.rows[i] for i in self.held.tolist()], self.terms.choices)

    def measured(self, arm: Held, metric: Metric | None = None) -> Measured:
        """An arm in a metric, by default in the one that arms are compared by."""
        return (metric or self.terms.metric).of(arm.outputs, self.targets)

    @property
    def held(self) -> NDArray[np.int64]:
        """Rows that are held out in turn."""
        return np.flatnonzero(self.folds < self.used)

    @property
    def held_groups(self) -> NDArray[np.int64] | None:
        """Their groups."""
        return None if self.groups is None else self.groups[self.held]

    @property
    def protocol(self) -> str:
        """How rows are held out, in words."""
        folds = int(self.folds.max()) + 1
        kind = "grouped folds" if self.groups is not None else "folds"
        return f"{self.used} of {folds} {kind} held out in turn" if self.used < folds else f"{folds} {kind}"

    def learned(
        self, lesson: Lesson, recipe: TokenRecipe, updates: int, fold: int | None,
        watch: Watch = unwatched, more: Sequence[int] = (),
    ) -> TunedLanguage:  # fmt: skip
        """A recipe on all rows, or without those of a fold.

        Args:
            lesson: all rows.
            recipe: how weights move.
            updates: how often.
            fold: which rows are left out; None for none.
            watch: looks at the model after every update; True ends the training.
            more: further rows of the lesson to learn from.
        """
        rows = np.arange(len(self.rows)) if fold is None else np.flatnonzero(self.folds != fold)
        part = "all rows" if fold is None else f"fold {fold + 1} of {self.used}"
        folder, name = self.terms.checkpoints, "all" if fold is None else str(fold)
        file = None if folder is None else folder / f"{recipe.name}-{name}.safetensors"
        settings = recipe.settings(updates, self.terms.seed)

        def tell(update: Update, total: int, body: TokenBody) -> bool:
            self.terms.say(f"{recipe.name}, {part}", update.number + 1, total)
            return watch(update, body)

        rows = np.append(rows, np.array(more, np.int64))
        return fit_recipe(self.backbone, lesson, rows, recipe, settings, checkpoint=file, progress=tell)


def stage_of(
    backbone: LanguageBackbone, rows: Sequence[Conversation], groups: NDArray[np.int64] | None, terms: LanguageTerms
) -> tuple[Stage, list[str]]:
    """Deal the rows into folds, and say what the model does to them."""
    tokens = [backbone.chat.tokens(row, backbone.context) for row in rows]
    notes = []
    cut = sum(row.cut > 0 for row in tokens)
    if cut:
        notes.append(
            f"{cut} of {len(rows)} rows are longer than {backbone.context} tokens and were cut: prompts on the left, "
            "answers at the end."
        )
    if backbone.chat.plain:
        notes.append(f"{backbone.name} has no chat template; a plain one is used.")
    if not backbone.chat.stops:
        notes.append(f"{backbone.name} has no token that ends a text: each answer gets as many tokens as it may have.")
    number = np.arange(len(rows)) if groups is None else groups
    folds = min(FOLDS, len(np.unique(number)))
    if folds < _LEAST_FOLDS:
        raise OptionError(
            f"the {len(rows)} rows must be of at least {_LEAST_FOLDS} groups that are unlike each other, got {folds}: "
            "near copies count as one, and what is held out must be unlike what is learned from. Add rows that are "
            "unlike these."
        )
    kinds = np.unique([row.answer for row in rows], return_inverse=True)[1] if terms.choices else number * 0
    dealt = fold_ids(kinds, number, folds, generator(terms.seed, "folds"))
    return Stage(backbone, rows, tokens, groups, terms, dealt, folds), notes
