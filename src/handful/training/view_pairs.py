"""Two views of every item of an update, without labels: two passes under dropout, or two of its kept versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from handful.seeding import generator
from handful.training.activations import Activations
from handful.training.batches import drawn
from handful.training.objectives import Batch


@dataclass(frozen=True)
class ViewPairs:
    """Doubled batches of an update from kept activations; the contract of ``training.loop.Batches``."""

    activations: Activations
    """What the frozen blocks gave for every version of N items."""
    size: int
    """Items per update."""
    seed: int = 0
    """Fixes the draws."""
    device: torch.device = torch.device("cpu")
    """Where the model is."""

    def __call__(self, update: int, parts: int) -> Sequence[Batch]:
        """The items of an update in so many batches: B first views, and then the second ones in the same order."""
        at = drawn(update, len(self.activations), self.size, self.seed)
        first, second = two_of(len(self.activations.versions), len(at), update, self.seed)
        return [
            self._batch(at[part::parts], (first[part::parts], second[part::parts]))
            for part in range(min(parts, len(at)))
        ]

    def _batch(self, rows: NDArray[np.int64], versions: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Batch:
        groups = self.activations.alike(rows.tolist())
        states = [
            self.activations.state(rows[group].tolist(), own[group].tolist()) for own in versions for group in groups
        ]
        return Batch(states, torch.zeros(len(rows), 0, device=self.device))


def two_of(versions: int, count: int, update: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two different versions of each of some items; twice the only one, which dropout tells apart.

    Args:
        versions: how many there are of each.
        count: B, how many items.
        update: the number of the update; the same number gives the same versions.
        seed: fixes the draws.

    Returns:
        (B,) twice.
    """
    if versions == 1:
        return np.zeros(count, np.int64), np.zeros(count, np.int64)
    rng = generator(seed, f"views {update}")
    first = rng.integers(versions, size=count)
    return first, (first + 1 + rng.integers(versions - 1, size=count)) % versions
