"""The ladder on pairs of answers: which of the two is likelier, before and after preferences moved the weights."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from handful.backbones.chat import Tokens
from handful.backbones.decoding import answers
from handful.backbones.language import LanguageBackbone
from handful.data.conversations import Preference
from handful.errors import HandfulError
from handful.evaluation.decision import best_beyond_doubt
from handful.evaluation.intervals import Estimate
from handful.evaluation.verdicts import Held
from handful.strategies.language.asking import some_said
from handful.strategies.language.early_stopping import Alarm, Guard
from handful.strategies.language.in_context import words_of
from handful.strategies.language.planning import another_fits, more_folds, planned
from handful.strategies.language.recipes import PREFERENCES, TunedLanguage
from handful.strategies.language.stage import LanguageResult, LanguageTerms, Stage, stage_of
from handful.strategies.language.trying import Tried
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
    nats, count = backbone.losses(tokens, stage.telling("asking base"))  # (2 N,), (2 N,)
    contest = None if terms.judge is None else _Contest.of(stage)
    read = time.perf_counter() - start
    guard = Guard(backbone, tokens[: len(rows)], stage.telling("looking what else changes"))
    learners = list[_Learner]()
    for name, many in updates.items():
        tried = Tried(terms.recipes[name], many, stage.lesson(terms.recipes[name], tokens, -nats))
        learner = _Learner(tried, stage, guard, (tokens, nats, count), contest, nats.copy())
        if _held_out(learner, range(stage.used), notes):
            learners.append(learner)
    planned_for = stage.used
    while learners and another_fits(stage, [one.seconds for one in learners], [one.tried for one in learners]):
        stage.used += 1
        if contest is not None:
            contest.answer(stage.used - 1)
        learners = [one for one in learners if _held_out(one, [stage.used - 1], notes)]
    if stage.used > planned_for:
        notes.append(more_folds(stage, planned_for))
    base = _answered(stage, nats, nats, count)
    base = base if contest is None else contest.judged(base, contest.before)
    arms = [Held("base", base, 0, read), *(one.held for one in learners)]
    by_name = {one.tried.recipe.name: one for one in learners}
    for name, one in by_name.items():
        notes += [f"{name}: {alarm.words}." for alarm in one.alarms if alarm.rang][:1]
    # What unlearned to speak is shown, but never taken.
    sound = [arm for arm in arms if arm.name not in by_name or not by_name[arm.name].rang]
    chosen = sound[best_beyond_doubt([stage.measured(arm) for arm in sound], stage.held_groups)].name
    at = next(i for i, arm in enumerate(arms) if arm.name == chosen)
    taken = by_name[chosen].tried if chosen in by_name else None
    arms[at] = _with_few(stage, arms[at], taken)
    final, forgetting = (None, None) if taken is None else _finished(stage, taken, guard, notes)
    curves = {name: tuple(one.tried.curves) for name, one in by_name.items()}
    return LanguageResult(tuple(arms), chosen, stage, None, final, forgetting, tuple(notes), curves)


@dataclass
class _Learner:
    """A recipe that learns from pairs, asked about those of one fold after the other."""

    tried: Tried
    stage: Stage
    guard: Guard
    start: tuple[Sequence[Tokens], NDArray[np.float64], NDArray[np.int64]]
    contest: _Contest | None
    after: NDArray[np.float64]
    alarms: list[Alarm] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rang(self) -> bool:
        """Whether an alarm stopped one of its trainings."""
        return any(alarm.rang for alarm in self.alarms)

    def over(self, folds: Iterable[int]) -> None:
        """Learn without the pairs of some folds, each in turn, and ask about these."""
        stage, tried, (tokens, _, _) = self.stage, self.tried, self.start
        what = f"asking {tried.recipe.name}"
        for fold in folds:
            begun, alarm = time.perf_counter(), Alarm()
            self.alarms.append(alarm)
            learn = np.flatnonzero(stage.folds != fold)
            tuned = tried.without(stage, fold, self.guard.watch(tried.lesson, learn, tried.updates, alarm))
            alarm.stopped = len(tuned.log) < tried.updates
            own = np.flatnonzero(stage.folds == fold)
            asked = np.concatenate([own, own + len(stage.rows)])
            moved = tuned.backbone(stage.backbone)
            self.after[asked] = moved.losses([tokens[i] for i in asked.tolist()], stage.telling(what))[0]
            if self.contest is not None:
                self.texts.update(_answers(stage, moved, own, what))
            self.seconds += time.perf_counter() - begun

    @property
    def held(self) -> Held:
        """What came of it."""
        assert self.tried.last is not None
        _, nats, count = self.start
        answered = _answered(self.stage, self.after, nats, count)
        answered = answered if self.contest is None else self.contest.judged(answered, self.texts)
        setting = self.tried.last.setting(self.tried.updates)
        return Held(self.tried.recipe.name, answered, 1, self.seconds, setting)


def _held_out(learner: _Learner, folds: Iterable[int], notes: list[str]) -> bool:
    """Ask about some folds; it is said where that failed."""
    try:
        learner.over(folds)
    except HandfulError as error:
        if learner.stage.terms.named:
            raise
        notes.append(f"{learner.tried.recipe.name} failed: {error}")
        return False
    return True


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
        return cls(stage, stage.terms.judge, _answers(stage, stage.backbone, stage.held, "asking base"))

    def answer(self, fold: int) -> None:
        """Let it answer the prompts of one fold more."""
        own = np.flatnonzero(self.stage.folds == fold)
        self.before.update(_answers(self.stage, self.stage.backbone, own, "asking base"))

    def judged(self, answered: Answered, texts: dict[int, str]) -> Answered:
        """What an arm made of the held-out pairs, with how often its answers win. Row → its answer."""
        held = self.stage.held.tolist()
        ours, theirs = ([each[i] for i in held] for each in (texts, self.before))
        wins = win_rate(self.judge, [words_of(self.stage.rows[i].prompt) for i in held], ours, theirs)
        return replace(answered, judged=wins, texts=tuple(ours))


def _answers(stage: Stage, backbone: LanguageBackbone, rows: NDArray[np.int64], what: str) -> dict[int, str]:
    """Row → what a model answers to its prompt."""
    asked = [stage.tokens[i].question for i in rows.tolist()]
    said = answers(backbone, asked, stage.sampling, stage.telling(what))
    return dict(zip(rows.tolist(), said, strict=True))


def _with_few(stage: Stage, held: Held, tried: Tried | None) -> Held:
    """An arm with a few pairs of the last fold answered, where no pair was."""
    if held.outputs.texts:
        return held
    place = {row: i for i, row in enumerate(stage.held.tolist())}
    own = np.flatnonzero(stage.folds == stage.used - 1)
    backbone = stage.backbone if tried is None or tried.last is None else tried.last.backbone(stage.backbone)
    losses = held.outputs.losses[[place[i] for i in own.tolist()]]
    tell = stage.telling("answering three rows")
    said = some_said(backbone, [stage.rows[i] for i in own.tolist()], losses, stage.sampling, None, tell)
    few = {place[int(own[i])]: text for i, text in said.items()}
    return replace(held, outputs=replace(held.outputs, few=few))


def _finished(stage: Stage, tried: Tried, guard: Guard, notes: list[str]) -> tuple[TunedLanguage, Estimate]:
    """Learn from all pairs, with the alarms on."""
    alarm, said = Alarm(), list[str]()
    watch = guard.watch(tried.lesson, np.arange(len(stage.rows)), tried.updates, alarm)
    tuned, forgetting = tried.finished(stage, lambda: guard.knew, said, watch)
    if alarm.rang:
        notes.append(f"{tried.recipe.name} on all rows: {alarm.words}.")
    grown = guard.growth(tuned.backbone(stage.backbone))
    if grown.low > 0:
        notes.append(
            f"{tried.recipe.name} answers at greater length than before, by {grown:.0%} of the tokens: preferences "
            "often reward length. Add pairs whose chosen answer is the shorter one."
        )
    notes += said
    return tuned, forgetting


def _answered(
    stage: Stage, nats: NDArray[np.float64], start: NDArray[np.float64], count: NDArray[np.int64]
) -> Answered:
    """What an arm prefers on the held-out pairs: (2 N,) nats now and at the start, and tokens."""
    both = np.concatenate([stage.held, stage.held + len(stage.rows)])
    return preferences(nats[both], start[both], count[both])
