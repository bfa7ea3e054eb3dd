"""Objectives on pairs of answers: the chosen one has to gain more likelihood than the rejected one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from handful.errors import OptionError
from handful.training.objectives import Batch, Outputs, scores_of


@dataclass(frozen=True)
class _Pairs:
    """What both objectives share: margins of pairs, and a supervised term on the chosen answers."""

    beta: float = 0.1
    """How far the model may move for a pair: the larger, the closer it stays to where it began."""
    supervised: float = 0.0
    """Weight of the mean cross-entropy of the chosen answers' tokens, which keeps them from becoming unlikely."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch of B pairs, ().

        Raises:
            OptionError: the batch holds no pairs.
        """
        likely, count = log_likelihoods(outputs, batch, self)  # (2 B,), (2 B,)
        assert batch.reference is not None
        gained = likely - batch.reference  # (2 B,)
        loss = self.of(gained, count)
        if self.supervised:
            chosen = len(likely) // 2
            loss = loss - self.supervised * likely[:chosen].sum() / count[:chosen].sum().clamp_min(1)
        return loss

    def of(self, gained: Tensor, count: Tensor) -> Tensor:
        """The loss of log likelihoods gained since the start, (2 B,), of answers with so many tokens."""
        raise NotImplementedError


@dataclass(frozen=True)
class DPO(_Pairs):
    """Direct preference optimisation (Rafailov et al. 2023, equation 7)."""

    def of(self, gained: Tensor, count: Tensor) -> Tensor:
        """Mean of −log σ(β · margin)."""
        chosen, rejected = gained.chunk(2)
        return -functional.logsigmoid(self.beta * (chosen - rejected)).mean()


@dataclass(frozen=True)
class IPO(_Pairs):
    """Identity preference optimisation (Azar et al. 2024, equation 17): a margin to reach, not one to grow without end.

    Log likelihoods are per token, so that long answers do not reach the margin for being long.
    """

    def of(self, gained: Tensor, count: Tensor) -> Tensor:
        """Mean of (margin − 1 / 2β)²."""
        chosen, rejected = (gained / count.clamp_min(1)).chunk(2)
        return ((chosen - rejected - 1 / (2 * self.beta)) ** 2).mean()


def log_likelihoods(outputs: Outputs, batch: Batch, objective: object) -> tuple[Tensor, Tensor]:
    """Log likelihood of each answer, and how many tokens it has.

    Args:
        outputs: scores (M, V) of the places of 2 B answers.
        batch: whose ``owner`` says which answer each place belongs to.
        objective: who asks, for the message.

    Returns:
        (2 B,) in nats, and (2 B,).

    Raises:
        OptionError: the batch does not say whose tokens are whose, or where the model began.
    """
    if batch.owner is None or batch.reference is None:
        raise OptionError(
            f"The batches of {type(objective).__name__} must hold pairs of answers and how likely they were at the "
            "start, got single rows. Give rows with a chosen and a rejected answer."
        )
    scores = scores_of(outputs, objective)  # (M, V)
    each = -functional.cross_entropy(scores, batch.targets, reduction="none")  # (M,)
    zero = torch.zeros(len(batch.reference), device=each.device, dtype=each.dtype)
    return zero.index_add(0, batch.owner, each), zero.index_add(0, batch.owner, torch.ones_like(each))
