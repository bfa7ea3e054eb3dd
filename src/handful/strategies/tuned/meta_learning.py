"""Better starts: weights that learn fast, from related labelled sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.data.items import make_items
from handful.errors import DataError, OptionError
from handful.seeding import generator
from handful.strategies.tuned.fit import adapt, start
from handful.strategies.tuned.methods.supcon import SupCon
from handful.strategies.tuned.recipe import ItemRecipe
from handful.tasks.base import Targets
from handful.tasks.classification import CLASSIFICATION
from handful.training.activations import Activations
from handful.training.tuners import Blocks
from handful.training.tuners.base import Delta


@dataclass(frozen=True)
class Related:
    """A labelled set that is not the task, but like it."""

    items: Sequence[Any]
    """N items."""
    labels: Sequence[Any]
    """N labels; what they are called does not matter."""


@dataclass(frozen=True)
class Episodes:
    """How a start is learned from related sets."""

    method: str = "reptile"
    """``reptile`` (Nichol et al. 2018) or ``maml`` (Finn et al. 2017, its first-order form)."""
    count: int = 30
    """How many episodes are played."""
    ways: int = 4
    """How many classes an episode has, where its set has so many."""
    shots: int = 5
    """How many rows of each class are learned from; as many again are asked, for ``maml``."""
    step: float = 0.3
    """How far the start moves in an episode, at first; the step shrinks to nothing."""
    seed: int = 0
    """Fixes the episodes."""


def meta_start(backbone: Backbone, related: Sequence[Related], recipe: ItemRecipe, episodes: Episodes) -> Delta:
    """Weights from which a few updates on a few rows of a new task go further.

    Reptile moves the start toward what an episode's training ends with. First-order MAML moves it along the one
    update that other rows of the episode's classes ask for after that training.

    Args:
        backbone: whose top blocks are meant.
        related: labelled sets; each with at least two classes of two rows.
        recipe: how an episode is trained; its tuner must be ``Blocks``.
        episodes: how many, and of what size.

    Returns:
        What to give to ``ItemRecipe.begin``.

    Raises:
        OptionError: the recipe has another tuner, or the method is unknown.
        DataError: a set is too small.
    """
    if not isinstance(recipe.tuner, Blocks):
        raise OptionError(
            f"a meta-learned start must be one of whole blocks, got the tuner {recipe.tuner.name!r}. Use blocks."
        )
    if episodes.method not in ("reptile", "maml"):
        raise OptionError(f"method must be reptile or maml, got {episodes.method!r}. Choose one of them.")
    rng = generator(episodes.seed, "episodes")
    sets = [_set(backbone, one, number, recipe) for number, one in enumerate(related)]
    begin: Delta = recipe.tuner.delta(start(sets[0][0], recipe))
    for episode in range(episodes.count):
        activations, targets = sets[int(rng.integers(len(sets)))]
        support, query = _episode(targets.values, episodes, rng)
        step = episodes.step * (1 - episode / episodes.count)
        learned = adapt(activations, support, targets.take(support), replace(recipe, begin=begin)).delta
        if episodes.method == "maml":
            once = replace(recipe, begin=learned, settings=replace(recipe.settings, updates=1, schedule="constant"))
            asked = adapt(activations, query, targets.take(query), once).delta
            begin = {name: begin[name] + step * (asked[name] - learned[name]) for name in begin}
        else:
            begin = recipe.tuner.combine([begin, learned], [1 - step, step])
    return begin


@dataclass(eq=False, repr=False)
class Meta(SupCon):
    """Supervised contrast from a start that was learned on related labelled sets; in Python only, which brings them."""

    name = "meta"
    related: Sequence[Related] = ()
    """The related sets."""
    episodes: Episodes = Episodes()
    """How the start is learned."""

    def recipe_for(self, backbone: Backbone) -> ItemRecipe:
        """The recipe with the learned start.

        Raises:
            OptionError: there is no related set.
        """
        if not self.related:
            raise OptionError("strategy meta must have at least one related labelled set, got none. Give related=.")
        return replace(self.recipe(), begin=meta_start(backbone, self.related, self.recipe(), self.episodes))


def _set(backbone: Backbone, one: Related, number: int, recipe: ItemRecipe) -> tuple[Activations, Targets]:
    _, counts = np.unique(np.asarray(one.labels), return_counts=True)
    if (counts > 1).sum() < 2:
        raise DataError(f"related set {number} must have at least 2 classes of 2 rows, got fewer. Leave it out.")
    items, failed = make_items(list(one.items), backbone.modality, None)
    if failed:
        at = min(failed)
        raise DataError(f"item {at} of related set {number} cannot be read: {failed[at]}. Leave it out.")
    return Activations.of(backbone, [items], recipe.first(backbone)), CLASSIFICATION.read(one.labels)


def _episode(
    truth: NDArray[np.int64], episodes: Episodes, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and other rows of the same classes to be asked."""
    classes = np.flatnonzero(np.bincount(truth) > 1)
    support, query = [], []
    for c in rng.permutation(classes)[: episodes.ways]:
        rows = rng.permutation(np.flatnonzero(truth == c))
        taken = max(1, min(episodes.shots, len(rows) // 2))
        support.append(rows[:taken])
        query.append(rows[taken : 2 * taken])
    return np.concatenate(support), np.concatenate(query)
