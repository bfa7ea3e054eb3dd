"""Penalties that need the model: nearness of its weights to their start, and a second pass on attacked activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from handful.training.objectives import Objective
from handful.training.objectives.penalties import adversarial_direction, l2_sp


@dataclass(frozen=True)
class NearStart:
    """L2-SP (Li et al. 2018): what moves is drawn back to where it began; the contract of ``loop.Penalty``."""

    weights: tuple[Tensor, ...]
    """What moves."""
    start: tuple[Tensor, ...]
    """Copies of it from before the first update."""
    strength: float
    """The gradient is this times the distance to the start."""

    @classmethod
    def of(cls, weights: Sequence[Tensor], strength: float) -> NearStart:
        """Remember where weights are now."""
        return cls(tuple(weights), tuple(weight.detach().clone() for weight in weights), strength)

    def __call__(self, model: nn.Module, outputs: Any, batch: Any, objective: Objective) -> Tensor:
        """The penalty, ()."""
        return l2_sp(self.weights, self.start, self.strength)


@dataclass(frozen=True)
class Adversary:
    """The loss again, after the step of the activations that raises it most (Miyato et al. 2017).

    The activations are those that the moving blocks start from: the word embeddings where all blocks move.
    """

    radius: float
    """Length of the step of each item, as a share of the length of its activations."""

    def __call__(self, model: nn.Module, outputs: Any, batch: Any, objective: Objective) -> Tensor:
        """The loss of the attacked batch, ()."""
        free = [replace(state, x=state.x.detach().requires_grad_()) for state in batch.state]
        loss = objective(model(free), batch)
        if not loss.requires_grad:
            return loss
        slopes = torch.autograd.grad(loss, [state.x for state in free])
        attacked = []
        for state, slope in zip(free, slopes, strict=True):
            length = state.x.detach().flatten(1).norm(dim=1)  # (B,)
            step = adversarial_direction(slope, self.radius) * length.view(-1, *[1] * (slope.dim() - 1))
            attacked.append(replace(state, x=state.x.detach() + step))
        return objective(model(attacked), batch)
