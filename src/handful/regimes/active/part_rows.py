"""Items by their parts: what is seen in the P words of N texts as ragged rows, and answers to these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError
from handful.features.parts import Half
from handful.features.view import Matrix, unit_rows
from handful.tasks.parts_task import PartsTask

_TOGETHER = 8192
"""So many parts are answered at a time."""


@dataclass(frozen=True)
class PartRows:
    """N items with P parts in all."""

    vectors: Half
    """(P, D) of the parts, those of an item together; half precision, since a pool has many."""
    ends: NDArray[np.int64]
    """(N + 1,) item n has the parts from ``ends[n]`` to ``ends[n + 1]``."""
    items: tuple[Any, ...]
    """The N items."""

    @classmethod
    def of(cls, vectors: Sequence[NDArray[np.floating]], items: Sequence[Any]) -> Self:
        """Items one by one.

        Args:
            vectors: of each item (W, D), as many rows as it has parts.
            items: the N items.

        Raises:
            DataError: numbers are not finite.
        """
        for n, own in enumerate(vectors):
            if not np.isfinite(own).all():
                raise DataError(f"features must be finite numbers, item {n} has NaN or infinity. Leave it out.")
        ends = np.cumsum([0, *map(len, vectors)])
        width = max((own.shape[1] for own in vectors), default=0)
        rows = np.zeros((int(ends[-1]), width), np.float16)
        for first, own in zip(ends, vectors, strict=False):
            rows[first : first + len(own)] = own
        return cls(rows, np.asarray(ends, np.int64), tuple(items))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, some: NDArray[np.int64] | Sequence[int]) -> PartRows:
        """The same of some items, by their numbers."""
        numbers = [int(n) for n in some]
        parts = np.concatenate([np.zeros(0, np.int64), *(np.arange(*self.ends[n : n + 2]) for n in numbers)])
        counts = [int(self.ends[n + 1] - self.ends[n]) for n in numbers]
        ends = np.asarray(np.cumsum([0, *counts]), np.int64)
        return PartRows(self.vectors[parts], ends, tuple(self.items[n] for n in numbers))

    @property
    def counts(self) -> NDArray[np.int64]:
        """(N,) how many parts each item has."""
        return np.diff(self.ends)

    @property
    def item(self) -> NDArray[np.int64]:
        """(P,) the item that each part belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def exact(self) -> Matrix:
        """(P, D) in single precision."""
        return self.vectors.astype(np.float32)

    @cached_property
    def means(self) -> Matrix:
        """(N, D) the mean of the parts of each item, of length one; zeros where it has none."""
        out = np.zeros((len(self), self.vectors.shape[1]), np.float32)
        for n, (first, end) in enumerate(zip(self.ends, self.ends[1:], strict=False)):
            if end > first:
                out[n] = self.vectors[first:end].mean(0, dtype=np.float32)
        return unit_rows(out)

    def per_item(self, numbers: NDArray[np.floating]) -> NDArray[np.float64]:
        """The mean over the parts of each item, 0 where it has none. (P,) → (N,)."""
        sums = np.concatenate([[0.0], np.cumsum(numbers, dtype=np.float64)])[self.ends]
        return np.asarray(np.diff(sums) / np.maximum(self.counts, 1))


@dataclass(frozen=True)
class RaggedAnswers:
    """What is answered to the parts of N items; items are laid out as their task wants them when they are asked for."""

    task: PartsTask
    """What is wanted of an item."""
    rows: PartRows
    """The items."""
    probabilities: NDArray[np.float32]
    """(P, K) of the tags of the parts."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, some: slice) -> NDArray[np.float64]:
        """Items next to each other, as ``tasks.part_layout`` says. → (n, W (3 + K))."""
        first, end, _ = some.indices(len(self))
        parts = slice(self.rows.ends[first], self.rows.ends[max(first, end)])
        return self.task.gathered_items(self.probabilities[parts], self.rows.items[first:end])

    @property
    def doubt(self) -> NDArray[np.float64]:
        """(N,) how near the second-best tag is to the best one, mean over the parts."""
        two = np.partition(self.probabilities, -2, axis=1)[:, -2:]
        return self.rows.per_item(1 - (two[:, 1] - two[:, 0]))


def blocks(rows: PartRows) -> list[slice]:
    """The parts in stretches that are answered together."""
    return [slice(start, start + _TOGETHER) for start in range(0, len(rows.vectors), _TOGETHER)]
