"""A small network from what is seen at a pixel to classes: two hidden layers, learned by the one loop."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from handful.seeding import generator
from handful.training.loop import Group, Settings, train
from handful.training.objectives import Batch, Outputs
from handful.training.objectives.classify import CrossEntropy

Matrix = NDArray[np.float32]

# Chosen on pictures 0 to 14 of membrane_masks: see docs/decisions/0083.
_HIDDEN, _DROPOUT = 64, 0.2
_BATCH, _RATE, _DECAY = 512, 3e-3, 0.01
_UPDATES, _PASSES = 800, 20
"""Updates at most, and how often each row is seen at most."""


class _Network(nn.Module):
    """Dropout throws out a fifth of what is seen, so that no single column is relied on."""

    def __init__(self, width: int, classes: int, rng: np.random.Generator) -> None:
        super().__init__()
        sides = ((width, _HIDDEN), (_HIDDEN, _HIDDEN), (_HIDDEN, classes))
        self.coef = nn.ParameterList(_begun(rng, below, (below, above)) for below, above in sides)
        self.intercept = nn.ParameterList(_begun(rng, below, (above,)) for below, above in sides)

    def forward(self, x: Tensor) -> Outputs:
        """(B, D) → scores (B, C)."""
        # Of an update the same columns, which are many times fewer dice than each number of each row.
        y = (x * functional.dropout(x.new_ones(x.shape[1]), _DROPOUT)) @ self.coef[0] + self.intercept[0]
        y = functional.dropout(y.relu(), _DROPOUT) @ self.coef[1] + self.intercept[1]
        return Outputs(x, y.relu() @ self.coef[2] + self.intercept[2])


def layers_of(
    x: Matrix, classes: NDArray[np.int64], weights: NDArray[np.float64], seed: int
) -> tuple[tuple[Matrix, Matrix], ...]:
    """Learn the layers of a network from rows.

    Args:
        x: (P, D) rows, each column at about the same scale.
        classes: (P,) numbers of classes.
        weights: (C,) how much likelier a row of each class is seen than one of another.
        seed: fixes the first weights, the rows of each update, and what dropout throws out.

    Returns:
        From the lowest, (D, K) and (K,) of each layer; between two what is below 0 becomes 0. The last gives the scores
        of C classes, before any softmax.

    Raises:
        TrainingError: the loss stopped being a finite number.
    """
    network = _Network(x.shape[1], len(weights), generator(seed, "pixel net"))
    rows, wanted = torch.from_numpy(x), torch.from_numpy(classes)
    chances = np.cumsum(weights[classes])

    def drawn(update: int, parts: int) -> list[Batch]:
        rng = generator(seed, f"pixel net {update}")
        each = np.searchsorted(chances, rng.random(min(_BATCH, len(x))) * chances[-1], side="right")
        return [Batch(rows[own], wanted[own]) for own in map(torch.from_numpy, np.array_split(each, parts))]

    updates = min(_UPDATES, max(1, _PASSES * len(x) // _BATCH))
    settings = Settings(updates=updates, rate=_RATE, weight_decay=_DECAY, seed=seed, mixed=False)
    train(network, CrossEntropy(), drawn, [Group(tuple(network.parameters()))], settings)
    return tuple(
        (np.asarray(coef.detach().numpy()), np.asarray(intercept.detach().numpy()))
        for coef, intercept in zip(network.coef, network.intercept, strict=True)
    )


def _begun(rng: np.random.Generator, below: int, shape: tuple[int, ...]) -> nn.Parameter:
    """Weights before the first update: small where many columns are added up (LeCun et al. 1998, section 4.6)."""
    return nn.Parameter(torch.from_numpy(rng.uniform(-1, 1, shape).astype(np.float32) * np.float32(below**-0.5)))
