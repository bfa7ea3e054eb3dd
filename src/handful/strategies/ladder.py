"""The ladder above rung 0: what moving weights will cost, and whether the held-out rows pay for it."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.errors import HandfulError
from handful.evaluation.gate import Gated, gate
from handful.evaluation.intervals import Estimate
from handful.evaluation.verdicts import Held
from handful.strategies.adaptation import Adapted, Recipe, adapt, versions_of
from handful.strategies.catalog import movers
from handful.strategies.decisions import Decisions
from handful.strategies.frozen import Frozen
from handful.strategies.held_out import HeldOut, hold_out
from handful.strategies.trials import GoOn, Race, Trial, composed, near, suggested
from handful.strategies.tuned import Tuned
from handful.training.activations import Activations
from handful.training.loop import Update

EXPECTED: Mapping[tuple[str, str], float] = {
    ("text", "supcon"): 0.25,
}
"""(modality, strategy) → the share of the frozen model's errors that it removes.

Means over development draws of trec6, cr, sst5 and agnews with 8 rows per class (55, 13, 4 and 28 %); other strategies
gained less or cost more. On pictures and sounds the mean over sets is nothing, though textures gain; so there
weights move only when a strategy is named.
"""

# A rung is not tried for less than this many errors that it may be expected to remove.
_WORTH = 0.5

Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Offer:
    """What trying a strategy will cost and may bring, known before it starts."""

    strategy: Tuned
    """What would be tried."""
    seconds: float
    """All its fits on this machine, measured on a few updates."""
    fits: int
    """One per fold, and one on all rows."""
    worth: float
    """How many of the frozen model's errors it may be expected to remove."""

    def __str__(self) -> str:
        fits, updates = f"{self.fits} fits", f"{self.strategy.updates} updates"
        return f"{self.strategy.name}: {fits} of {updates}, about {self.seconds:.0f} s"


@dataclass(frozen=True)
class Rung:
    """One strategy on the folds of rung 0."""

    name: str
    """How the arm is called."""
    strategy: Tuned
    """What was tried."""
    found: HeldOut
    """Its held-out answers."""
    gated: Gated
    """How it fared against the arm below."""


@dataclass(frozen=True)
class Climb:
    """What happened above rung 0."""

    rungs: tuple[Rung, ...]
    """Every strategy that was tried, in order."""
    chosen: Rung | None
    """The one that replaced the frozen model, or None."""
    final: Adapted | None
    """The chosen strategy fitted on all rows."""
    whole: NDArray[np.float64] | None
    """(1, N, C) answers of the whole procedure, every gate decided without the rows of the fold; None: as rung 0."""
    arms: tuple[Held, ...]
    """The rungs as arms of the comparison."""
    notes: tuple[str, ...]
    """What was tried or left out, and why, one sentence each."""
    trials: tuple[Trial, ...] = ()
    """Every other setting that was tried."""


@dataclass(frozen=True)
class Terms:
    """Under which terms a climb takes place."""

    wanted: Sequence[str]
    """Names of strategies that move weights."""
    named: bool
    """Whether the user named them; otherwise only those are tried that benchmarks say are worth it."""
    budget: float
    """Seconds left."""
    seed: int = 0
    """Fixes batches and dropout."""
    say: Say = lambda stage, done, total: None
    """Called with stage, steps done and steps in all."""
    trials: int = 0
    """How many settings of a wide space to try after the defaults."""
    near: bool = False
    """Whether to spend what is left of the budget on settings near the best default."""
    checkpoints: Path | None = None
    """A folder for the state of each training, so that a killed run can go on."""


def ascend(data: Dataset, backbone: Backbone, frozen: Frozen, terms: Terms) -> Climb:
    """Try to beat the frozen model by moving weights, as long as the budget lasts.

    Args:
        data: N labelled rows.
        backbone: what would move.
        frozen: the outcome of rung 0; its first repeat of folds is used again.
        terms: what is wanted, and how long it may take.

    Returns:
        What was tried, and what passed the gate.
    """
    ends = time.perf_counter() + terms.budget
    shelf = _Shelf(data, backbone)
    offers, notes = _offers(shelf, frozen, terms)
    decided = Decisions.read(terms.checkpoints if offers else None)
    below = _Below(frozen.whole[0], None)
    rungs: list[Rung] = []
    for offer in offers:
        left = ends - time.perf_counter()
        if not decided.go(offer.strategy.name, offer.seconds <= left):
            notes.append(f"{offer} was left out: {max(0.0, left):.0f} s of the budget were left.")
            continue
        try:
            rung = _try(offer, shelf, frozen, below, terms)
        except HandfulError as error:
            notes.append(f"{offer.strategy.name} failed and was given up: {error}")
            continue
        rungs.append(rung)
        notes.append(_told(rung))
        below = below.after(rung)
    trials: tuple[Trial, ...] = ()
    if rungs and (terms.trials or terms.near):
        go = decided.within(ends)
        searched, trials = _race(offers, shelf, rungs, frozen, below, terms, go)
        if searched is not None:
            rungs.append(searched)
            notes.append(_told(searched))
            below = below.after(searched)
    chosen, final = _standing(rungs), None
    if chosen is not None:
        try:
            final = _refit(shelf, frozen, chosen, terms)
        except HandfulError as error:
            notes.append(f"{chosen.name} failed on all rows, so the frozen model stays: {error}")
            chosen, below = None, _Below(frozen.whole[0], None)
    # Where the gate let nothing through in any fold, the procedure gave the frozen answers, of which all repeats count.
    same = below.whole is None or np.array_equal(below.whole, frozen.whole[0])
    whole = None if same or below.whole is None else below.whole[None]
    return Climb(tuple(rungs), chosen, final, whole, tuple(_arm(rung) for rung in rungs), tuple(notes), trials)


def _standing(rungs: Sequence[Rung]) -> Rung | None:
    """The last rung that passed the gate, or None where the frozen model stands."""
    return next((rung for rung in reversed(rungs) if rung.gated.passed), None)


def _refit(shelf: _Shelf, frozen: Frozen, chosen: Rung, terms: Terms) -> Adapted:
    """Fit the chosen strategy on all rows, with the number of updates that the folds had."""
    recipe, truth = chosen.strategy.recipe(), frozen.rows.truth
    stage = f"{chosen.name} on all rows"
    return adapt(
        shelf.of(recipe), np.arange(len(truth)), truth, recipe, checkpoint=_file(terms, chosen.name, "all"),
        progress=lambda update, total: terms.say(stage, update.number + 1, total),
    )  # fmt: skip


@dataclass
class _Shelf:
    """What the frozen blocks gave, once for every depth and number of versions that a recipe asks for."""

    data: Dataset
    backbone: Backbone
    kept: dict[tuple[int, int], Activations] = field(default_factory=dict)

    def of(self, recipe: Recipe) -> Activations:
        """The activations that a recipe starts from."""
        key = (recipe.first(self.backbone), recipe.versions)
        if key not in self.kept:
            versions = versions_of(self.data.items, self.data.modality, recipe)
            self.kept[key] = Activations.of(self.backbone, versions, key[0])
        return self.kept[key]


@dataclass(frozen=True)
class _Below:
    """What the next rung has to beat."""

    best: NDArray[np.float64]
    """(N, C) held-out probabilities of the arm that stands."""
    whole: NDArray[np.float64] | None
    """(N, C) what all gates so far made of each fold without its rows; None before the first."""

    def against(self, rival: NDArray[np.float64], frozen: Frozen) -> Gated:
        """Let a rival try to replace the arm that stands."""
        rows, folds = frozen.rows, frozen.found.folds[0]
        gated = gate(self.best, rival, rows.truth, folds, rows.groups)
        if self.whole is None:
            return gated
        # Where the gate keeps the arm below, that is what earlier gates made of it.
        kept = (gated.whole == self.best).all(1)
        return replace(gated, whole=np.where(kept[:, None], self.whole, gated.whole))

    def after(self, rung: Rung) -> _Below:
        """What stands once a rung has faced the gate."""
        return _Below(rung.found.proba if rung.gated.passed else self.best, rung.gated.whole)


def _offers(shelf: _Shelf, frozen: Frozen, terms: Terms) -> tuple[list[Offer], list[str]]:
    """The strategies that fit the backbone and are worth a try, most promising first."""
    notes: list[str] = []
    found: list[Offer] = []
    if terms.budget <= 0:
        return found, ["Weights stay as they are: the budget is 0."] if terms.named else notes
    truth = frozen.rows.truth
    errors = float((frozen.whole[0].argmax(1) != truth).sum())
    for name in terms.wanted:
        strategy = movers()[name](seed=terms.seed)
        why = strategy.refusal(shelf.backbone)
        worth = errors * EXPECTED.get((shelf.data.modality, name), 0.0)
        if not terms.named and worth < _WORTH:
            continue
        if why is not None:
            notes.append(f"{name} was left out: {why}.")
            continue
        recipe = strategy.recipe()
        activations = shelf.of(recipe)
        fits = int(frozen.found.folds[0].max()) + 2
        try:
            rounds = math.ceil((fits - 1) / (os.cpu_count() or 1)) + 1  # the folds side by side, then all rows
            seconds = rounds * _measured(activations, truth, recipe)
        except HandfulError as error:
            notes.append(f"{name} failed and was given up: {error}")
            continue
        found.append(Offer(strategy, seconds, fits, worth))
    # Not by the measured time: a resumed run must try them in the same order.
    found.sort(key=lambda offer: -offer.worth)
    return found, notes


def _measured(activations: Activations, truth: NDArray[np.int64], recipe: Recipe) -> float:
    """Seconds of one fit here: the quicker of two short ones, since the first of all has to warm up."""
    short = replace(recipe, settings=replace(recipe.settings, updates=1))
    found = []
    for _ in range(2):
        start = time.perf_counter()
        (update,) = adapt(activations, np.arange(len(truth)), truth, short).log
        trainings = recipe.members * update.seconds
        found.append(time.perf_counter() - start + (recipe.settings.updates - 1) * trainings)
    return min(found)


def _try(offer: Offer, shelf: _Shelf, frozen: Frozen, below: _Below, terms: Terms) -> Rung:
    """Fit the strategy without each fold in turn, and let the gate decide."""
    strategy, truth, folds = offer.strategy, frozen.rows.truth, frozen.found.folds[0]
    count, done = offer.fits - 1, itertools.count(1)

    def progress(fold: int, update: Update) -> None:
        terms.say(str(offer), next(done), count * strategy.updates)

    recipe = strategy.recipe()
    found = hold_out(
        shelf.of(recipe), truth, folds, recipe,
        file=lambda fold: _file(terms, strategy.name, str(fold)), progress=progress,
    )  # fmt: skip
    assert found is not None
    return Rung(strategy.name, strategy, found, below.against(found.proba, frozen))


def _race(
    offers: Sequence[Offer],
    shelf: _Shelf,
    tried: Sequence[Rung],
    frozen: Frozen,
    below: _Below,
    terms: Terms,
    go: Callable[[str, float], bool],
) -> tuple[Rung | None, tuple[Trial, ...]]:
    """Try other settings while the budget lasts, and let the best procedure over all of them face the gate."""
    race, truth, folds = Race(), frozen.rows.truth, frozen.found.folds[0]
    of_kind = {type(offer.strategy): offer for offer in offers}
    settings = near((_standing(tried) or tried[-1]).strategy)
    if terms.trials:
        settings = suggested(list(of_kind), terms.trials, terms.seed, lambda: race.trials[-1])
    for number, strategy in enumerate(settings):
        offer = of_kind[type(strategy)]
        if not go(f"trial {number}", offer.seconds * strategy.updates / offer.strategy.updates):
            break

        def fit(strategy: Tuned, go_on: GoOn, number: int = number) -> HeldOut | None:
            # Nothing is kept: folds that still run when a trial is given up must not write after the run is saved.
            recipe, stage = strategy.recipe(), f"trial {number + 1}: {strategy.name}"
            return hold_out(
                shelf.of(recipe), truth, folds, recipe, go_on=go_on,
                progress=lambda fold, update: terms.say(stage, update.number + 1, strategy.updates),
            )  # fmt: skip

        race.run(strategy, fit, truth)
    finished = race.finished()
    if not finished:
        return None, tuple(race.trials)
    best, whole = composed(finished, truth, folds)
    assert best.found is not None
    found = replace(best.found, proba=whole)
    name = f"{best.strategy.name}, searched"
    return Rung(name, best.strategy, found, below.against(whole, frozen)), tuple(race.trials)


def _file(terms: Terms, name: str, part: str) -> Path | None:
    return None if terms.checkpoints is None else terms.checkpoints / f"{name}-{part}.safetensors"


def _told(rung: Rung) -> str:
    name, fall = rung.name, _lower(rung.gated.gain)
    if rung.gated.passed:
        return f"{name} replaces the arm below: {fall}."
    return f"{name} stays a trial: {fall}{', which is not beyond doubt' if rung.gated.gain.value > 0 else ''}."


def _lower(gain: Estimate) -> str:
    side = "lower" if gain.value >= 0 else "higher"
    return f"its held-out log loss is {abs(gain.value):.2f} {side} (gain {gain.low:+.2f} to {gain.high:+.2f})"


def _arm(rung: Rung) -> Held:
    strategy = rung.strategy
    setting = {
        "weights moved": f"{rung.found.moved:,}",
        "updates": strategy.updates,
        "rate": strategy.rate,
        "on rows learned from": f"{rung.found.train:.0%}",
        "on held-out rows": f"{rung.found.held:.0%}",
    }
    return Held(rung.name, rung.found.proba[None], 1, rung.found.seconds, setting, _lower(rung.gated.gain))
