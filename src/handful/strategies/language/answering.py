"""The ladder of answers in words: prompts, prompts with examples, moved weights, on the same held-out rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.chat import Tokens
from handful.backbones.language import LanguageBackbone
from handful.data.conversations import Conversation
from handful.errors import HandfulError
from handful.evaluation.decision import best_beyond_doubt
from handful.evaluation.verdicts import Held
from handful.strategies.language.asking import Questions, ask, in_order, some_said
from handful.strategies.language.forgetting import general
from handful.strategies.language.in_context import KINDS, Examples, tokens_of
from handful.strategies.language.planning import another_fits, more_folds, planned
from handful.strategies.language.recipes import INVENTING, RECIPES, TokenRecipe
from handful.strategies.language.stage import LanguageResult, LanguageTerms, Stage, stage_of
from handful.strategies.language.synthetic import invented, tries
from handful.strategies.language.trying import Tried
from handful.tasks.generation.metrics import Answered

BASE = "base"
ANSWER_ARMS = (BASE, "in-context", *RECIPES, *INVENTING)
"""What can be named as a strategy for rows with answers."""

Subject = tuple[LanguageBackbone, Examples | None]
"""Who is asked about the rows of a fold, and what it shows; it has seen none of them."""


@dataclass
class _Arm:
    """One way to answer, asked about one fold after the other."""

    name: str
    stage: Stage
    questions: Questions
    subject: Callable[[int], Subject]
    rung: int = 0
    seconds: float = 0.0
    parts: list[Answered] = field(default_factory=list)
    places: list[NDArray[np.int64]] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    last: Subject | None = None
    setting: dict[str, Any] = field(default_factory=dict)

    def over(self, folds: Iterable[int]) -> None:
        """Ask about the rows of some folds."""
        for fold in folds:
            start, done = time.perf_counter(), sum(map(len, self.places))
            at = np.flatnonzero(self.stage.folds == fold)
            self.last = self.subject(fold)

            def tell(row: int, rows: int, done: int = done) -> None:
                self.stage.terms.say(f"asking {self.name}", done + row, max(done + rows, len(self.stage.held)))

            rows = [self.stage.rows[i] for i in at.tolist()]
            answered, length = ask(self.last[0], rows, self.questions, self.last[1], tell)
            self.parts.append(answered)
            self.places.append(at)
            self.lengths += [length] * len(at)
            self.seconds += time.perf_counter() - start

    @property
    def held(self) -> Held:
        """What came of it."""
        setting = {**self.setting, "tokens of a prompt": round(float(np.mean(self.lengths)))}
        return Held(self.name, in_order(self.parts, self.places), self.rung, self.seconds, setting)

    def with_few(self, held: Held) -> Held:
        """The same with a few rows of the last fold answered, where no row was."""
        if held.outputs.texts or self.last is None:
            return held
        place = {row: i for i, row in enumerate(self.stage.held.tolist())}
        at, tell = self.places[-1], self.stage.telling("answering three rows")
        rows = [self.stage.rows[i] for i in at.tolist()]
        said = some_said(self.last[0], rows, self.parts[-1].losses, self.questions.sampling, self.last[1], tell)
        few = {place[int(at[i])]: text for i, text in said.items()}
        return replace(held, outputs=replace(held.outputs, few=few))


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
    arm = partial(_Arm, stage=stage, questions=Questions(terms.choices, terms.judge, stage.speaks, stage.sampling))
    arms = [arm(BASE, subject=lambda k: (backbone, None))]
    kinds = KINDS if "in-context" in terms.wanted else ()
    arms += [_shown(stage, arm, kind) for kind in kinds]
    for prompted in arms:
        prompted.over(range(stage.used))
    tried: dict[str, Tried] = {}
    # What learns from invented rows comes last: it is taken only where it beats the same on rows of the user alone.
    for name, count in sorted(updates.items(), key=lambda item: terms.recipes[item[0]].invents):
        one = _tried(stage, terms.recipes[name], count, notes)
        learner = None if one is None else _learner(arm, one, stage)
        if one is not None and learner is not None and _held_out(learner, range(stage.used), notes):
            tried[name] = one
            arms.append(learner)
    planned_for = stage.used
    while another_fits(stage, [one.seconds for one in arms], tried.values()):
        stage.used += 1
        arms = [one for one in arms if _held_out(one, [stage.used - 1], notes)]
        tried = {one.name: tried[one.name] for one in arms if one.name in tried}
    if stage.used > planned_for:
        notes.append(more_folds(stage, planned_for))
    notes += _numbers(stage, arms)
    held = [one.held for one in arms]
    finer = None if terms.finer is None else [stage.measured(one, terms.finer) for one in held]
    best = best_beyond_doubt([stage.measured(one) for one in held], stage.held_groups, finer)
    chosen = arms[best].name
    held[best] = arms[best].with_few(held[best])
    final, forgetting = None, None
    if chosen in tried:
        final, forgetting = tried[chosen].finished(
            stage, lambda: general(backbone, stage.telling("asking general questions")), notes,
            beside=partial(_halfway, stage, tried[chosen]),
        )  # fmt: skip
    shots = stage.shots(chosen, None) if chosen in kinds else None
    curves = {name: tuple(one.curves) for name, one in tried.items()}
    return LanguageResult(tuple(held), chosen, stage, shots, final, forgetting, tuple(notes), curves)


def _held_out(arm: _Arm, folds: Iterable[int], notes: list[str]) -> bool:
    """Ask an arm about some folds; of one that learns it is said where that failed."""
    try:
        arm.over(folds)
    except HandfulError as error:
        if arm.rung == 0 or arm.stage.terms.named:
            raise
        notes.append(f"{arm.name} failed: {error}")
        return False
    return True


def _shown(stage: Stage, arm: Callable[..., _Arm], kind: str) -> _Arm:
    """An arm with examples before the question, as many as the rows of the other folds say."""
    counts: list[int] = []

    def subject(k: int) -> Subject:
        shots = stage.shots(kind, k)
        counts.append(shots.count)
        rows = [row for row, fold in zip(stage.rows, stage.folds, strict=True) if fold != k]
        return stage.backbone, Examples(rows, shots)

    return arm(kind, subject=subject, setting={"examples shown": counts})


def _learner(arm: Callable[..., _Arm], tried: Tried, stage: Stage) -> _Arm:
    """An arm whose weights move on every fold without the rows of the fold."""
    learner: _Arm

    def subject(fold: int) -> Subject:
        tuned = tried.without(stage, fold)
        learner.setting = tuned.setting(tried.updates)
        return tuned.backbone(stage.backbone), None

    learner = arm(tried.recipe.name, subject=subject, rung=1)
    return learner


def _numbers(stage: Stage, arms: Sequence[_Arm]) -> list[str]:
    """How the number of examples came about, in a sentence."""
    shown = [arm for arm in arms if "examples shown" in arm.setting]
    if len(stage.counts) == 1 or not shown:
        return []
    each = "; ".join(f"{arm.name} {', '.join(map(str, arm.setting['examples shown']))}" for arm in shown)
    return [
        f"How many examples are shown was chosen from {', '.join(map(str, stage.counts))} in each fold anew, on "
        f"{stage.choosing} of the rows to learn from, each left out of its own examples: {each}."
    ]


def _tried(stage: Stage, recipe: TokenRecipe, updates: int, notes: list[str]) -> Tried | None:
    """A recipe ready to learn; None where it was to learn from rows made up, and none were worth it."""
    tokens, more = _with_invented(stage, recipe, notes)
    if recipe.invents and not more:
        return None
    return Tried(recipe, updates, stage.lesson(recipe, tokens), more)


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
        part = "all rows" if fold is None else f"fold {fold + 1} of {stage.used}"
        rows = [row for row, at in zip(stage.rows, stage.folds, strict=True) if at != fold]
        tell = stage.telling(f"making up rows, {part}")
        made = invented(stage.backbone, rows, tries(recipe.invents, len(rows)), stage.terms.seed, tell)
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


def _halfway(stage: Stage, tried: Tried) -> str:
    """What taking half of what moved would bring on the rows of the last fold."""
    assert tried.last is not None
    at = np.flatnonzero(stage.folds == stage.used - 1)
    tokens = [tried.lesson.tokens[i] for i in at.tolist()]
    whole, half = (
        float(np.divide(*map(np.sum, tried.last.backbone(stage.backbone, share).losses(tokens)))) for share in (1, 0.5)
    )
    return f", and the loss on held-out rows {half:.2f} in place of {whole:.2f}"
