"""Learning on without the old rows: a model's own features of them stand in for the rows, beside those of new ones.

What a frozen model learned from a row is all in what its backbones saw in it, which its bundle keeps (``Reference``).
Fitted on these features and those of new rows, a head is the one that all rows together would give, in whatever order
they came, up to the half precision in which features are kept; no memory of the head itself is needed. That holds as
long as all rows are kept: of more than ``MOST`` rows of the first run, and of more than ``MOST_WITHOUT_ROWS`` later on,
an even part stands for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful.backbones.base import Backbone
from handful.budget import Budget
from handful.data.cells import shown
from handful.data.dataset import Dataset
from handful.data.kept import KeptItem
from handful.engines import engine as engine_of
from handful.errors import DataError, OptionError
from handful.export.bundle import Bundle
from handful.features.cache import user_cache
from handful.features.extract import extract
from handful.features.feature_set import FeatureSet, telling_names
from handful.features.view import Matrix, View
from handful.plan import Plan
from handful.progress import Say
from handful.run import Run, saved_inputs
from handful.run_rows import LearnedRows
from handful.tasks.registry import head_task
from handful.tune_items import Looked, tune_seen


@dataclass(frozen=True)
class KeptRows:
    """What a model keeps of the rows that it learned from."""

    data: Dataset
    """M rows whose items are gone, with their labels."""
    features: Matrix
    """(M, D) what was seen in them, the parts of the view of the reference joined."""
    learned: int
    """Of how many rows these are an even part."""


def kept_rows(folder: Path, model: Bundle) -> KeptRows:
    """Take from a run what it keeps of its rows.

    Args:
        folder: the run folder.
        model: its model.

    Raises:
        OptionError: the model cannot learn on without its rows; the message says why.
        BundleError: it keeps nothing of them.
    """
    if why := why_not(model):
        raise OptionError(f"learning on without the old rows is for frozen models of whole items: {why}.")
    reference = model.known_rows()
    learned, inputs = LearnedRows.read(folder), saved_inputs(folder, plain=False)
    known = {} if learned is None else {one.row: one for one in learned.rows}
    items, groups = [], list[str]()
    for row in reference.places.tolist():
        one = known.get(row)
        digest = one.item if one is not None and one.item else f"row {row} of {folder}"
        items.append(KeptItem(inputs.get(row, f"row {row}"), digest))
        groups.append(one.group if one is not None and one.group is not None else f"(row {row})")
    data = Dataset(
        items=items,
        modality=model.modality,
        labels=tuple(model.task.wanted(reference.targets)),
        groups=tuple(groups) if any(one.group is not None for one in known.values()) else None,
        rows=tuple(reference.places.tolist()),
        source=f"the run {shown(str(folder))}",
        input=model.input,
        task=model.task.name,
        label_type=model.label_type,
        target=model.target,
        targets=model.targets,
        group=model.group,
    )
    return KeptRows(data, reference.rows.astype(np.float32), len(reference.misfit))


def why_not(model: Bundle) -> str:
    """Why a model cannot learn on without its rows; empty where it can."""
    if model.reference is None:
        return "this one keeps nothing of them"
    if model.task.grain:
        return f"{model.task.name} learns from parts of items, of which the model keeps nothing"
    if model.moved is not None:
        known = "what they see in rows that they know tells nothing of others"
        return f"weights of this one moved, and {known}. Tune with --budget 0"
    if model.pairs:
        return "this one reads pairs of texts"
    if any(model.backbone(name).counts for name in model.view.backbones):
        return "this one reads a backbone that counts what stands in an item, whose rare words are not known any more"
    return ""


def learn_on(
    rows: Dataset, origin: Sequence[int], memory: KeptRows, model: Bundle, plan: Plan, budget: Budget, progress: Say
) -> Run:
    """Learn from kept rows and new ones.

    Args:
        rows: N rows, kept ones and new ones together.
        origin: (N,) 0 for kept rows.
        memory: what the model keeps of them.
        model: whose backbones look at the new rows.
        plan: the resolved options; no weight moves.
        budget: the time of the run.
        progress: told how far things are.

    Raises:
        DataError: a new item cannot be read.
    """
    view = model.known_rows().view
    backbones = {name: model.backbone(name) for name in view.backbones}
    old, fresh = ([i for i, at in enumerate(origin) if bool(at) is new] for new in (False, True))
    place = {row: i for i, row in enumerate(memory.data.rows)}
    with budget.stage("extract"):
        known = memory.features[[place[rows.rows[i]] for i in old]]  # (old, sum of widths)
        sights, names = _seen([rows.items[i] for i in fresh], rows, backbones, view)
        if failed := sights.failed:
            at = fresh[min(failed)]
            raise DataError(f"{rows.called(at)} cannot be read: {failed[min(failed)]}. Leave it out.")
        widths = [sights.matrices[part].shape[1] for part in view.parts]
        split = np.split(known, np.cumsum(widths)[:-1], axis=1)
        items = {
            part: _joined(own, sights.matrices[part], old, fresh) for part, own in zip(view.parts, split, strict=True)
        }
    note = f"The {len(old):,} old rows are gone: what the model keeps of them was learned from, and no weight moved."
    if memory.learned > len(memory.data):
        note += f" It keeps {len(memory.data):,} of {memory.learned:,} rows."
    sight = FeatureSet(items, names, {name: view.depths_of(name) for name in view.backbones})
    looked = Looked(backbones, rows, sight, notes=[note], there=False)
    with engine_of(plan.engine) as engine:
        return tune_seen(looked, plan, head_task(rows.task), budget, progress, engine)


@dataclass(frozen=True)
class _Seen:
    """What the backbones of a view see in new items."""

    matrices: Mapping[tuple[str, int], Matrix]
    """(backbone, depth) → (Q, D)."""
    failed: Mapping[int, str]
    """Position → why it cannot be read."""


def _seen(
    items: Sequence[Any], rows: Dataset, backbones: Mapping[str, Backbone], view: View
) -> tuple[_Seen, dict[tuple[str, int], Matrix]]:
    """What is seen in new items, and in the names of all classes; nothing in names that say nothing."""
    said = [f"This text is about {label}." for label in telling_names(rows.classes, rows.modality)]
    matrices, names, failed = dict[tuple[str, int], Matrix](), dict[tuple[str, int], Matrix](), dict[int, str]()
    cache = user_cache()
    for name, backbone in backbones.items():
        depths = view.depths_of(name)
        found = extract(backbone, items, depths, cache)
        named = extract(backbone, said, depths, cache).matrices if said else {}
        failed |= found.failed
        matrices |= {(name, depth): found.matrices[depth] for depth in depths}
        names |= {(name, depth): x for depth, x in named.items()}
    cache.close()
    return _Seen(matrices, failed), names


def _joined(old: Matrix, new: Matrix, old_at: Sequence[int], new_at: Sequence[int]) -> Matrix:
    """Rows of two matrices at their places: (M, D), (Q, D) → (M + Q, D)."""
    whole = np.empty((len(old) + len(new), new.shape[1]), np.float32)
    whole[list(old_at)], whole[list(new_at)] = old, new
    return whole
