"""Options that labelled items cannot follow, refused by name before anything is looked at."""

from __future__ import annotations

from handful.choices import HEADS, MOVERS, SHARED, STRATEGIES
from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT
from handful.data.items import PLURAL
from handful.data.vectors import VECTORS
from handful.errors import OptionError
from handful.plan import Plan
from handful.strategies.registry import frozen_names
from handful.tasks.base import HeadTask
from handful.tasks.classification import CLASSIFICATION


def check_follows(plan: Plan, task: HeadTask, judged: bool, one: bool = True) -> None:
    """Refuse options that labelled items of a task cannot follow.

    Args:
        plan: the resolved options.
        task: what the labels are.
        judged: whether a function was given as the metric.
        one: whether the task is the only one that is learned of these items.

    Raises:
        OptionError: one of them cannot.
    """
    if one and SHARED in plan.strategies:
        raise OptionError(
            f"strategy {SHARED} moves weights for several targets at once, got one. Name two columns or more with "
            "--label, or leave it out."
        )
    answers = [name for name in plan.strategies if name not in (*STRATEGIES, SHARED)]
    if answers:
        raise OptionError(
            f"strategies {', '.join(answers)} must be given rows with answers (prompt and response), got labelled "
            "items. Leave them out, or learn to write the labels with modality='language' (--as language)."
        )
    if plan.false_alarms is not None:
        raise OptionError(f"--false-alarms is for defects, got {task.name}. Leave it out.")
    if plan.must_find is not None and task != CLASSIFICATION:
        raise OptionError(f"--must-find is for defects and for two classes, got {task.name}. Leave it out.")
    if plan.anti_forgetting:
        raise OptionError(
            f"anti-forgetting {plan.anti_forgetting} is for language models, got labelled items. Leave it out; "
            "strategies soup and wise do the like."
        )
    if judged or plan.metric not in task.metrics:
        got = "a function" if judged else repr(plan.metric)
        raise OptionError(f"metric of {task.name} must be one of {', '.join(task.metrics)}, got {got}. Choose one.")
    if "distilled" in plan.strategies and "strategies" in plan.origins and not task.distils:
        raise OptionError(f"strategy distilled learns probabilities of classes, got {task.name}. Leave it out.")
    known = [name for name in HEADS if name in frozen_names(task)]
    others = [name for name in plan.strategies if name in HEADS and name not in known]
    if others and not set(HEADS) <= set(plan.strategies):
        raise OptionError(
            f"strategies {', '.join(others)} are not for {task.name}. Choose among {', '.join(known)} and those that "
            "move weights."
        )


def check_reads(plan: Plan, data: Dataset) -> None:
    """Refuse options that cannot be followed with such items.

    Raises:
        OptionError: one of them cannot.
    """
    movers = [name for name in plan.strategies if name in (*MOVERS, SHARED)] if "strategies" in plan.origins else []
    if movers and data.pairs:
        raise OptionError(
            f"strategies {', '.join(movers)} read one text, got pairs of texts from {data.source}. Leave them out."
        )
    if movers and data.modality == IMAGE_TEXT:
        raise OptionError(
            f"strategies {', '.join(movers)} move the weights of one backbone, got {PLURAL[IMAGE_TEXT]} from "
            f"{data.source}, which two read. Leave them out, or learn from one of the two columns."
        )
    if movers and data.modality == VECTORS:
        raise OptionError(
            f"strategies {', '.join(movers)} move the weights of a backbone, got vectors, which come from another "
            "program. Leave them out."
        )
    if plan.carry_items and data.modality == IMAGE_TEXT:
        raise OptionError(
            f"--carry-items is for items of one input, got {PLURAL[IMAGE_TEXT]} from {data.source}. Leave it out: the "
            "model is tested on public items when it is loaded."
        )
