"""A reference that learns, as an arm that may ship: alone, or pooled with the model of rung 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.verdicts import Held
from handful.strategies.frozen.rung import Frozen, folds_of_items
from handful.tasks.learned_reference import Asked, LearnedReference


def beside_reference(frozen: Frozen, items: Sequence[Any]) -> Frozen:
    """Rung 0 after its model has faced the reference and the pool of both, where the task's reference learns.

    Neither costs anything at prediction, so the one with the lowest held-out loss ships; what each fold would have
    taken is found on the others.

    Args:
        frozen: the outcome of rung 0.
        items: the N items that were learned from.
    """
    rows = frozen.rows
    targets, task = rows.targets, rows.targets.task
    if not isinstance(task, LearnedReference):
        return frozen
    reference = next(arm for arm in frozen.arms if arm.name == task.reference.name)
    model = next(arm for arm in frozen.arms if arm.name == frozen.arm)
    folds = folds_of_items(frozen.search, len(targets))
    outputs = task.with_reference(frozen.whole, targets, items, folds)
    both = Held(f"{model.name} + {reference.name}", outputs, seconds=model.seconds, setting=model.setting)
    candidates = {Asked.MODEL: model, Asked.BOTH: both, Asked.REFERENCE: reference}
    best, whole = _lowest(list(candidates.values()), frozen, folds)
    asked = list(candidates)[best]

    def beside(parts: NDArray[np.float64], folds: NDArray[np.int64]) -> NDArray[np.float64]:
        return task.with_reference(task.gathered(parts, targets), targets, items, folds)

    return replace(
        frozen, arm=candidates[asked].name, whole=whole, arms=(*frozen.arms, both),
        finish=beside if asked is Asked.BOTH else None,
        rows=replace(rows, targets=replace(targets, task=task.asking(asked, targets, items))),
    )  # fmt: skip


def _lowest(arms: Sequence[Held], frozen: Frozen, folds: NDArray[np.int64]) -> tuple[int, NDArray[np.float64]]:
    """The position of the arm with the lowest held-out loss, and what the whole procedure answers, (R, N, …)."""
    targets = frozen.rows.targets
    losses = np.stack([[targets.task.losses(some, targets) for some in arm.outputs] for arm in arms])  # (Q, R, N)
    each, whole = losses.mean(1), np.array(arms[0].outputs)
    for r, fold in enumerate(folds):
        for k in np.unique(fold):
            own = fold == k
            whole[r, own] = arms[int(each[:, ~own].mean(1).argmin())].outputs[r, own]
    return int(each.mean(1).argmin()), whole
