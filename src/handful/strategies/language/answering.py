"""The ladder of answers in words: prompts, prompts with examples, moved weights, on the same held-out rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.backbones.chat import Tokens
from handful.backbones.language import LanguageBackbone, Sampling
from handful.data.conversations import Conversation
from handful.errors import HandfulError
from handful.evaluation.decision import best_beyond_doubt
from handful.evaluation.intervals import Estimate
from handful.evaluation.verdicts import Held
from handful.strategies.language.asking import Questions, ask, in_order
from handful.strategies.language.forgetting import forgotten, general, warning, worth_a_word
from handful.strategies.language.in_context import KINDS, Examples, tokens_of
from handful.strategies.language.planning import planned
from handful.strategies.language.recipes import INVENTING, RECIPES, Lesson, TokenRecipe, TunedLanguage
from handful.strategies.language.stage import LanguageResult, LanguageTerms, Stage, stage_of
from handful.strategies.language.synthetic import invented, tries
from handful.tasks.generation.metrics import Answered
from handful.training.loop import Update

BASE = "base"
ANSWER_ARMS = (BASE, "in-context", *RECIPES, *INVENTING)
"""What can be named as a strategy for rows with answers."""

# An answer of more tokens than this is not short: it is scored by its loss, and not by being the same.
_SHORT = 32


@dataclass(frozen=True)
class _Asker:
    """Asks every arm the same about the rows of every fold."""

    stage: Stage
    questions: Questions

    @classmethod
    def of(cls, stage: Stage) -> _Asker:
        """Short answers are asked for as well, and those that a judge is to see."""
        terms = stage.terms
        middle = np.median([row.asked for row in stage.tokens])
        wanted = terms.wants_texts or (bool(middle <= _SHORT) and terms.budget > 0)
        sampling = Sampling(most=stage.backbone.room(stage.rows), seed=terms.seed)
        return cls(stage, Questions(terms.choices, terms.judge, wanted, sampling))

    def held(self, name: str, asked: Callable[[int], tuple[LanguageBackbone, Examples | None]], rung: int) -> Held:
        """Ask an arm about the held-out rows of every fold.

        Args:
            name: of the arm.
            asked: fold → the model of the arm that has not seen it, and what it shows.
            rung: of the ladder.
        """
        start, stage = time.perf_counter(), self.stage
        parts, places, lengths = list[Answered](), list[NDArray[np.int64]](), list[float]()
        for k in range(stage.used):
            at = np.flatnonzero(stage.folds == k)
            backbone, examples = asked(k)
            answered, length = ask(backbone, [stage.rows[i] for i in at.tolist()], self.questions, examples)
            parts.append(answered)
            places.append(at)
            lengths += [length] * len(at)
            stage.terms.say(f"asking {name}", k + 1, stage.used)
        setting = {"tokens of a prompt": round(float(np.mean(lengths)))}
        return Held(name, in_order(parts, places), rung, time.perf_counter() - start, setting)


def compare_answers(
    backbone: LanguageBackbone, rows: Sequence[Conversation], groups: NDArray[np.int64] | None, terms: LanguageTerms
) -> LanguageResult:
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
    asker = _Asker.of(stage)
    arms = [asker.held(BASE, lambda k: (backbone, None), 0)]
    kinds = KINDS if "in-context" in terms.wanted else ()
    arms += [_shown(asker, kind) for kind in kinds]
    notes += _numbers(stage, arms[1:])
    tried: dict[str, _Tried] = {}
    # What learns from invented rows comes last: it is taken only where it beats the same on rows of the user alone.
    for name, count in sorted(updates.items(), key=lambda item: terms.recipes[item[0]].invents):
        one = _try(asker, terms.recipes[name], count, notes)
        if one is not None:
            tried[name] = one
            arms.append(one.held)
    measured = [stage.measured(arm) for arm in arms]
    chosen = arms[best_beyond_doubt(measured, stage.held_groups)].name
    final, forgetting = _finished(stage, tried[chosen], notes) if chosen in tried else (None, None)
    shots = stage.shots(chosen, None) if chosen in kinds else None
    curves = {name: one.curves for name, one in tried.items()}
    return LanguageResult(tuple(arms), chosen, stage, shots, final, forgetting, tuple(notes), curves)


def _shown(asker: _Asker, kind: str) -> Held:
    """Ask with examples before the question, as many as the rows of the other folds say."""
    stage = asker.stage
    counts: list[int] = []

    def asked(k: int) -> tuple[LanguageBackbone, Examples]:
        shots = stage.shots(kind, k)
        counts.append(shots.count)
        rows = [row for row, fold in zip(stage.rows, stage.folds, strict=True) if fold != k]
        return stage.backbone, Examples(rows, shots)

    held = asker.held(kind, asked, 0)
    return replace(held, setting={**(held.setting or {}), "examples shown": counts})


def _numbers(stage: Stage, arms: Sequence[Held]) -> list[str]:
    """How the number of examples came about, in a sentence."""
    if len(stage.counts) == 1 or not arms:
        return []
    each = "; ".join(f"{arm.name} {', '.join(map(str, (arm.setting or {})['examples shown']))}" for arm in arms)
    return [
        f"How many examples are shown was chosen from {', '.join(map(str, stage.counts))} in each fold anew, on "
        f"{stage.choosing} of the rows to learn from, each left out of its own examples: {each}."
    ]


@dataclass(frozen=True)
class _Tried:
    """A recipe on the folds."""

    recipe: TokenRecipe
    held: Held
    lesson: Lesson
    updates: int
    curves: tuple[tuple[Update, ...], ...]
    last: TunedLanguage
    more: dict[int | None, list[int]]


def _try(asker: _Asker, recipe: TokenRecipe, updates: int, notes: list[str]) -> _Tried | None:
    """Learn on every fold without the rows of the fold."""
    stage = asker.stage
    tokens, more = _with_invented(stage, recipe, notes)
    if recipe.invents and not more:
        return None
    lesson = stage.lesson(recipe, tokens)
    tuned: list[TunedLanguage] = []

    def asked(fold: int) -> tuple[LanguageBackbone, None]:
        tuned.append(stage.learned(lesson, recipe, updates, fold, more=more.get(fold, [])))
        return tuned[-1].backbone(stage.backbone), None

    try:
        held = asker.held(recipe.name, asked, 1)
    except HandfulError as error:
        if stage.terms.named:
            raise
        notes.append(f"{recipe.name} failed: {error}")
        return None
    held = replace(held, setting=tuned[-1].setting(updates) | (held.setting or {}))
    return _Tried(recipe, held, lesson, updates, tuple(s.log for s in tuned), tuned[-1], more)


def _with_invented(
    stage: Stage, recipe: TokenRecipe, notes: list[str]
) -> tuple[list[Tokens], dict[int | None, list[int]]]:
    """The rows and those made up beside them: of each fold from its rows to learn from alone, and from all at last.

    Returns:
        The tokens of all rows, and for each fold, None for the last, where those are that were made up for it.
    """
    tokens, more = list(stage.tokens), dict[int | None, list[int]]()
    tried, left_out = 0, Counter[str]()
    for fold in (*range(stage.used), None) if recipe.invents else ():
        rows = [row for row, at in zip(stage.rows, stage.folds, strict=True) if at != fold]
        made = invented(stage.backbone, rows, tries(recipe.invents, len(rows)), stage.terms.seed)
        stage.terms.say("making up rows", stage.used if fold is None else fold, stage.used + 1)
        tried, left_out = tried + made.tried, left_out + Counter(dict(made.left_out))
        if made.rows:
            more[fold] = list(range(len(tokens), len(tokens) + len(made.rows)))
            tokens += tokens_of(made.rows, stage.backbone.chat, stage.backbone.context, None)
    if recipe.invents:
        why = "; ".join(f"{count} {reason}" for reason, count in left_out.most_common())
        notes.append(
            f"{recipe.name}: of {tried} rows that the model made up {tried - left_out.total()} were kept"
            + (f", left out: {why}." if why else ".")
            + ("" if more else f" {recipe.name} was not tried.")
        )
    return tokens, more


def _finished(stage: Stage, tried: _Tried, notes: list[str]) -> tuple[TunedLanguage, Estimate]:
    """Fit on all rows, and see what was forgotten."""
    tuned = stage.learned(tried.lesson, tried.recipe, tried.updates, None, more=tried.more.get(None, []))
    knew = general(stage.backbone)
    forgetting = forgotten(knew, tuned.backbone(stage.backbone))
    if worth_a_word(forgetting):
        notes.append(warning(stage.backbone, knew, tuned, forgetting, stage.terms.again, _halfway(stage, tried)))
    return tuned, forgetting


def _halfway(stage: Stage, tried: _Tried) -> str:
    """What taking half of what moved would bring on the rows of the last fold."""
    at = np.flatnonzero(stage.folds == stage.used - 1)
    tokens = [tried.lesson.tokens[i] for i in at.tolist()]
    whole, half = (
        float(np.divide(*map(np.sum, tried.last.backbone(stage.backbone, share).losses(tokens)))) for share in (1, 0.5)
    )
    return f", and the loss on held-out rows {half:.2f} in place of {whole:.2f}"
