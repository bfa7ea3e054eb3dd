"""A rival: an estimator of the user's own, compared with a run on the same rows, each held out from both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.data.targets import CLASSES, NUMBERS, RATINGS
from handful.errors import OptionError
from handful.evaluation.own_answers import answers_kinds, held_out_answers, is_estimator
from handful.evaluation.scores import HeldOut
from handful.keywords import known_keywords
from handful.run import Run
from handful.strategies.frozen.rung import together
from handful.tasks.registry import head_task
from handful.versions.comparison import Paired, paired


@dataclass(frozen=True)
class Rivalry:
    """How much better a run is than an estimator of the user's own."""

    rival: str
    """What the estimator is called."""
    paired: Paired
    """The difference on the rows that both held out, above zero where the run is better."""
    held_out: tuple[HeldOut, ...]
    """What the estimator answered to each row, in the order of the run's."""

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``tie``: the run against the estimator."""
        return self.paired.verdict

    def __str__(self) -> str:
        """The verdict in a sentence."""
        said = self.paired.told("the run", self.rival)
        return f"{said[0].upper()}{said[1:]}."


@known_keywords
def against(run: Run, estimator: Any, *, folds: int = 5, name: str | None = None) -> Rivalry:
    """Compare a run with a scikit-learn estimator of yours on the same rows, each held out from both.

    It is fitted anew on the rest of the rows for each fold; rows of one group, and copies, are held out together.

    Args:
        run: what ``tune`` returned.
        estimator: takes a list of items (texts, or files as ``run.data.items`` has them) and their labels.
        folds: into how many parts the rows are dealt for it, in proportion to the classes.
        name: what it is called in the sentence; by default its class.

    Returns:
        The paired difference in the metric of the run with its interval, and the answers of the estimator.

    Raises:
        OptionError: it is no such estimator, the run answers several labels, parts of items or texts, or a class has
            too few rows for so many folds.
    """
    kind, asked = run.data.task, estimator
    if kind not in (CLASSES, RATINGS, NUMBERS) or not (is_estimator if kind == NUMBERS else answers_kinds)(asked):
        raise OptionError(
            "against compares with a scikit-learn estimator that answers one class, rating or number to an item, got "
            f"{type(asked).__name__} for a run of {kind}. Compare run.held_out with your own answers instead."
        )
    place = {row: i for i, row in enumerate(run.data.rows)}
    data, task = run.data.take([place[answer.row] for answer in run.held_out]), head_task(kind)
    alike = task.strata(task.read(data.labels or (), data.source)) if data.classes else None
    alike = np.zeros(len(data), np.int64) if alike is None else alike
    counts = np.bincount(alike)
    most = int(counts[counts > 0].min())
    if not 2 <= folds <= most:
        rows = "the rows of the rarest class" if data.classes else "as many as there are rows"
        raise OptionError(f"folds must be from 2 to {most}, {rows}, got {folds}. Choose another.")
    wanted = np.array(data.labels, float if kind == NUMBERS else object)
    said = held_out_answers(asked, data.items, wanted, alike, together(data), folds, run.plan.seed)
    theirs = tuple(
        HeldOut(answer.row, answer.label, own, 0.0, 0.0) for answer, own in zip(run.held_out, said, strict=True)
    )
    groups = None if data.groups is None else np.unique(data.groups, return_inverse=True)[1]
    return Rivalry(name or type(asked).__name__, paired(task, run.scores.metric, theirs, run.held_out, groups), theirs)
