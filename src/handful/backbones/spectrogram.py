"""The spectrogram as a picture: sounds for a network that learned to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from handful.backbones.base import State
from handful.backbones.efficientnet import EfficientNetLite
from handful.backbones.frames import Cuts, together
from handful.backbones.image import LiteBackbone
from handful.backbones.levels import LOUDNESS, RATE, SILENT, VERSION, levelled, seconds_of
from handful.backbones.mel import mel_power
from handful.backbones.parts import FRAMES, PartsBatch
from handful.backbones.tiles import MARGIN, PATCH
from handful.data.sounds import load_sound


class SpectrogramLite0(LiteBackbone):
    """Sound events, instruments, emotion: the clip's log-mel spectrogram as a picture for EfficientNet-Lite0.

    Depth k is as for pictures. Height in this picture is pitch, so features keep it: the mean over time in up to seven
    bands. Measured on sound events, 5 per class, layer before the last: 0.85 against 0.82 for the mean over the map.
    """

    modality = "sound"
    search_depths = (17, 16)

    longest = 5.0
    """Seconds of a clip that are drawn; a longer picture would squeeze the events in it."""
    bands, window, hop, low = 128, 1024, 256, 40.0
    """Mel bands, samples per frame and from frame to frame, and the lowest frequency in hertz."""
    quietest = np.float32(1e-6)
    """Added to the power, so that digital silence has a logarithm."""
    rows, widest = 7, 4096
    """The last maps have seven rows; fewer are kept where a vector would get wider than this."""

    def __init__(self, network: EfficientNetLite, side: int) -> None:
        details = (self.longest, self.bands, self.window, self.hop, self.low, self.quietest, self.rows, self.widest)
        super().__init__("spectrogram-lite0", network, side, "spectrogram", VERSION, LOUDNESS, SILENT, *details)
        self.search_depths = SpectrogramLite0.search_depths
        self.grain, self.part_depths = FRAMES, (network.stage_ends[5], network.stage_ends[4])

    @property
    def parts_key(self) -> str:
        """As of any backbone: the clips are all drawn at one scale."""
        return f"{self.fingerprint}#{self.grain}"

    def part_size(self, item: Any) -> int:
        """How many pictures it becomes."""
        return 1 + int(seconds_of(item, np.inf) / self.longest)

    def prepare_parts(self, items: Sequence[Any]) -> PartsBatch:
        """All of B sounds as pictures of five seconds that overlap; a frame is a column of 16 pixels, a third of one.

        Unlike whole clips, which are stretched to fill the picture, all of them are drawn at one scale.
        """
        waves, window, cell, item, place = together(
            [self.cuts.of(levelled(load_sound(item, RATE)), RATE) for item in items]
        )
        grey = torch.from_numpy(np.stack([self._picture(wave) for wave in waves]))[:, None].expand(-1, 3, -1, -1)
        return PartsBatch(grey, len(waves), window, cell, item, place)

    @property
    def cuts(self) -> Cuts:
        """Into what stretches a sound is cut where its frames are wanted."""
        columns = self.side // PATCH
        return Cuts(round(self.longest * RATE / columns), columns, margin=MARGIN)

    def read_parts(self, state: State, window: Tensor, cell: Tensor, depth: int) -> Tensor:
        """The column of the map at each frame, in bands of pitch, (P, channels · rows)."""
        x = nn.functional.adaptive_avg_pool2d(state.x, (self._rows(state.x), self.side // PATCH))
        columns = x.permute(0, 3, 1, 2).flatten(2)  # (W, frames, channels · rows)
        return columns[window, cell]

    def _rows(self, maps: Tensor) -> int:
        """How many bands of pitch are told apart."""
        return min(self.rows, maps.shape[2], max(1, self.widest // maps.shape[1]))

    def size(self, item: Any) -> int:
        """Always 1: every clip becomes a picture of the same size."""
        return 1

    def prepare(self, items: Sequence[Any]) -> Tensor:
        """Pictures of B clips, (B, 3, S, S), each with mean 0 and deviation 1, channels last."""
        grey = np.stack([self._picture(levelled(load_sound(item, RATE, self.longest))) for item in items])
        return torch.from_numpy(np.repeat(grey[..., None], 3, axis=3)).permute(0, 3, 1, 2)

    def _picture(self, sound: np.ndarray) -> np.ndarray:
        power = mel_power(sound, RATE, bands=self.bands, window=self.window, hop=self.hop, low=self.low)
        x = np.log(power + self.quietest)
        # In float64: of silence nothing is left then, and not the rounding of its mean, made large by its deviation.
        wide = x.astype(np.float64)
        picture = Image.fromarray(((wide - wide.mean()) / (wide.std() + 1e-5)).astype(np.float32))
        return np.asarray(picture.resize((self.side, self.side), Image.Resampling.BILINEAR))

    def pool(self, state: State) -> Tensor:
        """The mean over time in bands of pitch, (B, channels · rows)."""
        return nn.functional.adaptive_avg_pool2d(state.x, (self._rows(state.x), 1)).flatten(1)
