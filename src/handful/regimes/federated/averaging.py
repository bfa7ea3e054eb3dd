"""Averages of weights: a recipe that can go round by round, steps that are not too long, and the mean over sites."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.errors import OptionError
from handful.regimes.federated.privacy import Noise
from handful.regimes.federated.steps import Arrays
from handful.regimes.federated.terms import FOLDS_MOVED, Rounds
from handful.strategies.registry import movers
from handful.strategies.tuned.recipe import ItemRecipe
from handful.training.apply_delta import combined, untouched
from handful.training.tuners import Bias, Blocks, Tuner


def recipe_of(strategy: str, backbone: Backbone) -> ItemRecipe:
    """The recipe by which weights of a backbone move at every site, as the strategy has it.

    Args:
        strategy: its name, one of ``strategies.registry.movers``.
        backbone: whose weights.

    Raises:
        OptionError: it cannot go round by round, or the backbone cannot be tuned so.
    """
    found = movers()[strategy]()
    recipe, why = found.recipe(), None
    if not isinstance(recipe.tuner, (Bias, Blocks)):
        why = f"what it moves ({recipe.tuner.name}) is no weight of the backbone that a next round could go on from"
    elif recipe.members > 1 or recipe.gradual or recipe.lesson or recipe.sweep:
        why = "it is made of several trainings one after the other"
    why = why or found.refusal(backbone)
    if why is not None:
        raise OptionError(f"--strategies {strategy} does not fit --rounds: {why}. Choose partial or contrastive.")
    return recipe


def rounds_of(count: int, strategy: str, backbone: Backbone, width: int) -> Rounds:
    """The rounds in which a strategy moves weights: its updates are dealt out over them.

    AdamW moves a weight by about its rate in an update, which says how far a site can honestly come.

    Args:
        count: how many rounds.
        strategy: its name.
        backbone: whose weights.
        width: how many numbers the backbone makes of a row after its last block.

    Raises:
        OptionError: the strategy does not fit.
    """
    recipe = recipe_of(strategy, backbone)
    updates = math.ceil(recipe.settings.updates / count)
    weights = size_of(untouched(backbone, recipe.tuner, recipe.first(backbone)))
    longest = recipe.settings.rate * updates * math.sqrt(weights)
    return Rounds(strategy, count, updates, longest, len(backbone.blocks), width)


def recipe_in(rounds: Rounds, backbone: Backbone) -> ItemRecipe:
    """The recipe of one round at a site. Raises OptionError."""
    recipe = recipe_of(rounds.strategy, backbone)
    return replace(recipe, settings=replace(recipe.settings, updates=rounds.updates))


def size_of(delta: Arrays) -> int:
    """How many weights there are."""
    return sum(values.size for values in delta.values())


def length(delta: Arrays, start: Arrays) -> float:
    """How far weights are from where they started."""
    return math.sqrt(
        sum(float(((values - start[name]).astype(np.float64) ** 2).sum()) for name, values in delta.items())
    )


def clipped(delta: Arrays, start: Arrays, longest: float) -> dict[str, NDArray[np.float32]]:
    """Weights no further from their start than allowed, in the same direction."""
    far = length(delta, start)
    share = np.float32(min(1.0, longest / far) if far > 0 else 1.0)
    if share == 1:
        return dict(delta)
    return {name: start[name] + share * (values - start[name]) for name, values in delta.items()}


@dataclass(frozen=True)
class Average:
    """The mean of the weights of some sites, each counted by its rows (FedAvg, McMahan et al. 2017)."""

    delta: Mapping[str, NDArray[np.float32]]
    """Name → weight."""
    rows: float
    """Of how many rows."""
    sites: int
    """Of how many sites."""

    def joined(self, other: Average, tuner: Tuner) -> Average:
        """The mean of both."""
        delta = combined(tuner, [self.delta, other.delta], [self.rows, other.rows])
        return Average(delta, self.rows + other.rows, self.sites + other.sites)


def refused_noise(epsilon: float, delta: float, rounds: Rounds, weights: int, sites: int) -> OptionError:
    """Why weights do not move together under noise, with how much of it there would have to be.

    What a site sends would be its step, shortened, and noise on every weight; one row, or all of a site's, changes a
    step by twice its length at most, in each of the rounds of every fold and of the model.

    Args:
        epsilon: ε that is asked for.
        delta: δ.
        rounds: how weights would move.
        weights: how many.
        sites: how many sites there are.

    Raises:
        MachineError: dp-accounting is not installed.
    """
    sendings = rounds.count * (FOLDS_MOVED + 1)
    share = 2 * Noise.of(epsilon, delta, sendings).multiplier * math.sqrt(weights / sites)
    return OptionError(
        f"--rounds cannot come with --epsilon: {weights:,} weights that are sent {sendings} times would need so much "
        f"noise for ε = {epsilon:g} that the mean of {sites} sites is {share:,.0f} times as long as the longest step "
        "that it hides, and nothing of what was learned would be left. Leave --rounds out."
    )
