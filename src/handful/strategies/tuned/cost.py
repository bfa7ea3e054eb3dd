"""Offers: what moving weights will cost here and may bring, said before it starts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.errors import HandfulError
from handful.evaluation.decision import Prior
from handful.strategies.frozen.rung import Frozen
from handful.strategies.registry import movers
from handful.strategies.tuned.activation_cache import ActivationCache
from handful.strategies.tuned.fit import adapt
from handful.strategies.tuned.known import known
from handful.strategies.tuned.recipe import ItemRecipe
from handful.strategies.tuned.strategy import Tuned
from handful.tasks.base import Targets
from handful.training.activations import Activations
from handful.training.batches import rows_of

# A rung is not tried for less than this many errors that it may be expected to remove.
_WORTH = 0.15
# What a fit takes is measured on half of what an update sees, and on so many rows at least: an update costs something
# whatever it sees, so that by a few rows all of it seems slower than it is.
_FEW = 8
# An update is a forward pass and a backward pass of twice its size; scoring a row is a forward pass.
_PASSES = 3


@dataclass(frozen=True)
class Offer:
    """What trying a strategy will cost and may bring, known before it starts."""

    strategy: Tuned
    """What would be tried."""
    seconds: float
    """All its fits on this machine, measured on a few updates."""
    fits: int
    """One per fold, and one on all rows if it ships."""
    worth: float
    """How many of the frozen model's errors it may be expected to remove."""
    prior: Prior | None = None
    """What benchmarks say about it, if they do."""

    def __str__(self) -> str:
        fits, updates = f"{self.fits} fits", f"{self.strategy.updates} updates"
        return f"{self.strategy.name}: {fits} of {updates}, about {self.seconds:.0f} s"


def offers(
    cache: ActivationCache, frozen: Frozen, wanted: Sequence[str], named: bool, budget: float, seed: int
) -> tuple[list[Offer], list[str]]:
    """The strategies that fit the backbone and are worth a try, most promising first.

    Args:
        cache: the rows, and the backbone that would move.
        frozen: the outcome of rung 0.
        wanted: names of strategies that move weights.
        named: whether the user named them; otherwise only those are offered that benchmarks say are worth it.
        budget: seconds left.
        seed: fixes batches and dropout.

    Returns:
        The offers, and what was left out and why, one sentence each.
    """
    notes: list[str] = []
    offers_made: list[Offer] = []
    if budget <= 0:
        return offers_made, ["Weights stay as they are: the budget leaves no time to move them."] if named else notes
    if cache.data.pairs:
        return offers_made, ["Weights stay as they are: what moves them reads one text, got pairs."] if named else notes
    targets = frozen.rows.targets
    if targets.task.grain and frozen.arm == targets.task.reference.name:
        alone = f"Weights stay as they are: {targets.task.reference.words} answers alone."
        return offers_made, [alone] if named else notes
    score = targets.task.headline.of(frozen.whole[:1], targets)
    errors = len(targets) * (1 - score.value) if targets.task.headline.scale.percent else 0.0
    losses = [float(targets.task.losses(one, targets).mean()) for one in (frozen.whole[0], targets.task.blind(targets))]
    for name in wanted:
        strategy = movers()[name].by_default(targets.task.grain, seed)
        recipe = strategy.recipe()
        why = strategy.refusal(cache.backbone) or (recipe.only_wholes if targets.task.grain else None)
        prior = known(strategy, cache.backbone.name, cache.data.modality, targets, *losses)
        worth = 0.0 if prior is None else errors * prior.mean
        if not named and worth < _WORTH:
            if prior is not None:
                wrong = f"of {len(targets)} rows the frozen model has {errors:.0f} wrong"
                notes.append(f"{name} was not tried: {wrong}, of which it is expected to save too few.")
            continue
        if why is not None:
            notes.append(f"{name} was left out: {why}.")
            continue
        activations = cache.of(recipe)
        fits = frozen.few.count + 1
        try:
            seconds = fits * _measured(activations, targets, recipe)
        except HandfulError as error:
            notes.append(f"{name} failed and was given up: {error}")
            continue
        offers_made.append(Offer(strategy, seconds, fits, worth, prior))
    # Not by the measured time: a resumed run must try them in the same order.
    offers_made.sort(key=lambda offer: -offer.worth)
    return offers_made, notes


@dataclass(frozen=True)
class Pace:
    """How fast a training goes here."""

    around: float
    """Seconds beside its updates."""
    each: float
    """Seconds for each row of an update."""

    def seconds(self, trainings: int, updates: int, shown: int, answered: int) -> float:
        """What trainings take that make so many updates in all, show so many rows in each, and then answer others."""
        return self.around * trainings + self.each * (updates * shown + answered / _PASSES)


def _measured(activations: Activations, targets: Targets, recipe: ItemRecipe) -> float:
    """Seconds of one fit here."""
    pace, named = pace_of(activations, np.arange(len(targets)), targets, recipe)
    names = recipe.label_name_weight * activations.names if named else 0  # rows beside the rows
    strata, units = targets.task.strata(targets), activations.units
    shown = recipe.size(units(len(targets) + names), int(strata.max()) + 1, activations.together)
    backbone = activations.backbone
    return pace.seconds(recipe.trainings(backbone), recipe.updates(backbone), shown, units(len(targets)))


def pace_of(
    activations: Activations, rows: NDArray[np.int64], targets: Targets, recipe: ItemRecipe
) -> tuple[Pace, bool]:
    """How fast a recipe goes, from two short fits on some of the rows, by whatever was faster in either.

    The first of all has to warm up, and both may be held up by whatever else runs here.

    Args:
        activations: what the frozen blocks give.
        rows: (M,) positions of the rows.
        targets: what is wanted of them.
        recipe: how weights move.

    Returns:
        The pace, and whether the names of the classes were learned from as well.
    """
    settings = replace(recipe.settings, updates=1)
    short = replace(recipe, pieces=1, members=1, student=None, sweep=False, gradual=False, settings=settings)
    strata = targets.task.strata(targets)
    classes = int(strata.max()) + 1
    half, units = recipe.size(len(targets), classes) // 2, activations.units
    pace, named = Pace(np.inf, np.inf), False
    for size in (_FEW // 2, max(_FEW, half)):
        some = rows_of(0, strata, size, recipe.settings.seed)
        start = time.perf_counter()
        found = adapt(activations, rows[some], targets.take(some), short)
        (update,) = found.log
        named = found.named
        names = recipe.label_name_weight * activations.names if named else 0
        around = min(pace.around, time.perf_counter() - start - update.seconds)
        each = min(pace.each, update.seconds / short.size(units(len(some) + names), classes, activations.together))
        pace = Pace(around, each)
    return pace, named
