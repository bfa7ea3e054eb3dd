"""Weights that a tuned backbone has in common with the one it came from, in memory once."""

from __future__ import annotations

import torch
from torch import Tensor

from handful.backbones.base import Backbone


def share_weights(tuned: Backbone, base: Backbone) -> int:
    """Let weights of blocks that did not move be those of the backbone that they came from.

    Args:
        tuned: whose blocks are copies, some weights of which moved.
        base: untouched, on the same device.

    Returns:
        Bytes that need not be held a second time.
    """
    saved = 0
    for own, other in zip(tuned.blocks, base.blocks, strict=True):
        known: dict[tuple[torch.Size, torch.dtype], list[Tensor]] = {}
        for weight in other.parameters():
            known.setdefault((weight.shape, weight.dtype), []).append(weight)
        for weight in own.parameters():
            same = next((one for one in known.get((weight.shape, weight.dtype), ()) if torch.equal(weight, one)), None)
            if same is not None:
                saved += weight.numel() * weight.element_size() * (weight.data_ptr() != same.data_ptr())
                weight.data = same.data
    return saved
