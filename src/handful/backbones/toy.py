"""Toy backbones, one per modality: real contracts, tiny fixed random weights, features in microseconds."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from handful.backbones.base import Backbone, State, weights_fingerprint

WIDTH = 32


class _Mix(nn.Module):
    """One toy block: a residual tanh layer over the last axis, (B, T, D) → (B, T, D)."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draws = np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)) / WIDTH**0.5
        self.weight = nn.Parameter(torch.tensor(draws, dtype=torch.float32))

    def forward(self, state: State) -> State:
        return State(state.x + 0.5 * torch.tanh(state.x @ self.weight), state.mask, state.owner)


class _Toy(Backbone):
    """Shared body of the toys: a sequence of (T, D) vectors per item, two blocks, a masked mean."""

    search_depths = (2, 1)
    batch_items = 256

    def __init__(self) -> None:
        self.blocks = (_Mix(1), _Mix(2))
        self.fingerprint = weights_fingerprint(self.blocks, self.name)

    def vectors(self, item: Any) -> np.ndarray:
        """One item as (T, D) numbers."""
        raise NotImplementedError

    def prepare(self, items: Sequence[Any]) -> tuple[Tensor, Tensor]:
        sequences = [self.vectors(item) for item in items]
        longest = max(len(v) for v in sequences)
        x = np.zeros((len(sequences), longest, WIDTH), np.float32)  # (B, T, D)
        mask = np.zeros((len(sequences), longest), np.float32)  # (B, T)
        for i, v in enumerate(sequences):
            x[i, : len(v)], mask[i, : len(v)] = v, 1
        return torch.from_numpy(x), torch.from_numpy(mask)

    def stem(self, batch: Any) -> State:
        device = next(self.blocks[0].parameters()).device
        return State(batch[0].to(device), batch[1].to(device))

    def pool(self, state: State) -> Tensor:
        assert state.mask is not None
        weight = state.mask[:, :, None]
        return (state.x * weight).sum(1) / weight.sum(1)  # (B, D)


class ToyText(_Toy):
    """Every word is a fixed random vector: texts that share words are near each other."""

    name, modality = "toy-text", "text"

    def vectors(self, item: str) -> np.ndarray:
        """One row per word, (T, D)."""
        words = item.lower().split() or [""]
        return np.stack([np.random.default_rng(zlib.crc32(w.encode())).normal(size=WIDTH) for w in words])

    def size(self, item: str) -> int:
        """Longer texts have more words."""
        return len(item)


class ToyImage(_Toy):
    """A picture shrunk to 4 × 8 grey cells."""

    name, modality = "toy-image", "image"

    def vectors(self, item: Any) -> np.ndarray:
        """One row of 32 grey cells, (1, D)."""
        from handful.data.images import load_image

        small = load_image(item).convert("L").resize((8, 4))
        return np.asarray(small, np.float32).reshape(1, WIDTH) / 255


class ToySound(_Toy):
    """The loudness of 32 frequency bands of a clip."""

    name, modality = "toy-sound", "sound"

    def vectors(self, item: Path | tuple[np.ndarray, int]) -> np.ndarray:
        """One row of 32 band levels, (1, D)."""
        from handful.data.sounds import load_sound

        spectrum = np.abs(np.fft.rfft(load_sound(item, 16000), 4096)) + 1e-9
        bands = np.array_split(np.log(spectrum[:2048]), WIDTH)
        return np.array([[band.mean() for band in bands]], np.float32)
