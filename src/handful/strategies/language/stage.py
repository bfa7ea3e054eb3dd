"""The stage of a language run: rows on their folds, and what the time pays for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.chat import Tokens
from handful.backbones.language import LanguageBackbone
from handful.data.conversations import Conversation
from handful.data.splits import fold_ids
from handful.errors import OptionError
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Measured, Metric
from handful.evaluation.verdicts import Held
from handful.progress import Say
from handful.readback import FAILURES, checked
from handful.seeding import generator
from handful.strategies.language.forgetting import replay_costs, replayed
from handful.strategies.language.in_context import COUNTS, KINDS, SHARE, Shots, best_count
from handful.strategies.language.recipes import LEAST_UPDATES, RECIPES, Lesson, TokenRecipe, TunedLanguage, fit_recipe
from handful.strategies.language.synthetic import COST, tries
from handful.strategies.resume import Decisions
from handful.tasks.base import AnyTargets
from handful.tasks.generation import GENERATION, Generation
from handful.tasks.generation.metrics import EXACT_MATCH, LOSS, TOKEN_F1, Judge
from handful.training.loop import Update
from handful.training.tokens import TokenBody

FOLDS = 4

# So many rows, or groups of rows, are held out at least: fewer give no interval.
_HELD = 3

_PLANNED = "language"

# How many examples to show is chosen on so many rows at most and at least, in at most this share of the time; asking
# with the most of them may take at most this share, or nothing would be left for what learns.
_ASKED, _LEAST, _CHOOSING, _ASKING = 12, 4, 0.15, 0.25

# An update costs a forward pass and a backward pass of about the same size, and some more.
_UPDATE = 2.4


@dataclass(frozen=True)
class LanguageTerms:
    """Under which terms a language model learns."""

    wanted: tuple[str, ...] = ("base", "in-context", "lora")
    """Which arms to try."""
    named: bool = False
    """Whether the user named them: what cannot be afforded is then an error."""
    budget: float = 600.0
    """Seconds; 0: nothing moves."""
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

    @cached_property
    def replay(self) -> list[Tokens]:
        """Answers of the model as it is, to be kept while weights move; made when first asked for."""
        return replayed(self.backbone, self.terms.seed)

    def lesson(
        self, recipe: TokenRecipe, tokens: Sequence[Tokens] | None = None, reference: NDArray[np.float64] | None = None
    ) -> Lesson:
        """The rows as a recipe learns from them; of pairs the tokens and the log likelihoods at the start."""
        replay = self.replay if recipe.replay else ()
        return Lesson.of(self.backbone, self.tokens if tokens is None else tokens, recipe, reference, replay)

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
        self.terms.say(f"choosing how many {kind} examples are shown", 0 if fold is None else fold + 1, self.used)
        return Shots(kind, best_count(self.backbone, rows, groups, kind, self.counts, asked))

    @cached_property
    def targets(self) -> AnyTargets:
        """What is wanted of the rows that are held out."""
        return self.terms.task.targets([self.rows[i] for i in self.held.tolist()], self.terms.choices)

    def measured(self, arm: Held) -> Measured:
        """An arm in the metric that arms are compared by."""
        return self.terms.metric.of(arm.outputs, self.targets)

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
        watch: Callable[[Update, TokenBody], bool] = lambda update, body: False, more: Sequence[int] = (),
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
            self.terms.say(f"{recipe.name}, {part}, loss {update.loss:.2f}", update.number + 1, total)
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
    number = np.arange(len(rows)) if groups is None else groups
    folds = min(FOLDS, len(np.unique(number)))
    if folds < 2:
        raise OptionError(
            f"the {len(rows)} rows are all of one group, or near copies of each other: what is held out must be unlike "
            "what is learned from. Add rows that are unlike these."
        )
    kinds = np.unique([row.answer for row in rows], return_inverse=True)[1] if terms.choices else number * 0
    dealt = fold_ids(kinds, number, folds, generator(terms.seed, "folds"))
    return Stage(backbone, rows, tokens, groups, terms, dealt, folds), notes


def planned(stage: Stage, notes: list[str], factor: float = 1.0) -> dict[str, int]:
    """How many updates each recipe gets; what is not tried is said, or an error where it was named.

    What an update costs is told from a pass over a few rows. Folds are left out before recipes are, and recipes before
    updates: what is held out may be few rows, but too few updates move nothing.

    Args:
        stage: the rows; how many of its folds are used is decided here.
        notes: what is said is added.
        factor: how many rows stand for one, as the two answers of a pair do.

    Returns:
        Name → updates, of what is tried.

    Raises:
        OptionError: something was named that cannot be tried.
    """
    terms = stage.terms
    decisions = Decisions.read(terms.checkpoints)
    decided = _earlier(decisions, terms, stage.used)
    if decided is not None:  # a resumed run does what it began, however fast the machine is now
        stage.used, stage.counts, stage.choosing = decided.used, decided.counts, decided.choosing
        return dict(decided.updates)
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
    shows = "in-context" in terms.wanted
    once, row = _pass(stage) if terms.budget and (tried or shows) else (0.0, 0.0)
    once *= 1 + len(terms.choices)
    made, long = _replaying(stage, [terms.recipes[name] for name in tried], row)

    def cost(used: int, updates: int) -> float:
        """Seconds for the trainings of so many folds and of all rows, and for asking what came of them."""
        recipes = [terms.recipes[name] for name in tried]
        each = [
            _UPDATE * updates * (factor * row * min(recipe.batch, len(stage.rows)) + long * recipe.beside)
            + row * COST * tries(recipe.invents, len(stage.rows))
            for recipe in recipes
        ]
        return used * sum(each) + max(each, default=0.0) + len(tried) * once

    # What learns is set aside first: prompts with examples get what it leaves.
    fewest, least = _fewest(stage), terms.updates or LEAST_UPDATES
    left = terms.budget - once - made
    while tried and cost(fewest, least) > left:
        needed = 1.1 * (cost(fewest, least) + terms.budget - left)
        refused[tried.pop()] = f"it needs about {_time(needed)} here; run `{terms.again(budget=_round(needed))}`"
    if shows:
        left -= _choose_from(stage, once, row, left - cost(fewest, least)) + _asking(once, stage.counts)
    if tried:
        if terms.updates is None and (share := left / cost(fewest, wanted)) < 1:
            wanted = max(LEAST_UPDATES, int(wanted * share))
        fits = [used for used in range(fewest, stage.used + 1) if used == fewest or cost(used, wanted) <= left]
        stage.used = max(fits)
        notes.append(
            f"{', '.join(tried)}: {wanted} updates of {terms.recipes[tried[0]].batch} rows on each of {stage.used} "
            f"folds and on all rows, about {_time(cost(stage.used, wanted))}."
        )
    for name, why in refused.items():
        if terms.named:
            raise OptionError(f"{name} cannot be tried: {why}. Leave it out, or change that.")
        notes.append(f"{name} was not tried: {why}.")
    updates = dict.fromkeys(tried, wanted)
    decisions.keep(
        _PLANNED, {"used": stage.used, "updates": updates, "counts": list(stage.counts), "choosing": stage.choosing}
    )
    return updates


@dataclass(frozen=True)
class _Decided:
    """What an earlier try of the same run decided on."""

    used: int
    updates: dict[str, int]
    counts: tuple[int, ...]
    choosing: int


def _earlier(decisions: Decisions, terms: LanguageTerms, most: int) -> _Decided | None:
    """What an earlier try decided on, of at most so many folds; None where it is damaged, and is decided anew."""
    raw: Any = decisions.made.get(_PLANNED)
    try:
        plan = checked(_Decided(raw["used"], raw["updates"], tuple(raw["counts"]), raw["choosing"]))
    except FAILURES:  # none yet, or damaged when the machine went down
        return None
    known = set(plan.updates) <= set(terms.recipes) and all(count > 0 for count in plan.updates.values())
    sound = 1 <= plan.used <= most and plan.counts and min(plan.counts) >= 0 and plan.choosing >= 0
    return plan if known and sound else None


def _asking(once: float, counts: Sequence[int]) -> float:
    """Seconds for asking with examples of each kind, as many as there may be: rows are read with their examples."""
    return once * len(KINDS) * (1 + max(counts))


def _choose_from(stage: Stage, once: float, row: float, seconds: float) -> float:
    """Decide which numbers of examples are compared, and on how many rows: the more of both, the more time there is.

    Args:
        stage: where it is written down.
        once: seconds for asking about all rows without examples.
        row: seconds for reading a row.
        seconds: how long prompts with examples may take in all.

    Returns:
        What it takes, in seconds.
    """
    length = float(np.median([len(tokens.ids) for tokens in stage.tokens]))
    learned = len(stage.rows) - int(np.bincount(stage.folds).max())
    counts = [k for k in COUNTS if k * length <= SHARE * stage.backbone.context and k < learned] or [1]
    stage.counts, times = (min(Shots.count, counts[-1]),), len(KINDS) * (stage.used + 1)
    while stage.terms.budget and len(counts) > 1:
        each = row * times * sum(1 + k for k in counts)
        rows = int(min(_ASKED, learned, min(_CHOOSING * stage.terms.budget, seconds) / max(each, 1e-9)))
        asking = _asking(once, counts)
        if rows >= _LEAST and asking <= _ASKING * stage.terms.budget and rows * each + asking <= seconds:
            stage.counts, stage.choosing = tuple(counts), rows
            return rows * each
        counts.pop()
    return 0.0


def _fewest(stage: Stage) -> int:
    """How many folds must be held out in turn so that there is an interval."""
    own = np.arange(len(stage.rows)) if stage.groups is None else stage.groups
    held = [len(np.unique(own[stage.folds < used])) for used in range(1, stage.used + 1)]
    return next((used for used, count in enumerate(held, 1) if count >= _HELD), stage.used)


def _pass(stage: Stage) -> tuple[float, float]:
    """Seconds for reading all rows once, and one row of middling length."""
    tokens = stage.tokens
    some = sorted(tokens, key=lambda row: len(row.ids))[len(tokens) // 2 :][:4]
    taken = []
    for _ in range(2):  # the first pass of a process also wakes threads up
        start = time.perf_counter()
        stage.backbone.losses(some)
        taken.append(time.perf_counter() - start)
    each = min(taken) / sum(len(row.ids) for row in some)
    everything = each * sum(len(row.ids) for row in tokens)
    return everything, everything / len(tokens)


def _replaying(stage: Stage, recipes: Sequence[TokenRecipe], row: float) -> tuple[float, float]:
    """Seconds for making answers of the model as it is, and for reading one of them."""
    if not any(recipe.replay for recipe in recipes):
        return 0.0, 0.0
    made, long = replay_costs(stage.backbone)
    token = row * len(stage.tokens) / sum(len(tokens.ids) for tokens in stage.tokens)
    return made * token, long * token


def _round(seconds: float) -> str:
    """A budget to type that is not below so many seconds."""
    return f"{np.ceil(seconds / 10) * 10:.0f}s" if seconds < 100 else f"{np.ceil(seconds / 60):.0f}min"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{np.ceil(seconds / 60):.0f} min"
