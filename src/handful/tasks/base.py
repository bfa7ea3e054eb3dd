"""The contract of a task: what targets of one kind mean, for everything that is written once for all kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from handful.data.targets import Targets
from handful.evaluation.curves import Needs
from handful.evaluation.link import Floats, Link
from handful.evaluation.metrics import Metric
from handful.tasks.heads import Head


@dataclass(frozen=True)
class Reference:
    """What any model has to beat: an answer that looks at no item."""

    name: str
    """The arm in the scores."""
    words: str
    """What it does, after "than": ``always answering the same class``."""


class Task(Link, Protocol):
    """What is wanted of an item.

    ``N`` items, ``K`` numbers of an answer to one item, ``C`` names, ``R`` repeats. Beside what is below, a task is a
    link: it says how scores become answers and what these cost.
    """

    name: ClassVar[str]
    """Its name in the registry, in ``--task`` and in every file."""
    metrics: ClassVar[Mapping[str, Metric]]
    """Name in ``--metric`` → metric; the first one is the headline, a share or ratio."""
    heads: ClassVar[Mapping[str, Head]]
    """Name in ``--strategies`` → linear head on frozen features, cheapest first."""
    reference: ClassVar[Reference]
    """What any model has to beat."""

    def read(self, column: Sequence[Any], source: str = "items") -> Targets:
        """What the user wrote for N items as targets.

        Args:
            column: N cells.
            source: where they stand, for messages.

        Raises:
            DataError: nothing can be learned from them; the message says why.
        """

    @property
    def headline(self) -> Metric:
        """The first metric."""
        return next(iter(self.metrics.values()))

    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """(N,) numbers that folds and batches keep in proportion."""

    def design(self, targets: Targets) -> NDArray[np.float32]:
        """(N, K) what a linear map is fitted to."""

    def constant(self, targets: Targets) -> NDArray[np.float64]:
        """(K,) what the reference answers to every item."""

    def words(self, outputs: Floats, names: Sequence[str]) -> list[str]:
        """What is answered to N items, as it is written and shown. (N, K) → N."""

    def wanted(self, targets: Targets) -> list[str]:
        """What should have been answered, written the same way."""

    def confidence(self, outputs: Floats) -> NDArray[np.float64]:
        """(N,) how sure each answer is of itself, from 0 to 1."""

    def own(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """(N,) how well each target fits what is answered, from 0 to 1; the lowest are the most doubtful."""

    def needs(self, outputs: Floats, targets: Targets) -> Needs:
        """Where further labels are missed most, by held-out answers (R, N, K)."""

    def details(self, outputs: Floats, targets: Targets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """What ``scores.json`` holds of held-out answers (R, N, K) beside the scores that all tasks have."""
