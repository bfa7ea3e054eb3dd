"""Options that tasks of pixels and boxes cannot follow, refused by name before anything is read of a picture."""

from __future__ import annotations

from handful.choices import MOVERS
from handful.data.dataset import Dataset
from handful.errors import OptionError
from handful.plan import Plan
from handful.tasks.base import Task

_ITEMS_ONLY = ("strategies", "trials", "anti_forgetting", "carry_items", "false_alarms", "must_find")


def check_follows(plan: Plan, data: Dataset, task: Task) -> None:
    """Refuse options that pictures with masks, or with boxes, cannot follow.

    Args:
        plan: the options, with where each came from.
        data: the pictures.
        task: what is answered of them.

    Raises:
        OptionError: one cannot be followed; the message names it.
    """
    pictures = f"pictures with {task.name}"
    moving = [name for name in plan.strategies if name in MOVERS] if "strategies" in plan.origins else []
    if moving:
        raise OptionError(
            f"--strategies {moving[0]} moves weights, which is done for whole items, words of texts and moments of "
            f"recordings, got {pictures}. Leave it out: these are learned from frozen maps."
        )
    for name in _ITEMS_ONLY:
        if name in plan.origins:
            raise OptionError(f"--{name.replace('_', '-')} is for other tasks, got {pictures}. Leave it out.")
    if plan.unlabelled is not None or data.unlabelled:
        raise OptionError(f"unlabelled items teach classifiers, got {pictures}. Leave them out.")
    if "metric" in plan.origins and plan.metric not in task.metrics:
        raise OptionError(
            f"metric of {task.name} must be one of {', '.join(task.metrics)}, got {plan.metric!r}. Choose one."
        )
