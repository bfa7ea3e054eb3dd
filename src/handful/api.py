"""The verbs that join the stages: load, inspect, tune."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.choices import HEADS, MOVERS, STRATEGIES
from handful.data.dataset import Dataset
from handful.data.pool import read_pool
from handful.data.readers import load
from handful.engines import engine as engine_of
from handful.errors import DataError, OptionError, WeightsError
from handful.evaluation.intervals import Estimate, interval
from handful.evaluation.scores import Scores
from handful.evaluation.verdicts import assemble, held_out_answers
from handful.explanation import explain_doubtful
from handful.export.bundle import Bundle
from handful.export.packing import packed_frozen, packed_winner, with_reference
from handful.features.feature_set import FeatureSet, extract_all
from handful.inspection.audit import Audit, audit, examine, sample
from handful.inspection.dialogue import findings_of
from handful.inspection.findings import Finding, by_cost
from handful.inspection.profile import findings as find_faults
from handful.inspection.shift import MOST
from handful.plan import Plan
from handful.robustness import forgotten, slices_of, unsettled
from handful.run import Run, Training, checkpoints_for
from handful.seeding import generator
from handful.strategies.frozen.learning_curve import forecast
from handful.strategies.frozen.rung import Frozen, SearchTerms, climb
from handful.strategies.registry import frozen_names
from handful.strategies.tuned.ladder import Terms, ascend
from handful.tasks.base import Task
from handful.tasks.registry import TASKS
from handful.training.devices import mixed_precision_of

if TYPE_CHECKING:
    from handful.evaluation.answers import Judge
    from handful.speech import LanguageRun

__all__ = ["inspect", "load", "tune"]

logger = logging.getLogger(__name__)


class Progress(Protocol):
    """What the command line shows while something runs."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` steps of a stage are finished."""


def _silent(stage: str, done: int, total: int) -> None:
    pass


def inspect(
    source: Any,
    *,
    against: Dataset | str | Path | None = None,
    backbone: str = "auto",
    seed: int = 0,
    progress: Progress = _silent,
    **options: Any,
) -> list[Finding]:
    """Say what is wrong with labelled data, most costly first.

    Args:
        source: a Dataset, or anything that ``load`` reads.
        against: a pool of new items, to be told whether the rows look like it.
        backbone: which backbones look at the rows, as for ``tune``; ``none``: only what needs no model is said.
        seed: fixes samples and shuffles.
        progress: called with stage, rows done and rows in all.
        options: passed to ``load``.

    Returns:
        The findings; empty where nothing is wrong.

    Raises:
        DataError: the rows cannot be used at all, or the pool holds items of another modality.
        OptionError: a pool is to be looked at without a backbone.
        WeightsError: a backbone that was named is not there and cannot be fetched.
    """
    data = source if isinstance(source, Dataset) else load(source, **options)
    return list(audited(data, against=against, backbone=backbone, seed=seed, progress=progress).findings)


def audited(
    data: Dataset,
    *,
    against: Dataset | str | Path | None = None,
    backbone: str = "auto",
    seed: int = 0,
    progress: Progress = _silent,
) -> Audit:
    """``inspect`` for a Dataset, with how well each backbone suits the rows."""
    if against is not None and backbone == "none":
        raise OptionError("against= must come with a backbone that looks at the pool, got none. Leave backbone= out.")
    if data.modality == "language":
        if against is not None:
            raise OptionError("against= compares texts, images or sounds, got rows of language. Leave it out.")
        return Audit(tuple(findings_of(data)), ())
    pool = None
    if isinstance(against, Dataset):
        pool = sample(against, seed, MOST), len(against)
    elif against is not None:
        pool = read_pool(against, data.modality, MOST, generator(seed, "pool"), data.input)
    try:
        backbones = {} if backbone == "none" else load_backbones(backbone, data.modality)
    except WeightsError as error:
        if backbone != "auto" or against is not None:
            raise
        logger.warning("%s Only what needs no model is said.", error)
        backbones = {}
    return examine(data, backbones, seed, progress, pool)


def tune(
    source: Any,
    *,
    budget: float | str | None = None,
    seed: int | None = None,
    backbone: str | None = None,
    strategies: Sequence[str] | str | None = None,
    metric: str | Judge | None = None,
    anti_forgetting: str | None = None,
    carry_items: bool | None = None,
    plan: Plan | None = None,
    progress: Progress = _silent,
    **options: Any,
) -> Run | LanguageRun:
    """Make the best model that labelled items support, and say how good it is.

    Args:
        source: a Dataset, or anything that ``load`` reads.
        budget: how long you are willing to wait, in seconds or as ``"1 min"``, which is the default; 0 keeps weights
            as they are and makes the smallest search. One of more than a minute is used up where that may help.
        seed: fixes every random choice; 0 by default.
        backbone: a name, folder or hub id, or several joined by commas; by default ``auto`` compares the default ones.
        strategies: which arms to try; all frozen ones and the promising others by default.
        metric: what arms are compared by, see ``Plan.metric``; by default the first one of the task. Of answers
            ``loss`` (default), ``exact_match``, ``token_f1``, ``regex:PATTERN``, or a function of prompt, answer and
            wanted answer that gives a number from 0 to 1; of preferences a function of prompt, one answer and another
            that gives 1 where the first is better and 0 where the second is: arms are then compared by their win rate.
        anti_forgetting: what holds a language model back from forgetting: ``fade``, ``l2sp`` or ``replay``; nothing by
            default.
        carry_items: whether a few short training items go into the model, for its self-test on loading; whoever has the
            model can read them; false by default.
        plan: the resolved options, in place of the seven above.
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
        named = metric if isinstance(metric, str) else None
        given: dict[str, Any] = dict(budget=budget, seed=seed, backbone=backbone, strategies=strategies, metric=named)
        given |= dict(anti_forgetting=anti_forgetting, carry_items=carry_items or None)
        given["source"] = source if isinstance(source, str | Path) else None
        columns = {name: options.get(name) for name in ("label", "input", "group", "task")}
        given.update({name: column for name, column in columns.items() if isinstance(column, str)})
        plan = Plan.resolve(given, "argument")
    clock = _Clock()
    with clock("read"):
        data = source if isinstance(source, Dataset) else load(source, **options)
    if data.modality == "language":
        from handful.speech import tune_answers  # classifiers do without language models

        return tune_answers(data, plan, progress, metric if callable(metric) else None)
    if data.labels is None:
        raise DataError(f"{data.source} must have labels to learn from, got none. Name the column with label=.")
    task = TASKS[data.task]
    if "metric" not in plan.origins:
        plan = replace(plan, metric=task.headline.name)
    _check_follows(plan, task, callable(metric))
    _check_reads(plan, data)
    return _tune_labelled(data, plan, task, progress, clock)


def _check_follows(plan: Plan, task: Task, judged: bool) -> None:
    """Refuse options that labelled items of a task cannot follow."""
    answers = [name for name in plan.strategies if name not in STRATEGIES]
    if answers:
        raise OptionError(
            f"strategies {', '.join(answers)} must be given rows with answers (prompt and response), got labelled "
            "items. Leave them out, or learn to write the labels with modality='language' (--as language)."
        )
    if plan.anti_forgetting:
        raise OptionError(
            f"anti-forgetting {plan.anti_forgetting} is for language models, got labelled items. Leave it out; "
            "strategies soup and wise do the like."
        )
    if judged or plan.metric not in task.metrics:
        got = "a function" if judged else repr(plan.metric)
        raise OptionError(f"metric of {task.name} must be one of {', '.join(task.metrics)}, got {got}. Choose one.")
    if "distilled" in plan.strategies and "strategies" in plan.origins and not task.distils:
        raise OptionError(f"strategy distilled learns probabilities of classes, got {task.name}. Leave it out.")
    known = [name for name in HEADS if name in frozen_names(task)]
    others = [name for name in plan.strategies if name in HEADS and name not in known]
    if others and not set(HEADS) <= set(plan.strategies):
        raise OptionError(
            f"strategies {', '.join(others)} are not for {task.name}. Choose among {', '.join(known)} and those that "
            "move weights."
        )


def _check_reads(plan: Plan, data: Dataset) -> None:
    """Refuse strategies that cannot read the items."""
    if data.pairs and "strategies" in plan.origins and (movers := [name for name in plan.strategies if name in MOVERS]):
        raise OptionError(
            f"strategies {', '.join(movers)} read one text, got pairs of texts from {data.source}. Leave them out."
        )


def _tune_labelled(data: Dataset, plan: Plan, task: Task, progress: Progress, clock: _Clock) -> Run:
    """``tune`` for labelled items."""
    engine = engine_of(plan.engine)
    train, test = _parts(data)
    task.read(data.take(train).labels or (), data.source)  # what nothing can be learned from is refused at once
    with clock("load"):
        backbones = load_backbones(plan.backbone, data.modality)
    with clock("extract"):
        given_classes = data.take(train).classes
        data, sight = extract_all(data, backbones, progress)
        findings = by_cost([*find_faults(data), *audit(data, sight, plan.seed).findings])
    train, test = _parts(data)
    learning = data.take(train)
    if data.one_class_each:
        _check_classes(given_classes, learning)
    # The names of classes that only test rows have are left out: there is nothing to learn them from.
    named = [i for i, name in enumerate(data.classes) if name in set(learning.classes)]

    seen = sight.take(train).take_classes(named)
    targets = task.read(learning.labels or (), learning.source)
    with clock("select"):
        terms = SearchTerms(plan.strategies, plan.budget, plan.seed, engine, partial(progress, "comparing heads"))
        frozen = climb(targets, learning, seen, terms)
    base = frozen.model.view.backbones[0]
    with clock("train"):
        wanted = [name for name in plan.strategies if name in MOVERS]
        left = plan.budget - sum(clock.seconds.values())
        above_terms = Terms(
            wanted, "strategies" in plan.origins, left, plan.seed, progress, plan.trials, plan.budget > Plan.budget,
            checkpoints_for(plan, learning, backbones[base].fingerprint),
        )  # fmt: skip
        above = ascend(learning, backbones[base], frozen, above_terms)
    with clock("curve"):
        curve = forecast(frozen, seen, generator(plan.seed, "curve"))
    with clock("fit"):
        model = packed_winner(above, frozen, learning, seen, backbones)
        tested = _test(model, data.take(test), sight.take(test), plan) if test else None
        whole = frozen.whole if above.whole is None else above.whole
        chosen = frozen.arm if above.chosen is None else above.chosen.name
        scores = assemble(
            above.arms, whole, chosen, replace(frozen.rows, folds=0 if above.whole is None else frozen.few.count),
            metric=task.metrics[plan.metric], protocol=frozen.protocol if above.whole is None else frozen.few.protocol,
            rng=generator(plan.seed, "bootstrap"), curve=curve,
        )  # fmt: skip
    scores = scores if tested is None else scores.tested(tested, len(test))
    model = with_reference(model, frozen, whole, backbones, learning.items if plan.carry_items else ())
    answers = held_out_answers(whole, frozen.rows)
    # What changes and hidden parts do to answers is told to the percent, for which rounded products will do.
    with clock("checks"), mixed_precision_of(backbones[base]):
        scores = replace(scores, slices=slices_of(learning, whole, frozen.rows, plan.seed))
        if plan.budget:
            scores = _unsettled(scores, model, frozen, learning, data.take(test), backbones, plan.seed)
        explained = explain_doubtful(model, learning, answers) if plan.budget else {}
    scores = replace(scores, seconds=clock.seconds)
    notes = (f"{len(frozen.found.outcomes)} settings were compared on the same folds.", *above.notes)
    return Run(
        learning, plan, tuple(findings), scores, answers, model, notes,
        tuple(Training.of(rung) for rung in above.rungs), tuple(trial.record() for trial in above.trials), explained,
    )  # fmt: skip


def _unsettled(
    scores: Scores, model: Bundle, frozen: Frozen, data: Dataset, test: Dataset, backbones: Mapping[str, Backbone],
    seed: int,
) -> Scores:  # fmt: skip
    """The scores with what slight changes do to the model that is shipped, and what it forgot."""
    below = None if model.moved is None else packed_frozen(frozen, data, backbones)
    changes = unsettled(model, below, data, test, frozen.rows.groups, seed)
    return replace(scores, stability=changes, kept=forgotten(model, data, seed))


class _Clock:
    """How long each stage took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start


def load_backbones(wanted: str, modality: str) -> dict[str, Backbone]:
    """Load what ``--backbone`` names: one, several joined by commas, or ``auto`` for the default ones."""
    given = [name.strip() for name in wanted.split(",") if name.strip()]
    names = catalog.defaults(modality) if wanted == "auto" else [catalog.located(name) for name in given]
    device = default_device()
    return {name: catalog.load(name, modality).to(device) for name in names}


def _parts(data: Dataset) -> tuple[list[int], list[int]]:
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
    moved = model.moved is not None
    outputs = model.answer(data.items)[0] if moved else model.outputs_of(model.view.matrix(sight.items))
    answers, targets = model.task.against(outputs, data.labels or (), model.labels)
    return interval(model.task.metrics[plan.metric].of(answers[None], targets), rng=generator(plan.seed, "test"))
