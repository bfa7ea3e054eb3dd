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

from handful.training.objectives import Batch, Outputs, classes_of, precise

# A row shorter than this has no direction: at its true length its gradient would be a million times that of others.
SHORTEST = 1e-6


def unit_rows(features: Tensor) -> Tensor:
    """Bring rows to length one; rows without a direction become 0 and receive no gradient. (B, D) → (B, D)."""
    features = precise(features)
    lengths: Tensor = torch.linalg.vector_norm(features, dim=-1, keepdim=True)  # (B, 1)
    short = lengths < SHORTEST
    return (features / lengths.masked_fill(short, 1)).masked_fill(short, 0)


def same_class(classes: Tensor) -> Tensor:
    """Which rows share a class, (B,) → (B, B); a row does not pair with itself."""
    return (classes[:, None] == classes[None, :]) & ~_itself(classes)


def _itself(classes: Tensor) -> Tensor:
    """True on the diagonal, (B, B)."""
    return torch.eye(len(classes), dtype=torch.bool, device=classes.device)


def _mean_where(values: Tensor, kept: Tensor) -> Tensor:
    """Mean of the values that are kept; 0, still with a graph, when none is."""
    return values.masked_fill(~kept, 0).sum() / kept.sum().clamp_min(1)


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
        classes = classes_of(batch, self)
        rows = unit_rows(outputs.features)  # (B, D)
        near = rows @ rows.T / self.temperature  # (B, B)
        # Not minus infinity: a row that is alone in its batch would give infinity minus infinity.
        near = near.masked_fill(_itself(classes), torch.finfo(near.dtype).min)
        log_share = near - near.logsumexp(1, keepdim=True)
        partners = same_class(classes)
        count = partners.sum(1)  # (B,)
        losses = -log_share.masked_fill(~partners, 0).sum(1) / count.clamp_min(1)
        return _mean_where(losses, count > 0)


@dataclass(frozen=True)
class PairwiseCosine:
    """Squared error between the cosine of two rows and 1 for one class, 0 for two (the loss of SetFit, Tunstall 2022).

    SetFit draws as many pairs of one class as of two. This takes every pair of the batch and averages the two
    kinds apart, which weighs them the same without a draw.
    """

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch, ()."""
        classes = classes_of(batch, self)
        rows = unit_rows(outputs.features)  # (B, D)
        cosines = rows @ rows.T  # (B, B)
        same = same_class(classes)
        return _mean_where((1 - cosines) ** 2, same) + _mean_where(cosines**2, ~same & ~_itself(classes))


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
        classes, own = torch.unique(classes_of(batch, self), return_inverse=True)  # (C,) in this batch, (B,)
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
        return _mean_where(losses, left > 0)
