"""A part: the rows that one fit may learn from, the pool beside them, and the settings of heads that are pooled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.features.view import Matrix, unit_rows
from handful.strategies.frozen.ensemble import Linear, Member, pooled
from handful.tasks.base import HeadTask, Targets

FACTORS = np.geomspace(0.25, 4.0, 65)
"""What scores may be multiplied by."""

Items = Mapping[tuple[str, int], Matrix]


@dataclass(frozen=True)
class Part:
    """N rows with what is wanted of them, and M items of which nothing is known."""

    targets: Targets
    """Of the N rows."""
    items: Items
    """(backbone, depth) → (N, D) features of the rows."""
    names: Items
    """(backbone, depth) → (C, D) features of the label names; empty where there are none."""
    pool: Items
    """(backbone, depth) → (M, D) features of the pool."""
    members: tuple[Member, ...]
    """The settings that are pooled; chosen without the rows that the fit will answer."""
    seed: int = 0
    """Fixes whatever is drawn."""
    counts: frozenset[str] = frozenset()
    """The backbones that count what stands in an item."""

    @property
    def count(self) -> int:
        """How many items the pool has."""
        return len(next(iter(self.pool.values()), ()))

    @cached_property
    def plain(self) -> Linear:
        """The model that has not seen the pool."""
        return self.fitted()

    @cached_property
    def answers(self) -> NDArray[np.float64]:
        """(M, K) what that model answers to the pool."""
        return self.answered(self.plain, self.pool)

    @cached_property
    def alike(self) -> tuple[Matrix, Matrix]:
        """Rows (N, D) and pool (M, D) as that model reads them, each of length one: products are cosines."""
        view = self.plain.view
        return unit_rows(view.matrix(self.items)), unit_rows(view.matrix(self.pool))

    def answered(self, model: Linear, items: Items) -> NDArray[np.float64]:
        """What a model answers to items, by their features: (Q, K)."""
        return self.targets.task.outputs(model.scores(model.view.matrix(items)))

    def as_sure(self, model: Linear, measure: Linear | None = None, asked: NDArray[np.bool_] | None = None) -> Linear:
        """A model with its scores multiplied by what makes it as sure of the pool, on the mean, as the plain one.

        Who learned from own answers, or from rows drawn up between others, is surer than right. The plain model is
        calibrated on rows that it has not seen; few rows could not say anew how sure an arm may be.

        Args:
            model: what is made as sure.
            measure: the same, but for some items of the pool that it has not learned from; the model itself by default.
            asked: (M,) these items; all by default.
        """
        task, measure = self.targets.task, measure or model
        some = np.ones(self.count, bool) if asked is None or not asked.any() else asked
        scores = measure.scores(measure.view.matrix({part: x[some] for part, x in self.pool.items()}))
        sure = np.array([float(task.confidence(task.outputs(factor * scores)).mean()) for factor in FACTORS])
        wanted = float(task.confidence(self.answers[some]).mean())
        factor = np.float32(FACTORS[np.abs(sure - wanted).argmin()])
        return replace(model, coef=factor * model.coef, intercept=factor * model.intercept)

    def fitted(
        self, more: Items | None = None, design: Matrix | None = None, weights: NDArray[np.floating] | None = None
    ) -> Linear:
        """Fit the members on the rows, and on further ones.

        Args:
            more: (backbone, depth) → (Q, D) features of further rows.
            design: (Q, K) what a linear map is fitted to on these.
            weights: (N + Q,) how much each row counts; 1 by default.
        """
        items, wanted = self.items, self.targets.task.design(self.targets)
        if more is not None and design is not None:
            items = {part: np.concatenate([x, more[part]]) for part, x in items.items()}
            wanted = np.concatenate([wanted, design])
        return pooled(self.members, items, self.names, wanted, self.counts, weights)


class PoolArm(ABC):
    """A way to learn from a pool: the rows of a part and its pool in, one linear model out."""

    name: ClassVar[str]
    """How the arm is called in the scores."""
    for_shift: ClassVar[bool] = False
    """Whether it is for pools that are another mixture than the rows, and for no others."""
    by_class: ClassVar[bool] = False
    """Whether it puts right how frequent classes are: what is known of it counts where a pool differs in that."""

    def refuses(self, task: HeadTask) -> str:
        """Why a task cannot be learned so, as the end of a sentence; empty where it can."""
        return ""

    def applies(self, part: Part) -> bool:
        """Whether there is anything for it to do with these rows and this pool; by default wherever there is a pool."""
        return part.count > 0

    @abstractmethod
    def fit(self, part: Part) -> Linear:
        """Learn from the rows and the pool."""
