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
from handful.evaluation.answer_scores import Told, chosen_of, summed
from handful.evaluation.answers import LOSS, WINS, Judge, points, token_loss, win_rate
from handful.evaluation.metrics import Measured
from handful.strategies.language.early_stopping import Alarm, Guard
from handful.strategies.language.forgetting import forgotten, warning, worth_a_word
from handful.strategies.language.in_context import words_of
from handful.strategies.language.recipes import PREFERENCES, Lesson, Spoken, TokenRecipe
from handful.strategies.language.stage import SpeakingTerms, Speech, Stage, planned, stage_of

PREFERRING = ("base", *PREFERENCES)
"""What can be named as a strategy for rows with a chosen and a rejected answer."""

ACCURACY = "pair_accuracy"
"""The share of pairs whose chosen answer is the likelier one, per token."""

MARGIN = "margin_accuracy"
"""The share of pairs whose chosen answer gained more likelihood than the rejected one: the reward accuracy of DPO."""


def prefer(
    backbone: LanguageBackbone, rows: Sequence[Preference], groups: NDArray[np.int64] | None, terms: SpeakingTerms
) -> Speech:
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
    arms = [_told("base", nats, nats, count, stage, time.perf_counter() - start)]
    contest = _Contest.of(stage) if callable(terms.metric) else None
    arms = [arms[0] if contest is None else contest.judged(arms[0], contest.before)]
    metric = ACCURACY if contest is None else WINS
    guard = Guard(backbone, tokens[: len(rows)])
    found: dict[str, _Tried] = {}
    for name, many in updates.items():
        recipe = terms.recipes[name]
        try:
            found[name] = _try(stage, recipe, many, (tokens, nats, count), contest, guard)
        except HandfulError as error:
            if terms.named:
                raise
            notes.append(f"{name} failed: {error}")
            continue
        arms.append(found[name].told)
        notes += [f"{name}: {alarm.words}." for alarm in found[name].alarms if alarm.rang][:1]
    # What unlearned to speak is shown, but never taken.
    rang = {name for name, tried in found.items() if any(alarm.rang for alarm in tried.alarms)}
    sound = [arm for arm in arms if arm.name not in rang]
    chosen = chosen_of(sound, metric, stage.held_groups)
    final, forgetting = None, None
    if chosen.name in found:
        final = _finished(stage, found[chosen.name], guard, notes)
        forgetting = forgotten(guard.knew, final.backbone(backbone))
        if worth_a_word(forgetting):
            notes.append(warning(backbone, guard.knew, final, forgetting, terms.again))
    scores = summed(arms, chosen.name, metric, stage.protocol, stage.held_groups, forgetting)
    curves = {name: tuple(spoken.log for spoken in tried.spoken) for name, tried in found.items()}
    return Speech(scores, tuple(arms), stage.held, None, final, tuple(notes), curves)


@dataclass(frozen=True)
class _Tried:
    """A recipe on the folds."""

    recipe: TokenRecipe
    updates: int
    lesson: Lesson
    told: Told
    spoken: tuple[Spoken, ...]
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
        assert callable(stage.terms.metric)
        return cls(stage, stage.terms.metric, _answered(stage, stage.backbone, stage.held))

    def judged(self, told: Told, said: dict[int, str]) -> Told:
        """What an arm did, with how often its answers win."""
        held = self.stage.held.tolist()
        ours, theirs = ([each[i] for i in held] for each in (said, self.before))
        wins = win_rate(self.judge, [words_of(self.stage.rows[i].prompt) for i in held], ours, theirs)
        return replace(told, measured={WINS: wins, **told.measured}, answers=tuple(ours))


def _answered(stage: Stage, backbone: LanguageBackbone, rows: NDArray[np.int64]) -> dict[int, str]:
    """Row → what a model answers to its prompt."""
    asked = [stage.tokens[i].question for i in rows.tolist()]
    sampling = Sampling(stage.backbone.room(stage.rows), seed=stage.terms.seed)
    return dict(zip(rows.tolist(), answers(backbone, asked, sampling), strict=True))


def _try(
    stage: Stage, recipe: TokenRecipe, updates: int,
    asked_of: tuple[Sequence[Tokens], NDArray[np.float64], NDArray[np.int64]], contest: _Contest | None, guard: Guard,
) -> _Tried:  # fmt: skip
    """Learn on every fold without the pairs of the fold, and ask about these."""
    start, (tokens, nats, count), said = time.perf_counter(), asked_of, dict[int, str]()
    lesson = stage.lesson(recipe, tokens, -nats)
    after, spoken, alarms = nats.copy(), [], []
    for fold in range(stage.used):
        alarms.append(Alarm())
        learn = np.flatnonzero(stage.folds != fold)
        spoken.append(stage.learned(lesson, recipe, updates, fold, guard.watch(lesson, learn, updates, alarms[-1])))
        alarms[-1].stopped = len(spoken[-1].log) < updates
        own = np.flatnonzero(stage.folds == fold)
        asked = np.concatenate([own, own + len(stage.rows)])
        moved = spoken[-1].backbone(stage.backbone)
        after[asked] = moved.losses([tokens[i] for i in asked.tolist()])[0]
        if contest is not None:
            said.update(_answered(stage, moved, own))
    told = _told(recipe.name, after, nats, count, stage, time.perf_counter() - start, spoken[-1].moved)
    told = told if contest is None else contest.judged(told, said)
    return _Tried(recipe, updates, lesson, told, tuple(spoken), tuple(alarms))


def _finished(stage: Stage, tried: _Tried, guard: Guard, notes: list[str]) -> Spoken:
    """Learn from all pairs, with the alarms on."""
    alarm = Alarm()
    watch = guard.watch(tried.lesson, np.arange(len(stage.rows)), tried.updates, alarm)
    spoken = stage.learned(tried.lesson, tried.recipe, tried.updates, None, watch)
    if alarm.rang:
        notes.append(f"{tried.recipe.name} on all rows: {alarm.words}.")
    grown = guard.growth(spoken.backbone(stage.backbone))
    if grown.low > 0:
        notes.append(
            f"{tried.recipe.name} answers at greater length than before, by {grown:.0%} of the tokens: preferences "
            "often reward length. Add pairs whose chosen answer is the shorter one."
        )
    return spoken


def pair_scores(
    nats: NDArray[np.float64], start: NDArray[np.float64], count: NDArray[np.int64], held: NDArray[np.int64]
) -> dict[str, Measured]:
    """How often the chosen answer of a pair wins, and how surprising it is.

    Args:
        nats: (2 N,) minus the log likelihoods of N chosen and then N rejected answers.
        start: the same before anything moved.
        count: (2 N,) their tokens.
        held: which of the N pairs count.
    """
    chosen, rejected = held, held + len(nats) // 2
    each = nats / count
    wins = np.where(each[chosen] == each[rejected], 0.5, each[chosen] < each[rejected])
    margin = (start - nats)[chosen] - (start - nats)[rejected]
    gains = np.where(margin == 0, 0.5, margin > 0)
    return {
        ACCURACY: points(ACCURACY, wins),
        MARGIN: points(MARGIN, gains),
        LOSS: token_loss(nats[chosen], count[chosen]),
    }


def _told(
    name: str, nats: NDArray[np.float64], start: NDArray[np.float64], count: NDArray[np.int64], stage: Stage,
    seconds: float, moved: int = 0,
) -> Told:  # fmt: skip
    """What an arm prefers on the held-out pairs, (2 N,) nats now and at the start."""
    measured = pair_scores(nats, start, count, stage.held)
    return Told(name, 1 if moved else 0, measured, seconds=seconds, moved=moved)
