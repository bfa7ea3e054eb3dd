"""Attention over the real tokens of a batch: padding is looked at by nobody, and dense layers do not even see it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from handful.backbones.base import State


def attend(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, dropout: float = 0.0) -> Tensor:
    """Attention; on a CPU always in float32, since its gradient in bfloat16 takes thrice.

    Args:
        q: queries, (B, heads, T, D / heads).
        k: keys, the same.
        v: values, the same.
        visible: (B, 1, 1, T) what may be looked at; None where that is everything.
        dropout: the share of weights that are left out.

    Returns:
        (B, heads, T, D / heads).
    """
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        with torch.autocast("cpu", enabled=False):
            return attend(q.float(), k.float(), v.float(), visible, dropout)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=visible, dropout_p=dropout)


def split(x: Tensor, heads: int) -> Tensor:
    """(B, T, D) → (B, heads, T, D / heads)."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


@dataclass(frozen=True)
class Padding:
    """Which of B × T places hold real tokens: M of them."""

    shape: tuple[int, int]
    """B and T."""
    at: Tensor | None
    """(M,) the places, counted through; None where all are real."""
    visible: Tensor | None
    """(B, 1, 1, T) what attention may look at; None where that is everything."""

    @classmethod
    def of(cls, state: State) -> Padding:
        """Of a batch."""
        shape, mask = (state.x.shape[0], state.x.shape[1]), state.mask
        if mask is not None and torch.onnx.is_in_onnx_export():  # a recorded graph cannot leave rows out as it runs
            return cls(shape, None, mask[:, None, None, :].bool())
        if mask is None or bool(mask.all()):
            return cls(shape, None, None)
        return cls(shape, mask.flatten().nonzero()[:, 0], mask[:, None, None, :].bool())

    def without(self, x: Tensor) -> Tensor:
        """(B, T, D) → (M, D)."""
        flat = x.flatten(0, 1)
        return flat if self.at is None else flat.index_select(0, self.at)

    def put_back(self, rows: Tensor) -> Tensor:
        """(M, D) → (B, T, D), zeros where nothing is."""
        if self.at is not None:
            rows = rows.new_zeros(self.shape[0] * self.shape[1], rows.shape[1]).index_copy(0, self.at, rows)
        return rows.view(*self.shape, -1)
