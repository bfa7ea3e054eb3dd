"""The contract of a task: what targets of one kind mean, for everything that is written once for all kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.curves import Needs
from handful.evaluation.metrics import Metric
from handful.tasks.heads import Head

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Targets:
    """What is wanted of N items, as numbers, with the task that says what the numbers mean."""

    task: Task
    """What is wanted of an item."""
    values: NDArray[Any]
    """(N,) class numbers, or whatever else the task makes of what the user wrote."""
    names: tuple[str, ...] = ()
    """What the numbers stand for: C class names, sorted."""

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """The targets of some of the items."""
        return replace(self, values=self.values[np.asarray(rows)])

    def joined(self, other: Self) -> Self:
        """The targets of these items and of others after them."""
        return replace(self, values=np.concatenate([self.values, other.values]))


@dataclass(frozen=True)
class Reference:
    """What any model has to beat: an answer that looks at no item."""

    name: str
    """The arm in the scores."""
    words: str
    """What it does, after "than": ``always answering the same class``."""


class Task(ABC):
    """What is wanted of an item.

    ``N`` items, ``K`` numbers of an answer to one item, ``C`` names, ``R`` repeats of held-out answers.
    Scores (..., N, K) add up: those of several settings, each times its sharpness and its weight, are the scores of
    their pool. Outputs (..., N, K) are what is answered: probabilities, a number with its precision, …
    """

    name: ClassVar[str]
    """Its name in the registry, in ``--task`` and in every file."""
    metrics: ClassVar[Mapping[str, Metric]]
    """Name in ``--metric`` → metric; the first one is the headline, a share or ratio."""
    heads: ClassVar[Mapping[str, Head]]
    """Name in ``--strategies`` → linear head on frozen features, cheapest first."""
    main: ClassVar[Head]
    """The head of a tuned backbone."""
    reference: ClassVar[Reference]
    """What any model has to beat."""

    @property
    def headline(self) -> Metric:
        """The first metric."""
        return next(iter(self.metrics.values()))

    # What the user wrote -------------------------------------------------------------------------------------------

    @abstractmethod
    def read(self, column: Sequence[Any], source: str = "items") -> Targets:
        """What the user wrote for N items as targets.

        Args:
            column: N cells.
            source: where they stand, for messages.

        Raises:
            DataError: nothing can be learned from them; the message says why.
        """

    @abstractmethod
    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """(N,) numbers that folds and batches keep in proportion."""

    @abstractmethod
    def wanted(self, targets: Targets) -> list[str]:
        """What should be answered, as it is written and shown."""

    # What is learned -----------------------------------------------------------------------------------------------

    @abstractmethod
    def design(self, targets: Targets) -> NDArray[np.float32]:
        """(N, K) what a linear map is fitted to; a column of zeros has nothing to be learned from."""

    @abstractmethod
    def likeness(self, targets: Targets) -> NDArray[np.float32]:
        """(N, N) how much the same is wanted of two items, from 0 to 1: what contrastive objectives draw together."""

    @abstractmethod
    def named(self, targets: Targets) -> Targets:
        """What is wanted of the names of the C classes, taken as items of their own."""

    @abstractmethod
    def names_tell(self, similar: Floats, targets: Targets) -> bool:
        """Whether names alone tell rows apart, beyond doubt. (N, C) how similar each row is to each name."""

    # How scores become answers, and what these cost ------------------------------------------------------------------

    @abstractmethod
    def outputs(self, scores: Floats) -> NDArray[np.float64]:
        """What sharpened scores answer. (..., K) → (..., K)."""

    @abstractmethod
    def scores(self, outputs: Floats) -> NDArray[np.float64]:
        """The sharpened scores that answer so: the inverse of ``outputs``. (..., K) → (..., K)."""

    @abstractmethod
    def losses(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """What each answer costs, a proper loss in nats, where no answer is surer than N items allow. (N,)."""

    @abstractmethod
    def losses_at(self, scores: Floats, targets: Targets, factors: Floats) -> NDArray[np.float32]:
        """Plain losses of scores at P values of sharpness. (..., N, K) → (P, ..., N)."""

    @abstractmethod
    def smoothing(self, scores: Floats, targets: Targets) -> Floats:
        """What smoothed targets add to the loss of each item, per unit of sharpness and share smoothed. (..., N)."""

    @abstractmethod
    def spread(self, scores: Floats) -> float:
        """The scale of scores on which sharpness is searched, above 0."""

    @abstractmethod
    def constant(self, targets: Targets) -> NDArray[np.float64]:
        """(K,) what the reference answers to every item."""

    # What is told --------------------------------------------------------------------------------------------------

    @abstractmethod
    def words(self, outputs: Floats, names: Sequence[str]) -> list[str]:
        """What is answered to N items, as it is written and shown. (N, K) → N."""

    @abstractmethod
    def confidence(self, outputs: Floats) -> NDArray[np.float64]:
        """(N,) how sure each answer is of itself, from 0 to 1."""

    @abstractmethod
    def own(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """(N,) how well each target fits what is answered, from 0 to 1; the lowest are the most doubtful."""

    @abstractmethod
    def needs(self, outputs: Floats, targets: Targets) -> Needs:
        """Where further labels are missed most, by held-out answers (R, N, K)."""

    @abstractmethod
    def details(self, outputs: Floats, targets: Targets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """What ``scores.json`` holds of held-out answers (R, N, K) beside the scores that all tasks have."""
