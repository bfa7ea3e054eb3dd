"""InfoNCE: the second view of an item is found among those of all items of the batch, without any labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from handful.training.objectives import Batch, Outputs
from handful.training.objectives.contrast import unit_rows


@dataclass(frozen=True)
class InfoNCE:
    """Draw two views of an item together, and away from those of the other items (van den Oord et al. 2018).

    Outputs are doubled: row i and row B + i are two views of one item. Where these are two dropout passes of a text it
    is the loss of SimCSE (Gao et al. 2021), asked in both directions as CLIP does; where they are changed versions of
    a picture or sound, that of SimCLR (Chen et al. 2020) without the negatives of the own view.
    """

    temperature: float = 0.05
    """What cosines are divided by before the softmax; lower looks harder at the items that are most alike."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a doubled batch, ()."""
        rows = unit_rows(outputs.features)  # (2 B, D)
        first, second = rows.reshape(2, len(rows) // 2, rows.shape[1])  # an odd number of rows is no doubled batch
        near = first @ second.T / self.temperature  # (B, B)
        own = torch.arange(len(near), device=near.device)
        return (functional.cross_entropy(near, own) + functional.cross_entropy(near.T, own)) / 2
