"""The registry of tasks: every name by which a model on disk says what it answers."""

from __future__ import annotations

from handful.tasks.base import Task
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.multilabel import MULTILABEL
from handful.tasks.ordinal import ORDINAL
from handful.tasks.regression import REGRESSION

TASKS: dict[str, Task] = {task.name: task for task in (CLASSIFICATION, MULTILABEL, ORDINAL, REGRESSION)}
"""Name → task."""
