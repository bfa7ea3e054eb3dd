"""Google's speech embedding as torch modules: a log-mel front end and twenty convolutions, rebuilt from two ONNX files.

Lin et al. 2020, "Training keyword spotters with limited and synthesized speech data" (arXiv 2002.01322), in the form
that openWakeWord ships. The original runs over windows of 76 frames (0.775 s), 8 frames apart. No convolution pads
in time and the pools together step 8 frames, so one pass over a whole clip gives exactly the same vectors
and computes nothing twice.

Shapes: ``T`` frames, ``F`` frequencies; activations are (B, channels, T, F).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from handful.backbones.base import State
from handful.backbones.onnx_file import tensors

RATE = 16_000  # samples per second
FRAME, HOP = 512, 160  # samples per frame and from frame to frame
WINDOW = 76  # frames under one output of the whole network
BANDS = 32

# Kernels of convolutions 0 to 19, (time, frequency), and their output channels.
_KERNELS = ((3, 3), *((1, 3), (3, 1)) * 9, (3, 1))
_CHANNELS = (1, *(24,) * 3, *(48,) * 4, *(72,) * 4, *(96,) * 9)
# After which convolution which maximum is taken, (time, frequency).
_POOLS = {2: (2, 2), 6: (1, 2), 10: (2, 2), 14: (1, 2), 18: (2, 2)}
# The blocks: which convolutions belong together; number 0 is part of the stem.
_BLOCKS = ((1, 2), (3, 4, 5, 6), (7, 8, 9, 10), (11, 12, 13, 14), (15, 16, 17, 18), (19,))

_SLOPE, _FLOOR = 0.2, -0.4  # of the activation: max(x, 0.2 x, -0.4)
_NORM_EPS = 0.001
_QUIETEST, _RANGE = 1e-10, 80.0  # power below which nothing is heard; decibels kept below the loudest


class LogMel(nn.Module):
    """The front end: waveforms at 16-bit scale → decibels in 32 mel bands, shifted as the network expects."""

    def __init__(self, bins: int) -> None:
        """Make room for the weights.

        Args:
            bins: how many frequencies of the transform any band looks at.
        """
        super().__init__()
        self.register_buffer("kernels", torch.zeros(FRAME, 2 * bins))  # cosines, then sines, both windowed
        self.register_buffer("bands", torch.zeros(bins, BANDS))
        self.kernels: Tensor
        self.bands: Tensor

    def forward(self, waves: Tensor) -> Tensor:
        """(B, samples) → (B, T, 32)."""
        if torch.onnx.is_in_onnx_export():  # the same sums, as an operator that ONNX has
            parts = functional.conv1d(waves[:, None], self.kernels.T[:, None], stride=HOP).transpose(1, 2)
        else:
            parts = waves.unfold(1, FRAME, HOP) @ self.kernels  # (B, T, 2 bins)
        real, imaginary = parts.chunk(2, dim=2)
        power = (real.square() + imaginary.square()) @ self.bands
        decibels = 10 * torch.log10(power.clamp_min(_QUIETEST))
        floor = decibels.amax((1, 2), keepdim=True) - _RANGE
        return torch.maximum(decibels, floor) / 10 + 2


class Conv(nn.Module):
    """One convolution with its activation and pool; the mask loses the frames that now see padding."""

    def __init__(self, number: int) -> None:
        """Build convolution ``number`` of the original, 0 to 19."""
        super().__init__()
        self.time, frequency = _KERNELS[number]
        self.bounded = number < len(_KERNELS) - 1
        self.pool = _POOLS.get(number)
        inside, outside = _CHANNELS[number : number + 2]
        # Convolution 0 pads its frequencies too, and like the last one has no bias.
        self.conv = nn.Conv2d(
            inside, outside, (self.time, frequency), padding=(0, frequency // 2), bias=0 < number < len(_KERNELS) - 1
        )

    def forward(self, state: State) -> State:
        """(B, channels, T, F) → the same with fewer frames."""
        x, mask = self.conv(state.x), state.mask
        if self.bounded:
            x = bounded(x)
        if mask is not None:
            mask = mask[:, self.time - 1 :]
        if self.pool is not None:
            x = functional.max_pool2d(x, self.pool)
            if mask is not None:
                step = self.pool[0]
                mask = mask[:, step - 1 :: step]
        return State(x, mask, state.owner)


class Stem(nn.Module):
    """The front end and convolution 0, the only one with a batch normalisation of its own."""

    def __init__(self, bins: int) -> None:
        """Make room for the weights.

        Args:
            bins: how many frequencies of the transform any band looks at.
        """
        super().__init__()
        self.mel = LogMel(bins)
        self.conv = Conv(0)
        self.norm = nn.BatchNorm2d(_CHANNELS[1], eps=_NORM_EPS)

    def forward(self, waves: Tensor, mask: Tensor) -> State:
        """Waveforms at 16-bit scale (B, samples), real frames (B, T) → activations (B, 24, T - 2, 32)."""
        x = self.mel(waves)[:, None].contiguous(memory_format=torch.channels_last)  # (B, 1, T, 32)
        return State(bounded(self.norm(self.conv.conv(x).relu())), mask[:, self.conv.time - 1 :])


class SpeechEmbedding(nn.Module):
    """The network: ``stem`` and six ``blocks``; after the last one a frame stands for 0.775 s."""

    def __init__(self, bins: int) -> None:
        """Make room for the weights.

        Args:
            bins: how many frequencies of the transform any band looks at.
        """
        super().__init__()
        self.stem = Stem(bins)
        self.blocks = nn.ModuleList(nn.Sequential(*(Conv(i) for i in numbers)) for numbers in _BLOCKS)


def bounded(x: Tensor) -> Tensor:
    """The network's activation, max(x, 0.2 x, -0.4); in place where no gradient can need what was there."""
    inplace = not (torch.is_grad_enabled() and x.requires_grad) and not torch.onnx.is_in_onnx_export()
    x = functional.leaky_relu(x, _SLOPE, inplace=inplace)
    return x.clamp_(min=_FLOOR) if inplace else x.clamp(min=_FLOOR)


def reach(blocks: int) -> tuple[int, int]:
    """How many frames lie from one place of the map after so many blocks to the next, and how many one place sees."""
    step, under = 1, _KERNELS[0][0]
    for number in (number for numbers in _BLOCKS[:blocks] for number in numbers):
        under += (_KERNELS[number][0] - 1) * step
        pool = _POOLS.get(number, (1, 1))[0]
        under, step = under + (pool - 1) * step, step * pool
    return step, under


def frames(samples: int) -> int:
    """How many frames fit into so many samples."""
    return (samples - FRAME) // HOP + 1


def from_onnx(mel: Path, embedding: Path) -> dict[str, Tensor]:
    """The weights of the two original graphs under the names of ``SpeechEmbedding``.

    Args:
        mel: ``melspectrogram.onnx``.
        embedding: ``embedding_model.onnx``.

    Raises:
        KeyError: a graph lacks one of the tensors.
    """
    front, net = tensors(mel), tensors(embedding)
    bands = front["1.melW"]  # (257, 32)
    used = np.flatnonzero(bands.any(1))  # most bins lie above the highest band
    used = np.arange(used[0], used[-1] + 1)
    waves = [front[f"0.stft.conv_{part}.weight"][used, 0].T for part in ("real", "imag")]
    weights = {"stem.mel.kernels": np.concatenate(waves, axis=1), "stem.mel.bands": bands[used]}
    norm = "model/batch_normalization/"
    names = {
        "weight": f"{norm}ReadVariableOp:0",
        "bias": f"{norm}ReadVariableOp_1:0",
        "running_mean": f"{norm}FusedBatchNormV3/ReadVariableOp:0",
        "running_var": f"{norm}FusedBatchNormV3/ReadVariableOp_1:0",
    }
    weights |= {f"stem.norm.{ours}": net[theirs] for ours, theirs in names.items()}
    weights["stem.norm.num_batches_tracked"] = np.array(0)
    first = "model/conv2d/StatefulPartitionedCall/StatefulPartitionedCall/Conv2D/ReadVariableOp:0"
    weights["stem.conv.conv.weight"] = net[first]
    for block, numbers in enumerate(_BLOCKS):
        for place, number in enumerate(numbers):
            ours, theirs = f"blocks.{block}.{place}.conv", f"model/conv2d_{number}/Conv2D"
            if number == len(_KERNELS) - 1:
                weights[f"{ours}.weight"] = net[f"{theirs}/ReadVariableOp:0"]
            else:
                weights[f"{ours}.weight"] = net[f"{theirs}_weights_fused_bn"]
                weights[f"{ours}.bias"] = net[f"{theirs}_bias_fused_bn"]
    return {name: torch.tensor(values) for name, values in weights.items()}


def build(weights: Mapping[str, Tensor]) -> SpeechEmbedding:
    """Build the network around its weights.

    Raises:
        KeyError: the weights lack the front end.
        RuntimeError: they are not those of this network.
    """
    with torch.device("meta"):  # nothing is drawn at random only to be overwritten
        network = SpeechEmbedding(len(weights["stem.mel.bands"]))
    network.load_state_dict(weights, strict=True, assign=True)
    for parameter in network.parameters():
        if parameter.dim() == 4:  # the layout that convolutions run fastest in
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network.eval()
