"""Objectives on how the rows of a batch lie to each other: contrastive, pairwise cosine, prototypical.

All pairs of the batch are compared, and each row is encoded once. Whatever a batch has none of (a partner, a
second class, another row) adds 0 to the loss and nothing to the gradient, so a batch of any make-up can be
descended.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from handful.training.objectives import Batch, Outputs, alike_in, precise

# A row shorter than this has no direction: at its true length its gradient would be a million times that of others.
SHORTEST = 1e-6


def unit_rows(features: Tensor) -> Tensor:
    """Bring rows to length one; rows without a direction become 0 and receive no gradient. (B, D) → (B, D)."""
    features = precise(features)
    lengths: Tensor = torch.linalg.vector_norm(features, dim=-1, keepdim=True)  # (B, 1)
    short = lengths < SHORTEST
    return (features / lengths.masked_fill(short, 1)).masked_fill(short, 0)


def _itself(rows: Tensor) -> Tensor:
    """True on the diagonal, (B, B)."""
    return torch.eye(len(rows), dtype=torch.bool, device=rows.device)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of the values by their weights; 0, still with a graph, where none has any."""
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))


@dataclass(frozen=True)
class SupervisedContrastive:
    """Draw each row to the rows of its class, against all others of the batch (Khosla et al. 2020, equation 2).

    Two departures: the paper sums over rows, this averages, so that the batch size does not change the rate;
    and rows that are alone in their class are no anchors, though others are still drawn away from them.
    """

    temperature: float = 0.1
    """What cosines are divided by before the softmax; lower looks harder at the nearest rows of other classes."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch, ()."""
        partners = alike_in(batch, self)  # (B, B)
        rows = unit_rows(outputs.features)  # (B, D)
        near = rows @ rows.T / self.temperature  # (B, B)
        # Not minus infinity: a row that is alone in its batch would give infinity minus infinity.
        near = near.masked_fill(_itself(rows), torch.finfo(near.dtype).min)
        log_share = (near - near.logsumexp(1, keepdim=True)).masked_fill(_itself(rows), 0)
        count = partners.sum(1)  # (B,)
        has_partner = count > 0
        losses = -(log_share * partners).sum(1) / torch.where(has_partner, count, torch.ones_like(count))
        return _mean(losses, has_partner.to(losses.dtype))


@dataclass(frozen=True)
class PairwiseCosine:
    """Squared error between the cosine of two rows and 1 for one class, 0 for two (the loss of SetFit, Tunstall 2022).

    SetFit draws as many pairs of one class as of two. This takes every pair of the batch and averages the two
    kinds apart, which weighs them the same without a draw. Rows that are alike in part, as those that share some of
    their labels, are both: as much as they are alike.
    """

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch, ()."""
        same = alike_in(batch, self)  # (B, B)
        rows = unit_rows(outputs.features)  # (B, D)
        cosines = rows @ rows.T  # (B, B)
        other = (1 - same).masked_fill(_itself(rows), 0)
        return _mean((1 - cosines) ** 2, same) + _mean(cosines**2, other)


@dataclass(frozen=True)
class Prototypical:
    """Cross-entropy of each row over its squared distances to the class means of the other rows (Snell et al. 2017).

    Two departures: the paper parts a batch into support and query rows, this leaves one row out at a time, so
    that every row is both and none sees itself; and rows are brought to length one first, so that one
    temperature fits every backbone. Rows that are alone in their class are a mean for others, and not asked themselves.
    """

    temperature: float = 0.2
    """What squared distances are divided by before the softmax; 0.2 is as sharp as cosines divided by 0.1."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch, ()."""
        numbers = batch.targets.argmax(1) if batch.targets.dim() > 1 else batch.targets
        classes, own = torch.unique(numbers, return_inverse=True)  # (C,) in this batch, (B,)
        rows = unit_rows(outputs.features)  # (B, D)
        member = functional.one_hot(own, max(len(classes), 1)).to(rows.dtype)  # (B, C)
        sums, count = member.T @ rows, member.sum(0)  # (C, D), (C,)
        means = sums / count.clamp_min(1)[:, None]  # (C, D)
        left = count[own] - 1  # (B,) other rows of the own class
        own_means = (sums[own] - rows) / left.clamp_min(1)[:, None]  # (B, D)
        # −|row − mean|² without −|row|², which is the same for all classes of a row and leaves the softmax as it is.
        scores = 2 * rows @ means.T - means.square().sum(1)  # (B, C)
        own_scores = (2 * rows * own_means - own_means.square()).sum(1, keepdim=True)  # (B, 1)
        scores = torch.where(member.bool(), own_scores, scores) / self.temperature
        losses = functional.cross_entropy(scores, own, reduction="none")
        return _mean(losses, (left > 0).to(losses.dtype))
