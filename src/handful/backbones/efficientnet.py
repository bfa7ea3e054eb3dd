"""EfficientNet-Lite in plain torch: stem, blocks, head and the ImageNet classifier."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, nn

from handful.backbones.base import State

# How often, kernel, stride, expansion, channels of each stage: EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946,
# table 1) without squeeze-and-excitation.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280  # Lite scales neither of the two

# The constant of the original's batch normalisation; torch's own default (1e-5) costs two points of accuracy.
_EPSILON = 1e-3


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros go before and after one side so that ceil(size / stride) outputs come out, as in TensorFlow."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class ConvUnit(nn.Module):
    """Convolution, batch normalisation and, unless it is linear, ReLU6: (B, C, H, W) → (B, C', H/stride, W/stride)."""

    def __init__(
        self, channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=_EPSILON, momentum=0.01)
        # Kept here too: a layer that stands in for the convolution while it is tuned has no such attributes.
        self.kernel, self.stride, self.linear = kernel, stride, linear

    def forward(self, x: Tensor) -> Tensor:
        """Pad as TensorFlow does, convolve, normalise, clamp."""
        top, bottom = same_padding(x.shape[2], self.kernel, self.stride)
        left, right = same_padding(x.shape[3], self.kernel, self.stride)
        x = self.norm(self.conv(nn.functional.pad(x, (left, right, top, bottom)) if bottom or right else x))
        return x if self.linear else nn.functional.relu6(x)


class MBConv(nn.Module):
    """Inverted bottleneck: widen, convolve each channel alone, narrow; added to its input where the shapes agree."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = ConvUnit(channels, wide) if expansion > 1 else None
        self.depthwise = ConvUnit(wide, wide, kernel, stride, groups=wide)
        self.project = ConvUnit(wide, out, linear=True)
        self.residual = stride == 1 and channels == out

    def forward(self, state: State) -> State:
        """(B, C, H, W) → (B, C', H/stride, W/stride)."""
        x = state.x if self.expand is None else self.expand(state.x)
        x = self.project(self.depthwise(x))
        return State(state.x + x if self.residual else x, state.mask, state.owner)


class Head(nn.Module):
    """The last convolution, to 1280 channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.unit = ConvUnit(channels, _HEAD)

    def forward(self, state: State) -> State:
        """(B, C, H, W) → (B, 1280, H, W)."""
        return State(self.unit(state.x), state.mask, state.owner)


class EfficientNetLite(nn.Module):
    """Stem, MBConv blocks, head and the 1000-class ImageNet classifier.

    ``blocks`` holds the MBConv blocks bottom to top and the head as the last one.
    """

    def __init__(self, width: float = 1.0, depth: float = 1.0) -> None:
        """Build the network with random weights.

        Args:
            width: factor on the channels of every stage.
            depth: factor on the repeats of every stage but the first and the last.
        """
        super().__init__()
        self.stem = ConvUnit(3, _STEM, kernel=3, stride=2)
        blocks: list[nn.Module] = []
        self.stage_ends: list[int] = []
        """After how many blocks each stage ends."""
        channels = _STEM
        for stage, (repeats, kernel, stride, expansion, out) in enumerate(_STAGES):
            if 0 < stage < len(_STAGES) - 1:
                repeats = math.ceil(repeats * depth)
            out = _scaled(out, width)
            for repeat in range(repeats):
                blocks.append(MBConv(channels, out, kernel, stride if repeat == 0 else 1, expansion))
                channels = out
            self.stage_ends.append(len(blocks))
        self.blocks = nn.ModuleList([*blocks, Head(channels)])
        self.classifier = nn.Linear(_HEAD, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the ImageNet classes, (B, 1000), for normalised pictures, (B, 3, H, W)."""
        state = State(self.stem(x))
        for block in self.blocks:
            state = block(state)
        scores: Tensor = self.classifier(state.x.mean((2, 3)))
        return scores


def _scaled(channels: int, width: float) -> int:
    """Channels times width, rounded to a multiple of eight but never down by more than a tenth."""
    rounded = max(8, int(channels * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels * width else rounded


def from_original(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of an original checkpoint under the names of ``EfficientNetLite``.

    Args:
        weights: keys such as ``_conv_stem.weight``, ``_blocks.3._bn0.bias`` and ``_fc.weight``.

    Raises:
        KeyError: a key is none of an EfficientNet-Lite checkpoint.
    """
    count = len({name.split(".")[1] for name in weights if name.startswith("_blocks.")})
    outside = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_fc": "classifier"}
    outside |= {"_conv_head": f"blocks.{count}.unit.conv", "_bn1": f"blocks.{count}.unit.norm"}
    inside = {"_expand_conv": "expand.conv", "_bn0": "expand.norm", "_depthwise_conv": "depthwise.conv"}
    inside |= {"_bn1": "depthwise.norm", "_project_conv": "project.conv", "_bn2": "project.norm"}
    renamed = {}
    for name, tensor in weights.items():
        *place, part, kind = name.split(".")
        renamed[f"blocks.{place[1]}.{inside[part]}.{kind}" if place else f"{outside[part]}.{kind}"] = tensor
    return renamed
