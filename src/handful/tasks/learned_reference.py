"""The contract of a task whose reference learns from rows, as a list of strings does: it may ship, alone or pooled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from handful.tasks.targets import Floats, Targets


class Asked(Enum):
    """Who answers."""

    MODEL = "model"
    """The model alone."""
    BOTH = "both"
    """The model, pooled with the reference."""
    REFERENCE = "reference"
    """The reference alone."""


class LearnedReference(ABC):
    """A task whose reference can answer new items, alone or pooled with a model, which costs nothing at prediction."""

    @abstractmethod
    def with_reference(
        self, outputs: Floats, targets: Targets, items: Sequence[Any], folds: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Held-out answers of a model, each pooled with what the reference that learned from the other folds says.

        Args:
            outputs: (R, N, …) of the model.
            targets: of the N items.
            items: the items.
            folds: (R, N) the fold of each in each repeat.
        """

    @abstractmethod
    def asking(self, asked: Asked, targets: Targets, items: Sequence[Any]) -> Self:
        """The task that answers new items so, with a reference that learned from all of these."""
