"""Rung 0 of the ladder: all heads on all views of frozen features, pooled as far as the rows support them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.data.splits import merge_groups
from handful.engines import Engine
from handful.errors import DataError, OptionError
from handful.evaluation.protocol import draw_folds, protocol_for
from handful.evaluation.verdicts import HeadRows, Held
from handful.features.feature_set import FeatureSet
from handful.features.view import Matrix, views_of
from handful.inspection.profile import duplicate_groups
from handful.seeding import generator
from handful.strategies.frozen.ensemble import Linear, describe, pooled
from handful.strategies.frozen.search import Search, search
from handful.strategies.frozen.search_space import Shape, affordable
from handful.tasks.base import Targets

# The search plans to use this share of the budget; extraction and the report take the rest.
SEARCH_SHARE = 0.5
# The smallest search is planned for this many seconds, whatever the budget.
SEARCH_LEAST = 1.0
# Nested folds hold out one group to score on and one to choose by, and learn from the others.
FEWEST_GROUPS = 3
# Of numbers that another program made, so many columns are penalised as what a backbone sees, and more of them the less
# the more they are, down to a hundredth: thousands of columns that agree have less noise in their sum than each has.
FEW_COLUMNS, LIGHTEST = 100, 100
ENSEMBLE = "ensemble"
"""The arm that pools all families of heads."""


@dataclass(frozen=True)
class Few:
    """Rung 0 on the few folds that weights are moved on, each of which costs a training."""

    folds: NDArray[np.int64]
    """(N,) the fold of each row."""
    whole: NDArray[np.float64]
    """(N, K) out-of-fold answers of the whole procedure."""
    arms: tuple[Held, ...]
    """Each family of settings on all repeats, and on these folds."""
    protocol: str
    """How rows were held out."""
    search: Search
    """Every setting on these folds."""
    parts: NDArray[np.float64] | None = None
    """(P, K) of the heads to parts of items, where answers to items are made of these; None where they are not."""

    @property
    def count(self) -> int:
        """How many folds there are."""
        return int(self.folds.max()) + 1


@dataclass(frozen=True)
class Faced:
    """The rows that heads learn from, on the few folds: items, or parts of items."""

    below: NDArray[np.float64]
    """(N, K) what the frozen heads answer while a row is held out."""
    targets: Targets
    """Of the N rows."""
    folds: NDArray[np.int64]
    """(N,) the fold of each row."""
    groups: NDArray[np.int64] | None
    """(N,) rows that are not independent share a number; None where all are."""


@dataclass(frozen=True)
class Frozen:
    """The outcome of rung 0."""

    search: Search
    """Every setting on the same folds."""
    arm: str
    """What the model is called in the scores: ``ensemble``, or the one family of heads that was asked for."""
    model: Linear
    """The settings that the rows support, pooled and fitted on all rows."""
    whole: NDArray[np.float64]
    """(R, N, K) out-of-fold answers of the whole procedure, every choice made inside the folds."""
    arms: tuple[Held, ...]
    """Each family of settings, the reference first."""
    rows: HeadRows
    """What was held out."""
    protocol: str
    """How."""
    matrix: Matrix
    """(N, D) the features that the model reads."""
    again: Callable[[], tuple[str, Search]]
    """The same settings on few folds, and how these are called."""
    settled: Few | None = None
    """What was decided on the few folds after the search, where anything was."""
    heads: str = ENSEMBLE
    """The arm that pools the heads of the model."""
    finish: Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]] | None = None
    """Makes held-out answers to items of those of heads to parts: (R, P, K) and (R, N) the fold of each item; None:
    they are gathered and nothing else."""

    def answers(self, features: Mapping[tuple[str, int], Matrix]) -> NDArray[np.float64]:
        """What the model answers to other items. (backbone, depth) → (Q, D) to (Q, K)."""
        return self.rows.targets.task.outputs(self.model.scores(self.model.view.matrix(features)))

    def base(self, backbones: Mapping[str, Backbone]) -> str:
        """The backbone of the model whose weights may move: the first that can be cut, by name."""
        read = self.model.view.backbones
        return next((name for name in read if backbones[name].blocks), read[0])

    @cached_property
    def few(self) -> Few:
        """What faces a model whose weights moved."""
        if self.settled is not None:
            return self.settled
        protocol, searched = self.again()
        on_few = {arm.name: arm.outputs for arm in _every(searched)}
        folds, parts = searched.folds[:1], None
        if searched.targets.item is not None:
            folds, parts = folds_of_items(searched, len(self.rows.targets))[:1], on_few[self.heads]
            on_few = {name: self._gathered(outputs) for name, outputs in on_few.items()}
            on_few[self.arm] = self.finished(parts, folds)
        arms = tuple(replace(arm, on_few=on_few.get(arm.name)) for arm in self.arms)
        return Few(folds[0], on_few[self.arm][0], arms, protocol, searched, None if parts is None else parts[0])

    @property
    def faced(self) -> Faced:
        """What tuned answers to the rows that heads learn from are pooled with."""
        few, rows = self.few, self.rows
        targets, groups = rows.targets.task.row_targets(rows.targets), rows.groups
        if few.parts is None or targets.item is None:
            return Faced(few.whole, targets, few.folds, groups)
        return Faced(
            few.parts, targets, few.folds[targets.item], (targets.item if groups is None else groups[targets.item])
        )

    def finished(self, answers: NDArray[np.float64], folds: NDArray[np.int64]) -> NDArray[np.float64]:
        """What is answered to items, where heads answer so. (R, N, K) or (R, P, K), (R, N) → (R, N, …)."""
        return self._gathered(answers) if self.finish is None else self.finish(answers, folds)

    def _gathered(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.rows.targets.task.gathered(answers, self.rows.targets)


@dataclass(frozen=True)
class SearchTerms:
    """Under which terms heads are compared."""

    strategies: Sequence[str]
    """The arms to try."""
    budget: float
    """Seconds for the whole run."""
    seed: int
    """Fixes the folds."""
    engine: Engine
    """Where the fits run."""
    progress: Callable[[int, int], None] = lambda done, total: None
    """Called with settings done and settings in all."""


def run_frozen(targets: Targets, data: Dataset, sight: FeatureSet, terms: SearchTerms) -> Frozen:
    """Compare all heads on all views and pool those that the rows support.

    Args:
        targets: what is wanted of the N rows.
        data: the rows.
        sight: their features.
        terms: what to try, and how long.

    Returns:
        The search, and the model fitted on all rows.

    Raises:
        DataError: the rows are of fewer than three groups, or fewer than three different items.
        OptionError: zero-shot is asked for alone and the class names say nothing.
    """
    task = targets.task
    rows = task.row_targets(targets)
    item = rows.item
    strata, design = task.strata(targets), rows.task.design(rows)
    views = {view: view.matrix(sight.items) for view in views_of(sight.depths)}
    names = {view: view.matrix(sight.names) for view in views} if sight.names else {}
    counted = {v: columns for v in views if (columns := v.counted(sight.counts, sight.items)) is not None}
    groups = together(data)
    protocol = protocol_for(strata, groups, data.groups is not None)
    heads = [head for name, head in task.heads.items() if name in terms.strategies]
    widest = max(x.shape[1] for x in views.values())
    if sight.handed:
        heads = [head.lighter(float(np.clip(widest / FEW_COLUMNS, 1, LIGHTEST))) for head in heads]
    alone = task.named_alone and "zero-shot" in terms.strategies
    if not heads and not (names and alone):
        raise OptionError(
            f"strategies must name more than zero-shot for {data.source}, because zero-shot needs texts, and classes "
            "that are called by words. Add centroid or another."
        )
    shape = Shape(len(rows), widest, design.shape[1], bool(names), len(counted))
    allowed = max(SEARCH_LEAST, SEARCH_SHARE * terms.budget)
    grid, repeats = affordable(heads, tuple(views), shape, protocol, allowed, alone)
    protocol = replace(protocol, repeats=repeats)
    folds = draw_folds(protocol, task.shares(targets), groups, generator(terms.seed, "folds"))
    by_row = folds if item is None else folds[:, item]
    searched = search(rows, views, names, by_row, grid, terms.engine, terms.progress, counted)

    def again() -> tuple[str, Search]:
        few = protocol.fewest
        dealt = draw_folds(few, task.shares(targets), groups, generator(terms.seed, "few folds"))
        dealt = dealt if item is None else dealt[:, item]
        return few.name, search(rows, views, names, dealt, grid, terms.engine, counted=counted)

    model = pooled(searched.members(range(len(searched.settings))), sight.items, sight.names, design, sight.counts)
    families = list(dict.fromkeys(setting.arm for setting in searched.settings))
    arms = [replace(held, outputs=task.gathered(held.outputs, targets)) for held in _every(searched)]
    arm = families[0] if len(families) == 1 else ENSEMBLE
    independent = len(np.unique(groups)) == len(groups)
    return Frozen(
        search=searched,
        arm=arm,
        model=model,
        whole=next(held.outputs for held in arms if held.name == arm),
        arms=(Held(task.reference.name, task.reference_answers(targets, data.items, folds)), *arms),
        rows=HeadRows(targets, None if independent else groups, data.rows),
        protocol=protocol.name,
        matrix=model.view.matrix(sight.items),
        again=again,
        heads=arm,
    )


def together(data: Dataset) -> NDArray[np.int64]:
    """(N,) rows that share a number share a fold: those of one group, and those with the same content.

    Raises:
        DataError: there are too few of them.
    """
    duplicates = duplicate_groups(data)
    groups = merge_groups(np.asarray(data.groups), duplicates) if data.groups else duplicates
    count = len(np.unique(groups))
    if count < FEWEST_GROUPS:
        must = "come from at least {} groups" if data.groups else "be at least {} different items"
        add = "rows of other groups, or use none (--group '')" if data.groups else "other items"
        raise DataError(
            f"the rows of {data.source} must {must.format(FEWEST_GROUPS)}, got {count}: one to learn from, one to "
            f"choose by and one to be scored on. Add {add}."
        )
    return groups


def folds_of_items(searched: Search, count: int) -> NDArray[np.int64]:
    """(R, N) the fold of each of so many items, of whose parts a search knows it."""
    folds = np.zeros((len(searched.folds), count), np.int64)
    folds[:, searched.targets.item] = searched.folds
    return folds


def _every(searched: Search) -> list[Held]:
    """One arm per family of heads, one per way to look where there are several, and one that pools all heads."""
    by_head: dict[str, list[int]] = {}
    by_backbone: dict[str, list[int]] = {}
    for q, setting in enumerate(searched.settings):
        by_head.setdefault(setting.arm, []).append(q)
        look = setting.view.backbones[0] if len(setting.view.backbones) == 1 else "joined"
        by_backbone.setdefault(look, []).append(q)
    arms = {**by_head, **(by_backbone if len(by_backbone) > 1 else {})}
    if len(by_head) > 1:
        arms[ENSEMBLE] = list(range(len(searched.settings)))
    return [
        Held(
            name, searched.nested(at), seconds=sum(searched.outcomes[q].seconds for q in at),
            setting=describe(searched.members(at)),
        )
        for name, at in arms.items()
    ]  # fmt: skip
