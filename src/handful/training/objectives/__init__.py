"""The contract of an objective, ``loss(outputs, batch) → ()``: pure, and knowing neither model nor optimiser.

The sums are made in single precision or better, so call an objective outside of any autocast region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from handful.errors import OptionError


@dataclass(frozen=True)
class Outputs:
    """What a model gives for a batch."""

    features: Tensor
    """(B, D) pooled features."""
    scores: Tensor | None = None
    """(B, C) scores before any softmax, or (M, V) of M tokens of a language model; none where the model has no head."""


@dataclass(frozen=True)
class Batch:
    """What a model is given, and what it should have answered."""

    state: Any
    """What goes into the model; objectives never look at it."""
    targets: Tensor
    """(B, K) what scores are fitted to, of classes the share of each; (M,) the next tokens."""
    teacher: Tensor | None = None
    """(B, C) scores of the model to learn from, before any softmax; only distillation reads them."""
    owner: Tensor | None = None
    """(M,) which row each of M tokens belongs to, where targets are tokens."""
    alike: Tensor | None = None
    """(B, B) how much the same is wanted of two rows, from 0 to 1; only contrastive objectives read it."""
    reference: Tensor | None = None
    """(2 B,) log likelihood of B chosen and then B rejected answers at the start; only preferences read them."""

    @property
    def weight(self) -> int:
        """How much the batch counts beside others of its update: rows, tokens or pairs."""
        return len(self.targets) if self.reference is None else len(self.reference) // 2


class Objective(Protocol):
    """A formula giving a number to descend."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch, ()."""


def precise(values: Tensor) -> Tensor:
    """Bring half precision to single: sums of many exponentials are too coarse in half; doubles stay doubles."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def scores_of(outputs: Outputs, objective: object) -> Tensor:
    """The scores of a batch, in single precision or better.

    Args:
        outputs: what the model gave.
        objective: who asks, for the message.

    Raises:
        OptionError: the model has no head that gives scores.
    """
    if outputs.scores is None:
        raise OptionError(
            f"{type(objective).__name__} must be given scores, got features only. "
            "Put a head on the model, or train with a contrastive objective."
        )
    return precise(outputs.scores)


def alike_in(batch: Batch, objective: object) -> Tensor:
    """How much the same is wanted of two rows of a batch, (B, B); a row does not pair with itself.

    Args:
        batch: the batch.
        objective: who asks, for the message.

    Raises:
        OptionError: the batch does not say.
    """
    if batch.alike is None:
        raise OptionError(
            f"The batches of {type(objective).__name__} must say how much the same is wanted of two rows, got none "
            "that do. Give them alike=, or train with CrossEntropy."
        )
    return precise(batch.alike).masked_fill(torch.eye(len(batch.alike), dtype=torch.bool, device=batch.alike.device), 0)
