"""The GE2E voice encoder as torch modules: three LSTM layers over 40 mel bands, one embedding per stretch of 1.6 s.

Wan et al. 2018, "Generalized end-to-end loss for speaker verification" (arXiv 1710.10467), with the weights and the
preprocessing of Resemblyzer. Its voice activity detection is left out: on short clips it takes away speech.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from handful.backbones.base import State
from handful.backbones.mel import mel_power

RATE = 16_000  # samples per second
FRAME, HOP, BANDS = 400, 160, 40  # 25 ms and 10 ms
WINDOW = 160  # frames per window, 1.6 s
STEP = 77  # frames from window to window, 1.3 windows per second
COVERED = 0.75  # a last window with less sound than this share is left out
LOUDNESS = -30.0  # decibels below full scale that quieter sounds are raised to
LAYERS, WIDTH = 3, 256

# Digital silence is raised to nothing: below this root mean square there is no sound to raise.
SILENT = 1e-5


class Layer(nn.Module):
    """One LSTM layer, State → State, (W, T, D) → (W, T, 256)."""

    def __init__(self, inputs: int) -> None:
        """Make room for the weights of a layer.

        Args:
            inputs: width of what it reads.
        """
        super().__init__()
        self.lstm = nn.LSTM(inputs, WIDTH, batch_first=True)

    def forward(self, state: State) -> State:
        """Run over all frames."""
        x, _ = self.lstm(state.x)
        return State(x, state.mask, state.owner)


class Embedding(Layer):
    """The last LSTM layer with the projection above it: embeddings of length one, none of their numbers negative.

    The original projects the last frame only; here every frame is projected, so that they can be averaged.
    """

    def __init__(self, inputs: int) -> None:
        """Make room for the weights of a layer.

        Args:
            inputs: width of what it reads.
        """
        super().__init__(inputs)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, state: State) -> State:
        """Run over all frames."""
        x = self.linear(super().forward(state).x).relu()
        return State(nn.functional.normalize(x, dim=-1, eps=1e-6), state.mask, state.owner)


class VoiceEncoder(nn.Module):
    """The network: three ``blocks``, the last one with the projection."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Layer(BANDS), Layer(WIDTH), Embedding(WIDTH)])


def windows(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a sound into overlapping windows of mel bands, as the original does.

    Args:
        samples: (T,) float32 at 16 kHz.

    Returns:
        (W, 160, 40) power in mel bands, and (W, 160), 1 where a frame holds sound and 0 where it is padding.
    """
    starts = _starts(len(samples))
    end = (starts[-1] + WINDOW) * HOP
    sound = np.pad(_raised(samples), (0, max(0, end - len(samples))))
    mel = mel_power(sound, RATE, bands=BANDS, window=FRAME, hop=HOP).T  # (T, 40)
    real = (np.arange(len(mel)) <= len(samples) // HOP).astype(np.float32)
    cut = [slice(start, start + WINDOW) for start in starts]
    return np.stack([mel[c] for c in cut]), np.stack([real[c] for c in cut])


def _starts(samples: int) -> list[int]:
    """The first frame of each window (``compute_partial_slices`` of the original, rate 1.3, coverage 0.75)."""
    frames = math.ceil((samples + 1) / HOP)
    starts = list(range(0, max(1, frames - WINDOW + STEP + 1), STEP))
    covered = (samples - starts[-1] * HOP) / (WINDOW * HOP)
    return starts[:-1] if covered < COVERED and len(starts) > 1 else starts


def _raised(samples: np.ndarray) -> np.ndarray:
    """Raise a quiet sound to the loudness that the network knows; a loud one stays as it is."""
    level = max(float(np.sqrt(np.mean(np.square(samples)))), SILENT)
    gain = 10 ** (LOUDNESS / 20) / level
    return samples * np.float32(gain) if gain > 1 else samples


def from_original(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the original checkpoint under the names of ``VoiceEncoder``.

    Args:
        weights: ``model_state`` of the checkpoint, keys such as ``lstm.weight_ih_l0`` and ``linear.bias``.

    Raises:
        KeyError: a tensor is missing.
    """
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    found = {f"blocks.{k}.lstm.{part}_l0": weights[f"lstm.{part}_l{k}"] for k in range(LAYERS) for part in parts}
    return found | {f"blocks.{LAYERS - 1}.linear.{part}": weights[f"linear.{part}"] for part in ("weight", "bias")}


def build(weights: Mapping[str, Tensor]) -> VoiceEncoder:
    """Build the network around its weights.

    Raises:
        RuntimeError: they are not those of this network.
    """
    with torch.device("meta"):  # nothing is drawn at random only to be overwritten
        network = VoiceEncoder()
    network.load_state_dict(weights, strict=True, assign=True)
    return network.eval()
