"""What is known of arms that learn from a pool, from other sets: the prior of their decision.

The numbers are fitted by ``benchmarks/unlabelled.py --fit`` on draws of development sets, which no table of results is
made of. What is not here is judged by the rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from handful.evaluation.decision import Prior
from handful.regimes.part import PoolArm

EXPERIENCE: Mapping[tuple[str, str, str], Prior] = {
    ("classification", "text", "self-training"): Prior(0.032, 0.117, 0.088, -0.3, 0.3, better=23, of=32),
    ("classification", "text", "synthetic-rows"): Prior(0.042, 0.039, 0.056, -0.3, 0.3, better=14, of=16),
    ("classification", "text", "label-shift"): Prior(0.034, 0.036, 0.062, -0.3, 0.3, better=13, of=14),
}
"""(task, modality, arm) → its gain as a share of the loss below it, where the pool is like the rows."""


def known(arm: PoolArm, task: str, modality: str) -> Prior | None:
    """What is known of an arm with its own settings; None where it was not measured, or has others.

    Args:
        arm: what would be tried.
        task: the name of the task.
        modality: of the items.
    """
    return EXPERIENCE.get((task, modality, arm.name)) if arm == type(arm)() else None
