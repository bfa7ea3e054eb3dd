"""Front ends for sounds as torch modules: from samples to the first block, so that a graph needs nothing but samples.

They give what ``prepare`` and ``stem`` of the backbones give, for sounds of several lengths in one batch: ``waves``
(B, S) at 16 kHz and ``lengths`` (B,), how many samples of each are real.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from handful.backbones import speech_embedding, voice_encoder, whisper
from handful.backbones.audio import SpeechEmbedding, VoiceEncoder
from handful.backbones.audio import WhisperTinyEn as Whisper
from handful.backbones.base import State
from handful.backbones.levels import LOUDNESS, RATE, SILENT
from handful.backbones.mel import mel_bank
from handful.backbones.spectrogram import SpectrogramLite0
from handful.backbones.tiles import PATCH


def _down(whole: Tensor, by: int) -> Tensor:
    """Whole numbers, divided and rounded down."""
    return torch.div(whole, by, rounding_mode="floor")


def _count_to(end: int | Tensor, beside: Tensor) -> Tensor:
    """Whole numbers from 0; where they end may be a number that a graph computes, which torch's types do not know."""
    return torch.arange(cast(int, end), device=beside.device)


def _up(whole: Tensor, by: int) -> Tensor:
    return _down(whole + (by - 1), by)


def listened(waves: Tensor, lengths: Tensor, longest: float) -> tuple[Tensor, Tensor]:
    """The first seconds of each sound, zeros behind its end, turned down where it is louder than full scale."""
    most = round(longest * RATE)
    waves, lengths = waves[:, :most], lengths.clamp(max=most)
    inside = _count_to(waves.shape[1], waves)[None] < lengths[:, None]
    waves = waves * inside
    return waves / waves.abs().amax(1, keepdim=True).clamp(min=1), lengths


def _level(waves: Tensor, lengths: Tensor, silent: float) -> Tensor:
    """The root mean square of each sound, (B, 1)."""
    return (waves.square().sum(1, keepdim=True) / lengths[:, None]).sqrt().clamp(min=silent)


def levelled(waves: Tensor, lengths: Tensor) -> Tensor:
    """All sounds at one loudness."""
    return waves * (LOUDNESS / _level(waves, lengths, SILENT))


class MelPower(nn.Module):
    """As ``mel.mel_power``: waves (B, S) of ``lengths`` (B,) → (B, bands, frames), more than a short sound has."""

    def __init__(self, bands: int, window: int, hop: int, low: float = 0.0) -> None:
        """Make the kernels; the arguments are those of ``mel_power``."""
        super().__init__()
        self.window, self.hop = window, hop
        bank = mel_bank(bands, window, RATE, low, 8000.0)  # (bands, bins)
        bins = np.flatnonzero(bank.any(0))
        turns = 2 * np.pi * np.outer(bins, np.arange(window)) / window  # (bins, window)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
        waves = np.concatenate([np.cos(turns), np.sin(turns)]) * hann
        self.register_buffer("kernels", torch.tensor(waves[:, None], dtype=torch.float32))  # (2 bins, 1, window)
        self.register_buffer("bands", torch.tensor(bank[:, bins].T.copy()))  # (bins, bands)
        self.kernels: Tensor
        self.bands: Tensor

    def forward(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """Mirror the ends of each sound, transform and add up."""
        lengths, half = lengths.clamp(min=self.window), self.window // 2
        places = _count_to(lengths.amax() + 2 * half, waves)[None] - half  # (1, P)
        last = lengths[:, None] - 1
        places = places.abs()
        places = torch.where(places > last, 2 * last - places, places).clamp(min=0)  # (B, P)
        filled = nn.functional.pad(waves, (0, self.window))  # where a sound is shorter than one window
        inside = places < waves.shape[1]
        mirrored = filled.gather(1, torch.where(inside, places, waves.shape[1]))
        parts = nn.functional.conv1d(mirrored[:, None], self.kernels, stride=self.hop)  # (B, 2 bins, frames)
        real, imaginary = parts.chunk(2, dim=1)
        return ((real.square() + imaginary.square()).transpose(1, 2) @ self.bands).transpose(1, 2)

    def frames(self, lengths: Tensor) -> Tensor:
        """How many frames sounds of so many samples have."""
        return _down(lengths.clamp(min=self.window), self.hop) + 1


class SpeechFront(nn.Module):
    """Samples → what ``SpeechEmbedding`` has below its first block."""

    def __init__(self, backbone: SpeechEmbedding) -> None:
        super().__init__()
        self.stem, self.longest = backbone.network.stem, backbone.longest
        self.lead, self.tail = round(backbone.lead * RATE), round(backbone.tail * RATE)

    def forward(self, waves: Tensor, lengths: Tensor) -> State:
        """(B, S), (B,) → State."""
        waves, lengths = listened(waves, lengths, self.longest)
        around = nn.functional.pad(levelled(waves, lengths), (self.lead, self.tail))
        return self.heard(around, lengths + (self.lead + self.tail))

    def heard(self, waves: Tensor, lengths: Tensor) -> State:
        """The same of sounds that are at their loudness, with the silence around them."""
        frame, hop = speech_embedding.FRAME, speech_embedding.HOP
        count = _down(lengths - frame, hop) + 1
        most = (waves.shape[1] - frame) // hop + 1
        mask = (_count_to(most, waves)[None] < count[:, None]).float()
        state: State = self.stem(waves * 2.0**15, mask)
        return state


class VoiceFront(nn.Module):
    """Samples → windows, as ``voice_encoder.windows`` cuts them; as many for all, those beyond its own weighing 0."""

    def __init__(self, backbone: VoiceEncoder) -> None:
        super().__init__()
        self.longest = backbone.longest
        self.mel = MelPower(voice_encoder.BANDS, voice_encoder.FRAME, voice_encoder.HOP)
        self.loud = 10 ** (voice_encoder.LOUDNESS / 20)

    def forward(self, waves: Tensor, lengths: Tensor) -> State:
        """(B, S), (B,) → State with B times as many windows, and the weight of each in ``owner``."""
        hop, window, step = voice_encoder.HOP, voice_encoder.WINDOW, voice_encoder.STEP
        waves, lengths = listened(waves, lengths, self.longest)
        gain = self.loud / _level(waves, lengths, voice_encoder.SILENT)
        waves = waves * gain.clamp(min=1)
        count = _up((_up(lengths + 1, hop) - window + step + 1).clamp(min=1), step)  # (B,)
        uncovered = lengths - (count - 1) * step * hop < round(voice_encoder.COVERED * window * hop)
        count = torch.where(uncovered & (count > 1), count - 1, count)
        ends = torch.maximum(lengths, ((count - 1) * step + window) * hop)
        mel = self.mel(waves, ends).transpose(1, 2)  # (B, T, 40)
        starts = _count_to(count.amax(), waves) * step  # (W,)
        places = starts[:, None] + _count_to(window, waves)[None]  # (W, 160)
        real = (places[None] <= _down(lengths, hop)[:, None, None]).float()  # (B, W, 160)
        inside = places.flatten().clamp(max=mel.shape[1] - 1)
        cut = mel.index_select(1, inside).reshape(-1, window, mel.shape[2])  # (B W, 160, 40)
        own = (_count_to(count.amax(), waves)[None] < count[:, None]).float()  # (B, W)
        return State(cut, real.reshape(-1, window), own / count[:, None])

    def pool(self, state: State) -> Tensor:
        """As ``VoiceEncoder.pool``: the last frame and the mean of the real ones, averaged over an item's windows."""
        assert state.mask is not None
        assert state.owner is not None
        x, real, share = state.x, state.mask[:, :, None], state.owner  # share: (B, W)
        each = torch.cat([x[:, -1], (x * real).sum(1) / real.sum(1).clamp(min=1)], 1)  # (B W, 2 D)
        return (each.reshape(share.shape[0], share.shape[1], -1) * share[:, :, None]).sum(1)


class WhisperFront(nn.Module):
    """Samples → what ``WhisperTinyEn`` has below its first block."""

    def __init__(self, backbone: Whisper) -> None:
        super().__init__()
        self.stem, self.longest, self.tail = backbone.network.stem, backbone.longest, backbone.tail
        self.mel = MelPower(whisper.BANDS, whisper.FRAME, whisper.HOP)

    def forward(self, waves: Tensor, lengths: Tensor) -> State:
        """(B, S), (B,) → State."""
        waves, lengths = listened(waves, lengths, self.longest)
        return self.heard(levelled(waves, lengths), lengths + self.tail * whisper.TOKEN)

    def heard(self, waves: Tensor, lengths: Tensor) -> State:
        """The same of sounds that are at their loudness; silence up to their lengths need not be in the samples."""
        count = _up(lengths, whisper.TOKEN)  # (B,) tokens
        power = self.mel(waves, count * whisper.TOKEN)[:, :, :-1]  # two frames per token, and one
        own = _count_to(power.shape[2], waves)[None] < 2 * count[:, None]  # (B, frames)
        x = power.clamp(min=whisper.QUIETEST).log10()
        least = math.log10(whisper.QUIETEST)
        loudest = torch.where(own[:, None], x, least).amax((1, 2), keepdim=True)
        x = (torch.maximum(x, loudest - whisper.RANGE) + 4) / 4
        mask = (_count_to(count.amax(), waves)[None] < count[:, None]).float()
        state: State = self.stem(x * own[:, None], mask)
        return state


class SpectrogramFront(nn.Module):
    """Samples → the picture that ``SpectrogramLite0`` draws, after the first convolution."""

    def __init__(self, backbone: SpectrogramLite0) -> None:
        super().__init__()
        self.stem, self.side, self.longest = backbone.network.stem, backbone.side, backbone.longest
        self.mel = MelPower(backbone.bands, backbone.window, backbone.hop, backbone.low)
        self.quietest, self.rows, self.widest = float(backbone.quietest), backbone.rows, backbone.widest
        heights = _stretched(torch.tensor([backbone.bands]), backbone.bands, self.side)[0]
        self.register_buffer("heights", heights)  # (S, bands)
        self.heights: Tensor

    def forward(self, waves: Tensor, lengths: Tensor) -> State:
        """(B, S), (B,) → State."""
        waves, lengths = listened(waves, lengths, self.longest)
        return self.heard(levelled(waves, lengths), lengths)

    def heard(self, waves: Tensor, lengths: Tensor) -> State:
        """The same of sounds that are at their loudness."""
        x = (self.mel(waves, lengths) + self.quietest).log()  # (B, bands, T)
        count = self.mel.frames(lengths)  # (B,)
        own = (_count_to(x.shape[2], x)[None] < count[:, None]).float()[:, None]  # (B, 1, T)
        x = x - x[:, :1, :1]  # so that nothing is left of silence, and small numbers are added up
        total = (count * x.shape[1])[:, None, None]
        apart = (x - (x * own).sum((1, 2), keepdim=True) / total) * own
        x = apart / ((apart.square().sum((1, 2), keepdim=True) / total).sqrt() + 1e-5)
        wide = _stretched(count, x.shape[2], self.side)  # (B, S, T)
        picture = self.heights @ x @ wide.transpose(1, 2)  # (B, S, S)
        return State(self.stem(picture[:, None].expand(-1, 3, -1, -1)))

    def pool(self, state: State) -> Tensor:
        """As ``SpectrogramLite0.pool``: the mean over time in bands of pitch, which need not divide the rows."""
        return (state.x.mean(3) @ self._pitch(state.x).T).flatten(1)

    def read(self, state: State, window: Tensor, cell: Tensor, depth: int) -> Tensor:
        """As ``SpectrogramLite0.read_parts``."""
        wide = _shares(int(state.x.shape[3]), self.side // PATCH).to(state.x)
        maps = self._pitch(state.x) @ (state.x @ wide.T)  # (W, channels, rows, frames)
        return maps.permute(0, 3, 1, 2).flatten(2)[window, cell]

    def _pitch(self, maps: Tensor) -> Tensor:
        """(rows, height) what each band of pitch is the mean of."""
        channels, height = int(maps.shape[1]), int(maps.shape[2])
        return _shares(height, min(self.rows, height, max(1, self.widest // channels))).to(maps)


class Pieces(nn.Module):
    """Pieces of sounds, which are at the loudness of their sound → what a backbone has below its first block."""

    def __init__(self, front: SpeechFront | WhisperFront | SpectrogramFront) -> None:
        """Wrap what whole sounds go through."""
        super().__init__()
        self.front = front

    def forward(self, waves: Tensor, lengths: Tensor) -> State:
        """(W, S), (W,) → State."""
        return self.front.heard(waves, lengths)


def _shares(many: int, few: int) -> Tensor:
    """What each of some numbers is the mean of, as torch's adaptive pooling has it; there may be more of them."""
    shares = torch.zeros(few, many)
    for row in range(few):
        first, last = row * many // few, -(-(row + 1) * many // few)
        shares[row, first:last] = 1 / (last - first)
    return shares


def _stretched(counts: Tensor, most: int | Tensor, side: int) -> Tensor:
    """What Pillow weighs the first ``counts`` of up to ``most`` numbers with to make ``side`` of them (BILINEAR).

    A triangle around each place of the result, as wide as the step where numbers become fewer. (B,) → (B, side, most).
    """
    step = (counts.float() / side)[:, None, None]
    centres = (_count_to(side, counts) + 0.5)[None, :, None] * step
    places = _count_to(most, counts)[None, None]
    weights = (1 - (places + 0.5 - centres).abs() / step.clamp(min=1)).clamp(min=0) * (places < counts[:, None, None])
    return weights / weights.sum(2, keepdim=True)
