"""Several targets of the same items share one training of weights, and the rows of each say whether it ships that."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.data.cells import shown
from handful.data.dataset import Dataset
from handful.errors import HandfulError
from handful.evaluation.protocol import FEWEST_FOLDS, Protocol, draw_folds
from handful.features.feature_set import extract_all, telling_names
from handful.progress import Say
from handful.seeding import generator
from handful.strategies.frozen.rung import Frozen, together
from handful.strategies.resume import Decisions
from handful.strategies.tuned.cost import pace_of
from handful.strategies.tuned.cross_fit import CrossFit
from handful.strategies.tuned.ladder import LadderResult, Terms, faced_with
from handful.strategies.tuned.recipe import versions_of
from handful.strategies.tuned.shared import HeadsSetup, HeadTargets, Shared, cross_fit_heads, moved_heads
from handful.strategies.tuned.trainings import Moved, Part, trained
from handful.tasks.registry import head_task
from handful.training.activations import Activations
from handful.training.batches import rows_of_heads
from handful.training.loop import Update


@dataclass(frozen=True)
class Items:
    """The items of all targets, each once, and how they are held out from all targets together."""

    data: Dataset
    """N items that can be read, by their position in the source."""
    heads: Mapping[str, Dataset]
    """Target → those of its rows that can be read."""
    folds: NDArray[np.int64]
    """(N,) the fold of each item."""

    def places(self, name: str) -> NDArray[np.int64]:
        """(M,) where the rows of a target stand among the items."""
        return np.searchsorted(self.data.rows, self.heads[name].rows)


def items_of(heads: Mapping[str, Dataset], backbones: Mapping[str, Backbone], seed: int, progress: Say) -> Items:
    """Put the items of several targets together, and deal them into few folds.

    Args:
        heads: target → the rows to learn from; their positions are those of one source.
        backbones: what looks at them; what it cannot read is left out.
        seed: fixes the folds.
        progress: told how far that is.

    Raises:
        DataError: too many items cannot be read, or there are fewer than three different ones.
    """
    item, group = dict[int, Any](), dict[int, str]()
    for one in heads.values():
        item |= zip(one.rows, one.items, strict=True)
        group |= zip(one.rows, one.groups or (), strict=False)
    rows = tuple(sorted(item))
    every = replace(
        next(iter(heads.values())), items=[item[row] for row in rows], labels=None, rows=rows, split=None,
        groups=tuple(group[row] for row in rows) if group else None, unlabelled=(), unreadable={},
    )  # fmt: skip
    data, _ = extract_all(every, backbones, progress)
    there = set(data.rows)
    own = {name: one.take([i for i, row in enumerate(one.rows) if row in there]) for name, one in heads.items()}
    shares = []
    for one in own.values():  # what a target wants kept in proportion, and that it has as many rows in every fold
        task, at = head_task(one.task), np.searchsorted(data.rows, one.rows)
        share = task.shares(task.read(one.labels or (), one.source))
        wide = np.zeros((len(data), share.shape[1] + 1))
        wide[at] = np.column_stack([share, np.ones(len(one))])
        shares.append(wide)
    protocol = Protocol("folds", FEWEST_FOLDS, 1, data.groups is not None)
    (folds,) = draw_folds(protocol, np.concatenate(shares, 1), together(data), generator(seed, "few folds"))
    return Items(data, own, folds)


@dataclass(frozen=True)
class _Trained:
    """What the training without each fold came to."""

    setup: HeadsSetup
    """What was trained."""
    base: tuple[str, Backbone]
    """The backbone, with its name."""
    found: Mapping[str, CrossFit]
    """Target → the answers to its held-out rows."""
    note: str
    """What it took."""


class SharedTraining:
    """One training for all targets, made when the first of them has tried what is its own; each then decides.

    The blocks that move are those of the backbone that the frozen model of the first target reads.
    """

    def __init__(self, heads: Mapping[str, Dataset], seconds: float, strategy: Shared) -> None:
        """Args: heads: target → the rows to learn from; seconds: for the training; strategy: how weights move."""
        self.strategy = strategy
        self._heads, self._seconds = heads, seconds
        self._items: Items | None = None
        self._apart: set[str] = set()
        self._trained: _Trained | str | None = None
        self._final: Moved | HandfulError | None = None

    def folds(self, name: str, data: Dataset, backbones: Mapping[str, Backbone], say: Say) -> NDArray[np.int64] | None:
        """(N,) the fold of each row of a target, the same as in the training for all; None where it takes no part.

        Args:
            name: the target.
            data: its rows that can be read.
            backbones: what looks at the items of all targets, the first time that anybody asks.
            say: told how far that is.

        Raises:
            DataError: the items of all targets cannot be used.
        """
        if self._items is None:
            self._items = items_of(self._heads, backbones, self.strategy.seed, say)
        folds = self._items.folds[self._items.places(name)]
        if self._items.heads[name].rows == data.rows and len(np.unique(folds)) == FEWEST_FOLDS:
            return folds
        self._apart.add(name)
        return None

    def faced(
        self, name: str, above: LadderResult, frozen: Frozen, backbones: Mapping[str, Backbone], terms: Terms
    ) -> LadderResult:
        """Let the weights that all targets share face what stands for one of them.

        Args:
            name: the target.
            above: what its own strategies came to.
            frozen: its frozen model, asked on the folds of ``folds``.
            backbones: by name; the first time that anybody asks, the one that may move is among them.
            terms: where trainings run and keep their state.
        """
        if name in self._apart:
            apart = f"{self.strategy.name} was left out: rows of {shown(name)} cannot be held out with those of others."
            return replace(above, notes=(*above.notes, apart))
        if self._trained is None:
            base = frozen.base(backbones)
            try:
                self._trained = self._train((base, backbones[base]), terms)
            except HandfulError as error:
                self._trained = f"{self.strategy.name} failed and was given up: {error}"
        done = self._trained
        if isinstance(done, str):
            return replace(above, notes=(*above.notes, done))
        above = replace(above, notes=(*above.notes, done.note))
        return faced_with(
            above, frozen, self.strategy, done.found[name], done.base, lambda: self._refitted(done.setup, terms)
        )

    def _train(self, base: tuple[str, Backbone], terms: Terms) -> _Trained | str:
        """Train without each fold, or say why not."""
        assert self._items is not None
        strategy, items, begun = self.strategy, self._items, time.perf_counter()
        if (why := strategy.refusal(base[1])) is not None:
            return f"{strategy.name} was left out: {why}."
        setup = heads_setup(items, base[1], strategy)
        fits, seconds = FEWEST_FOLDS + 1, (FEWEST_FOLDS + 1) * _seconds(setup)
        told = f"{strategy.name}: {fits} fits of {strategy.updates} updates for {len(setup.heads)} targets"
        left = self._seconds - (time.perf_counter() - begun)
        if not Decisions.read(terms.checkpoints).go(strategy.name, seconds <= left):
            return f"{told}, about {seconds:.0f} s, was left out: {max(0.0, left):.0f} s of the budget were left."
        done, updates = count(1), FEWEST_FOLDS * strategy.updates

        def progress(fold: int, update: Update) -> None:
            terms.say(f"{told}, about {seconds:.0f} s", next(done), updates)

        found = cross_fit_heads(
            setup, items.folds, terms.engine, file=lambda fold: self._file(terms, str(fold)), progress=progress
        )
        note = f"One training for {len(found)} targets without each fold took {time.perf_counter() - begun:.0f} s."
        return _Trained(setup, base, dict(zip(items.heads, found, strict=True)), note)

    def _refitted(self, setup: HeadsSetup, terms: Terms) -> Moved:
        """The training on all rows, made when the first target asks for it."""
        assert self._items is not None
        if self._final is None:
            stage = f"{self.strategy.name} on all rows"
            everything = Part(np.arange(len(self._items.data)), checkpoint=self._file(terms, "all"))
            try:
                (self._final,) = trained(
                    terms.engine, moved_heads, setup, [everything],
                    lambda part, update: terms.say(stage, update.number + 1, self.strategy.updates),
                )  # fmt: skip
            except HandfulError as error:
                self._final = error
        if isinstance(self._final, HandfulError):
            raise self._final
        return self._final

    def _file(self, terms: Terms, part: str) -> Path | None:
        """Where the state of a training is kept; of other labels of any target it is another file."""
        if terms.checkpoints is None or not terms.engine.same_machine:
            return None
        same = repr([(name, data.rows, data.labels) for name, data in self._heads.items()])
        digest = hashlib.sha256(same.encode()).hexdigest()[:16]
        return terms.checkpoints / f"{self.strategy.name}-{digest}-{part}.safetensors"


def heads_setup(items: Items, backbone: Backbone, strategy: Shared) -> HeadsSetup:
    """What the trainings of all targets have in common: the names of classes are items after those of the rows."""
    recipe, names = strategy.recipe(), list[str]()
    heads = []
    for name, data in items.heads.items():
        targets = head_task(data.task).read(data.labels or (), data.source)
        own = telling_names(data.classes, data.modality)
        heads.append(HeadTargets(targets, items.places(name), len(items.data) + len(names) + np.arange(len(own))))
        names += own
    versions = versions_of(items.data.items, backbone.modality, recipe)
    return HeadsSetup(heads, Activations.of(backbone, versions, recipe.first(backbone), names=names), recipe)


def _seconds(setup: HeadsSetup) -> float:
    """Seconds of one fit here, measured on the head with the most rows."""
    head = max(setup.heads, key=lambda one: len(one.rows))
    pace, _ = pace_of(setup.activations, head.rows, head.targets, replace(setup.recipe, label_name_weight=0))
    strata = np.full((len(setup.heads), len(setup.activations)), -1)
    for own, one in zip(strata, setup.heads, strict=True):
        own[one.rows] = one.targets.task.strata(one.targets)
    update = rows_of_heads(0, strata, setup.recipe.batch, setup.recipe.settings.seed)
    return pace.seconds(1, setup.recipe.settings.updates, len(update), len(setup.activations))
