"""What answers that are known by their words in a table add to a score, by which two versions of a run are compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.targets import names_of
from handful.data.tracks import STEP
from handful.evaluation.metrics import Kind, Measured, Metric, losses, no_outputs, ratio
from handful.evaluation.scores import HeldOut
from handful.tasks.base import HeadTask, Task
from handful.tasks.boxes import BOXES
from handful.tasks.defects import DEFECTS
from handful.tasks.events import EVENTS_TASK
from handful.tasks.masks import MASKS
from handful.tasks.runs import Span, exact, overlapping
from handful.tasks.tagging import TAGGING

CALLED = Metric("items_called_right", no_outputs, plain="the share of items that are called what they are")
DICE = Metric(
    "dice_of_a_picture", no_outputs, Kind.RATIO, plain="how far areas overlap the true ones, mean over pictures"
)
BOX_F1 = Metric("box_f1_of_a_picture", no_outputs, Kind.RATIO, plain="F1 of the boxes of a picture, mean over pictures")

Sums = NDArray[np.float64]
_OVERLAP, _EVENT = "overlap_f1", "event_f1"


def told_rows(task: Task, metric: str, answers: Sequence[HeldOut], every: Sequence[HeldOut]) -> Measured:
    """What N answers add to a metric.

    Where a metric cannot be made of what a table says, as the words of a text cannot, another one of the task is.

    Args:
        task: what was asked.
        metric: the name of a metric of the task.
        answers: N answers.
        every: these and those that they are compared with, which may have other names.
    """
    if task.name in _OF_ITEMS:
        which, value = _OF_ITEMS[task.name]
        return ratio(which, np.array([value(answer) for answer in answers]))
    if isinstance(task, HeadTask) and task.grain:
        name, sums = _of_runs(task.name, metric)
        pairs = [(json.loads(answer.label), json.loads(answer.predicted)) for answer in answers]
        return Measured(task.metrics[name], np.array([sums(wanted, said) for wanted, said in pairs]).reshape(-1, 2))
    if not isinstance(task, HeadTask):
        return losses(np.array([float(answer.beside["loss"]) for answer in answers]))
    names = names_of([text for answer in every for text in (answer.label, answer.predicted)], task.name)
    targets = task.coded([answer.label for answer in answers], names)
    outputs = task.spoken([answer.predicted for answer in answers], names)
    return metric_of(task, metric).of(outputs[None], targets)


def metric_of(task: Task, metric: str) -> Metric:
    """A metric of a task by its name; the first one where it has none of this name."""
    return task.metrics.get(metric, task.headline)


_OF_ITEMS: Mapping[str, tuple[Metric, Callable[[HeldOut], float]]] = {
    DEFECTS.name: (CALLED, lambda answer: float(answer.label == answer.predicted)),
    MASKS.name: (DICE, lambda answer: float(answer.beside["dice"])),
    BOXES.name: (BOX_F1, lambda answer: float(answer.beside["box_f1"])),
}
"""Task → the mean of one number of each item, and that number."""


def _of_runs(task: str, metric: str) -> tuple[str, Callable[[Sequence[Any], Sequence[Any]], Sums]]:
    """Of spans or events, which metric can be made, and its sums of what is wanted and said of one item."""
    if task == TAGGING.name:
        name = metric if metric == _OVERLAP else TAGGING.headline.name
        return name, partial(_met, overlapping if metric == _OVERLAP else exact, 1.0)
    if metric == _EVENT:
        return metric, partial(_met, overlapping, STEP / 1000)
    return EVENTS_TASK.headline.name, _seconds


def _met(
    how: Callable[[Sequence[Span], Sequence[Span]], int], step: float, wanted: Sequence[Any], said: Sequence[Any]
) -> Sums:
    """Twice how many runs are right, and how many are wanted or said; parts are characters, or steps of seconds."""
    labels = sorted({label for *_, label in (*wanted, *said)})
    runs = [
        [(round(start / step), round(end / step) - 1, labels.index(label)) for start, end, label in told]
        for told in (wanted, said)
    ]
    return _twice(how(*runs), len(wanted), len(said))


def _seconds(wanted: Sequence[Any], said: Sequence[Any]) -> Sums:
    """The same of the seconds that events touch."""
    sides = [
        {(second, label) for start, end, label in told for second in range(int(start), int(np.ceil(round(end, 3))))}
        for told in (wanted, said)
    ]
    return _twice(len(sides[0] & sides[1]), len(sides[0]), len(sides[1]))


def _twice(right: int, wanted: int, said: int) -> Sums:
    """Twice what is right, and all that is wanted or said."""
    return np.array([2.0 * right, wanted + said])
