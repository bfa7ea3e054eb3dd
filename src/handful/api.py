"""The verbs that join the stages: load, inspect, tune, predict."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.atomic import check_replaceable
from handful.budget import Budget
from handful.data.columns import Wanted
from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT
from handful.data.input_column import joined
from handful.data.items import PLURAL
from handful.data.pool import read_pool
from handful.data.readers import load
from handful.data.several import are_sources, load_several
from handful.data.streams import stream
from handful.data.targets import BOXES, DEFECTS, MASKS
from handful.data.vectors import VECTORS
from handful.errors import DataError, OptionError, WeightsError
from handful.export.bundle import Bundle
from handful.export.detector import Detector
from handful.export.finder import Finder
from handful.export.heads import Heads
from handful.export.segmenter import Segmenter
from handful.features import bases
from handful.inspection.audit import Audit, examine, sample
from handful.inspection.dialogue import findings_of
from handful.inspection.findings import Findings
from handful.inspection.shift import MOST
from handful.keywords import known_keywords
from handful.notebook_progress import notebook_progress
from handful.plan import Plan
from handful.progress import Say, silent
from handful.run import Run, opened
from handful.seeding import generator
from handful.tune_items import tune_items
from handful.tune_targets import HeadsRun
from handful.versions import PARTS, check_versions

if TYPE_CHECKING:
    from handful.export.language_model import LanguageModel
    from handful.tasks.generation.metrics import Judge

__all__ = ["inspect", "load", "predict", "tune"]

logger = logging.getLogger(__name__)


@known_keywords
def inspect(
    source: Any,
    labels: Sequence[Any] | None = None,
    *,
    label: str | None = None,
    input: str | Sequence[str] | None = None,  # noqa: A002 - the name of the option
    group: str | Sequence[Any] | None = None,
    split: str | Sequence[Any] | None = None,
    modality: str | None = None,
    task: str | None = None,
    features: Any = None,
    against: Dataset | str | Path | None = None,
    backbone: str = "auto",
    seed: int = 0,
    progress: Say | None = None,
) -> Findings:
    """Say what is wrong with labelled data, most costly first.

    Args:
        source: a Dataset, or anything that ``load`` reads.
        labels: the N labels of a list or DataFrame, as for ``load``.
        label: the column of the labels in a table; guessed where that is safe.
        input: the column of the texts or of the names of the files, or two, as for ``load``; guessed where safe.
        group: the column that says which rows belong together, or the N groups of a list.
        split: the column that says train or test, or N of these for a list.
        modality: text, image or sound, where the source holds several; language for rows with answers.
        task: what the labels are; guessed where that is safe.
        features: vectors that another program made of the items, as for ``load``.
        against: a pool of new items, to be told whether the rows look like it.
        backbone: which backbones look at the rows, as for ``tune``; ``none``: only what needs no model is said.
        seed: fixes samples and shuffles.
        progress: called with stage, rows done and rows in all; by default a line in a notebook, else nothing.

    Returns:
        The findings; empty where nothing is wrong.

    Raises:
        DataError: the rows cannot be used at all, or the pool holds items of another modality.
        OptionError: an option cannot work, or a pool is to be looked at without a backbone.
        WeightsError: a backbone that was named is not there and cannot be fetched.
    """
    columns = dict(
        label=label, input=joined(input), group=group, split=split, modality=modality, task=task, features=features
    )
    data = _read(source, labels, columns)
    say = notebook_progress() if progress is None else progress
    return Findings(audited(data, against=against, backbone=backbone, seed=seed, progress=say).findings)


def _read(source: Any, labels: Sequence[Any] | None, columns: Mapping[str, Any]) -> Dataset:
    """A source as a Dataset.

    Args:
        source: a Dataset, which nothing more can be said of, several paths, or anything that ``load`` reads.
        labels: the labels of a list or a DataFrame.
        columns: the other options of ``load``.
    """
    if labels is None and are_sources(source):
        return load_several(source, Wanted(**columns))
    if not isinstance(source, Dataset):
        return load(source, labels, **columns)
    given = [name for name, value in {"labels": labels, **columns}.items() if value is not None]
    if given:
        raise OptionError(f"{', '.join(given)} say how a source is read, got a Dataset. Give them to load.")
    return source


def audited(
    data: Dataset,
    *,
    against: Dataset | str | Path | None = None,
    backbone: str = "auto",
    seed: int = 0,
    progress: Say = silent,
) -> Audit:
    """``inspect`` for a Dataset, with how well each backbone suits the rows."""
    if against is not None and backbone == "none":
        raise OptionError("against= must come with a backbone that looks at the pool, got none. Leave backbone= out.")
    if data.modality == "language":
        if against is not None:
            raise OptionError("against= compares texts, images or sounds, got rows of language. Leave it out.")
        if backbone not in ("auto", "none"):
            raise OptionError(
                f"backbone {backbone} must look at texts, images or sounds, got rows of language, of which "
                "everything is said without a model. Leave it out."
            )
        return Audit(tuple(findings_of(data)), ())
    pool = None
    if isinstance(against, Dataset):
        pool = sample(against, seed, MOST), len(against)
    elif against is not None:
        pool = read_pool(against, data.modality, MOST, generator(seed, "pool"), data.input)
    try:
        backbones = {} if backbone == "none" else bases.cheapest(backbone, data.modality, data.items, progress)
    except WeightsError as error:
        if backbone != "auto" or against is not None:
            raise
        logger.warning("%s Only what needs no model is said.", error)
        backbones = {}
    return examine(data, backbones, seed, progress, pool)


@known_keywords
def tune(
    source: Any,
    labels: Sequence[Any] | None = None,
    *,
    label: str | None = None,
    input: str | Sequence[str] | None = None,  # noqa: A002 - the name of the option
    group: str | Sequence[Any] | None = None,
    split: str | Sequence[Any] | None = None,
    modality: str | None = None,
    task: str | None = None,
    features: Any = None,
    unlabelled: Any = None,
    related: str | Path | None = None,
    budget: float | str | Budget | None = None,
    seed: int | None = None,
    backbone: str | None = None,
    strategies: Sequence[str] | str | None = None,
    metric: str | Judge | None = None,
    anti_forgetting: str | None = None,
    trials: int | None = None,
    engine: str | None = None,
    false_alarms: float | str | None = None,
    must_find: float | str | None = None,
    carry_items: bool | None = None,
    out: str | Path | None = None,
    resume: bool | None = None,
    plan: Plan | None = None,
    progress: Say | None = None,
) -> Run:
    """Make the best model that labelled items support, and say how good it is.

    Args:
        source: a Dataset, or anything that ``load`` reads: ``tune("tickets.csv")``, ``tune(texts, topics)``; or a list
            of several paths, whose rows are put together.
        labels: the N labels of a list, an array or a DataFrame, as for ``load``.
        label: the column that holds the labels, or several of 0 and 1 joined by commas; guessed where that is safe.
        input: the column that holds the texts or the names of the files, or two, as for ``load``; guessed where safe.
        group: the column that says which rows belong together, or the N groups of a list; such rows are never split.
        split: the column that says train or test, or N of these for a list.
        modality: text, image or sound, where the source holds several; language, where a model is to write answers.
        task: what the labels are: classification, multilabel, ordinal, regression, defects (normal items, and a few
            bad ones) or masks (pictures with the class of every pixel); guessed where that is safe.
        features: vectors that another program made of the items of a table of labels: a file, an array (N, D) or a
            DataFrame, joined by the column ``input`` of IDs or by order; or ``"columns"``: those of the table itself.
            Vectors alone are a source as well: ``tune(vectors, labels)``.
        unlabelled: items like the labelled ones that have no labels, to learn from too: a path, a Dataset or a list.
        related: a labelled set of something related, as a path: weights move on it first, which is taken where held-out
            rows gain; see ``handful.regimes.related``.
        budget: how long you are willing to wait, in seconds or as ``"1 min"``, which is the default; 0 keeps weights
            as they are and makes the smallest search. One of more than a minute is used up where that may help. A
            ``Budget`` is one whose time runs already.
        seed: fixes every random choice; 0 by default.
        backbone: a name, folder or hub id, or several joined by commas; by default ``auto`` compares the default ones.
        strategies: which arms to try; all frozen ones and the promising others by default.
        metric: what arms are compared by, see ``Plan.metric``; by default the first one of the task. Of answers
            ``loss`` (default), ``exact_match``, ``token_f1``, ``regex:PATTERN``, or a function of prompt, answer and
            wanted answer that gives a number from 0 to 1; of preferences a function of prompt, one answer and another
            that gives 1 where the first is better and 0 where the second is: arms are then compared by their win rate.
        anti_forgetting: what holds a language model back from forgetting: ``fade``, ``l2sp`` or ``replay``; nothing by
            default.
        trials: how many further settings of the strategies that move weights to try within the budget; 0 by default.
        engine: where the fits run: ``inline`` (here, the default), ``processes`` or ``ray``.
        false_alarms: of normal items, the share that may raise a false alarm, such as 0.05 or ``"5%"``, the default.
        must_find: of bad items, or of one of two classes, the share that must be found, such as 0.95, ``"95%"`` or
            ``"bad=99%"``: chooses the threshold.
        carry_items: whether a few short training items go into the model, for its self-test on loading; whoever has the
            model can read them; false by default.
        out: the run folder to write, with scores, report and model; by default nothing is written: ``Run.save`` does.
        resume: whether to go on from where an interrupted call with the same ``out`` stood; false by default.
        plan: the resolved options, in place of all those from ``label`` to ``resume``; what it says of ``out`` is only
            where trainings keep their state.
        progress: called with stage, steps done and steps in all; by default a line in a notebook, else nothing.

    Returns:
        The run: scores with intervals, findings, and the model fitted on all rows.

    Raises:
        DataError: the rows cannot be used; the message says which and why.
        OptionError: an option cannot work.
        MachineError: ``out`` cannot be written.
        WeightsError: a backbone is not there and cannot be fetched.
    """
    given: dict[str, Any] = dict(
        seed=seed, backbone=backbone, strategies=strategies, anti_forgetting=anti_forgetting, trials=trials,
        engine=engine, carry_items=carry_items or None, out=out, resume=resume or None,
        budget=budget.seconds if isinstance(budget, Budget) else budget,
        metric=None if callable(metric) else metric, false_alarms=false_alarms,
        must_find=None if must_find is None else str(must_find),
        source=source if isinstance(source, str | Path) else None,
        sources=list(source) if labels is None and are_sources(source) else None,
        unlabelled=unlabelled if isinstance(unlabelled, str | Path) else None, related=related,
        features=features if isinstance(features, str | Path) else None,
    )  # fmt: skip
    columns = dict(
        label=label, input=joined(input), group=group, split=split, modality=modality, task=task, features=features
    )
    in_plan = {n: value for n, value in columns.items() if n in ("label", "input", "group", "task", "features")}
    given |= {name: value for name, value in in_plan.items() if isinstance(value, str)}
    if plan is None:
        plan = Plan.resolve(given, "argument")
    else:
        _check_once(given, plan, budget, unlabelled)
        columns |= {name: found for name in in_plan if (found := getattr(plan, name)) is not None}
        columns = {} if isinstance(source, Dataset) else columns
    if out is not None:
        check_replaceable(Path(out), PARTS[0])
        check_versions(Path(out))
    clock = budget if isinstance(budget, Budget) else Budget(plan.budget)
    with clock.stage("read"):
        data = _read(source, labels, columns)
    say = notebook_progress() if progress is None else progress
    if plan.related is not None and (data.modality == "language" or data.task in (DEFECTS, MASKS)):
        got = "rows for a language model" if data.modality == "language" else data.task
        raise OptionError(f"--with is for labelled texts, pictures and sounds, got {got}. Leave it out.")
    if data.modality == "language":
        if unlabelled is not None or plan.unlabelled is not None:
            raise OptionError(
                "unlabelled items teach heads on frozen features, got rows for a language model. Leave unlabelled out."
            )
        from handful.tune_answers import tune_answers  # items with labels do without language models

        run = tune_answers(data, plan, clock, say, metric if callable(metric) else None)
    elif data.task in (DEFECTS, MASKS, BOXES):
        if data.modality in (VECTORS, IMAGE_TEXT):
            raise OptionError(
                f"defects are found in pictures, sounds and texts, got {PLURAL[data.modality]} in {data.source}. Learn "
                "classes with --task classification."
            )
        if callable(metric) or unlabelled is not None:
            given_beside = "unlabelled" if unlabelled is not None else "metric"
            got = {DEFECTS: "normal items", MASKS: "pictures with masks", BOXES: "pictures with boxes"}[data.task]
            raise OptionError(f"{given_beside}= is for labelled items, got {got}. Leave it out.")
        run = _tuned_parts(data, plan, clock, say)
    else:
        pool = plan.unlabelled if unlabelled is None else unlabelled
        run = tune_items(data, plan, clock, say, callable(metric), pool)
    if out is not None:
        run.save(out)
    return run


def _tuned_parts(data: Dataset, plan: Plan, clock: Budget, say: Say) -> Run:
    """Learn what normal items, the pixels of each class, or things look like; each loads what it needs alone."""
    if data.task == DEFECTS:
        from handful.tune_defects import tune_defects

        return tune_defects(data, plan, clock, say)
    if data.task == BOXES:
        from handful.tune_boxes import tune_boxes

        return tune_boxes(data, plan, clock, say)
    from handful.tune_masks import tune_masks

    return tune_masks(data, plan, clock, say)


def _check_once(given: Mapping[str, Any], plan: Plan, budget: Any, unlabelled: Any) -> None:
    """Refuse options beside a plan, which holds them; a Budget is what is left of the plan's own."""
    beside = {**given, "unlabelled": unlabelled, "source": None, "sources": None}
    beside["budget"] = None if isinstance(budget, Budget) else budget
    twice = [name for name, value in beside.items() if value is not None]
    if twice:
        raise OptionError(f"{', '.join(twice)} must be given in the plan, got both. Leave them out, or the plan.")


@known_keywords
def predict(
    run: Run | HeadsRun | Bundle | Heads | LanguageModel | Detector | Segmenter | Finder | str | Path,
    source: Any,
    *,
    input: str | Sequence[str] | None = None,  # noqa: A002 - the name of the option
    progress: Say | None = None,
) -> list[Any]:
    """Answer items, or every row of a file or folder, in their order.

    ``handful predict`` on a terminal writes them to a table, with how sure each answer is, and goes on where a row
    cannot be read.

    Args:
        run: a Run, a model, or the folder of one; of several targets an answer is a dictionary.
        source: a list of items as ``Run.predict`` takes it, or a folder, table, text file or single picture or sound.
        input: the column that holds the items, or two; what was used in training by default.
        progress: called with stage, rows done and 0; by default a line in a notebook, else nothing.

    Returns:
        N answers as ``Run.predict`` gives them.

    Raises:
        DataError: an item cannot be read.
        OptionError: ``input`` is given for a list.
        BundleError: there is no such model, or it is damaged.
    """
    model = run.model if isinstance(run, Run | HeadsRun) else opened(run) if isinstance(run, str | Path) else run
    if isinstance(model, Bundle | Heads | Detector | Segmenter | Finder) and model.warning:
        logger.warning(model.warning)
    if not isinstance(source, str | Path):
        if input is not None:
            raise OptionError("input= names a column of a file, got a list of items. Leave it out.")
        return list(model.predict(source))
    say, answers = notebook_progress() if progress is None else progress, list[Any]()
    modality, column = "language", joined(input)
    if isinstance(model, Bundle | Heads | Detector | Segmenter | Finder):
        modality, column = model.modality, joined(input) or model.input
    for chunk in stream(source, modality=modality, input=column):
        if chunk.failed:
            row = min(chunk.failed)
            raise DataError(f"{chunk.told(chunk.rows.index(row))} cannot be read: {chunk.failed[row]}.")
        answers += model.predict(chunk.items)
        say("answering", len(answers), 0)
    return answers
