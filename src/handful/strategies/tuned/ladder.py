"""The ladder above rung 0: weights move, and the held-out rows say whether that pays."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.engines import Engine, Inline
from handful.errors import HandfulError
from handful.evaluation.decision import Decided, Prior, decide
from handful.evaluation.selection import composed, halved
from handful.evaluation.verdicts import Held
from handful.features.view import MOVED, Matrix, View
from handful.progress import Say
from handful.strategies.frozen.ensemble import Linear, pooled_with
from handful.strategies.frozen.rung import Frozen
from handful.strategies.resume import Decisions
from handful.strategies.tuned.activation_cache import ActivationCache
from handful.strategies.tuned.cost import Offer, offers
from handful.strategies.tuned.cross_fit import CrossFit, cross_fit
from handful.strategies.tuned.fit import fitted
from handful.strategies.tuned.hyperparameters import GoOn, Race, Trial, near, suggested
from handful.strategies.tuned.strategy import Tuned
from handful.strategies.tuned.trainings import Moved, Part, Setup, moved, trained
from handful.training.loop import Update


@dataclass(frozen=True)
class Rung:
    """One strategy on the folds of rung 0."""

    name: str
    """How the arm is called."""
    strategy: Tuned
    """What was tried."""
    cross_fit: CrossFit
    """Its own held-out answers, where items are answered by their parts those of these."""
    outputs: NDArray[np.float64]
    """(N, K) held-out answers of the frozen model and this one pooled: what would be shipped."""
    share: float
    """How much of the pool is the tuned model; the rest is the frozen one."""
    decided: Decided
    """How it fared against the arm below."""
    prior: Prior | None = None
    """What benchmarks say about the strategy, if they do."""


@dataclass(frozen=True)
class LadderResult:
    """What happened above rung 0."""

    rungs: tuple[Rung, ...]
    """Every strategy that was tried, in order."""
    chosen: Rung | None
    """The one that replaced the frozen model, or None."""
    final: Moved | None
    """The chosen strategy fitted on all rows."""
    whole: NDArray[np.float64] | None
    """(1, N, K) answers of the whole procedure on the few folds, every fold decided without its rows; None:
    as rung 0."""
    arms: tuple[Held, ...]
    """All arms of the comparison: the frozen ones, then the rungs."""
    notes: tuple[str, ...]
    """What was tried or left out, and why, one sentence each."""
    trials: tuple[Trial, ...] = ()
    """Every other setting that was tried."""
    base: tuple[str, Backbone] | None = None
    """The backbone whose weights moved in what ships, with its name; None: that of the frozen model."""


@dataclass(frozen=True)
class Terms:
    """Under which terms a ladder is run."""

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
    """A folder for the state of each training, so that a killed run can go on; for what was decided alone where
    trainings run on other machines, which then begin anew."""
    engine: Engine = field(default_factory=Inline)
    """Where the trainings run."""


def run_ladder(data: Dataset, backbone: Backbone, frozen: Frozen, terms: Terms) -> LadderResult:
    """Try to beat the frozen model by moving weights, as long as the budget lasts.

    Args:
        data: N labelled rows.
        backbone: what would move.
        frozen: the outcome of rung 0, which is asked again on the few folds that weights are moved on.
        terms: what is wanted, and how long it may take.

    Returns:
        What was tried, and what ships.
    """
    ends = time.perf_counter() + terms.budget
    targets = frozen.rows.targets
    parts = bool(targets.task.grain)
    cache = ActivationCache(data, taking_part(backbone, parts), targets if parts else None)
    offered, notes = offers(cache, frozen, terms.wanted, terms.named, terms.budget, terms.seed)
    unsearched = f"The search for {terms.trials} further settings was left out: no weights were moved before it."
    if not offered:
        notes += [unsearched] * bool(terms.trials)
        return LadderResult((), None, None, None, frozen.arms, tuple(notes))
    decided = Decisions.read(terms.checkpoints)
    below = _Below(frozen.few.whole, None)
    rungs: list[Rung] = []
    for offer in offered:
        left = ends - time.perf_counter()
        if not decided.go(offer.strategy.name, offer.seconds <= left):
            notes.append(f"{offer} was left out: {max(0.0, left):.0f} s of the budget were left.")
            continue
        try:
            rung = _try(offer, cache, frozen, below, terms)
        except HandfulError as error:
            notes.append(f"{offer.strategy.name} failed and was given up: {error}")
            continue
        rungs.append(rung)
        notes.append(_told(rung))
        below = below.after(rung)
    trials: tuple[Trial, ...] = ()
    if terms.trials and not rungs:
        notes.append(unsearched)
    if rungs and (terms.trials or terms.near):
        go = decided.within(ends)
        searched, trials = _race(offered, cache, rungs, frozen, below, terms, go)
        if searched is not None:
            rungs.append(searched)
            notes.append(_told(searched))
            below = below.after(searched)
    chosen = _standing(rungs)
    final = None
    if chosen is not None:
        try:
            final = _refit(cache, frozen, chosen, terms)
        except HandfulError as error:
            notes.append(f"{chosen.name} failed on all rows, so the frozen model stays: {error}")
            chosen, below = None, _Below(frozen.few.whole, None)
    whole = None if below.whole is None else below.whole[None]
    # Where nothing passed, on all rows or in a fold, the procedure gave the frozen answers, of which all repeats count.
    if chosen is None and whole is not None and np.array_equal(whole[0], frozen.few.whole):
        whole = None
    arms = (*frozen.few.arms, *(_arm(rung) for rung in rungs))
    return LadderResult(tuple(rungs), chosen, final, whole, arms, tuple(notes), trials)


def faced_with(
    above: LadderResult, frozen: Frozen, strategy: Tuned, found: CrossFit, base: tuple[str, Backbone],
    refit: Callable[[], Moved],
) -> LadderResult:  # fmt: skip
    """Let what was trained elsewhere on the same folds face what stands, by the rows alone.

    Args:
        above: what happened so far.
        frozen: the outcome of rung 0.
        strategy: how weights moved.
        found: its held-out answers.
        base: the backbone whose weights moved, with its name.
        refit: gives the strategy fitted on all rows; asked where it takes the place of what stands.
    """
    few = frozen.few
    best = few.whole if above.chosen is None else above.chosen.outputs
    below = _Below(best, None if above.whole is None else above.whole[0])
    rung = _faced(strategy.name, strategy, found, found.outputs, frozen, below, None)
    tried = replace(
        above, rungs=(*above.rungs, rung), notes=(*above.notes, _told(rung)),
        arms=(*(above.arms if above.rungs else few.arms), _arm(rung)),
    )  # fmt: skip
    final = None
    if rung.decided.passed:
        try:
            final = refit()
        except HandfulError as error:
            failed = f"{rung.name} failed on all rows, so what stood before it stays: {error}"
            return replace(tried, notes=(*tried.notes, failed))
    whole = rung.decided.whole
    if final is not None:
        return replace(tried, whole=whole[None], chosen=rung, final=final, base=base)
    same = above.whole is None and np.array_equal(whole, few.whole)
    return tried if same else replace(tried, whole=whole[None])


def taking_part(backbone: Backbone, parts: bool) -> Backbone:
    """The backbone up to where what it sees is read: of parts of items the deepest place that frozen heads read.

    Blocks above say less of single words than of the whole text, also when they move (0061).
    """
    return backbone.up_to(max(backbone.part_depths)) if parts else backbone


def shipped(rung: Rung, frozen: Frozen, base: str, depth: int, seen: Matrix) -> Linear:
    """What a rung that ships answers with: a head on the tuned backbone, pooled with the frozen model.

    Args:
        rung: what was chosen.
        frozen: what stands below it.
        base: the backbone whose weights moved.
        depth: of its last block.
        seen: (N, D) what the tuned backbone sees in the rows.
    """
    part = base + MOVED, depth
    head = fitted(seen, frozen.rows.targets, rung.strategy.recipe().penalty)
    coef, intercept = (rung.cross_fit.sharpness * part for part in head)
    tuned = Linear.of(View((part,)), {part: seen}, coef, intercept)
    return pooled_with(frozen.model, tuned, rung.share)


def _standing(rungs: Sequence[Rung]) -> Rung | None:
    """The last rung that replaced the arm below it, or None where the frozen model stands."""
    return next((rung for rung in reversed(rungs) if rung.decided.passed), None)


def _refit(cache: ActivationCache, frozen: Frozen, chosen: Rung, terms: Terms) -> Moved:
    """Fit the chosen strategy on all rows, with the number of updates that the folds had."""
    recipe, targets = chosen.strategy.recipe(), frozen.rows.targets
    stage = f"{chosen.name} on all rows"
    everything = Part(np.arange(len(targets)), checkpoint=_file(terms, chosen.name, "all"))
    (final,) = trained(
        terms.engine, moved, Setup(targets, cache.of(recipe), recipe), [everything],
        lambda part, update: terms.say(stage, update.number + 1, recipe.settings.updates),
    )  # fmt: skip
    return final


@dataclass(frozen=True)
class _Below:
    """What the next rung has to beat."""

    best: NDArray[np.float64]
    """(N, K) held-out answers of the arm that stands."""
    whole: NDArray[np.float64] | None
    """(N, K) what all decisions so far made of each fold without its rows; None before the first."""

    def against(self, rival: NDArray[np.float64], frozen: Frozen, prior: Prior | None) -> Decided:
        """Let a rival try to replace the arm that stands."""
        rows, folds = frozen.rows, frozen.few.folds
        decided = decide(self.best, rival, rows.targets, folds, rows.groups, prior)
        if self.whole is None:
            return decided
        # Where the arm below stays, that is what earlier decisions made of it.
        stays = (decided.whole == self.best).all(1)
        return replace(decided, whole=np.where(stays[:, None], self.whole, decided.whole))

    def after(self, rung: Rung) -> _Below:
        """What stands once a rung was tried."""
        return _Below(rung.outputs if rung.decided.passed else self.best, rung.decided.whole)


def _try(offer: Offer, cache: ActivationCache, frozen: Frozen, below: _Below, terms: Terms) -> Rung:
    """Fit the strategy without each fold in turn, and decide."""
    strategy, rows = offer.strategy, frozen.rows
    done = itertools.count(1)

    def progress(fold: int, update: Update) -> None:
        terms.say(str(offer), next(done), (offer.fits - 1) * strategy.updates)

    recipe = strategy.recipe()
    found = cross_fit(
        rows.targets, cache.of(recipe), frozen.few.folds, recipe,
        file=lambda fold: _file(terms, strategy.name, str(fold)), progress=progress, engine=terms.engine,
    )  # fmt: skip
    assert found is not None
    return _faced(strategy.name, strategy, found, found.outputs, frozen, below, offer.prior)


def _faced(
    name: str, strategy: Tuned, found: CrossFit, tuned: NDArray[np.float64], frozen: Frozen, below: _Below,
    prior: Prior | None,
) -> Rung:  # fmt: skip
    """Pool tuned answers, (N, K) or of parts (P, K), with those of the frozen model, and decide."""
    faced, few = frozen.faced, frozen.few
    answers, share = halved(faced.below, tuned, faced.targets, faced.folds, faced.groups, prior)
    outputs = frozen.finished(answers[None], few.folds[None])[0]
    # What is known is how it fares against the frozen model; what stands above that it has to beat by the rows alone.
    known = prior if below.best is frozen.few.whole else None
    return Rung(name, strategy, found, outputs, share, below.against(outputs, frozen, known), known)


def _race(
    offered: Sequence[Offer],
    cache: ActivationCache,
    tried: Sequence[Rung],
    frozen: Frozen,
    below: _Below,
    terms: Terms,
    go: Callable[[str, float], bool],
) -> tuple[Rung | None, tuple[Trial, ...]]:
    """Try other settings while the budget lasts, and decide about the best procedure over all of them."""
    race, rows, folds, faced = Race(), frozen.rows, frozen.few.folds, frozen.faced
    of_kind = {type(offer.strategy): offer for offer in offered}
    settings = near((_standing(tried) or tried[-1]).strategy, cache.targets is None)
    if terms.trials:
        own = [offer.strategy for offer in offered]
        settings = suggested(own, terms.trials, terms.seed, lambda: race.trials[-1], cache.targets is None)
    for number, strategy in enumerate(settings):
        offer = of_kind[type(strategy)]
        updates, known = (one.recipe().updates(cache.backbone) for one in (strategy, offer.strategy))
        if not go(f"trial {number}", offer.seconds * updates / known):
            break

        def fit(strategy: Tuned, go_on: GoOn, number: int = number) -> CrossFit | None:
            # Trials keep no state of their trainings: a resumed run does them again, in the same order.
            recipe, stage = strategy.recipe(), f"trial {number + 1}: {strategy.name}"
            return cross_fit(
                rows.targets, cache.of(recipe), folds, recipe, go_on=go_on, engine=terms.engine,
                progress=lambda fold, update: terms.say(stage, update.number + 1, strategy.updates),
            )  # fmt: skip

        race.run(strategy, fit, lambda outputs: faced.targets.task.losses(outputs, faced.targets))
    finished = race.finished()
    if not finished:
        return None, tuple(race.trials)
    answers = [trial.cross_fit.outputs for trial in finished if trial.cross_fit is not None]
    at, whole = composed(answers, faced.targets, faced.folds)
    best = finished[at]
    assert best.cross_fit is not None
    # What is known is about a strategy with its own settings: others are judged by the rows alone.
    name = f"{best.strategy.name}, searched"
    return _faced(name, best.strategy, best.cross_fit, whole, frozen, below, None), tuple(race.trials)


def _file(terms: Terms, name: str, part: str) -> Path | None:
    if terms.checkpoints is None or not terms.engine.same_machine:
        return None
    return terms.checkpoints / f"{name}-{part}.safetensors"


def _told(rung: Rung) -> str:
    """What came of a rung; why stands beside its score."""
    if rung.decided.passed:
        return f"{rung.name} takes the place of the model before it."
    return f"{rung.name} stays a trial."


def _gate(rung: Rung) -> str:
    """What rows and other sets say, in words."""
    return rung.decided.told(rung.prior, "be worth a model of its own")


def _arm(rung: Rung) -> Held:
    strategy, told = rung.strategy, rung.cross_fit.scale.told
    setting = {
        "weights moved": f"{rung.cross_fit.moved:,}",
        "updates": strategy.updates,
        "rate": strategy.learning_rate,
        "share of the way": f"{strategy.wise_alpha:.0%}",
        "names of classes": f"learned from in {rung.cross_fit.named} of {len(rung.cross_fit.curves)} folds",
        "on rows learned from": told(rung.cross_fit.train),
        "on held-out rows": told(rung.cross_fit.held),
    }
    return Held(rung.name, rung.outputs[None], 1, rung.cross_fit.seconds, setting, _gate(rung), rung.outputs[None])
