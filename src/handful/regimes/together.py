"""Answering together: what is asked says how frequent the classes are, and every answer takes that into account."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handful.regimes.alignment import LabelShift, log_ratio, shares_in
from handful.tasks.base import HeadTask, Targets

FEWEST = 10
"""Fewer items than this say nothing of how frequent classes are."""


def refusal(task: HeadTask) -> str:
    """Why answers of a task cannot be given together, as the end of a sentence; empty where they can."""
    return "" if task.exclusive else f"{task.name} has no classes whose frequency the items could tell"


def correction(targets: Targets, outputs: NDArray[np.floating]) -> NDArray[np.float32]:
    """What joins the scores of a softmax model when many items are asked about at once.

    Args:
        targets: of the training rows, whose shares of classes the model has learned.
        outputs: (M, C) what it answers to the items, each by itself.

    Returns:
        (C,) zeros where the items are too few.
    """
    if len(outputs) < FEWEST:
        return np.zeros(outputs.shape[1], np.float32)
    before = targets.task.constant(targets)
    return log_ratio(before, shares_in(outputs, before, LabelShift.strength * len(outputs)))
