"""Toy backbones, one per modality: real contracts, tiny fixed random weights, features in microseconds."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from handful.backbones.base import Backbone, State, weights_fingerprint
from handful.backbones.parts import FRAMES, PATCHES, TOKENS, PartsBatch

WIDTH = 32

# Pixels of a side of a patch, and samples of a frame.
_PATCH, _FRAME = 8, 1600
# How many cells away a cell looks for what lies around it.
_AWAY = 3


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
        return _together([self.vectors(item) for item in items])

    def stem(self, batch: Any) -> State:
        device = next(self.blocks[0].parameters()).device
        return State(batch[0].to(device), batch[1].to(device))

    def located(self, item: Any) -> tuple[np.ndarray, np.ndarray]:
        """The P parts of one item as (P, D) numbers, and their places (P, 2) or (P, 4)."""
        raise NotImplementedError

    def prepare_parts(self, items: Sequence[Any]) -> PartsBatch:
        located = [self.located(item) for item in items]
        counts = [len(vectors) for vectors, _ in located]
        item = np.repeat(np.arange(len(items)), counts)
        cell = np.concatenate([np.arange(count) for count in counts])
        place = np.concatenate([place for _, place in located]).astype(np.float64)
        return PartsBatch(_together([vectors for vectors, _ in located]), len(items), item, cell, item, place)

    def read_parts(self, state: State, window: Tensor, cell: Tensor, depth: int) -> Tensor:
        return state.x[window, cell]

    def pool(self, state: State) -> Tensor:
        assert state.mask is not None
        weight = state.mask[:, :, None]
        return (state.x * weight).sum(1) / weight.sum(1)  # (B, D)


def _together(sequences: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Sequences (T, D) as activations (B, T, D) and mask (B, T)."""
    longest = max([1, *map(len, sequences)])
    x = np.zeros((len(sequences), longest, WIDTH), np.float32)
    mask = np.zeros((len(sequences), longest), np.float32)
    for i, v in enumerate(sequences):
        x[i, : len(v)], mask[i, : len(v)] = v, 1
    return torch.from_numpy(x), torch.from_numpy(mask)


class ToyText(_Toy):
    """Every word is a fixed random vector: texts that share words are near each other."""

    name, modality = "toy-text", "text"
    grain, part_depths = TOKENS, (1, 2)

    def vectors(self, item: str) -> np.ndarray:
        """One row per word, (T, D)."""
        return _word_vectors(item.lower().split() or [""])

    def located(self, item: str) -> tuple[np.ndarray, np.ndarray]:
        """A token is a run of letters and digits, or another sign."""
        found = list(re.finditer(r"\w+|[^\w\s]", item))
        places = np.array([one.span() for one in found]).reshape(-1, 2)
        return _word_vectors([one.group().lower() for one in found]), places

    def size(self, item: str) -> int:
        """Longer texts have more words."""
        return len(item)


def _word_vectors(words: Sequence[str]) -> np.ndarray:
    """The fixed vector of each word, (T, D)."""
    draws = [np.random.default_rng(zlib.crc32(w.encode("utf-8", "replace"))).normal(size=WIDTH) for w in words]
    return np.array(draws).reshape(-1, WIDTH)


class ToyImage(_Toy):
    """A picture shrunk to 4 × 8 grey cells."""

    name, modality = "toy-image", "image"
    grain, part_depths = PATCHES, (1, 2)
    pixel_depths = cell_depths = (1,)

    def pixel_maps(self, pixels: np.ndarray) -> np.ndarray:
        """The colours of each pixel, and their squares."""
        colours = pixels.astype(np.float32) / 255
        return np.concatenate([colours, colours**2], -1)

    def cell_maps(self, pixels: np.ndarray) -> np.ndarray:
        """The mean colours of each cell and of eight cells around it, a few cells away, and their squares."""
        from handful.backbones.tiles import CELL

        height, width = pixels.shape[0] // CELL, pixels.shape[1] // CELL
        mean = pixels.reshape(height, CELL, width, CELL, 3).mean((1, 3)).astype(np.float32) / 255
        wide = np.pad(mean, ((_AWAY, _AWAY), (_AWAY, _AWAY), (0, 0)), mode="edge")
        steps = range(0, 2 * _AWAY + 1, _AWAY)
        beside = [wide[dy : dy + height, dx : dx + width] for dy in steps for dx in steps]
        maps = np.concatenate(beside, -1)
        return np.concatenate([maps, maps**2], -1)

    def vectors(self, item: Any) -> np.ndarray:
        """One row of 32 grey cells, (1, D)."""
        from handful.data.images import load_image

        small = load_image(item).convert("L").resize((8, 4))
        return np.asarray(small, np.float32).reshape(1, WIDTH) / 255

    def located(self, item: Any) -> tuple[np.ndarray, np.ndarray]:
        """A patch is a square of 8 pixels, or what is left of one at an end, as 32 grey cells."""
        from handful.data.images import load_image

        picture = load_image(item).convert("L")
        width, height = picture.size
        corners = [(x, y) for y in range(0, height, _PATCH) for x in range(0, width, _PATCH)]
        boxes = [(x, y, min(x + _PATCH, width), min(y + _PATCH, height)) for x, y in corners]
        cells = [np.asarray(picture.resize((8, 4), box=box), np.float32).reshape(WIDTH) / 255 for box in boxes]
        return np.stack(cells), np.array(boxes)


class ToySound(_Toy):
    """The loudness of 32 frequency bands of a clip."""

    name, modality = "toy-sound", "sound"
    grain, part_depths = FRAMES, (1, 2)

    def vectors(self, item: Path | tuple[np.ndarray, int]) -> np.ndarray:
        """One row of 32 band levels, (1, D)."""
        from handful.data.sounds import load_sound

        return _band_levels(load_sound(item, 16000))[None]

    def located(self, item: Path | tuple[np.ndarray, int]) -> tuple[np.ndarray, np.ndarray]:
        """A frame is a tenth of a second, or what is left of one at the end."""
        from handful.data.sounds import load_sound

        sound = load_sound(item, 16000)
        firsts = np.arange(0, len(sound), _FRAME)
        edges = np.stack([firsts, np.minimum(firsts + _FRAME, len(sound))], 1)
        return np.stack([_band_levels(sound[first:end]) for first, end in edges]), edges / 16000


def _band_levels(sound: np.ndarray) -> np.ndarray:
    """The loudness of 32 bands, (D,)."""
    spectrum = np.abs(np.fft.rfft(sound, 4096)) + 1e-9
    bands = np.array_split(np.log(spectrum[:2048]), WIDTH)
    return np.array([band.mean() for band in bands], np.float32)
