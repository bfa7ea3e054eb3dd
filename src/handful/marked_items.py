"""How models of defects, masks and boxes answer items of which it is known what is right, as their task counts it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.boxes import Boxed
from handful.data.dataset import Dataset
from handful.data.mask_files import mask_of
from handful.errors import DataError
from handful.export.detector import Detector
from handful.export.finder import Finder
from handful.export.part_model import PartModel
from handful.export.segmenter import Segmenter
from handful.features.pixels import MAPS
from handful.strategies.frozen.centres import detections
from handful.tasks.base import AnyTargets
from handful.tasks.boxes import BOXES
from handful.tasks.boxes.counting import Detected, numbers_of
from handful.tasks.defects import DEFECTS
from handful.tasks.defects.task import Judged
from handful.tasks.defects.words import PICTURES
from handful.tasks.masks import MASKS
from handful.tasks.masks.task import counted


def outputs_to(model: PartModel, data: Dataset) -> tuple[Any, AnyTargets]:
    """What a model answers to items that it has not learned from, and what is wanted of them.

    Names that the model does not know are never answered.

    Args:
        model: of defects, masks or boxes.
        data: N items of its kind, with what is right as their labels.

    Returns:
        Outputs and targets, as the metrics of its task and its ``held_out`` take them.

    Raises:
        DataError: an item cannot be read.
        WeightsError, BundleError: the backbone is not there, or another one.
    """
    if isinstance(model, Detector):
        return _judged(model, data)
    if isinstance(model, Segmenter):
        return _masked(model, data)
    assert isinstance(model, Finder)
    return _boxed(model, data)


def _judged(model: Detector, data: Dataset) -> tuple[Judged, AnyTargets]:
    scores = np.zeros(len(data))
    for i, one in enumerate(model.look(list(data.items))):
        if one.failed:
            raise _unreadable(data, i, one.failed)
        scores[i] = one.score
    bad = [label != model.names[0] for label in data.labels or ()]
    return Judged(scores, model.promise, PICTURES[data.modality]), DEFECTS.targets(bad, model.names)


def _masked(model: Segmenter, data: Dataset) -> tuple[NDArray[np.float64], AnyTargets]:
    names = tuple(sorted({*model.names, *data.classes}))
    number = np.array([names.index(name) for name in model.names])  # (C,) of the model → among all
    outputs = np.zeros((1, len(data), 3 * len(names)))
    for i, (item, cell) in enumerate(zip(data.items, data.labels or (), strict=True)):
        one = model.segment(item)
        if one.failed:
            raise _unreadable(data, i, one.failed)
        outputs[0, i] = counted(number[one.classes], mask_of(cell, names, item), len(names))
    return outputs, MASKS.targets(data.labels or (), names)


def _boxed(model: Finder, data: Dataset) -> tuple[NDArray[np.float64], AnyTargets]:
    names = tuple(sorted({*model.names, *data.classes}))
    number = {name: c for c, name in enumerate(model.names)}
    backbone, seen, nothing = model.ready(), [], Detected(np.zeros((0, 4)), np.zeros(0))
    for i, item in enumerate(data.items):
        try:
            arm = {MAPS: model.boxes.candidates}
            each = detections(item, model.scale, backbone, arm, len(model.names))[MAPS]
        except (DataError, OSError) as error:
            raise _unreadable(data, i, str(error)) from error
        seen.append([each[number[name]] if name in number else nothing for name in names])
    cuts = [float(model.cuts[number[name]]) if name in number else np.inf for name in names]
    wanted = [Boxed.of_cell(cell).corners(names) for cell in data.labels or ()]
    return numbers_of(seen, wanted, np.tile(cuts, (len(data), 1))), BOXES.targets(data.labels or (), names)


def _unreadable(data: Dataset, position: int, why: str) -> DataError:
    return DataError(f"{data.called(position)} cannot be read: {why.rstrip('.')}. Leave it out, or put it right.")
