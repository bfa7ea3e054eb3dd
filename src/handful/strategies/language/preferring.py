"""The ladder on pairs of answers: which of the two is likelier, before and after preferences moved the weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.backbones.chat import Tokens
from handful.backbones.decoding import answers
from handful.backbones.language import LanguageBackbone, Sampling
from handful.data.conversations import Preference
from handful.errors import HandfulError
from handful.evaluation.decision import best_beyond_doubt
from handful.evaluation.verdicts import Held
from handful.strategies.language.early_stopping import Alarm, Guard
from handful.strategies.language.forgetting import forgotten, warning, worth_a_word
from handful.strategies.language.in_context import words_of
from handful.strategies.language.planning import planned
from handful.strategies.language.recipes import PREFERENCES, Lesson, TokenRecipe, TunedLanguage
from handful.strategies.language.stage import LanguageResult, LanguageTerms, Stage, stage_of
from handful.tasks.generation.metrics import Answered, Judge, preferences, win_rate

PREFERENCE_ARMS = ("base", *PREFERENCES)
"""What can be named as a strategy for rows with a chosen and a rejected answer."""


def compare_preferences(
    backbone: LanguageBackbone, rows: Sequence[Preference], groups: NDArray[np.int64] | None, terms: LanguageTerms
) -> LanguageResult:
    """Compare what a model prefers before and after it was tuned on pairs, on held-out pairs.

    Args:
        backbone: the language model; with its weights as they are it is the reference.
        rows: N pairs.
        groups: (N,) whole numbers, or None; pairs of one number are held out together.
        terms: what to try, and how long.

    Raises:
        OptionError: an arm was named that the budget does not pay for.
    """
    stage, notes = stage_of(backbone, [row.chosen_row for row in rows], groups, terms)
    updates = planned(stage, notes, factor=2.0)  # each pair has two answers to learn from
    both = [row.chosen_row for row in rows] + [row.rejected_row for row in rows]
    tokens = [backbone.chat.tokens(row, backbone.context) for row in both]
    cut = sum(token.cut > 0 for token in tokens[len(rows) :])
    if cut:
        notes.append(f"{cut} of {len(rows)} rejected answers are too long with their prompts and were cut.")
    start = time.perf_counter()
    nats, count = backbone.losses(tokens)  # (2 N,), (2 N,)
    contest = None if terms.judge is None else _Contest.of(stage)
    base = _answered(stage, nats, nats, count)
    base = base if contest is None else contest.judged(base, contest.before)
    arms = [Held("base", base, 0, time.perf_counter() - start)]
    guard = Guard(backbone, tokens[: len(rows)])
    tried: dict[str, _Tried] = {}
    for name, many in updates.items():
        try:
            tried[name] = _try(stage, terms.recipes[name], many, (tokens, nats, count), contest, guard)
        except HandfulError as error:
            if terms.named:
                raise
            notes.append(f"{name} failed: {error}")
            continue
        arms.append(tried[name].held)
        notes += [f"{name}: {alarm.words}." for alarm in tried[name].alarms if alarm.rang][:1]
    # What unlearned to speak is shown, but never taken.
    rang = {name for name, one in tried.items() if any(alarm.rang for alarm in one.alarms)}
    sound = [arm for arm in arms if arm.name not in rang]
    chosen = sound[best_beyond_doubt([stage.measured(arm) for arm in sound], stage.held_groups)].name
    final, forgetting = None, None
    if chosen in tried:
        final = _finished(stage, tried[chosen], guard, notes)
        forgetting = forgotten(guard.knew, final.backbone(backbone))
        if worth_a_word(forgetting):
            notes.append(warning(backbone, guard.knew, final, forgetting, terms.again))
    curves = {name: tuple(tuned.log for tuned in one.tuned) for name, one in tried.items()}
    return LanguageResult(tuple(arms), chosen, stage, None, final, forgetting, tuple(notes), curves)


@dataclass(frozen=True)
class _Tried:
    """A recipe on the folds."""

    recipe: TokenRecipe
    updates: int
    lesson: Lesson
    held: Held
    tuned: tuple[TunedLanguage, ...]
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True)
class _Contest:
    """Answers to the prompts of all pairs against those of the model as it was."""

    stage: Stage
    judge: Judge
    before: dict[int, str]

    @classmethod
    def of(cls, stage: Stage) -> _Contest:
        """Let the model as it is answer the prompts that are held out."""
        assert stage.terms.judge is not None
        return cls(stage, stage.terms.judge, _answers(stage, stage.backbone, stage.held))

    def judged(self, answered: Answered, texts: dict[int, str]) -> Answered:
        """What an arm made of the held-out pairs, with how often its answers win. Row → its answer."""
        held = self.stage.held.tolist()
        ours, theirs = ([each[i] for i in held] for each in (texts, self.before))
        wins = win_rate(self.judge, [words_of(self.stage.rows[i].prompt) for i in held], ours, theirs)
        return replace(answered, judged=wins, texts=tuple(ours))


def _answers(stage: Stage, backbone: LanguageBackbone, rows: NDArray[np.int64]) -> dict[int, str]:
    """Row → what a model answers to its prompt."""
    asked = [stage.tokens[i].question for i in rows.tolist()]
    sampling = Sampling(stage.backbone.room(stage.rows), seed=stage.terms.seed)
    return dict(zip(rows.tolist(), answers(backbone, asked, sampling), strict=True))


def _try(
    stage: Stage, recipe: TokenRecipe, updates: int,
    asked_of: tuple[Sequence[Tokens], NDArray[np.float64], NDArray[np.int64]], contest: _Contest | None, guard: Guard,
) -> _Tried:  # fmt: skip
    """Learn on every fold without the pairs of the fold, and ask about these."""
    start, (tokens, nats, count), texts = time.perf_counter(), asked_of, dict[int, str]()
    lesson = stage.lesson(recipe, tokens, -nats)
    after, tuned, alarms = nats.copy(), [], []
    for fold in range(stage.used):
        alarms.append(Alarm())
        learn = np.flatnonzero(stage.folds != fold)
        tuned.append(stage.learned(lesson, recipe, updates, fold, guard.watch(lesson, learn, updates, alarms[-1])))
        alarms[-1].stopped = len(tuned[-1].log) < updates
        own = np.flatnonzero(stage.folds == fold)
        asked = np.concatenate([own, own + len(stage.rows)])
        moved = tuned[-1].backbone(stage.backbone)
        after[asked] = moved.losses([tokens[i] for i in asked.tolist()])[0]
        if contest is not None:
            texts.update(_answers(stage, moved, own))
    answered = _answered(stage, after, nats, count)
    answered = answered if contest is None else contest.judged(answered, texts)
    held = Held(recipe.name, answered, 1, time.perf_counter() - start, tuned[-1].setting(updates))
    return _Tried(recipe, updates, lesson, held, tuple(tuned), tuple(alarms))


def _finished(stage: Stage, tried: _Tried, guard: Guard, notes: list[str]) -> TunedLanguage:
    """Learn from all pairs, with the alarms on."""
    alarm = Alarm()
    watch = guard.watch(tried.lesson, np.arange(len(stage.rows)), tried.updates, alarm)
    tuned = stage.learned(tried.lesson, tried.recipe, tried.updates, None, watch)
    if alarm.rang:
        notes.append(f"{tried.recipe.name} on all rows: {alarm.words}.")
    grown = guard.growth(tuned.backbone(stage.backbone))
    if grown.low > 0:
        notes.append(
            f"{tried.recipe.name} answers at greater length than before, by {grown:.0%} of the tokens: preferences "
            "often reward length. Add pairs whose chosen answer is the shorter one."
        )
    return tuned


def _answered(
    stage: Stage, nats: NDArray[np.float64], start: NDArray[np.float64], count: NDArray[np.int64]
) -> Answered:
    """What an arm prefers on the held-out pairs: (2 N,) nats now and at the start, and tokens."""
    both = np.concatenate([stage.held, stage.held + len(stage.rows)])
    return preferences(nats[both], start[both], count[both])
