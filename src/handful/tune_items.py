"""The verb for labelled items: heads on frozen features, then moved weights, compared on the same folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone, no_parts
from handful.budget import Budget
from handful.choices import MOVERS
from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT
from handful.data.names import listed
from handful.data.normal import is_normal_name
from handful.data.unlabelled import read_unlabelled
from handful.data.vectors import VECTORS
from handful.energy import Meter
from handful.engines import Engine
from handful.engines import engine as engine_of
from handful.errors import DataError, OptionError
from handful.evaluation.intervals import Estimate, interval
from handful.evaluation.scores import HeldOut
from handful.evaluation.verdicts import HeadRows, assemble
from handful.explanation import Explanation, explain_doubtful
from handful.export.bundle import Bundle
from handful.export.packing import packed_frozen, packed_winner, with_reference
from handful.export.reference import MOST, MOST_WITHOUT_ROWS
from handful.features import bases
from handful.features.feature_set import FeatureSet, extract_all
from handful.features.shards import SIZE, fill_all
from handful.features.words import extract_words
from handful.inspection.audit import audit
from handful.inspection.findings import Finding, by_cost
from handful.inspection.profile import findings as find_faults
from handful.inspection.reach import out_of_reach
from handful.item_options import check_follows, check_reads
from handful.plan import Plan, must_find_of
from handful.progress import Say
from handful.regimes.multitask import SharedTraining
from handful.regimes.related import with_related
from handful.regimes.unlabelled import PoolTerms, affordable, learn_from_pool, reads, told_for_pool
from handful.robustness import forgotten, slices_of, unsettled
from handful.run import Run, Training, checkpoints_for
from handful.seeding import generator
from handful.strategies.frozen.beside_reference import beside_reference
from handful.strategies.frozen.learning_curve import forecast
from handful.strategies.frozen.rung import Frozen, SearchTerms, run_frozen
from handful.strategies.tuned.ladder import LadderResult, Terms, run_ladder
from handful.tasks.base import HeadTask
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.registry import head_task
from handful.training.devices import mixed_precision_of
from handful.tune_defects import proposed


def tune_items(
    data: Dataset, plan: Plan, budget: Budget, progress: Say, judged: bool, unlabelled: Any = None,
    shared: SharedTraining | None = None,
) -> Run:  # fmt: skip
    """Compare ways to answer labelled items, and keep what is expected to be best.

    Args:
        data: labelled items.
        plan: the resolved options.
        budget: the time of the run, of which reading was the first stage.
        progress: told how far things are.
        judged: whether a function was given as the metric, which no labels can follow.
        unlabelled: a path, a Dataset or a list of items without labels, or None; rows of ``data`` whose label is empty
            are such items in any case.
        shared: the training that the targets of a table share, of which this is one.

    Raises:
        DataError: the rows cannot be used.
        OptionError: an option cannot work.
        WeightsError: a backbone is not there and cannot be fetched.
    """
    if data.labels is None:
        raise DataError(f"{data.source} must have labels to learn from, got none. Name the column with label=.")
    meter, task = Meter(), head_task(data.task)
    if "metric" not in plan.origins:
        plan = replace(plan, metric=task.headline.name)
    check_follows(plan, task, judged, shared is None)
    check_reads(plan, data)
    if task.grain and (unlabelled is not None or data.unlabelled):
        raise OptionError(f"unlabelled items teach models of whole items, got {task.name}. Leave unlabelled out.")
    asked, related = (plan, []) if plan.related is None else with_related(data, plan, budget, progress)
    pool, notes = None, list[str]()
    if unlabelled is not None or data.unlabelled:
        with budget.stage("read"):
            most = affordable(data, plan.budget)
            pool, notes = read_unlabelled(unlabelled, data, most, generator(plan.seed, "unlabelled"))
    with engine_of(plan.engine) as engine:
        looked = _looked(data, asked, task, budget, progress)
        looked = replace(looked, notes=(*related, *looked.notes))
        run = tune_seen(looked, plan, task, budget, progress, engine, (pool, notes), shared)
    scores = replace(run.scores, energy=meter.read())
    return replace(run, scores=scores, findings=(*proposed(run.data, scores, plan), *run.findings))


def tune_seen(
    looked: Looked, plan: Plan, task: HeadTask, budget: Budget, progress: Say, engine: Engine,
    unlabelled: tuple[Dataset | None, Sequence[str]] = (None, ()), shared: SharedTraining | None = None,
) -> Run:  # fmt: skip
    """The run of rows that backbones have looked at.

    Args:
        looked: the rows, and what was seen in them.
        plan: the resolved options; no weight moves for rows that are gone.
        task: what the labels are.
        budget: the time of the run.
        progress: told how far things are.
        engine: where the fits run.
        unlabelled: a pool, and what was said of it.
        shared: as ``tune_items`` has it.
    """
    backbones, data, sight, findings = looked.backbones, looked.data, looked.sight, looked.findings
    train, test = parts_of(data)
    learning = data.take(train)
    # The names of classes that only test rows have are left out: there is nothing to learn them from.
    named = [i for i, name in enumerate(data.classes) if name in set(learning.classes)]
    train_features = sight.take(train).take_classes(named)
    with budget.stage("extract"):
        seen = extract_words(learning.items, backbones, progress) if task.grain else train_features
        few = None if shared is None else shared.folds(str(plan.label), learning, backbones, progress)
    targets = task.read(learning.labels or (), learning.source)
    with budget.stage("select"):
        terms = SearchTerms(plan.strategies, plan.budget, plan.seed, engine, partial(progress, "comparing heads"), few)
        frozen = beside_reference(run_frozen(targets, learning, seen, terms), learning.items)
    frozen, notes = _with_pool(frozen, train_features, unlabelled, backbones, plan, budget, progress, engine)
    base = frozen.base(backbones)
    with budget.stage("train"):
        terms_above = _ladder_terms(plan, learning, backbones[base], budget, progress, engine, looked.there)
        above = run_ladder(learning, backbones[base], frozen, terms_above)
    if shared is not None:
        with budget.paused():
            above = shared.faced(str(plan.label), above, frozen, backbones, terms_above)
    with budget.stage("curve"):
        rng = generator(plan.seed, "curve")
        curve = None if task.grain else forecast(frozen, train_features, rng, out_of_reach(findings))
    with budget.stage("fit"):
        model = packed_winner(above, frozen, learning, seen, backbones)
        tested = _test(model, data.take(test), sight.take(test), plan) if test else None
        whole, rows = _held(above, frozen)
        rows, model = _with_cut(plan, whole, rows, model)
        scores = assemble(
            above.arms, whole, frozen.arm if above.chosen is None else above.chosen.name, rows,
            metric=task.metrics[plan.metric], protocol=(frozen if above.whole is None else frozen.few).protocol,
            rng=generator(plan.seed, "bootstrap"), curve=curve,
        )  # fmt: skip
        scores = replace(scores, inputs=frozen.inputs(task.metrics[plan.metric], generator(plan.seed, "inputs")))
    compared = f"{len(frozen.search.outcomes)} settings were compared on the same folds."
    notes = [compared, *looked.notes, *notes, *above.notes]
    if tested is not None:
        scores, untested = scores.tested(tested, len(test))
        notes += untested
    carried = learning.items if plan.carry_items else ()
    most = MOST if looked.there else MOST_WITHOUT_ROWS
    model = with_reference(model, frozen, whole, backbones, carried, scores, train_features, most)
    answers = rows.targets.task.held_out(whole, rows.targets, rows.positions)
    # What changes and hidden parts do to answers is told to the percent, for which rounded products will do.
    with budget.stage("checks"), mixed_precision_of(backbones[base]):
        told, explained, more = _checked(
            (looked, learning, data.take(test)), model, frozen, (whole, answers), plan, budget
        )
        scores, notes = replace(scores, **told), [*notes, *more]
    notes += [budget.passed] if budget.passed else []
    return Run(
        learning, plan, tuple(findings), replace(scores, seconds=budget.accounted), answers, model, tuple(notes),
        tuple(Training.of(rung) for rung in above.rungs), tuple(trial.record() for trial in above.trials), explained,
    )  # fmt: skip


def _checked(
    rows: tuple[Looked, Dataset, Dataset], model: Bundle, frozen: Frozen,
    held: tuple[NDArray[np.float64], Sequence[HeldOut]], plan: Plan, budget: Budget,
) -> tuple[dict[str, Any], Mapping[int, Explanation], list[str]]:  # fmt: skip
    """What unsettles a model, how parts of the rows fare, and what carries doubtful answers, as far as there is time.

    Args:
        rows: all that was looked at, the rows that were learned from, and the test rows.
        model: what ships.
        frozen: the frozen outcome.
        held: out-of-fold answers as numbers, (R, N, K), and in words.
        plan: the resolved options.
        budget: of the run.

    Returns:
        What scores tell beside the figures, row → what carries its answer, and what was left out, one sentence each.
    """
    looked, learning, test = rows
    if not looked.there:
        return {}, {}, ["What unsettles answers and what carries them is not told of rows that are gone."]
    if frozen.rows.targets.task.grain:  # a slight change moves words, and what hides one hides what is asked of it
        return {}, {}, [f"What unsettles answers and what carries them is not told of {learning.task}."]
    beside: dict[str, Any] = {"slices": slices_of(learning, held[0], frozen.rows, plan.seed)}
    notes = []
    if budget.left > 0:
        beside |= _unsettled(model, frozen, learning, test, looked.backbones, plan.seed)
    elif plan.budget:
        notes.append("What slight changes do to answers was left out: no time of the budget was left for it.")
    if learning.modality == IMAGE_TEXT:
        return (
            beside,
            {},
            ["What slight changes do to answers, and what carries them, is not told of images with texts."],
        )
    hides = budget.left > 0 and learning.modality != VECTORS  # nobody knows what is left of one where a part is hidden
    return beside, explain_doubtful(model, learning, held[1]) if hides else {}, notes


def _held(above: LadderResult, frozen: Frozen) -> tuple[NDArray[np.float64], HeadRows]:
    """The out-of-fold answers of what ships, (R, N, K), and the rows that were held out for them."""
    if above.whole is None:
        return frozen.whole, frozen.rows
    return above.whole, replace(frozen.rows, folds=frozen.few.count)


@dataclass(frozen=True)
class Looked:
    """Rows that backbones have looked at."""

    backbones: Mapping[str, Backbone]
    """By name."""
    data: Dataset
    """N rows that can be read, or could be."""
    sight: FeatureSet
    """What is seen in them."""
    findings: Sequence[Finding] = ()
    """What is wrong with them."""
    notes: Sequence[str] = ()
    """What was left out, one sentence each."""
    there: bool = True
    """Whether all items are there; of those that are gone only what was seen in them is left."""


def _looked(data: Dataset, plan: Plan, task: HeadTask, budget: Budget, progress: Say) -> Looked:
    """The rows that can be read, what is seen in them, and what is wrong."""
    learning = data.take(parts_of(data)[0])
    targets = task.read(learning.labels or (), data.source)  # what nothing can be learned from is refused at once
    _must_find(plan, targets.names)
    with budget.stage("load"):
        loaded, unasked = bases.affordable(plan.backbone, data, budget, progress)
        backbones, unasked = _with_parts(loaded, unasked, task, plan)
    with budget.stage("extract"):
        data, sight = extract_all(data, backbones, progress)
        findings = by_cost([*find_faults(data), *audit(data, sight, plan.seed).findings])
    if data.one_class_each:
        _check_classes(learning.classes, data.take(parts_of(data)[0]))
    return Looked(backbones, data, sight, findings, unasked)


def _with_parts(
    backbones: Mapping[str, Backbone], unasked: Sequence[str], task: HeadTask, plan: Plan
) -> tuple[dict[str, Backbone], list[str]]:
    """The backbones that tell of the parts that a task answers, and which were left out and why.

    Raises:
        OptionError: one that was named has no such parts, or none has.
    """
    lacking = [name for name, backbone in backbones.items() if task.grain and backbone.grain != task.grain]
    if lacking and (plan.backbone != bases.AUTO or len(lacking) == len(backbones)):
        raise no_parts(lacking[0], backbones[lacking[0]].modality)
    notes = [f"{name} was not asked: it sees a text as a whole." for name in lacking]
    return {name: b for name, b in backbones.items() if name not in lacking}, [*unasked, *notes]


def _ladder_terms(
    plan: Plan, learning: Dataset, backbone: Backbone, budget: Budget, progress: Say, engine: Engine, there: bool
) -> Terms:
    """What is tried of the strategies that move weights, and in how much time; nothing where items are gone or two."""
    moves = there and learning.modality != IMAGE_TEXT
    return Terms(
        [name for name in plan.strategies if name in MOVERS and moves], "strategies" in plan.origins,
        budget.for_training, plan.seed, progress, plan.trials, plan.budget > Plan.budget,
        checkpoints_for(plan, learning, backbone.fingerprint), engine,
    )  # fmt: skip


def _with_pool(
    frozen: Frozen, sight: FeatureSet, unlabelled: tuple[Dataset | None, Sequence[str]],
    backbones: Mapping[str, Backbone], plan: Plan, budget: Budget, progress: Say, engine: Engine,
) -> tuple[Frozen, list[str]]:  # fmt: skip
    """The frozen outcome after arms that learn from unlabelled items have faced it, and what happened."""
    pool, notes = unlabelled
    if pool is None:
        return frozen, list(notes)
    with budget.stage("pool"):
        asked = {name: backbones[name] for name in reads(frozen)}
        if not engine.here and len(pool) > SIZE:
            fill_all(pool.items, asked, engine, progress)
        pool, pool_sight = extract_all(pool, asked, progress)
        terms = PoolTerms(pool.modality, plan.seed, partial(progress, "learning from unlabelled items"))
        learned = learn_from_pool(frozen, sight, pool_sight.items, terms)
    lost = [f"{len(pool.unreadable)} unlabelled items cannot be read and are skipped."] * bool(pool.unreadable)
    metric = frozen.rows.targets.task.metrics[plan.metric]
    expected = told_for_pool(learned, metric, generator(plan.seed, "pool score"))
    return learned.frozen, [*notes, *lost, *learned.notes, *expected]


def _must_find(plan: Plan, names: Sequence[str]) -> tuple[str, float] | None:
    """Which of two classes must be found, and how much of it; None where nothing is asked.

    Raises:
        OptionError: there are more classes, or it is none of them.
    """
    if plan.must_find is None:
        return None
    name, least = must_find_of(plan.must_find)
    if len(names) != 2:
        raise OptionError(
            f"--must-find is for two classes, got {len(names)}. Leave it out, or put all that must be found into one."
        )
    if name in names:
        return name, least
    others = [other for other in names if not is_normal_name(other)]
    if len(others) == 1 and name in ("", "bad"):
        return others[0], least
    got = f"{name!r}" if name else "no class"
    raise OptionError(
        f"--must-find must name one of the classes {listed(names)}, got {got}. Write it like "
        f"{names[0]}={100 * least:g}%."
    )


def _with_cut(plan: Plan, whole: NDArray[np.float64], rows: HeadRows, model: Bundle) -> tuple[HeadRows, Bundle]:
    """Held-out rows and the model with a task that answers by a threshold, where one of two classes must be found."""
    must_find = _must_find(plan, rows.targets.names)
    if must_find is None:
        return rows, model
    task = CLASSIFICATION.finding(whole, rows.targets, must_find, rows.groups)
    return replace(rows, targets=replace(rows.targets, task=task)), replace(model, task=task)


def _unsettled(
    model: Bundle, frozen: Frozen, data: Dataset, test: Dataset, backbones: Mapping[str, Backbone], seed: int
) -> dict[str, Any]:
    """What slight changes do to the model that is shipped, and what it forgot, as scores tell it."""
    below = None if model.moved is None else packed_frozen(frozen, data, backbones)
    changes = unsettled(model, below, data, test, frozen.rows.groups, seed)
    return {"stability": changes, "kept": forgotten(model, data, seed)}


def parts_of(data: Dataset) -> tuple[list[int], list[int]]:
    """Positions of the rows to learn from and of the rows kept for the test."""
    test = [i for i, part in enumerate(data.split or ()) if part == "test"]
    kept = set(test)
    return [i for i in range(len(data)) if i not in kept], test


def _check_classes(before: Sequence[str], learning: Dataset) -> None:
    """Refuse to go on without a class whose rows to learn from turned out to be unreadable, all of them."""
    lost = sorted(set(before) - set(learning.classes))
    if lost:
        raise DataError(
            f"class {lost[0]!r} in {learning.source} has no readable row to learn from left; the first unreadable one "
            f"is {next(iter(learning.unreadable.values()))}. Repair its rows or remove the class."
        )


def _test(model: Bundle, data: Dataset, sight: FeatureSet, plan: Plan) -> Estimate:
    """The score on the rows that the source keeps for a test, of which those of one group count as they are worth."""
    moved = model.moved is not None or bool(model.task.grain)
    outputs = model.answer(data.items)[0] if moved else model.outputs_of(model.view.matrix(sight.items))
    answers, targets = model.task.against(outputs, data.labels or (), model.labels)
    groups = None if data.groups is None else np.unique(data.groups, return_inverse=True)[1]
    measured = model.task.metrics[plan.metric].of(answers[None], targets)
    return interval(measured, groups, rng=generator(plan.seed, "test"))
