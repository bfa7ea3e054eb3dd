"""The ladder of a language model: prompts, prompts with examples, moved weights, on the same held-out rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.backbones.chat import Tokens
from handful.backbones.decoding import answers as decoded
from handful.backbones.language import LanguageBackbone, Sampling
from handful.data.conversations import Conversation
from handful.data.splits import fold_ids
from handful.errors import HandfulError, OptionError
from handful.evaluation.answer_scores import AnswerScores, Told, chosen_of, summed
from handful.evaluation.answers import LOSS, Judge, Ratio, difference, scored, scorer
from handful.evaluation.general import QUESTIONS
from handful.evaluation.intervals import Estimate
from handful.seeding import generator
from handful.strategies.shots import Examples, Shots, tokens_of, words_of
from handful.strategies.token_recipes import LEAST_UPDATES, RECIPES, Lesson, Spoken, TokenRecipe, speak
from handful.training.loop import Settings, Update

logger = logging.getLogger(__name__)

Say = Callable[[str, int, int], None]

BASE = "base"
IN_CONTEXT = (Shots("nearest", 4), Shots("diverse", 4))
SPEAKING = (BASE, "in-context", *RECIPES)
"""What can be named as a strategy for rows with answers."""

FOLDS = 4

# An update costs a forward pass and a backward pass of about the same size, and some more.
_UPDATE = 2.4

# An answer of more tokens than this is not short: it is scored by its loss, and not by being the same.
_SHORT = 32

# What a forgetting of more than this many nats per token is said about.
_FORGOTTEN = 0.05


@dataclass(frozen=True)
class SpeakingTerms:
    """Under which terms a language model learns."""

    wanted: tuple[str, ...] = (BASE, "in-context", "lora")
    """Which arms to try."""
    named: bool = False
    """Whether the user named them: what cannot be afforded is then an error."""
    budget: float = 600.0
    """Seconds; 0: nothing moves."""
    metric: str | Judge = LOSS
    """What arms are compared by."""
    updates: int | None = None
    """How many updates; by default two for each row, between 40 and 200."""
    seed: int = 0
    """Fixes folds, orders and draws."""
    checkpoints: Path | None = None
    """Where the state of trainings is kept."""
    say: Say = lambda stage, done, total: None
    """Told how far things are."""
    recipes: dict[str, TokenRecipe] = field(default_factory=lambda: dict(RECIPES))
    """Name → how weights move."""


@dataclass(frozen=True)
class Speech:
    """What a language model came to."""

    scores: AnswerScores
    """Every arm on the same held-out rows."""
    told: tuple[Told, ...]
    """The arms themselves, with their answers."""
    rows: NDArray[np.int64]
    """(S,) the rows that were held out."""
    shots: Shots | None
    """The examples that the chosen arm shows, if any."""
    spoken: Spoken | None
    """What moved, fitted on all rows, if weights move in the chosen arm."""
    notes: tuple[str, ...]
    """What was tried or left out, and why."""
    curves: dict[str, tuple[tuple[Update, ...], ...]]
    """Arm → its log of updates on each fold."""


@dataclass
class _Stage:
    """The rows on their folds, and what is asked of every arm."""

    backbone: LanguageBackbone
    rows: Sequence[Conversation]
    groups: NDArray[np.int64] | None
    terms: SpeakingTerms
    folds: NDArray[np.int64]
    used: int
    judge: Judge | None
    short: bool

    @property
    def held(self) -> NDArray[np.int64]:
        """Rows that are held out in turn."""
        return np.flatnonzero(self.folds < self.used)

    @property
    def metric(self) -> str:
        return self.terms.metric if isinstance(self.terms.metric, str) else "judge"

    def told(self, name: str, asked: Callable[[int], tuple[LanguageBackbone, Examples | None]], rung: int) -> Told:
        """Ask an arm about the held-out rows of every fold, and score what it says."""
        start = time.perf_counter()
        nats, count, said = np.zeros(len(self.rows)), np.zeros(len(self.rows)), [""] * len(self.rows)
        length = []
        for k in range(self.used):
            at = np.flatnonzero(self.folds == k)
            backbone, examples = asked(k)
            some = [self.rows[i] for i in at.tolist()]
            tokens = tokens_of(some, backbone.chat, backbone.context, examples)
            nats[at], count[at] = backbone.losses(tokens)
            length += [row.start for row in tokens]
            if self.judge is not None or self.short:
                for i, text in zip(at, decoded(backbone, _questions(tokens), self._sampling()), strict=True):
                    said[i] = text
            self.terms.say(f"asking {name}", k + 1, self.used)
        held = self.held
        measured = {LOSS: Ratio(nats[held], count[held])}
        answers = tuple(said[i] for i in held)
        judges = {self.metric: self.judge}
        if self.short:
            judges.update({metric: scorer(metric) for metric in ("exact_match", "token_f1")})
        for metric, judge in judges.items():
            if judge is None:  # the loss asks nobody
                continue
            asked_of = [words_of(self.rows[i].prompt) for i in held]
            measured[metric] = scored(judge, asked_of, answers, [self.rows[i].answer for i in held])
        seconds = time.perf_counter() - start
        return Told(name, rung, measured, answers if any(answers) else (), seconds, float(np.mean(length)))

    def _sampling(self) -> Sampling:
        longest = max(len(self.backbone.chat.tokenizer(row.answer)["input_ids"]) for row in self.rows)
        return Sampling(most=int(1.5 * longest) + 8, seed=self.terms.seed)


def _questions(tokens: Sequence[Tokens]) -> list[Tokens]:
    return [Tokens(row.ids[: row.start], row.start, row.cut) for row in tokens]


def climb(
    backbone: LanguageBackbone, rows: Sequence[Conversation], groups: Sequence[str] | None, terms: SpeakingTerms
) -> Speech:
    """Compare arms on held-out rows, choose one, and fit it on all rows.

    Args:
        backbone: the language model.
        rows: N conversations with their answers.
        groups: N names; rows of one group are held out together.
        terms: what to try, and how long.

    Raises:
        OptionError: an arm was named that the budget does not pay for, or that the model cannot do.
    """
    stage, notes = _stage(backbone, rows, groups, terms)
    updates = _planned(stage, notes)
    arms = [stage.told(BASE, lambda k: (backbone, None), 0)]
    shots = {kind.name: kind for kind in IN_CONTEXT if "in-context" in terms.wanted}
    for kind in shots.values():
        arms.append(stage.told(kind.name, lambda k, kind=kind: (backbone, _examples(stage, kind, k)), 0))  # type: ignore[misc]
    found: dict[str, _Tried] = {}
    for name, count in updates.items():
        tried = _try(stage, terms.recipes[name], count, notes)
        if tried is not None:
            found[name] = tried
            arms.append(tried.told)
    own = None if stage.groups is None else stage.groups[stage.held]
    chosen = chosen_of(arms, stage.metric, own)
    spoken, forgetting = _finished(stage, found[chosen.name], notes) if chosen.name in found else (None, None)
    scores = summed(arms, chosen.name, stage.metric, _protocol(stage), own, forgetting)
    return Speech(
        scores, tuple(arms), stage.held, shots.get(chosen.name), spoken, tuple(notes),
        {name: tried.curves for name, tried in found.items()},
    )  # fmt: skip


def _stage(
    backbone: LanguageBackbone, rows: Sequence[Conversation], groups: Sequence[str] | None, terms: SpeakingTerms
) -> tuple[_Stage, list[str]]:
    """Deal the rows into folds, and say what the model does to them."""
    tokens = [backbone.chat.tokens(row, backbone.context) for row in rows]
    notes = []
    cut = sum(row.cut > 0 for row in tokens)
    if cut:
        notes.append(f"{cut} of {len(rows)} rows are longer than {backbone.context} tokens and were cut on the left.")
    if backbone.chat.plain:
        notes.append(f"{backbone.name} has no chat template; a plain one is used.")
    number = np.arange(len(rows)) if groups is None else np.unique(groups, return_inverse=True)[1]
    folds = min(FOLDS, len(np.unique(number)))
    if folds < 2:
        raise OptionError("the rows must come from at least two groups, so that one can be held out, got 1 group.")
    dealt = fold_ids(np.zeros(len(rows), int), number, folds, generator(terms.seed, "folds"))
    short = bool(np.median([row.asked for row in tokens]) <= _SHORT) and terms.budget > 0
    judge = scorer(terms.metric)
    return _Stage(backbone, rows, None if groups is None else number, terms, dealt, folds, judge, short), notes


def _examples(stage: _Stage, shots: Shots, k: int) -> Examples:
    return Examples([row for row, fold in zip(stage.rows, stage.folds, strict=True) if fold != k], shots)


@dataclass(frozen=True)
class _Tried:
    """A recipe on the folds."""

    recipe: TokenRecipe
    told: Told
    lesson: Lesson
    settings: Settings
    curves: tuple[tuple[Update, ...], ...]
    last: Spoken


def _try(stage: _Stage, recipe: TokenRecipe, updates: int, notes: list[str]) -> _Tried | None:
    """Learn on every fold without the rows of the fold."""
    settings = Settings(
        updates=updates, rate=recipe.rate, schedule="cosine", weight_decay=0.0, seed=stage.terms.seed, dropout=False
    )
    tokens = [stage.backbone.chat.tokens(row, stage.backbone.context) for row in stage.rows]
    lesson = Lesson.of(stage.backbone, tokens, recipe)
    spoken: list[Spoken] = []

    def asked(k: int) -> tuple[LanguageBackbone, None]:
        spoken.append(_learned(stage, lesson, recipe, settings, k))
        return spoken[-1].backbone(stage.backbone), None

    try:
        told = stage.told(recipe.name, asked, 1)
    except HandfulError as error:
        if stage.terms.named:
            raise
        notes.append(f"{recipe.name} failed: {error}")
        return None
    told = replace(told, moved=spoken[-1].moved)
    return _Tried(recipe, told, lesson, settings, tuple(s.log for s in spoken), spoken[-1])


def _learned(stage: _Stage, lesson: Lesson, recipe: TokenRecipe, settings: Settings, k: int | None) -> Spoken:
    """The recipe on all rows, or without those of fold ``k``."""
    rows = np.arange(len(stage.rows)) if k is None else np.flatnonzero(stage.folds != k)
    part = "all rows" if k is None else f"fold {k + 1} of {stage.used}"
    folder, name = stage.terms.checkpoints, "all" if k is None else str(k)
    file = None if folder is None else folder / f"{recipe.name}-{name}.safetensors"

    def tell(update: Update, total: int, body: object) -> None:
        stage.terms.say(f"{recipe.name}, {part}, loss {update.loss:.2f}", update.number + 1, total)

    return speak(stage.backbone, lesson, rows, recipe, settings, checkpoint=file, progress=tell)


def _planned(stage: _Stage, notes: list[str]) -> dict[str, int]:
    """How many updates each recipe gets; what is not tried is said, or an error where it was named.

    What an update costs is told from a pass over a few rows. Folds are left out before recipes are, and recipes before
    updates: what is held out may be few rows, but too few updates move nothing.
    """
    terms = stage.terms
    wanted = terms.updates or int(np.clip(2 * len(stage.rows), 40, 200))
    refused: dict[str, str] = {}
    for name in [name for name in terms.wanted if name in terms.recipes]:
        why = terms.recipes[name].tuner.refusal(stage.backbone)
        if terms.budget == 0:
            why = "with a budget of 0 weights stay as they are"
        elif wanted < LEAST_UPDATES:
            why = f"{wanted} updates move nothing far enough to be seen; it needs at least {LEAST_UPDATES}"
        refused.update({} if why is None else {name: why})
    tried = [name for name in terms.wanted if name in terms.recipes and name not in refused]
    once, row = _pass(stage) if tried else (0.0, 0.0)
    left = terms.budget - once * (1 + 5 * ("in-context" in terms.wanted))

    def cost(used: int, updates: int) -> float:
        each = [row * _UPDATE * updates * min(terms.recipes[n].batch, len(stage.rows)) for n in tried]
        return used * sum(each) + max(each)

    while tried and (least := cost(1, wanted)) > left:
        fits = int(wanted * left / least) if left > 0 else 0
        if len(tried) == 1 and fits >= LEAST_UPDATES and terms.updates is None:
            wanted = fits
            break
        needed = cost(1, terms.updates or LEAST_UPDATES) + terms.budget - left
        refused[tried.pop()] = f"it needs a budget of about {_time(1.1 * needed)} here"
    if tried:
        stage.used = max(used for used in range(1, stage.used + 1) if used == 1 or cost(used, wanted) <= left)
        notes.append(
            f"{', '.join(tried)}: {wanted} updates of {terms.recipes[tried[0]].batch} rows on each of {stage.used} "
            f"folds and on all rows, about {_time(cost(stage.used, wanted))}."
        )
    for name, why in refused.items():
        if terms.named:
            raise OptionError(f"{name} cannot be tried: {why}. Leave it out, or change that.")
        notes.append(f"{name} was not tried: {why}.")
    return dict.fromkeys(tried, wanted)


def _pass(stage: _Stage) -> tuple[float, float]:
    """Seconds for reading all rows once, and one row of middling length."""
    tokens = [stage.backbone.chat.tokens(row, stage.backbone.context) for row in stage.rows]
    some = sorted(tokens, key=lambda row: len(row.ids))[len(tokens) // 2 :][:4]
    start = time.perf_counter()
    stage.backbone.losses(some)
    each = (time.perf_counter() - start) / sum(len(row.ids) for row in some)
    everything = each * sum(len(row.ids) for row in tokens)
    return everything, everything / len(tokens)


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{np.ceil(seconds / 60):.0f} min"


def _finished(stage: _Stage, tried: _Tried, notes: list[str]) -> tuple[Spoken, Estimate]:
    """Fit on all rows, and see what was forgotten."""
    spoken = _learned(stage, tried.lesson, tried.recipe, tried.settings, None)
    start = stage.backbone
    before, after = _general(start), _general(spoken.backbone(start))
    forgetting = difference(after, before)
    if forgetting.low > 0 and forgetting.value > _FORGOTTEN:
        notes.append(_remedy(stage, tried, spoken, before, forgetting))
    return spoken, forgetting


def _general(backbone: LanguageBackbone) -> Ratio:
    nats, count = backbone.losses(tokens_of(QUESTIONS, backbone.chat, backbone.context, None))
    return Ratio(nats, count.astype(float))


def _remedy(stage: _Stage, tried: _Tried, spoken: Spoken, before: Ratio, forgetting: Estimate) -> str:
    """What taking half of the way would keep, and what it would cost on the rows of the last fold."""
    half = difference(_general(spoken.backbone(stage.backbone, 0.5)), before)
    at = np.flatnonzero(stage.folds == stage.used - 1)
    tokens = [tried.lesson.tokens[i] for i in at.tolist()]
    whole_loss, half_loss = (
        float(np.divide(*map(np.sum, tried.last.backbone(stage.backbone, share).losses(tokens)))) for share in (1, 0.5)
    )
    return (
        f"{tried.recipe.name} forgot: the loss on {len(QUESTIONS)} general questions rose by {forgetting:.2f} nats per "
        f"token. Half of what moved (fade 0.5) would cost {half:.2f} there, and bring {half_loss:.2f} in place of "
        f"{whole_loss:.2f} on held-out rows; l2_sp and replayed general rows are other remedies."
    )


def _protocol(stage: _Stage) -> str:
    folds = int(stage.folds.max()) + 1
    kind = "grouped folds" if stage.groups is not None else "folds"
    return f"{stage.used} of {folds} {kind} held out in turn" if stage.used < folds else f"{folds} {kind}"
