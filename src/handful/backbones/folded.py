"""A copy of EfficientNet-Lite for frozen passes: batch normalisation folded in, clamps fused, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn

from handful.backbones.efficientnet import ConvUnit, Head, MBConv, same_padding

# One operation of the library that torch's own convolutions run on, with the clamp done while the result is still in
# the cache: a fifth faster than convolving and then clamping. Private to torch, hence asked for.
_FUSED = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")  # type: ignore[no-untyped-call]

_FOLDABLE = (ConvUnit, MBConv, Head, nn.Conv2d, nn.BatchNorm2d)


class _Conv(NamedTuple):
    """A convolution with its batch normalisation folded in."""

    weight: Tensor
    wide: Tensor  # the same kernel with a row and a column of zeros before it
    bias: Tensor
    stride: int
    groups: int
    linear: bool

    def __call__(self, x: Tensor) -> Tensor:
        kernel = self.weight.shape[-1]
        top, bottom = same_padding(x.shape[2], kernel, self.stride)
        left, right = same_padding(x.shape[3], kernel, self.stride)
        if (top, left) == (bottom, right):
            return self._convolve(x, self.weight, [top, left])
        if (top + 1, left + 1) == (bottom, right):
            # Zeros at the start of the kernel instead of padding on one side, which would copy the whole picture.
            return self._convolve(x, self.wide, [bottom, right])
        return self._convolve(nn.functional.pad(x, (left, right, top, bottom)), self.weight, [0, 0])

    def _convolve(self, x: Tensor, weight: Tensor, padding: list[int]) -> Tensor:
        stride = [self.stride, self.stride]
        if _FUSED and x.device.type == "cpu" and x.dtype == torch.float32:
            clamp = ("none", [], "") if self.linear else ("hardtanh", [0.0, 6.0], "")
            fused: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, weight, self.bias, padding, stride, [1, 1], self.groups, *clamp
            )
            return fused
        x = nn.functional.conv2d(x, weight, self.bias, stride, padding, 1, self.groups)
        return x if self.linear else nn.functional.relu6(x, inplace=True)


def _folded(unit: ConvUnit) -> _Conv:
    conv, norm = unit.conv, unit.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)  # (C',)
    weight = (conv.weight * scale[:, None, None, None]).detach()
    bias = (norm.bias - norm.running_mean * scale).detach()
    wide = nn.functional.pad(weight, (1, 0, 1, 0)) if conv.stride[0] > 1 else weight
    last = torch.channels_last
    return _Conv(
        weight.contiguous(memory_format=last),
        wide.contiguous(memory_format=last),
        bias,
        conv.stride[0],
        conv.groups,
        unit.linear,
    )


class FoldedNet:
    """A stem and blocks for frozen passes only: batch normalisation folded into the convolutions, channels last.

    It follows the weights that it was made from: where one of them has changed, it is made anew.
    """

    def __init__(self, stem: nn.Module, blocks: Sequence[nn.Module]) -> None:
        self._stem, self._blocks = stem, blocks
        self._sums: Tensor | None = None
        self._stem_conv: _Conv | None = None
        self._chains: list[tuple[list[_Conv], bool]] = []

    def ready(self) -> bool:
        """Bring the copy up to date; False where it cannot stand for the modules (in training, or parts exchanged)."""
        modules = [m for top in (self._stem, *self._blocks) for m in top.modules()]
        if any(m.training or type(m) not in _FOLDABLE or m._forward_hooks for m in modules):
            return False
        tensors = chain.from_iterable(chain(m._parameters.values(), m._buffers.values()) for m in modules)
        # Sums, not torch's version counters: changes through ``.data`` count nothing up. 3 % of a pass.
        now = torch.stack([t.detach().sum() for t in tensors if t is not None and t.is_floating_point()])
        old = self._sums
        if old is None or old.device != now.device or not torch.equal(old, now):
            self._fold()
            self._sums = now
        return True

    def _fold(self) -> None:
        assert isinstance(self._stem, ConvUnit)
        self._stem_conv = _folded(self._stem)
        self._chains = []
        for block in self._blocks:
            if isinstance(block, MBConv):
                units = [u for u in (block.expand, block.depthwise, block.project) if u is not None]
                self._chains.append(([_folded(u) for u in units], block.residual))
            else:
                assert isinstance(block, Head)
                self._chains.append(([_folded(block.unit)], False))

    @torch.inference_mode()
    def maps(self, x: Tensor, depths: Sequence[int]) -> dict[int, Tensor]:
        """The activations after so many blocks.

        Args:
            x: (B, 3, H, W) normalised pictures, channels last.
            depths: how many blocks to run; the pass stops after the deepest.

        Returns:
            depth → (B, C, H', W').
        """
        assert self._stem_conv is not None
        x = self._stem_conv(x)
        found = {0: x} if 0 in depths else {}
        for depth in range(1, max(depths) + 1):
            convs, residual = self._chains[depth - 1]
            y = x
            for conv in convs:
                y = conv(y)
            x = x + y if residual else y
            if depth in depths:
                found[depth] = x
        return found
