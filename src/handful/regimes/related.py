"""Related sets: weights move on labelled rows of another set first, and held-out rows of the own set decide.

Rows that say of other items something like what is asked (reviews of another product, news of another country, tickets
of another desk) teach a backbone what to tell apart. Trained on them, it is one more base beside those of the run:
inside every fold it is taken only where the rows to learn from speak for it, as any backbone is.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from handful.backbones.adapted_record import is_base
from handful.backbones.base import Backbone
from handful.budget import Budget
from handful.data.cells import shown
from handful.data.columns import Wanted
from handful.data.dataset import CLASSIFIED, Dataset, item_hash
from handful.data.image_text import IMAGE_TEXT
from handful.data.items import PLURAL
from handful.data.several import load_part
from handful.data.vectors import VECTORS
from handful.errors import DataError, OptionError
from handful.features import bases
from handful.plan import Plan
from handful.progress import Say
from handful.regimes.moved_base import Trained, original_of, saved_base
from handful.seeding import generator
from handful.strategies.tuned.activation_cache import activations_for
from handful.strategies.tuned.fit import adapt
from handful.strategies.tuned.methods.supcon import SupCon
from handful.tasks.registry import head_task
from handful.training.loop import Update

FOLDER = Path("bases")
"""Where bases lie that runs begin from."""
FEWEST = 20
"""Fewer rows than this teach next to nothing that the own rows do not say."""
MOST = 1000
"""At most so many rows are learned from, an even sample."""
SHARE = 0.5
"""The part of the budget that reading them and moving weights may take."""

_METHOD = SupCon(updates=60, batch=32, label_name_weight=0)


def with_related(data: Dataset, plan: Plan, budget: Budget, progress: Say) -> tuple[Plan, list[str]]:
    """The plan with one more base, which has learned from the related set that the plan names.

    Args:
        data: the own rows; what they hold of the related set is not learned from.
        plan: the resolved options.
        budget: of the run.
        progress: told how far things are.

    Returns:
        The plan, and what happened, one sentence each.

    Raises:
        DataError: the related set cannot be used.
        OptionError: there is no use for one here.
        WeightsError: a backbone is not there and cannot be fetched.
        TrainingError: the training ran away.
    """
    assert plan.related is not None
    _check(data, plan)
    with budget.stage("read"):
        other, left_out = _others(load_part(plan.related, Wanted(modality=data.modality)), data, plan.seed)
    names = bases.named(plan.backbone, data.modality, data.items)
    with budget.stage("load"):
        original = original_of(
            names[0] if plan.backbone != bases.AUTO else bases.AUTO, data.modality, data.items, progress
        )
    place = FOLDER / f"{Path(plan.related).stem or 'related'}-{_name(other, original, plan.seed)}"
    notes = list(left_out)
    if is_base(place):
        notes.append(f"{shown(str(place))} has learned from {shown(plan.related)} already.")
    else:
        with budget.stage("train"):
            learned = _learned(other, original, plan.seed, budget, progress)
            recipe = _METHOD.recipe()
            saved_base(place, original, recipe.first(original), recipe.objective, learned, plan.seed)
        notes.append(
            f"{original.name} learned from {learned.items:,} rows of {shown(plan.related)} in {len(learned.log)} "
            f"updates; as {shown(str(place))} it is one more backbone, taken where held-out rows gain."
        )
    return replace(plan, backbone=",".join([*names, str(place)])), notes


def _check(data: Dataset, plan: Plan) -> None:
    """Refuse rows for which a related set is no use."""
    if data.modality not in CLASSIFIED or data.pairs or head_task(data.task).grain:
        known = PLURAL[data.modality] if data.modality in (VECTORS, IMAGE_TEXT) else "answers in words"
        what = "pairs of texts" if data.pairs else data.task if data.modality in CLASSIFIED else known
        raise OptionError(f"--with is for labelled texts, pictures and sounds, got {what}. Leave it out.")
    if not plan.budget:
        raise OptionError("--with moves weights, which takes time, got a budget of 0. Leave --budget out, or --with.")


def _others(other: Dataset, own: Dataset, seed: int) -> tuple[Dataset, list[str]]:
    """The training rows of a related set that are none of the own ones, at most ``MOST``; and what was left out."""
    if other.labels is None:
        raise DataError(f"{other.source} must be labelled to be learned from, got none. Use --unlabelled for it.")
    if head_task(other.task).grain:
        raise OptionError(f"--with is for sets with labels of whole items, got {other.task}. Leave it out.")
    known = {item_hash(item) for item in own.items}
    rows = [i for i, item in enumerate(other.items) if item_hash(item) not in known]
    notes = []
    if shared := len(other) - len(rows):
        notes.append(f"{shared:,} rows of {other.source} are among your own, and are not learned from there.")
    rows = [i for i in rows if other.split is None or other.split[i] != "test"]
    if len(rows) < FEWEST:
        raise DataError(
            f"{other.source} must have at least {FEWEST} rows that are none of your own, got {len(rows)}. Name a "
            "larger set, or leave --with out."
        )
    if len(rows) > MOST:
        some = generator(seed, "related").permutation(len(rows))[:MOST]
        notes.append(f"Of {len(rows):,} rows of {other.source} an even sample of {MOST:,} is learned from.")
        rows = [rows[i] for i in np.sort(some)]
    return other.take(rows), notes


def _learned(other: Dataset, original: Backbone, seed: int, budget: Budget, progress: Say) -> Trained:
    """Weights moved so that rows of one label look alike."""
    recipe = replace(_METHOD.recipe(), settings=replace(_METHOD.recipe().settings, seed=seed))
    targets = head_task(other.task).read(other.labels or (), other.source)
    activations = activations_for(original, other.items, other.classes, recipe)

    def tick(update: Update, total: int) -> bool:
        progress("learning from the related set", update.number + 1, total)
        return budget.elapsed > SHARE * budget.seconds

    done = adapt(activations, np.arange(len(other)), targets, recipe, progress=tick)
    return Trained(done.delta, done.log, len(other), ())


def _name(other: Dataset, original: Backbone, seed: int) -> str:
    """What tells a base from others that learned from other rows, or otherwise."""
    rows = [item_hash(item) for item in other.items], list(other.labels or ())
    same = repr((rows, other.task, original.fingerprint, _METHOD.recipe(), seed))
    return hashlib.sha256(same.encode()).hexdigest()[:10]
