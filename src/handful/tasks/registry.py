"""The registry of tasks: every name by which a model on disk says what it answers."""

from __future__ import annotations

from handful.tasks.base import HeadTask, Task
from handful.tasks.boxes import BOXES
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.defects import DEFECTS
from handful.tasks.events import EVENTS_TASK
from handful.tasks.generation import GENERATION, PREFERENCE
from handful.tasks.masks import MASKS
from handful.tasks.multilabel import MULTILABEL
from handful.tasks.ordinal import ORDINAL
from handful.tasks.regression import REGRESSION
from handful.tasks.tagging import TAGGING

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        CLASSIFICATION,
        MULTILABEL,
        ORDINAL,
        REGRESSION,
        TAGGING,
        EVENTS_TASK,
        DEFECTS,
        MASKS,
        BOXES,
        GENERATION,
        PREFERENCE,
    )  # fmt: skip
}
"""Name → task."""


def head_task(name: str) -> HeadTask:
    """A task of labelled items, which linear heads answer.

    Raises:
        LookupError: there is none of this name.
    """
    task = TASKS[name]
    if not isinstance(task, HeadTask):
        raise LookupError(name)
    return task
