"""Sounds from files or arrays: decoded in blocks, mixed to one channel, brought to one rate."""

from __future__ import annotations

import io
import math
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from handful.errors import DataError
from handful.files import MEDIA_BYTES, open_ordinary

SOUND_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64",
)  # fmt: skip

# What phones and browsers record, and libsndfile cannot decode.
FOREIGN_SUFFIXES = (".m4a", ".aac", ".webm", ".wma", ".amr")

# How such files begin, whatever they are called: place, mark, suffix.
_SIGNATURES = (
    (4, b"ftyp", ".m4a"), (0, b"\x1a\x45\xdf\xa3", ".webm"), (0, b"\x30\x26\xb2\x75", ".wma"), (0, b"#!AMR", ".amr"),
    (0, b"\xff\xf1", ".aac"), (0, b"\xff\xf9", ".aac"),
)  # fmt: skip
_SIGNATURE = 16

SHORTEST = 0.1
"""Seconds below which a sound is no word, no call and no knock, but a slip of whoever cut it."""

# What never leaves a band of this width, of full scale, is silent: three steps of 16 bits, as dither leaves them.
_INAUDIBLE = 1e-4

# Frames decoded at a time: 4 s of speech, half a megabyte of 32-bit stereo.
_BLOCK = 1 << 16

# Seconds read beyond the ones asked for, so that the resampling filter sees what follows the cut.
_MARGIN = 0.05

# Compressed formats only estimate their length, so a file is called cut off only when this share of it is missing.
_MISSING_SHARE = 0.1

# Writers that cannot seek back (a pipe) leave a length of about 2^32 bytes in the header.
_UNKNOWN_LENGTH = 0xFFFF0000

# What libsndfile's log says of a chunk that is shorter than its header: "data : 160000 (should be 79978)".
_SHORT_CHUNK = re.compile(r"(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)")


def load_sound(item: Any, rate: int, longest: float | None = None) -> np.ndarray:
    """Decode one sound, mix it to one channel and resample it.

    Args:
        item: a path, or samples and their rate: ``(samples, rate)`` with (T,), (T, channels) or (channels, T) numbers,
            whole numbers at their full scale or fractions in [-1, 1].
        rate: samples per second of the result.
        longest: at most so many seconds, from the start; the rest of the file is not read.

    Returns:
        (T,) float32 in [-1, 1]; a sound that is louder than full scale is turned down to it.

    Raises:
        DataError: the sound cannot be decoded, is cut off, holds no samples, or holds numbers that are not finite.
    """
    with _opened(item) as sound:
        wanted = None if longest is None else math.ceil((longest + _MARGIN) * sound.rate)
        blocks = sound.blocks(wanted)
        if sound.rate == rate:
            pieces = list(blocks)
        else:
            stream = soxr.ResampleStream(sound.rate, rate, 1, dtype="float32")
            tail = (np.zeros(0, np.float32),)
            pieces = [stream.resample_chunk(block, last=not len(block)) for block in chain(blocks, tail)]
    samples = np.concatenate(pieces)
    if longest is not None:
        samples = samples[: round(longest * rate)]
    if not len(samples):
        raise DataError(f"{sound.name} is too short to hold a sound at {rate} samples per second. Remove it.")
    peak = float(np.abs(samples).max())
    if not math.isfinite(peak):
        raise DataError(f"{sound.name} holds samples that are not finite numbers. Export it again.")
    return samples / np.float32(peak) if peak > 1 else samples


def load_stretch(item: Any, start: float, end: float) -> tuple[np.ndarray, int]:
    """A stretch of one sound, mixed to one channel at its own rate; silence where the file ends before it says so.

    Args:
        item: a path or ``(samples, rate)``.
        start: its first second.
        end: the second behind its last.

    Returns:
        (T,) float32, and samples per second.

    Raises:
        DataError: the sound cannot be decoded.
    """
    with _opened(item) as sound:
        first, last, rate = round(start * sound.rate), round(end * sound.rate), sound.rate
        stretch, at = np.zeros(last - first, np.float32), first
        for block in sound.blocks(last, first):
            some = block[: last - at]
            stretch[at - first : at - first + len(some)] = some
            at += len(some)
    return stretch, rate


def duration(item: Any) -> float:
    """Seconds of one sound, from its header.

    Raises:
        DataError: the sound cannot be opened or holds no samples.
    """
    with _opened(item) as sound:
        return sound.frames / sound.rate


def rate_of(item: Any) -> int:
    """Samples per second of one sound, from its header.

    Raises:
        DataError: the sound cannot be opened or holds no samples.
    """
    with _opened(item) as sound:
        return sound.rate


@contextmanager
def opened_file(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a sound file to read its header and its samples.

    Raises:
        DataError: it is too large, or no ordinary file.
        OSError: it cannot be opened.
        soundfile.LibsndfileError: it cannot be decoded.
    """
    with ExitStack() as stack:
        plain = stack.enter_context(open_ordinary(path, MEDIA_BYTES))
        # On Windows one library's numbers of open files mean nothing to another.
        source = plain.fileno() if os.name == "posix" else str(path)
        yield stack.enter_context(soundfile.SoundFile(source, closefd=False))


def nothing_in(item: Any) -> str:
    """What a sound lacks to be one; an empty text as soon as something is heard.

    Args:
        item: a path or ``(samples, rate)``.

    Returns:
        ``silent``, ``constant`` (one value all along), ``short`` (less than ``SHORTEST``), or nothing.

    Raises:
        DataError: the sound cannot be decoded.
    """
    with _opened(item) as sound:
        if sound.frames < SHORTEST * sound.rate:
            return "short"
        low, high = math.inf, -math.inf
        for block in sound.blocks():
            low, high = min(low, float(block.min())), max(high, float(block.max()))
            if high - low > _INAUDIBLE:
                return ""
    return "silent" if max(abs(low), abs(high)) <= _INAUDIBLE else "constant"


def waveform(item: Any, points: int) -> np.ndarray:
    """The outline of a sound, for drawing: its lowest and highest sample in each of ``points`` equal stretches.

    Args:
        item: a path or ``(samples, rate)``.
        points: how many stretches; more than there are samples repeats samples.

    Returns:
        (points, 2) float32, lowest and highest.

    Raises:
        DataError: the sound cannot be decoded.
    """
    low, high = np.full(points, np.inf, np.float32), np.full(points, -np.inf, np.float32)
    with _opened(item) as sound:
        at = 0
        for block in sound.blocks():
            stretch = (np.arange(at, at + len(block)) * points // sound.frames).clip(max=points - 1)
            first = np.flatnonzero(np.diff(stretch, prepend=-1))  # where each stretch begins in this block
            np.minimum.at(low, stretch[first], np.minimum.reduceat(block, first))
            np.maximum.at(high, stretch[first], np.maximum.reduceat(block, first))
            at += len(block)
    # A stretch that no sample starts in (more points than samples) repeats the one before it; the first always has one.
    heard = np.flatnonzero(low <= high)
    source = heard[np.searchsorted(heard, np.arange(points), side="right") - 1]
    return np.stack([low[source], high[source]], axis=1)


def foreign(path: Path) -> str:
    """Say that a file is in a format that cannot be decoded, and what to do; an empty string for other files."""
    if path.suffix.lower() not in FOREIGN_SUFFIXES:
        return ""
    return _converted(path, path.suffix)


def _converted(path: Path, suffix: str) -> str:
    target = path.stem + (".wav" if path.suffix.lower() != ".wav" else ".flac")
    command = f"ffmpeg -i {shlex.quote(path.name)} {shlex.quote(target)}"
    return f"{suffix} is a format that cannot be read; convert it to WAV or FLAC, for example with `{command}`"


def _undecoded(path: Path, reason: str) -> str:
    """The message for a file that libsndfile does not open, whatever it is in truth."""
    if why := foreign(path):
        return f"{path}: {why}."
    with open_ordinary(path, MEDIA_BYTES) as file:
        start = file.read(_SIGNATURE)
    disguised = next((suffix for place, mark, suffix in _SIGNATURES if start[place:].startswith(mark)), "")
    if disguised:
        return f"{path} is in truth a file of the kind {disguised}: {_converted(path, disguised)}."
    if "malformed" in reason:
        return f"{path} is damaged or cut off ({reason}). Copy or export it again, or remove it."
    return f"{path} cannot be decoded as a sound ({reason}). Convert it to WAV or FLAC, or remove it."


class _Sound:
    """One open sound: its name, rate and length, and its samples block by block, mixed to one channel."""

    def __init__(self, name: str, rate: int, frames: int) -> None:
        self.name, self.rate, self.frames = name, rate, frames

    def blocks(self, most: int | None = None, first: int = 0) -> Iterator[np.ndarray]:
        """(T,) float32 blocks of the first ``most`` frames, from a frame on, never an empty one."""
        raise NotImplementedError


class _FileSound(_Sound):
    def __init__(self, name: str, file: soundfile.SoundFile) -> None:
        super().__init__(name, file.samplerate, file.frames)
        self.file = file

    def blocks(self, most: int | None = None, first: int = 0) -> Iterator[np.ndarray]:
        left, read = self.frames if most is None else min(most, self.frames), first
        if first:
            self.file.seek(first)
        while left > read:
            try:
                block = self.file.read(min(_BLOCK, left - read), dtype="float32", always_2d=True)  # (T, channels)
            except soundfile.LibsndfileError as error:
                raise DataError(
                    f"{self.name} is damaged or cut off after {read / self.rate:.1f} seconds ({_reason(error)}). "
                    "Export it again or remove it."
                ) from error
            if not len(block):
                break
            read += len(block)
            yield block[:, 0] if block.shape[1] == 1 else block.mean(1)
        if left - read > _MISSING_SHARE * left:
            raise DataError(_cut_off(self.name, read / left))


class _ArraySound(_Sound):
    def __init__(self, samples: np.ndarray, rate: int) -> None:
        super().__init__("a sound given as (samples, rate)", rate, len(samples))
        self.samples = samples

    def blocks(self, most: int | None = None, first: int = 0) -> Iterator[np.ndarray]:
        end = self.frames if most is None else min(most, self.frames)
        for start in range(first, end, _BLOCK):
            block = self.samples[start : min(start + _BLOCK, end)]
            yield _fractions(block).mean(1, dtype=np.float32)


@contextmanager
def _opened(item: Any) -> Iterator[_Sound]:
    if not isinstance(item, str | os.PathLike):
        yield _array_sound(item)
        return
    path = Path(item)
    if not path.exists() or path.is_dir():
        raise DataError(f"{path} must be a sound file, got {'a folder' if path.is_dir() else 'no such file'}.")
    if path.is_file() and not path.stat().st_size:
        raise DataError(f"{path} is empty (0 bytes). Export it again or remove it.")
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened_file(path))
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless .raw files, which name no rate
            raise DataError(_undecoded(path, _reason(error))) from error
        except OSError as error:
            raise DataError(f"{path} cannot be opened: {error.strerror}. Check the path and its rights.") from error
        if not file.frames:
            raise DataError(f"{path} holds no samples. Record it again or remove it.")
        for declared, there in _SHORT_CHUNK.findall(file.extra_info):
            if int(there) < int(declared) < _UNKNOWN_LENGTH:
                raise DataError(_cut_off(str(path), int(there) / int(declared)))
        yield _FileSound(str(path), file)


def _array_sound(item: Any) -> _ArraySound:
    try:
        values, rate = item
        samples = np.asarray(values)
        rate = int(rate)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"a sound must be a path or a pair (samples, rate), got {type(item).__name__}. Give one of these."
        ) from error
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "iuf" or rate < 1:
        raise DataError(
            "a sound given as (samples, rate) must be numbers of shape (T,) or (T, channels) and a rate above 0, "
            f"got {samples.dtype} of shape {samples.shape} and {rate}. Give one of these."
        )
    if not samples.size:
        raise DataError("a sound given as (samples, rate) holds no samples. Remove it.")
    if samples.ndim == 1:
        samples = samples[:, None]
    return _ArraySound(samples.T if samples.shape[0] < samples.shape[1] else samples, rate)  # (T, channels)


def _fractions(samples: np.ndarray) -> np.ndarray:
    """Whole numbers at full scale as float32 in [-1, 1]; unsigned ones are centred at half their range."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    half = np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
    return samples.astype(np.float32) / half - np.float32(samples.dtype.kind == "u")


def _cut_off(name: str, share: float) -> str:
    return f"{name} is cut off: only {share:.0%} of the sound its header promises is there. Copy or export it again."


def sound_of(content: bytes, longest: float) -> tuple[np.ndarray, int]:
    """Decode the bytes of a sound file.

    Args:
        content: the bytes.
        longest: how many seconds it may last.

    Returns:
        (T, channels) float32 in [-1, 1], and samples per second.

    Raises:
        DataError: it is none, holds no samples, or lasts longer.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            seconds = file.frames / file.samplerate
            if seconds > longest:
                raise DataError(f"the sound must last at most {longest:g} seconds, got {seconds:.0f}. Cut it.")
            if not file.frames:
                raise DataError("the sound holds no samples. Record it again.")
            return file.read(dtype="float32", always_2d=True), int(file.samplerate)
    except (soundfile.LibsndfileError, TypeError) as error:
        raise DataError(
            f"the file cannot be decoded as a sound ({_reason(error)}). Send WAV, FLAC, OGG or MP3."
        ) from error


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", str(error))
    return str(text).strip().rstrip(".").removeprefix("Error : ").strip()
