"""Training on a pool: how weights move without labels, within a budget, from where an interrupted training stood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from handful.backbones.base import Backbone
from handful.budget import Budget
from handful.data.augment.options import Augmentation, TextChanges
from handful.errors import OptionError
from handful.progress import Say
from handful.regimes.moved_base import Trained
from handful.regimes.pool_items import FEWEST, PoolItems
from handful.regimes.pool_views import Changes, PoolViews, pool_views
from handful.strategies.resume import Decisions
from handful.training.body import Body, first_moving
from handful.training.loop import Settings, Update, train
from handful.training.model_penalties import NearStart
from handful.training.objectives import Objective
from handful.training.objectives.info_nce import InfoNCE
from handful.training.tuners import Blocks
from handful.training.tuners.base import Delta
from handful.training.view_pairs import ViewPairs

FEWEST_UPDATES = 10
"""Fewer updates than this change next to nothing: a budget that leaves no time for them is refused."""

# Of the time of a run this share may go into the frozen blocks; items that they have not seen by then are left out.
_LOOKING = 0.5
# So many updates are timed before it is said how many there will be; the first one has to warm up.
_TIMED = 2


@dataclass(frozen=True)
class PoolRecipe:
    """How weights move without labels."""

    objective: Objective = field(default_factory=InfoNCE)
    """What is minimised."""
    changes: Changes = field(default_factory=Changes)
    """What makes the views of an item; nothing but dropout where there is one version only."""
    trainable_fraction: float = 0.33
    """The share of the blocks, from the top, that move."""
    dropout: bool = True
    """Whether the backbone's dropout is on, which makes two views of one version."""
    updates: int = 100
    """How many times weights move at most."""
    rate: float = 1e-4
    """The highest learning rate."""
    batch: int = 32
    """Items per update, each in two views."""
    l2_sp: float = 0.01
    """How strongly what moves is drawn back to where it began, so that little is forgotten."""
    tokens: int | None = 32
    """How many tokens of a text an update sees at most."""

    def first(self, backbone: Backbone) -> int:
        """How many blocks stay frozen."""
        return first_moving(len(backbone.blocks), self.trainable_fraction)


# Words are left out: under dropout alone a sentence encoder finds the other view from the start (loss 0.001, measured).
_WORDS = Augmentation(text=TextChanges(synonyms=0.2, swaps=0.0, drops=0.4))
_MEDIA = PoolRecipe(InfoNCE(0.1), Changes(4), dropout=False, tokens=None)
RECIPES: Mapping[str, PoolRecipe] = {
    "text": PoolRecipe(InfoNCE(0.05), Changes(4, _WORDS)), "image": _MEDIA, "sound": _MEDIA,
}  # fmt: skip
"""Modality → how its backbones learn from a pool."""


def train_on_pool(
    backbone: Backbone, pool: PoolItems, recipe: PoolRecipe, seed: int, budget: Budget, state: Path, progress: Say
) -> Trained:
    """Let the upper blocks of a backbone learn from a pool.

    Args:
        backbone: as it is; it stays so.
        pool: N items.
        recipe: how weights move.
        seed: fixes batches, views and dropout.
        budget: of the run.
        state: a folder that holds where the training is; one that was interrupted goes on from there.
        progress: called with stage, steps done and in all.

    Raises:
        OptionError: the budget leaves no time for updates.
        TrainingError: the training ran away.
    """
    decisions = Decisions.read(state)
    with budget.stage("extract"):
        views = _views(backbone, pool, recipe, seed, budget, decisions, progress)
    settings = Settings(updates=recipe.updates, rate=recipe.rate, seed=seed, dropout=recipe.dropout)
    source = ViewPairs(views.activations, recipe.batch, seed, backbone.device)

    def tick(update: Update, total: int) -> bool:
        progress("moving weights", update.number + 1, total)
        return budget.for_training <= 0

    with budget.stage("train"):
        settings = replace(settings, updates=_affordable(backbone, source, recipe, settings, budget, decisions))
        decisions.keep("items", len(views.at))
        decisions.keep("updates", settings.updates)
        delta, log = _once(backbone, source, recipe, settings, state / "updates", tick)
    return Trained(delta, log, len(views.at), tuple(_left_out(views, pool, len(log), recipe)))


def _left_out(views: PoolViews, pool: PoolItems, updates: int, recipe: PoolRecipe) -> Iterator[str]:
    """What was not learned from, and which updates were not made, one sentence each."""
    unreadable, count = views.unreadable, len(views.at)
    if unreadable:
        yield f"{len(unreadable)} of {len(pool.items):,} items cannot be read; the first: {unreadable[0]}."
    if count + len(unreadable) < len(pool.items):
        yield f"{count:,} of {len(pool.items):,} items are learned from: time or memory was left for no more."
    if updates < recipe.updates:
        yield f"{updates} of {recipe.updates} updates fitted into the budget."


def _views(
    backbone: Backbone, pool: PoolItems, recipe: PoolRecipe, seed: int, budget: Budget, decisions: Decisions,
    progress: Say,
) -> PoolViews:  # fmt: skip
    """What the frozen blocks give; how many items there was time for is kept, so that a resumed run has the same."""
    before = decisions.made.get("items")

    def goes_on(count: int) -> bool:
        if isinstance(before, int):
            return count < before
        return count < FEWEST or budget.elapsed < _LOOKING * budget.seconds

    return pool_views(
        backbone, pool.items, recipe.first(backbone), recipe.changes, seed, goes_on,
        partial(progress, "looking at items"), recipe.tokens,
    )  # fmt: skip


def _affordable(
    backbone: Backbone, source: ViewPairs, recipe: PoolRecipe, settings: Settings, budget: Budget, decisions: Decisions
) -> int:
    """How many updates there is time for; decided once, so that a resumed training ends where it would have ended."""
    before = decisions.made.get("updates")
    if isinstance(before, int):
        return before
    timed = _once(backbone, source, recipe, replace(settings, updates=_TIMED))[1]
    each = min(update.seconds for update in timed)
    count = min(recipe.updates, int(budget.for_training / each))
    if count < FEWEST_UPDATES:
        raise OptionError(
            f"budget must leave time for at least {FEWEST_UPDATES} updates of {each:.2g} s after "
            f"{budget.elapsed:.0f} s for everything before, got {budget.seconds:g} s. Give more, such as --budget 5min."
        )
    return count


def _once(
    backbone: Backbone,
    source: ViewPairs,
    recipe: PoolRecipe,
    settings: Settings,
    checkpoint: Path | None = None,
    tick: Callable[[Update, int], bool | None] = lambda update, total: None,
) -> tuple[Delta, tuple[Update, ...]]:
    """One training of a copy of the upper blocks."""
    body, tuner = Body(backbone, recipe.first(backbone)), Blocks()
    groups = tuner.prepare(body)
    near = NearStart.of([weight for group in groups for weight in group.weights], recipe.l2_sp)
    body.dropout = settings.dropout
    with body.learning():
        log = train(
            body, recipe.objective, source, groups, settings, penalties=[near], checkpoint=checkpoint, progress=tick
        )
    return tuner.delta(body), log
