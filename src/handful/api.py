"""The verbs that join the stages: load, inspect, tune."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.data.dataset import Dataset
from handful.data.readers import load
from handful.engines import engine as engine_of
from handful.errors import DataError
from handful.evaluation.intervals import Estimate
from handful.evaluation.verdicts import assemble, held_out_answers, score_test
from handful.export.bundle import WITNESSES, Bundle
from handful.features.cache import user_cache
from handful.features.extract import extract
from handful.features.view import Matrix
from handful.inspection.findings import Finding
from handful.inspection.profile import findings as find_faults
from handful.plan import Plan
from handful.run import Run
from handful.seeding import generator
from handful.strategies.frozen import Frozen, Sight, climb

__all__ = ["inspect", "load", "tune"]

# A label with fewer letters than this says nothing to a text encoder.
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
        data, sight = _look(data, backbones, progress)
        findings = find_faults(data)
    train, test = _parts(data)
    learning = data.take(train)

    def compared(done: int, total: int) -> None:
        progress("comparing heads", done, total)

    with clock("select"):
        frozen = climb(
            learning, _known(sight.take(train), data, learning), plan.strategies, plan.budget, plan.seed,
            engine_of(plan.engine), compared,
        )  # fmt: skip
    with clock("fit"):
        model = _bundle(frozen, learning, backbones)
        tested = _test(model, data.take(test), sight.take(test)) if test else None
        scores = assemble(
            frozen.arms, frozen.whole, frozen.chosen.arm, frozen.rows,
            metric=plan.metric, protocol=frozen.protocol, rng=generator(plan.seed, "bootstrap"),
        )  # fmt: skip
    scores = replace(scores, seconds=clock.seconds, test=tested, test_n=len(test))
    notes = (f"{len(frozen.found.outcomes)} settings were compared on the same folds.",)
    return Run(learning, plan, tuple(findings), scores, held_out_answers(frozen.whole, frozen.rows), model, notes)


class _Clock:
    """How long each stage took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start


def _backbones(wanted: str, modality: str) -> dict[str, Backbone]:
    names = catalog.defaults(modality) if wanted == "auto" else tuple(n.strip() for n in wanted.split(","))
    device = default_device()
    return {name: catalog.load(name, modality).to(device) for name in names}


def _look(data: Dataset, backbones: Mapping[str, Backbone], progress: Progress) -> tuple[Dataset, Sight]:
    """Run every backbone over every item once; rows that cannot be read are dropped and listed."""
    cache, names = user_cache(), _name_texts(data)
    items: dict[tuple[str, int], Matrix] = {}
    named: dict[tuple[str, int], Matrix] = {}
    failed: dict[int, str] = {}
    for name, backbone in backbones.items():

        def report(done: int, total: int, name: str = name) -> None:
            progress(f"looking with {name}", done, total)

        seen = extract(backbone, data.items, backbone.search_depths, cache, report)
        items.update({(name, depth): x for depth, x in seen.matrices.items()})
        failed.update(seen.failed)
        if names:
            seen = extract(backbone, names, backbone.search_depths, cache)
            named.update({(name, depth): x for depth, x in seen.matrices.items()})
    cache.close()
    kept = [i for i in range(len(data)) if i not in failed]
    depths = {name: tuple(backbone.search_depths) for name, backbone in backbones.items()}
    return data.without(failed), Sight(items, named, depths).take(kept)


def _name_texts(data: Dataset) -> list[str]:
    """What stands for each class as a text; nothing where the names say nothing, as digits do."""
    plain = [label.replace("_", " ").replace("-", " ").strip() for label in data.classes]
    if data.modality != "text" or any(sum(map(str.isalpha, name)) < SHORTEST_NAME for name in plain):
        return []
    return [f"This text is about {name}." for name in plain]


def _parts(data: Dataset) -> tuple[list[int], list[int]]:
    """Positions of the rows to learn from and of the rows kept for the test."""
    test = [i for i, part in enumerate(data.split or ()) if part == "test"]
    kept = set(test)
    return [i for i in range(len(data)) if i not in kept], test


def _known(sight: Sight, data: Dataset, learning: Dataset) -> Sight:
    """Leave out the names of classes that only test rows have: there is nothing to learn them from."""
    at = [i for i, name in enumerate(data.classes) if name in set(learning.classes)]
    return replace(sight, names={part: x[at] for part, x in sight.names.items()})


def _bundle(frozen: Frozen, data: Dataset, backbones: Mapping[str, Backbone]) -> Bundle:
    view = frozen.chosen.view
    used = {name: backbones[name] for name, _ in view.parts}
    return Bundle(
        modality=data.modality,
        labels=frozen.rows.labels,
        view=view,
        fingerprints={name: backbone.fingerprint for name, backbone in used.items()},
        head=frozen.chosen.arm,
        coef=frozen.head.coef_,
        intercept=frozen.head.intercept_,
        sharpness=frozen.sharpness,
        input=data.input,
        witness=frozen.matrix[:WITNESSES],
        loaded=used,
    )


def _test(model: Bundle, data: Dataset, sight: Sight) -> Estimate:
    proba = model.probabilities_of(model.view.matrix(sight.items))
    return score_test([model.labels[i] for i in proba.argmax(1)], data.labels or ())
