"""The ladder of a language model: prompts, prompts with examples, moved weights, on the same held-out rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.backbones.chat import Tokens
from handful.backbones.decoding import answers as decoded
from handful.backbones.language import LanguageBackbone, Sampling
from handful.data.conversations import Conversation
from handful.errors import HandfulError
from handful.evaluation.answer_scores import Told, chosen_of, summed
from handful.evaluation.answers import ACCURACY, LOSS, Judge, points, scored, scorer, token_loss
from handful.evaluation.intervals import Estimate
from handful.strategies.language.forgetting import forgotten, general, warning, worth_a_word
from handful.strategies.language.in_context import KINDS, Examples, tokens_of, words_of
from handful.strategies.language.recipes import INVENTING, RECIPES, Lesson, Spoken, TokenRecipe
from handful.strategies.language.stage import SpeakingTerms, Speech, Stage, planned, stage_of
from handful.strategies.language.synthetic import invented, tries
from handful.training.loop import Update

BASE = "base"
SPEAKING = (BASE, "in-context", *RECIPES, *INVENTING)
"""What can be named as a strategy for rows with answers."""

# An answer of more tokens than this is not short: it is scored by its loss, and not by being the same.
_SHORT = 32


@dataclass(frozen=True)
class _Asker:
    """What is asked of every arm."""

    stage: Stage
    judge: Judge | None
    short: bool

    @property
    def metric(self) -> str:
        wanted = self.stage.terms.metric
        return wanted if isinstance(wanted, str) else "judge"

    def told(self, name: str, asked: Callable[[int], tuple[LanguageBackbone, Examples | None]], rung: int) -> Told:
        """Ask an arm about the held-out rows of every fold, and score what it says."""
        start = time.perf_counter()
        nats, count, said = np.zeros(len(self.stage.rows)), np.zeros(len(self.stage.rows)), [""] * len(self.stage.rows)
        right, length = np.zeros(len(self.stage.rows)), []
        for k in range(self.stage.used):
            at = np.flatnonzero(self.stage.folds == k)
            backbone, examples = asked(k)
            some = [self.stage.rows[i] for i in at.tolist()]
            tokens = tokens_of(some, backbone.chat, backbone.context, examples)
            nats[at], count[at] = backbone.losses(tokens)
            length += [row.start for row in tokens]
            if self.stage.terms.choices:
                right[at] = likeliest(backbone, some, self.stage.terms.choices, examples)
            if self.judge is not None or self.short:
                for i, text in zip(
                    at, decoded(backbone, [row.question for row in tokens], self._sampling()), strict=True
                ):
                    said[i] = text
            self.stage.terms.say(f"asking {name}", k + 1, self.stage.used)
        held = self.stage.held
        measured = {LOSS: token_loss(nats[held], count[held])}
        if self.stage.terms.choices:
            measured[ACCURACY] = points(ACCURACY, right[held])
        answers = tuple(said[i] for i in held)
        judges = {self.metric: self.judge}
        if self.short:
            judges.update({metric: scorer(metric) for metric in ("exact_match", "token_f1")})
        for metric, judge in judges.items():
            if judge is None:  # what likelihoods tell asks nobody
                continue
            asked_of = [words_of(self.stage.rows[i].prompt) for i in held]
            measured[metric] = scored(judge, asked_of, answers, [self.stage.rows[i].answer for i in held])
        seconds = time.perf_counter() - start
        return Told(name, rung, measured, answers if any(answers) else (), seconds, float(np.mean(length)))

    def _sampling(self) -> Sampling:
        return Sampling(most=self.stage.backbone.room(self.stage.rows), seed=self.stage.terms.seed)


def likeliest(
    backbone: LanguageBackbone, rows: Sequence[Conversation], choices: Sequence[str], examples: Examples | None
) -> NDArray[np.bool_]:
    """Whether the own label of each row is the likeliest of all labels as its answer.

    Args:
        backbone: who is asked.
        rows: M rows whose answers are labels.
        choices: C labels.
        examples: rows to show before the question, if any.

    Returns:
        (M,).
    """
    each = [replace(row, answer=label) for row in rows for label in choices]
    nats, _ = backbone.losses(tokens_of(each, backbone.chat, backbone.context, examples))
    best = nats.reshape(len(rows), len(choices)).argmin(1)
    return np.array([row.answer == choices[i] for row, i in zip(rows, best.tolist(), strict=True)])


def climb(
    backbone: LanguageBackbone, rows: Sequence[Conversation], groups: NDArray[np.int64] | None, terms: SpeakingTerms
) -> Speech:
    """Compare arms on held-out rows, choose one, and fit it on all rows.

    Args:
        backbone: the language model.
        rows: N conversations with their answers.
        groups: (N,) whole numbers, or None; rows of one number are held out together.
        terms: what to try, and how long.

    Raises:
        OptionError: an arm was named that the budget does not pay for, or that the model cannot do.
    """
    stage, notes = stage_of(backbone, rows, groups, terms)
    updates = planned(stage, notes)
    middle = np.median([row.asked for row in stage.tokens])
    asker = _Asker(stage, scorer(terms.metric), bool(middle <= _SHORT) and terms.budget > 0)
    arms = [asker.told(BASE, lambda k: (backbone, None), 0)]
    kinds = KINDS if "in-context" in terms.wanted else ()
    arms += [_shown(asker, kind) for kind in kinds]
    notes += _numbers(stage, arms[1:])
    found: dict[str, _Tried] = {}
    # What learns from invented rows comes last: it is taken only where it beats the same on rows of the user alone.
    for name, count in sorted(updates.items(), key=lambda item: terms.recipes[item[0]].invents):
        tried = _try(asker, terms.recipes[name], count, notes)
        if tried is not None:
            found[name] = tried
            arms.append(tried.told)
    chosen = chosen_of(arms, asker.metric, stage.held_groups)
    spoken, forgetting = _finished(stage, found[chosen.name], notes) if chosen.name in found else (None, None)
    scores = summed(arms, chosen.name, asker.metric, stage.protocol, stage.held_groups, forgetting)
    shots = stage.shots(chosen.name, None) if chosen.name in kinds else None
    return Speech(
        scores, tuple(arms), stage.held, shots, spoken, tuple(notes),
        {name: tried.curves for name, tried in found.items()},
    )  # fmt: skip


def _shown(asker: _Asker, kind: str) -> Told:
    """Ask with examples before the question, as many as the rows of the other folds say."""
    stage = asker.stage
    counts: list[int] = []

    def asked(k: int) -> tuple[LanguageBackbone, Examples]:
        shots = stage.shots(kind, k)
        counts.append(shots.count)
        rows = [row for row, fold in zip(stage.rows, stage.folds, strict=True) if fold != k]
        return stage.backbone, Examples(rows, shots)

    return replace(asker.told(kind, asked, 0), shown=tuple(counts))


def _numbers(stage: Stage, arms: Sequence[Told]) -> list[str]:
    """How the number of examples came about, in a sentence."""
    if len(stage.counts) == 1 or not arms:
        return []
    told = "; ".join(f"{arm.name} {', '.join(map(str, arm.shown))}" for arm in arms)
    return [
        f"How many examples are shown was chosen from {', '.join(map(str, stage.counts))} in each fold anew, on "
        f"{stage.choosing} of the rows to learn from, each left out of its own examples: {told}."
    ]


@dataclass(frozen=True)
class _Tried:
    """A recipe on the folds."""

    recipe: TokenRecipe
    told: Told
    lesson: Lesson
    updates: int
    curves: tuple[tuple[Update, ...], ...]
    last: Spoken
    more: dict[int | None, list[int]]


def _try(asker: _Asker, recipe: TokenRecipe, updates: int, notes: list[str]) -> _Tried | None:
    """Learn on every fold without the rows of the fold."""
    stage = asker.stage
    tokens, more = _with_invented(stage, recipe, notes)
    if recipe.invents and not more:
        return None
    lesson = stage.lesson(recipe, tokens)
    spoken: list[Spoken] = []

    def asked(fold: int) -> tuple[LanguageBackbone, None]:
        spoken.append(stage.learned(lesson, recipe, updates, fold, more=more.get(fold, [])))
        return spoken[-1].backbone(stage.backbone), None

    try:
        told = asker.told(recipe.name, asked, 1)
    except HandfulError as error:
        if stage.terms.named:
            raise
        notes.append(f"{recipe.name} failed: {error}")
        return None
    told = replace(told, moved=spoken[-1].moved)
    return _Tried(recipe, told, lesson, updates, tuple(s.log for s in spoken), spoken[-1], more)


def _with_invented(
    stage: Stage, recipe: TokenRecipe, notes: list[str]
) -> tuple[list[Tokens], dict[int | None, list[int]]]:
    """The rows and those made up beside them: of each fold from its rows to learn from alone, and from all at last.

    Returns:
        The tokens of all rows, and for each fold, None for the last, where those are that were made up for it.
    """
    found, more = list(stage.tokens), dict[int | None, list[int]]()
    tried, left_out = 0, Counter[str]()
    for fold in (*range(stage.used), None) if recipe.invents else ():
        rows = [row for row, at in zip(stage.rows, stage.folds, strict=True) if at != fold]
        made = invented(stage.backbone, rows, tries(recipe.invents, len(rows)), stage.terms.seed)
        stage.terms.say("making up rows", stage.used if fold is None else fold, stage.used + 1)
        tried, left_out = tried + made.tried, left_out + Counter(dict(made.left_out))
        if made.rows:
            more[fold] = list(range(len(found), len(found) + len(made.rows)))
            found += tokens_of(made.rows, stage.backbone.chat, stage.backbone.context, None)
    if recipe.invents:
        why = "; ".join(f"{count} {reason}" for reason, count in left_out.most_common())
        notes.append(
            f"{recipe.name}: of {tried} rows that the model made up {tried - left_out.total()} were kept"
            + (f", left out: {why}." if why else ".")
            + ("" if more else f" {recipe.name} was not tried.")
        )
    return found, more


def _finished(stage: Stage, tried: _Tried, notes: list[str]) -> tuple[Spoken, Estimate]:
    """Fit on all rows, and see what was forgotten."""
    spoken = stage.learned(tried.lesson, tried.recipe, tried.updates, None, more=tried.more.get(None, []))
    knew = general(stage.backbone)
    forgetting = forgotten(knew, spoken.backbone(stage.backbone))
    if worth_a_word(forgetting):
        notes.append(warning(stage.backbone, knew, spoken, forgetting, stage.terms.again, _halfway(stage, tried)))
    return spoken, forgetting


def _halfway(stage: Stage, tried: _Tried) -> str:
    """What taking half of what moved would bring on the rows of the last fold."""
    at = np.flatnonzero(stage.folds == stage.used - 1)
    tokens = [tried.lesson.tokens[i] for i in at.tolist()]
    whole, half = (
        float(np.divide(*map(np.sum, tried.last.backbone(stage.backbone, share).losses(tokens)))) for share in (1, 0.5)
    )
    return f", and the loss on held-out rows {half:.2f} in place of {whole:.2f}"
