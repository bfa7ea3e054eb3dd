"""Targets: what is wanted of N items, as numbers, with the names that these numbers stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Targets:
    """What is wanted of N items; which task they are of says what the numbers mean."""

    task: str
    """The name of the task in the registry, for example ``classification``."""
    values: NDArray[Any]
    """(N,) class numbers, or whatever else the task makes of what the user wrote."""
    names: tuple[str, ...] = ()
    """What the numbers stand for: C class names, sorted."""

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """The targets of some of the items."""
        return replace(self, values=self.values[np.asarray(rows)])
