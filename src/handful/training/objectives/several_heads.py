"""The objective of several heads on the same features (multi-task learning): the mean of their losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from handful.training.objectives import Batch, Objective, Outputs, scores_of


@dataclass(frozen=True)
class HeadLoss:
    """One head among several: which columns are its own, and what is minimised there."""

    first: int
    """Its first column of scores and targets."""
    width: int
    """K, how many it has."""
    objective: Objective
    """What is minimised."""


@dataclass(frozen=True)
class SeveralHeads:
    """Mean over the heads of the mean loss of those rows of a batch that have a target for them (Caruana 1997).

    What no row of a batch has adds nothing. Targets that are missing are NaN.
    """

    heads: Sequence[HeadLoss]
    """Side by side in the columns of scores and targets."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch, ()."""
        scores, losses = scores_of(outputs, self), []
        for head in self.heads:
            own = slice(head.first, head.first + head.width)
            there = ~batch.targets[:, own].isnan().any(1)  # (B,)
            if there.any():
                seen = Outputs(outputs.features[there], scores[there, own])
                losses.append(head.objective(seen, replace(batch, targets=batch.targets[there, own])))
        return torch.stack(losses).mean() if losses else scores.new_zeros(())
