"""What is known of arms that learn from a pool, from other sets: the prior of their decision.

The numbers are fitted by ``benchmarks/unlabelled.py --fit`` on draws of development sets, which no table of results is
made of. What is not here is judged by the rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from handful.evaluation.decision import Prior
from handful.regimes.part import PoolArm

EXPERIENCE: Mapping[tuple[str, str, str], Prior] = {}
"""(task, modality, arm) → its gain as a share of the loss below it, where the pool is like the rows."""


def known(arm: PoolArm, task: str, modality: str) -> Prior | None:
    """What is known of an arm with its own settings; None where it was not measured, or has others.

    Args:
        arm: what would be tried.
        task: the name of the task.
        modality: of the items.
    """
    return EXPERIENCE.get((task, modality, arm.name)) if arm == type(arm)() else None
