"""The body: a copy of the top blocks of a backbone, with an optional classifier, as one module that can be trained."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from handful.backbones.base import Backbone, State
from handful.training.activations import Activations
from handful.training.objectives import Outputs

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Body(nn.Module):
    """The blocks above a depth, copied so that the backbone itself never changes: State → Outputs.

    ``dropout`` is off unless it is switched on: a handful of updates gains nothing from noise (measured), and R-Drop
    needs it. Batch-norm statistics stay those of pre-training unless ``moving_statistics``: a batch of a few
    rows says nothing about a mean.
    """

    def __init__(self, backbone: Backbone, first: int) -> None:
        """Copy the blocks from ``first`` up.

        Args:
            backbone: where the blocks come from.
            first: how many blocks at the bottom stay frozen, outside of the body.
        """
        super().__init__()
        self.first = first
        self.blocks = nn.ModuleList(copy.deepcopy(list(backbone.blocks[first:])))
        self.classifier: nn.Linear | None = None
        self._example: State | None = None
        self.dropout = False
        self.moving_statistics = False
        # Whether products may be rounded on a CPU that is faster with it.
        self.rounds_on_cpu = True
        self._pool = backbone.pool
        for module in self.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # a copy is no longer the one piece of memory that cuDNN wants
        for weight in self.blocks.parameters():
            weight.requires_grad_(False)

    def forward(self, states: Sequence[State]) -> Outputs:
        """Features (B, D), not scaled, and scores (B, C) of the unit features where there is a classifier.

        A batch may come in several states, rows of about equal length together, so that little is padded.
        """
        z = torch.cat([self.seen(state) for state in states])  # (B, D)
        return Outputs(z, None if self.classifier is None else self.classifier(functional.normalize(z, dim=1)))

    def seen(self, state: State) -> Tensor:
        """The features of one state, (B, D)."""
        for block in self.blocks:
            state = block(state)
        return self._pool(state)

    def measure(self, state: State) -> None:
        """Keep one batch, for ``widths`` and ``entering`` to be told from when somebody asks."""
        self._example = state

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers per token or place each block gives; nothing before ``measure``."""
        return tuple(state.x.shape[1 if state.x.dim() == 4 else -1] for state in self._passed()[1:])

    @property
    def entering(self) -> tuple[Tensor, ...]:
        """What goes into each block for the first item of that batch, (T, D) each; nothing before ``measure``."""
        return tuple(state.x[0] for state in self._passed()[:-1])

    @torch.no_grad()
    def _passed(self) -> list[State]:
        """That batch below the first block and after each."""
        states = [] if self._example is None else [self._example]
        for block in self.blocks if states else ():
            states.append(block(states[-1]))
        return states

    @property
    def device(self) -> torch.device:
        """Where the blocks are."""
        return next(self.blocks.parameters()).device

    def classify(self, coef: NDArray[np.float32], intercept: NDArray[np.float32]) -> None:
        """Start a classifier from a fitted linear head, (D, C) and (C,): the head first, then the body."""
        # Without first values, for which nn.Linear would throw torch's global dice.
        layer: nn.Linear = nn.utils.skip_init(nn.Linear, *coef.shape, device=self.device)  # type: ignore[no-untyped-call]
        layer.weight.data.copy_(torch.from_numpy(coef.T.copy()))
        layer.bias.data.copy_(torch.from_numpy(intercept))
        self.classifier = layer

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Be in training mode, as far as dropout and statistics are wanted, for the length of a block."""
        for module in self.modules():
            wanted = self.moving_statistics if isinstance(module, _NORMS) else self.dropout
            # cuDNN has no backward pass of a recurrent layer that is not in training mode.
            module.training = wanted or (isinstance(module, nn.RNNBase) and not module.dropout)
        try:
            yield
        finally:
            self.eval()


def first_moving(count: int, share: float) -> int:
    """How many of ``count`` blocks stay frozen where a share of them, from the top and at least one, moves."""
    return count - max(1, min(count, math.ceil(share * count - 1e-9)))


def trainable(module: nn.Module) -> int:
    """How many weights may move."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def features_of(body: Body, activations: Activations, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
    """What a body sees in some rows. M rows → (M, D)."""
    return activations.seen_by(body.seen, [int(row) for row in rows])
