"""The verbs that join the stages: load, inspect, tune."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.backbones.weights import cache_folder
from handful.data.dataset import Dataset
from handful.data.readers import load
from handful.data.splits import merge_groups
from handful.errors import DataError
from handful.evaluation.protocol import draw_folds, protocol_for
from handful.evaluation.verdicts import Held, Rows, assemble, held_out_answers, score_test
from handful.export.bundle import Bundle
from handful.features.cache import FeatureCache
from handful.features.extract import extract
from handful.features.view import Matrix, views_of
from handful.inspection.findings import Finding
from handful.inspection.profile import duplicate_groups
from handful.inspection.profile import findings as find_faults
from handful.plan import Plan
from handful.run import Run
from handful.seeding import generator
from handful.strategies import catalog as strategy_catalog
from handful.strategies.grids import Shape, affordable
from handful.strategies.heads import Majority
from handful.strategies.search import Grid, Search, refit, search

__all__ = ["inspect", "load", "tune"]

# The share of the budget that the search may plan to use; extraction and the report take the rest.
SEARCH_SHARE = 0.5
# The smallest search is planned for this many seconds, whatever the budget.
SEARCH_LEAST = 1.0
# A label this short says nothing to a text encoder.
SHORTEST_NAME = 2

logger = logging.getLogger(__name__)


class Progress(Protocol):
    """What the command line shows while something runs."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` steps of a stage are finished."""


def _silent(stage: str, done: int, total: int) -> None:
    pass


def inspect(source: Any, **options: Any) -> list[Finding]:
    """Say what is wrong with labelled data, most costly first.

    Args:
        source: a Dataset, or anything that ``load`` reads.
        options: passed to ``load``.

    Returns:
        The findings; empty where nothing is wrong.

    Raises:
        DataError: the rows cannot be used at all.
    """
    return find_faults(source if isinstance(source, Dataset) else load(source, **options))


def tune(
    source: Any,
    *,
    budget: float | str = 60.0,
    seed: int = 0,
    backbone: str = "auto",
    strategies: Sequence[str] | str | None = None,
    metric: str = "accuracy",
    plan: Plan | None = None,
    progress: Progress = _silent,
    **options: Any,
) -> Run:
    """Make the best model that labelled items support, and say how good it is.

    Args:
        source: a Dataset, or anything that ``load`` reads.
        budget: how long you are willing to wait, in seconds or as ``"1 min"``; 0 means the smallest search.
        seed: fixes every random choice.
        backbone: a name, folder or hub id, or several joined by commas; ``auto`` compares the default ones.
        strategies: which arms to try; all by default.
        metric: ``accuracy``, ``balanced_accuracy`` or ``macro_f1``.
        plan: the resolved options, in place of the five above.
        progress: called with stage, steps done and steps in all.
        options: passed to ``load``.

    Returns:
        The run: scores with intervals, findings, and the model fitted on all rows.

    Raises:
        DataError: the rows cannot be used; the message says which and why.
        OptionError: an option cannot work.
        WeightsError: a backbone is not there and cannot be fetched.
    """
    if plan is None:
        given = dict(budget=budget, seed=seed, backbone=backbone, strategies=strategies, metric=metric)
        plan = Plan.resolve({**given, "source": source if isinstance(source, str | Path) else None}, "argument")
    clock = _Clock()
    with clock("read"):
        data = source if isinstance(source, Dataset) else load(source, **options)
        if data.labels is None:
            raise DataError(f"{data.source} must have labels to learn from, got none. Name the column with label=.")
    with clock("load"):
        backbones = _backbones(plan.backbone, data.modality)
    with clock("extract"):
        data, seen = _look(data, backbones, progress)
        findings = find_faults(data)
    train, test = _parts(data)
    with clock("select"):
        chosen = _choose(data.take(train), seen.rows(train), plan, progress)
    with clock("fit"):
        model = chosen.fit(backbones)
    result = (None, 0)
    if test:
        result = (_test(model, data.take(test), seen.rows(test)), len(test))
    scores = chosen.scores(plan, clock.seconds, result)
    return Run(
        chosen.data, plan, tuple(findings), scores, held_out_answers(chosen.whole, chosen.rows), model, chosen.notes
    )


class _Clock:
    """How long each stage took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start


@dataclass(frozen=True)
class _Seen:
    """Features of the rows and of the label names."""

    items: Mapping[tuple[str, int], Matrix]
    """(backbone, depth) → (N, D)."""
    names: Mapping[tuple[str, int], Matrix]
    """(backbone, depth) → (C, D) of the sorted class names; empty where names say nothing."""
    depths: Mapping[str, tuple[int, ...]]
    """Backbone → depths, last first."""

    def rows(self, at: Sequence[int]) -> _Seen:
        return replace(self, items={part: x[list(at)] for part, x in self.items.items()})


@dataclass(frozen=True)
class _Choice:
    """The search, what it chose, and what is needed to fit and to score that."""

    data: Dataset
    rows: Rows
    seen: _Seen
    found: Search
    best: int
    whole: NDArray[np.float64]
    arms: tuple[Held, ...]
    protocol: str
    seed: int
    notes: tuple[str, ...]

    def fit(self, backbones: Mapping[str, Backbone]) -> Bundle:
        """Refit the chosen setting on all rows and calibrate it on the out-of-fold scores."""
        setting = self.found.settings[self.best]
        x = setting.view.matrix(self.seen.items)
        names = setting.view.matrix(self.seen.names) if self.seen.names else None
        head = refit(setting, x, names, self.data.labels or ())
        return Bundle(
            modality=self.data.modality,
            labels=self.rows.labels,
            view=setting.view,
            fingerprints={name: backbones[name].fingerprint for name, _ in setting.view.parts},
            head=setting.arm,
            coef=head.coef_,
            intercept=head.intercept_,
            sharpness=self.found.outcomes[self.best].sharpness,
            input=self.data.input,
            witness=x[:8],
            loaded={name: backbones[name] for name, _ in setting.view.parts},
        )

    def scores(self, plan: Plan, seconds: Mapping[str, float], test: tuple[Any, int]) -> Any:
        """Every arm with its interval."""
        arm = self.found.settings[self.best].arm
        rng = generator(self.seed, "bootstrap")
        return assemble(
            self.arms, self.whole, arm, self.rows,
            metric=plan.metric, protocol=self.protocol, rng=rng, seconds=seconds, test=test,
        )  # fmt: skip


def _backbones(wanted: str, modality: str) -> dict[str, Backbone]:
    names = catalog.defaults(modality) if wanted == "auto" else tuple(n.strip() for n in wanted.split(","))
    device = default_device()
    return {name: catalog.load(name, modality).to(device) for name in names}


def open_cache() -> FeatureCache:
    """The feature cache of this user."""
    return FeatureCache(cache_folder() / "features.sqlite")


def _look(data: Dataset, backbones: Mapping[str, Backbone], progress: Progress) -> tuple[Dataset, _Seen]:
    """Run every backbone over every item once; rows that cannot be read are dropped and listed."""
    cache = open_cache()
    names = _name_texts(data)
    items: dict[tuple[str, int], Matrix] = {}
    name_items: dict[tuple[str, int], Matrix] = {}
    failed: dict[int, str] = {}
    for name, backbone in backbones.items():
        done = 0

        def tick(more: int, name: str = name) -> None:
            nonlocal done
            done += more
            progress(f"looking with {name}", done, len(data))

        seen = extract(backbone, data.items, backbone.search_depths, cache, tick)
        items.update({(name, depth): x for depth, x in seen.matrices.items()})
        failed.update(seen.failed)
        if names:
            of_names = extract(backbone, names, backbone.search_depths, cache)
            name_items.update({(name, depth): x for depth, x in of_names.matrices.items()})
    cache.close()
    kept = [i for i in range(len(data)) if i not in failed]
    depths = {name: tuple(backbone.search_depths) for name, backbone in backbones.items()}
    return data.without(failed), _Seen(items, name_items, depths).rows(kept)


def _name_texts(data: Dataset) -> list[str]:
    """What stands for each class as a text; nothing where the names say nothing, as digits do."""
    plain = [label.replace("_", " ").replace("-", " ").strip() for label in data.classes]
    if data.modality != "text" or any(sum(map(str.isalpha, name)) < SHORTEST_NAME for name in plain):
        return []
    return [f"This text is about {name}." for name in plain]


def _parts(data: Dataset) -> tuple[list[int], list[int]]:
    test = [i for i, part in enumerate(data.split or ()) if part == "test"]
    kept = set(test)
    return [i for i in range(len(data)) if i not in kept], test


def _choose(data: Dataset, seen: _Seen, plan: Plan, progress: Progress) -> _Choice:
    labels, truth = np.unique(np.asarray(data.labels), return_inverse=True)
    # A class that only the test rows have would have a name, but no row to learn from.
    known = set(labels.tolist())
    at = [i for i, name in enumerate(sorted(known | set(data.classes))) if name in known]
    views = {view: view.matrix(seen.items) for view in views_of(seen.depths)}
    names = {view: view.matrix(seen.names)[at] for view in views} if seen.names else {}
    duplicates = duplicate_groups(data)
    groups = merge_groups(np.asarray(data.groups), duplicates) if data.groups else duplicates
    heads = [head for name, head in strategy_catalog().items() if name in plan.strategies and head is not Majority]
    budget = max(SEARCH_LEAST, SEARCH_SHARE * plan.budget)
    shape = Shape(len(data), max(x.shape[1] for x in views.values()), len(labels), bool(names))
    protocol = protocol_for(groups, data.groups is not None)
    grid, repeats = affordable(heads, list(views), shape, protocol, budget, "zero-shot" in plan.strategies)
    protocol = replace(protocol, repeats=repeats)
    folds = draw_folds(protocol, truth, groups, generator(plan.seed, "folds"))
    done = 0

    def tick(more: int) -> None:
        nonlocal done
        done += more
        progress("comparing heads", done, len(grid))

    found = search(views, names, truth, folds, grid, tick)
    first = next(iter(views))
    reference = search({first: views[first]}, {}, truth, folds, Grid((Majority,), (first,)))
    arms = [_held(reference, "majority", [0])] + [
        _held(found, arm, found.of_arm(arm)) for arm in dict.fromkeys(s.arm for s in found.settings)
    ]
    arms += [_held(found, name, at) for name, at in _by_backbone(found).items()]
    everything = list(range(len(found.settings)))
    independent = len(np.unique(groups)) == len(groups)
    rows = Rows(truth, tuple(labels.tolist()), None if independent else groups, data.rows)
    note = f"{len(found.settings)} settings compared on {folds.shape[0]} x {folds.max() + 1} folds"
    return _Choice(
        data, rows, seen, found, found.best(everything), found.nested(everything),
        tuple(arms), protocol.name, plan.seed, (note,),
    )  # fmt: skip


def _by_backbone(found: Search) -> dict[str, list[int]]:
    """Settings by what they look with, where there is more than one way to look."""
    out: dict[str, list[int]] = {}
    for q, setting in enumerate(found.settings):
        out.setdefault("+".join(name for name, _ in setting.view.parts), []).append(q)
    return out if len(out) > 1 else {}


def _held(found: Search, name: str, at: list[int]) -> Held:
    return Held(
        name,
        found.nested(at),
        seconds=sum(found.outcomes[q].seconds for q in at),
        setting=found.settings[found.best(at)].describe(),
    )


def _test(model: Bundle, data: Dataset, seen: _Seen) -> Any:
    proba = model.probabilities_of(model.view.matrix(seen.items))
    return score_test([model.labels[i] for i in proba.argmax(1)], data.labels or ())
