"""Options that tasks of pixels and boxes cannot follow, refused by name before anything is read of a picture."""

from __future__ import annotations

from handful.choices import HEADS, MOVERS
from handful.data.dataset import Dataset
from handful.errors import OptionError
from handful.plan import Plan
from handful.strategies.frozen.pixels import HEAD
from handful.tasks.base import Task

MOVER = "partial"
"""The strategy that moves weights for boxes."""

_ITEMS_ONLY = ("strategies", "trials", "anti_forgetting", "carry_items", "false_alarms", "must_find")


def check_follows(plan: Plan, data: Dataset, task: Task, moves: bool = False) -> None:
    """Refuse options that pictures with masks, or with boxes, cannot follow.

    Args:
        plan: the options, with where each came from.
        data: the pictures.
        task: what is answered of them.
        moves: whether the weights of their backbone may move, by ``MOVER``.

    Raises:
        OptionError: one cannot be followed; the message names it.
    """
    pictures = f"pictures with {task.name}"
    named = plan.strategies if "strategies" in plan.origins else ()
    moving = [name for name in named if name in MOVERS and not (moves and name == MOVER)]
    if moving and moves:
        raise OptionError(
            f"--strategies of {pictures} must be {HEAD.name},{MOVER} or left out, got {moving[0]}. Choose one."
        )
    if moving:
        raise OptionError(
            f"--strategies {moving[0]} moves weights, which is done for whole items, words of texts and moments of "
            f"recordings, got {pictures}. Leave it out: these are learned from frozen maps."
        )
    # Where what moves weights is named alone, all heads stand beside it.
    allowed = {MOVER, *HEADS} if set(HEADS) <= set(named) else {MOVER, HEADS[0], HEAD.name}
    for name in _ITEMS_ONLY:
        if name in plan.origins and not (name == "strategies" and MOVER in named and set(named) <= allowed):
            raise OptionError(f"--{name.replace('_', '-')} is for other tasks, got {pictures}. Leave it out.")
    if plan.unlabelled is not None or data.unlabelled:
        raise OptionError(f"unlabelled items teach classifiers, got {pictures}. Leave them out.")
    if "metric" in plan.origins and plan.metric not in task.metrics:
        raise OptionError(
            f"metric of {task.name} must be one of {', '.join(task.metrics)}, got {plan.metric!r}. Choose one."
        )
