"""Targets: what is wanted of items, with the task that says what the values mean; and what any model has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from handful.tasks.base import HeadTask, Task

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class AnyTargets:
    """What is wanted of N items, with the task that says what the values mean."""

    task: Task
    """What is wanted of an item."""
    values: NDArray[Any]
    """(N,) class numbers, conversations, or whatever else the task makes of what the user wrote."""
    names: tuple[str, ...] = ()
    """What numbers stand for: C class names, sorted."""

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """The targets of some of the items."""
        return replace(self, values=self.values[np.asarray(rows)])


@dataclass(frozen=True)
class Targets(AnyTargets):
    """What is wanted of N items as numbers, which heads can learn."""

    task: HeadTask
    """What is wanted of an item."""
    item: NDArray[np.int64] | None = None
    """(N,) of values that are wanted of parts the item that each belongs to, in order; None where each has its own."""

    def take(self, rows: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """The targets of some of the items, or of some of their parts."""
        found = super().take(rows)
        return found if self.item is None else replace(found, item=self.item[np.asarray(rows)])

    def joined(self, other: Self) -> Self:
        """The targets of these items and of others after them."""
        return replace(self, values=np.concatenate([self.values, other.values]))


@dataclass(frozen=True)
class Baseline:
    """What any model has to beat: an answer that looks at no item."""

    name: str
    """The arm in the scores."""
    words: str
    """What it does, after "than": ``always answering the same class``."""
    short: str = "without a model"
    """The same beside its score, in two or three words."""


def named_width(names: Sequence[str]) -> int:
    """K of a task that gives one number per name.

    Raises:
        ValueError: there are fewer than two names, one is empty, or two are the same.
    """
    if len(names) < 2 or len(set(names)) < len(names) or not all(name.strip() for name in names):
        raise ValueError("names must be two or more, none empty, each once")
    return len(names)
