"""The encoder of Whisper as torch modules: a log-mel picture, two convolutions and layers of attention.

Radford et al. 2022, "Robust speech recognition via large-scale weak supervision" (arXiv 2212.04356). The original fills
every sound up with silence to 30 s, 3000 frames of 10 ms of which two become one token; here a sound has as many tokens
as it is long.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from handful.backbones.attention import Padding, attend, split
from handful.backbones.base import State
from handful.backbones.mel import mel_power

RATE = 16_000  # samples per second
FRAME, HOP, BANDS = 400, 160, 80  # 25 ms and 10 ms
TOKEN = 2 * HOP  # samples under one token

QUIETEST, RANGE = 1e-10, 8.0  # power below which nothing is heard; powers of ten that are kept below the loudest

# Our names of the parts → the names in a checkpoint of transformers, below ``model.encoder``.
_STEM_NAMES = {
    "first.weight": "conv1.weight",
    "first.bias": "conv1.bias",
    "second.weight": "conv2.weight",
    "second.bias": "conv2.bias",
    "positions": "embed_positions.weight",
}
_LAYER_NAMES = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "attended": "self_attn.out_proj",
    "attended_norm": "self_attn_layer_norm",
    "wide": "fc1",
    "narrow": "fc2",
    "norm": "final_layer_norm",
}
_LAST_NAME = "layer_norm"
# What the config of a checkpoint says of the encoder.
_SIZES = ("d_model", "encoder_ffn_dim", "encoder_attention_heads", "encoder_layers", "max_source_positions")


class Stem(nn.Module):
    """Two convolutions, of which the second halves the time, and what says where a token stands."""

    def __init__(self, width: int, places: int) -> None:
        """Make room for the weights.

        Args:
            width: D, of a token.
            places: how many tokens 30 s have.
        """
        super().__init__()
        self.first = nn.Conv1d(BANDS, width, 3, padding=1)
        self.second = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.empty(places, width))

    def forward(self, mel: Tensor, mask: Tensor) -> State:
        """Log-mel frames (B, 80, 2 T) and which tokens are real (B, T) → activations (B, T, D)."""
        x = functional.gelu(self.first(mel))
        # Behind its end a sound must look the same however far its batch is filled up.
        x = x * mask.repeat_interleave(2, 1)[:, None]
        x = functional.gelu(self.second(x)).transpose(1, 2)  # (B, T, D)
        return State(x + self.positions[: x.shape[1]], mask)


class Block(nn.Module):
    """One encoder layer, State → State: attention over the real tokens, then two dense layers."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        """Make room for the weights.

        Args:
            width: D, of a token.
            inner: between the two dense layers.
            heads: of the attention.
        """
        super().__init__()
        self.heads = heads
        self.attended_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.attended = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, inner)
        self.narrow = nn.Linear(inner, width)

    def forward(self, state: State) -> State:
        """(B, T, D) → the same."""
        padding = Padding.of(state)
        rows = padding.without(state.x)  # (M, D) of the M real tokens
        y = self.attended_norm(rows)
        q, k, v = (split(padding.put_back(part(y)), self.heads) for part in (self.query, self.key, self.value))
        mixed = attend(q, k, v, padding.visible).transpose(1, 2).flatten(2)  # (B, T, D)
        rows = rows + self.attended(padding.without(mixed))
        rows = rows + self.narrow(functional.gelu(self.wide(self.norm(rows))))
        return replace(state, x=padding.put_back(rows))


class LastBlock(Block):
    """The last layer with the normalisation above it, which is what the original's decoder reads."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        """Make room for the weights; the arguments are those of ``Block``."""
        super().__init__(width, inner, heads)
        self.last_norm = nn.LayerNorm(width)

    def forward(self, state: State) -> State:
        """(B, T, D) → the same."""
        state = super().forward(state)
        return replace(state, x=self.last_norm(state.x))


class WhisperEncoder(nn.Module):
    """The network: ``stem`` and ``blocks``."""

    def __init__(self, width: int, inner: int, heads: int, layers: int, places: int) -> None:
        """Make room for the weights.

        Args:
            width: D, of a token.
            inner: between the two dense layers of a block.
            heads: of the attention.
            layers: how many blocks.
            places: how many tokens 30 s have.
        """
        super().__init__()
        self.stem = Stem(width, places)
        sizes = (width, inner, heads)
        self.blocks = nn.ModuleList([*(Block(*sizes) for _ in range(layers - 1)), LastBlock(*sizes)])


def tokens(samples: int) -> int:
    """How many tokens so many samples are."""
    return math.ceil(samples / TOKEN)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """What the encoder sees of a sound.

    Args:
        samples: (S,) float32 at 16 kHz in [-1, 1].

    Returns:
        (80, 2 T) float32 for T tokens; a last token that is only begun is filled up with silence.
    """
    count = tokens(len(samples))
    whole = np.pad(samples, (0, count * TOKEN - len(samples)))
    power = mel_power(whole, RATE, bands=BANDS, window=FRAME, hop=HOP)[:, : 2 * count]
    x = np.log10(np.maximum(power, QUIETEST))
    return np.asarray((np.maximum(x, x.max() - RANGE) + 4) / 4, np.float32)


def build(config: Mapping[str, int], tensors: Mapping[str, Tensor]) -> WhisperEncoder:
    """Build the encoder around the tensors of a checkpoint of transformers.

    Args:
        config: the checkpoint's ``config.json``.
        tensors: the encoder's tensors in single precision, under their names there below ``model.encoder``.

    Raises:
        KeyError: the config or the tensors lack something.
        RuntimeError: a tensor has a shape that the config does not say.
    """
    width, inner, heads, layers, places = (config[name] for name in _SIZES)
    with torch.device("meta"):  # nothing is drawn at random only to be overwritten
        network = WhisperEncoder(width, inner, heads, layers, places)
    network.load_state_dict({key: tensors[_name(key)] for key in network.state_dict()}, assign=True)
    return network.eval()


def _name(key: str) -> str:
    """The name in a checkpoint of a tensor of ours."""
    part, _, rest = key.partition(".")
    if part == "stem":
        return _STEM_NAMES[rest]
    number, layer_part, end = rest.split(".")
    if layer_part == "last_norm":
        return f"{_LAST_NAME}.{end}"
    return f"layers.{number}.{_LAYER_NAMES[layer_part]}.{end}"
