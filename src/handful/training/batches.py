"""Which rows an update learns from: every class the same, drawn anew from the number of the update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from handful.seeding import generator
from handful.training.activations import Activations
from handful.training.objectives import Batch


def rows_of(update: int, truth: NDArray[np.integer], size: int, seed: int) -> NDArray[np.int64]:
    """The rows of one update, about ``size`` of them, as many of each class as it has and the size allows.

    At least two of a class come together where it has two, so that a contrastive objective finds pairs; where
    there are more classes than fit, some of the classes take part.

    Args:
        update: the number of the update; the same number gives the same rows.
        truth: (N,) class numbers.
        size: how many rows are wanted; all rows where there are no more.
        seed: fixes the draws.
    """
    if len(truth) <= size:
        return np.arange(len(truth))
    rng = generator(seed, f"update {update}")
    classes = np.unique(truth)
    each = max(2, size // len(classes))
    chosen = rng.permutation(classes)[: max(2, size // each)]
    found = [rng.permutation(np.flatnonzero(truth == c))[:each] for c in chosen]
    return np.concatenate(found)


@dataclass(frozen=True)
class Balanced:
    """Batches of an update from kept activations; the contract of ``training.loop.Batches``."""

    activations: Activations
    """What the frozen blocks gave."""
    rows: NDArray[np.int64]
    """(M,) the rows to learn from."""
    truth: NDArray[np.int64]
    """(M,) their class numbers."""
    size: int
    """Rows per update."""
    seed: int = 0
    """Fixes the draws."""
    twice: bool = False
    """Whether every row goes through twice, as R-Drop wants it."""
    tokens: int | None = None
    """How many tokens of a text are seen at most; all by default."""
    teacher: NDArray[np.float32] | None = None
    """(M, C) scores of a model to learn from."""
    device: torch.device = torch.device("cpu")
    """Where the model is."""

    def __call__(self, update: int, parts: int) -> Sequence[Batch]:
        """The rows of an update in so many batches, each with a version of each row drawn at random."""
        at = rows_of(update, self.truth, self.size, self.seed)
        versions = np.zeros(len(at), np.int64)
        if len(self.activations.versions) > 1:
            versions = generator(self.seed, f"version {update}").integers(len(self.activations.versions), size=len(at))
        return [self._batch(at[part::parts], versions[part::parts]) for part in range(min(parts, len(at)))]

    def _batch(self, at: NDArray[np.int64], versions: NDArray[np.int64]) -> Batch:
        rows = self.rows[at]
        groups = self.activations.alike(rows.tolist(), self.tokens)
        states = [
            self.activations.state(rows[group].tolist(), versions[group].tolist(), self.tokens) for group in groups
        ]
        order = np.concatenate(groups)
        if self.twice:
            states, order = states * 2, np.tile(order, 2)
        teacher = None if self.teacher is None else torch.from_numpy(self.teacher[at[order]]).to(self.device)
        return Batch(states, torch.from_numpy(self.truth[at[order]]).to(self.device), teacher)
