"""What is added to a loss so that few rows do not mislead: nearness to the start, agreement under dropout and attack.

Plain weight decay, a pull towards 0, is not here: it is the optimiser's job.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from handful.training.objectives import Batch, Objective, Outputs, precise, scores_of


def l2_sp(parameters: Iterable[Tensor], start: Iterable[Tensor], strength: float) -> Tensor:
    """Half the squared distance of the weights to where they began, times ``strength`` (L2-SP, Li et al. 2018).

    Args:
        parameters: the weights that move.
        start: what they were before the first update, in the same order; copies, or they would move along.
        strength: the gradient is this times the distance of each weight to its start.

    Returns:
        ().
    """
    pairs = zip(parameters, start, strict=True)
    moved = [(precise(now) - precise(then).detach()).square().sum() for now, then in pairs]
    return strength / 2 * torch.stack(moved).sum() if moved else torch.zeros(())


def symmetric_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Mean of both Kullback-Leibler divergences between the softmax of two score arrays, (B, C) twice → (B,)."""
    log_p, log_q = functional.log_softmax(first, -1), functional.log_softmax(second, -1)
    # ½ Σ p (log p − log q) + ½ Σ q (log q − log p)
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1) / 2


@dataclass(frozen=True)
class RDrop:
    """An objective that also asks two dropout passes of the same rows to agree (Liang et al. 2021).

    Outputs and batch are doubled: row i and row B + i are two passes of one item, with the same target. The paper
    adds the losses of the two passes, this averages them, so that strength 0 is the base alone.
    """

    base: Objective
    """The objective on the rows of both passes."""
    strength: float = 1.0
    """Weight of the disagreement; the paper's α is twice this, since it adds what is averaged here."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a doubled batch, ()."""
        scores = scores_of(outputs, self)  # (2 B, C)
        # Not chunk(): an odd number of rows is no doubled batch, and its halves must not be stretched to fit.
        first, second = scores.reshape(2, len(scores) // 2, *scores.shape[1:])
        apart = symmetric_divergence(first, second)  # (B,), or (B, T) for tokens
        return self.base(outputs, batch) + self.strength * apart.sum() / max(apart.numel(), 1)


def adversarial_direction(gradient: Tensor, radius: float) -> Tensor:
    """The step of the embeddings that raises the loss most (Miyato et al. 2017).

    Args:
        gradient: (B, T, D) or (B, D), derivative of the loss by the embeddings; scale does not matter.
        radius: length of the step of each item, over all its tokens together.

    Returns:
        What to add to the embeddings, shaped as they are and without a graph; 0 for an item without gradient.
    """
    rows = precise(gradient.detach()).flatten(1)  # (B, T D)
    # By the largest number first: gradients of a mean over many rows are so small that their squares would be 0.
    rows = _divided(rows, rows.abs().amax(1, keepdim=True))
    rows = _divided(rows, torch.linalg.vector_norm(rows, dim=1, keepdim=True))
    return (radius * rows).reshape(gradient.shape).to(gradient.dtype)


def _divided(rows: Tensor, by: Tensor) -> Tensor:
    """Rows divided by one number each; rows of 0 stay 0."""
    return rows / by.masked_fill(by == 0, 1)
