"""What the time of a language run pays for: what learns is set aside first, then prompts with examples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from handful.errors import OptionError
from handful.readback import FAILURES, checked
from handful.strategies.language.forgetting import replay_costs
from handful.strategies.language.in_context import COUNTS, KINDS, SHARE, Shots
from handful.strategies.language.pace import REREAD, Pace, pace_of
from handful.strategies.language.recipes import LEAST_UPDATES, TokenRecipe
from handful.strategies.language.stage import LanguageTerms, Stage
from handful.strategies.language.synthetic import COST, tries
from handful.strategies.language.trying import Tried
from handful.strategies.resume import Decisions

# So many rows, or groups of rows, are held out at least: fewer give no interval.
_HELD = 3

_PLANNED = "language"

# How many examples to show is chosen on so many rows at most and at least, in at most this share of the time; asking
# with the most of them may take at most this share, or nothing would be left for what learns.
_ASKED, _LEAST, _CHOOSING, _ASKING = 12, 4, 0.15, 0.25

# What is planned may take so much longer than was measured.
SPARE = 1.1


def planned(stage: Stage, notes: list[str], factor: float = 1.0) -> dict[str, int]:
    """How many updates each recipe gets; what is not tried is said, or an error where it was named.

    What things cost is measured on a few rows. Folds are left out before recipes are, and recipes before
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
        notes += decided.notes
        return dict(decided.updates)
    before = len(notes)
    wanted = terms.updates or int(np.clip(2 * len(stage.rows), 40, 200))
    refused = _impossible(stage, wanted)
    tried = [name for name in terms.wanted if name in terms.recipes and name not in refused]
    shows = "in-context" in terms.wanted
    recipes = [terms.recipes[name] for name in tried]
    pace = pace_of(stage, recipes, factor) if terms.budget and (tried or shows) else Pace(0.0, 0.0, 0.0, {})
    made, long = _replaying(stage, recipes, pace.row)

    def cost(used: int, updates: int) -> float:
        """Seconds for the trainings of so many folds and of all rows, and for asking what came of them and of none."""
        each = [
            updates * (pace.updates[name] + REREAD * long * terms.recipes[name].beside)
            + pace.row * COST * tries(terms.recipes[name].invents, len(stage.rows))
            for name in tried
        ]
        asking = (1 + len(tried)) * pace.asking * _share(stage, used)
        return used * sum(each) + max(each, default=0.0) + asking

    # What learns is set aside first: prompts with examples get what it leaves.
    fewest, least = _fewest(stage), terms.updates or LEAST_UPDATES
    left = stage.left - made
    while tried and cost(fewest, least) > left:
        needed = terms.before + SPARE * (cost(fewest, least) + terms.budget - left)
        refused[tried.pop()] = f"it needs about {_time(needed)} here; run `{terms.again(budget=_round(needed))}`"
    shown = 0.0
    if shows:
        left -= _choose_from(stage, pace, left - cost(fewest, least))
        shown = _asking(pace, stage.counts)
    if tried and terms.updates is None:
        share = (left - shown * _share(stage, fewest)) / cost(fewest, wanted)
        wanted = max(LEAST_UPDATES, int(wanted * min(1.0, share)))
    if terms.budget:
        held = range(fewest, stage.used + 1)
        stage.used = max(
            used for used in held if used == fewest or cost(used, wanted) + shown * _share(stage, used) <= left
        )
    if tried:
        where = "one fold" if stage.used == 1 else f"each of {stage.used} folds"
        notes.append(
            f"{', '.join(tried)}: {wanted} updates of {terms.recipes[tried[0]].batch} rows on {where} and on all rows, "
            f"about {_time(cost(stage.used, wanted))}."
        )
    for name, why in refused.items():
        if terms.named:
            raise OptionError(f"{name} cannot be tried: {why}. Leave it out, or change that.")
        notes.append(f"{name} was not tried: {why}.")
    updates = dict.fromkeys(tried, wanted)
    decided = _Decided(stage.used, updates, stage.counts, stage.choosing, tuple(notes[before:]))
    decisions.keep(_PLANNED, asdict(decided))
    return updates


def _impossible(stage: Stage, updates: int) -> dict[str, str]:
    """The recipes that cannot be tried whatever the time, by name, with the reason."""
    refused: dict[str, str] = {}
    for name in [name for name in stage.terms.wanted if name in stage.terms.recipes]:
        why = stage.terms.recipes[name].tuner.refusal(stage.backbone)
        if stage.terms.budget == 0:
            why = "with a budget of 0 weights stay as they are"
        elif updates < LEAST_UPDATES:
            why = f"{updates} updates move nothing far enough to be seen; it needs at least {LEAST_UPDATES}"
        refused.update({} if why is None else {name: why})
    return refused


@dataclass(frozen=True)
class _Decided:
    """What an earlier try of the same run decided on."""

    used: int
    updates: dict[str, int]
    counts: tuple[int, ...]
    choosing: int
    notes: tuple[str, ...]


def _earlier(decisions: Decisions, terms: LanguageTerms, most: int) -> _Decided | None:
    """What an earlier try decided on, of at most so many folds; None where it is damaged, and is decided anew."""
    raw: Any = decisions.made.get(_PLANNED)
    try:
        plan = checked(
            _Decided(raw["used"], raw["updates"], tuple(raw["counts"]), raw["choosing"], tuple(raw["notes"]))
        )
    except FAILURES:  # none yet, or damaged when the machine went down
        return None
    known = set(plan.updates) <= set(terms.recipes) and all(count > 0 for count in plan.updates.values())
    sound = 1 <= plan.used <= most and plan.counts and min(plan.counts) >= 0 and plan.choosing >= 0
    return plan if known and sound else None


def another_fits(stage: Stage, arms: Sequence[float], tried: Collection[Tried]) -> bool:
    """Whether one more fold can be held out in the time that is left, as long as the folds so far took.

    Args:
        stage: the rows.
        arms: seconds that each arm took so far.
        tried: what learns: the dearest may have to learn from all rows at last, and one that makes up rows has them for
            the planned folds alone.

    Returns:
        The same in a resumed run, in which what was done before took no time.
    """
    if not stage.terms.budget or stage.used == 1 + int(stage.folds.max()) or any(one.recipe.invents for one in tried):
        return False
    fold = sum(arms) / stage.used
    last = max(arms, default=0.0) / stage.used if tried else 0.0
    fits = SPARE * (fold + last) <= stage.left
    return Decisions.read(stage.terms.checkpoints).go(f"fold {stage.used + 1} is held out", fits)


def more_folds(stage: Stage, planned_for: int) -> str:
    """That more folds were held out than planned, in a sentence."""
    return f"{stage.used} folds were held out in place of {planned_for}: they took less time than planned."


def _share(stage: Stage, used: int) -> float:
    """The share of the rows that so many folds have."""
    return float((stage.folds < used).mean())


def _asking(pace: Pace, counts: Sequence[int]) -> float:
    """Seconds for asking with examples of each kind, as many as there may be: rows are read with their examples."""
    return len(KINDS) * (pace.reading * (1 + max(counts)) + pace.answering)


def _choose_from(stage: Stage, pace: Pace, seconds: float) -> float:
    """Decide which numbers of examples are compared, and on how many rows: the more of both, the more time there is.

    Args:
        stage: where it is written down.
        pace: what things take.
        seconds: how long prompts with examples may take in all.

    Returns:
        What it takes, in seconds.
    """
    length = float(np.median([len(tokens.ids) for tokens in stage.tokens]))
    learned = len(stage.rows) - int(np.bincount(stage.folds).max())
    counts = [k for k in COUNTS if k * length <= SHARE * stage.backbone.context and k < learned] or [1]
    stage.counts, times = (min(Shots.count, counts[-1]),), len(KINDS) * (stage.used + 1)
    while stage.terms.budget and len(counts) > 1:
        each = pace.row * times * sum(1 + k for k in counts)
        rows = int(min(_ASKED, learned, min(_CHOOSING * stage.terms.budget, seconds) / max(each, 1e-9)))
        asking = _asking(pace, counts)
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
