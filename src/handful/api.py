"""The verbs that join the stages: load, inspect, tune."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.budget import Budget
from handful.data.dataset import Dataset
from handful.data.pool import read_pool
from handful.data.readers import load
from handful.errors import OptionError, WeightsError
from handful.features import bases
from handful.inspection.audit import Audit, examine, sample
from handful.inspection.dialogue import findings_of
from handful.inspection.findings import Finding
from handful.inspection.shift import MOST
from handful.plan import Plan
from handful.progress import Say, silent
from handful.run import Run
from handful.seeding import generator
from handful.tune_items import tune_items

if TYPE_CHECKING:
    from handful.tasks.generation.metrics import Judge

__all__ = ["inspect", "load", "tune"]

logger = logging.getLogger(__name__)


def inspect(
    source: Any,
    *,
    against: Dataset | str | Path | None = None,
    backbone: str = "auto",
    seed: int = 0,
    progress: Say = silent,
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


def tune(
    source: Any,
    *,
    budget: float | str | Budget | None = None,
    seed: int | None = None,
    backbone: str | None = None,
    strategies: Sequence[str] | str | None = None,
    metric: str | Judge | None = None,
    anti_forgetting: str | None = None,
    carry_items: bool | None = None,
    unlabelled: Any = None,
    plan: Plan | None = None,
    progress: Say = silent,
    **options: Any,
) -> Run:
    """Make the best model that labelled items support, and say how good it is.

    Args:
        source: a Dataset, or anything that ``load`` reads.
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
        carry_items: whether a few short training items go into the model, for its self-test on loading; whoever has the
            model can read them; false by default.
        unlabelled: items like the labelled ones that have no labels, to learn from too: a path, a Dataset or a list.
        plan: the resolved options, in place of the eight above.
        progress: called with stage, steps done and steps in all.
        options: passed to ``load``.

    Returns:
        The run: scores with intervals, findings, and the model fitted on all rows.

    Raises:
        DataError: the rows cannot be used; the message says which and why.
        OptionError: an option cannot work.
        WeightsError: a backbone is not there and cannot be fetched.
    """
    else_given = {
        "seed": seed, "backbone": backbone, "strategies": strategies, "anti_forgetting": anti_forgetting,
        "carry_items": carry_items, "unlabelled": unlabelled,
    }  # fmt: skip
    twice = [name for name, value in else_given.items() if value is not None]
    if plan is not None and twice:
        raise OptionError(f"{', '.join(twice)} must be given in the plan, got both. Leave them out, or the plan.")
    if plan is None:
        named = metric if isinstance(metric, str) else None
        spend = budget.seconds if isinstance(budget, Budget) else budget
        given: dict[str, Any] = dict(budget=spend, seed=seed, backbone=backbone, strategies=strategies, metric=named)
        given |= dict(anti_forgetting=anti_forgetting, carry_items=carry_items or None)
        given["source"] = source if isinstance(source, str | Path) else None
        given["unlabelled"] = unlabelled if isinstance(unlabelled, str | Path) else None
        columns = {name: options.get(name) for name in ("label", "input", "group", "task")}
        given.update({name: column for name, column in columns.items() if isinstance(column, str)})
        plan = Plan.resolve(given, "argument")
    clock = budget if isinstance(budget, Budget) else Budget(plan.budget)
    with clock.stage("read"):
        data = source if isinstance(source, Dataset) else load(source, **options)
    if data.modality == "language":
        if unlabelled is not None or plan.unlabelled is not None:
            raise OptionError(
                "unlabelled items teach heads on frozen features, got rows for a language model. Leave unlabelled out."
            )
        from handful.tune_answers import tune_answers  # items with labels do without language models

        return tune_answers(data, plan, clock, progress, metric if callable(metric) else None)
    pool = plan.unlabelled if unlabelled is None else unlabelled
    return tune_items(data, plan, clock, progress, callable(metric), pool)
