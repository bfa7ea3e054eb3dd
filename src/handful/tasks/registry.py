"""The registry of tasks: every name by which a model on disk says what it answers."""

from __future__ import annotations

from handful.tasks.base import Task
from handful.tasks.classification import CLASSIFICATION

TASKS: dict[str, Task] = {task.name: task for task in (CLASSIFICATION,)}
"""Name → task."""
