"""Changes to a sound that keep its label: speed, place, loudness, noise, a room.

Samples are (T,) float32 in [-1, 1], one channel. Results are new float32 arrays; some go beyond [-1, 1], and
``change_sound`` turns them down at the end. Any length down to one sample works, and silence stays silence.
"""

from __future__ import annotations

import math

import numpy as np
import soxr

from handful.data.augment.options import SoundChanges


def change_sound(samples: np.ndarray, rate: int, rng: np.random.Generator, changes: SoundChanges) -> np.ndarray:
    """Apply every change that is on, one after the other.

    Args:
        samples: (T,) float32 in [-1, 1].
        rate: samples per second.
        rng: where the strength of each change comes from.
        changes: which ones are on.

    Returns:
        (T,) float32 in [-1, 1], a new array; another T where the speed changes.
    """
    changed = samples.copy()
    if changes.speed:
        changed = change_speed(changed, rng, changes.speed)
    if changes.shift:
        changed = shift(changed, rate, rng, changes.shift, changes.wrap)
    if changes.reverb and rng.random() < changes.reverb:
        changed = add_reverb(changed, rate, rng, changes.longest_reverb)
    # After the room: the noise is the microphone's, not a second sound in the room.
    if changes.noise and rng.random() < changes.noise:
        changed = add_noise(changed, rng, changes.loudest_noise, changes.softest_noise)
    if changes.gain:
        changed = change_gain(changed, rng, changes.gain)
    peak = np.abs(changed).max()
    return changed / peak if peak > 1 else changed


def change_speed(samples: np.ndarray, rng: np.random.Generator, most: float = 0.1) -> np.ndarray:
    """Play faster or slower, pitch included (Ko et al. 2015, "Audio Augmentation for Speech Recognition").

    Departure from the paper: any factor between the two ends instead of three fixed ones.

    Args:
        samples: (T,) float32.
        rng: where the factor comes from, evenly distributed in 1 - most to 1 + most.
        most: largest change as a share, in [0, 1).

    Returns:
        About (T / factor,) float32, at least one sample.
    """
    factor = rng.uniform(1 - most, 1 + most)
    changed = np.asarray(soxr.resample(samples, factor, 1.0), np.float32)
    return changed if len(changed) else samples.copy()


def shift(
    samples: np.ndarray, rate: int, rng: np.random.Generator, most: float = 0.1, wrap: bool = False
) -> np.ndarray:
    """Move to earlier or later (0.1 s is the default of TensorFlow's training script for Speech Commands).

    Args:
        samples: (T,) float32.
        rate: samples per second.
        rng: where the distance comes from, evenly distributed.
        most: longest move in seconds; never more than half of the sound.
        wrap: let what leaves at one end come in at the other, instead of silence.

    Returns:
        (T,) float32.
    """
    limit = min(round(most * rate), len(samples) // 2)
    by = int(rng.integers(-limit, limit + 1))
    moved = np.roll(samples, by)
    if not wrap:
        moved[slice(by) if by >= 0 else slice(by, None)] = 0
    return moved


def add_noise(samples: np.ndarray, rng: np.random.Generator, loudest: float = 5.0, softest: float = 20.0) -> np.ndarray:
    """Add white noise at a random ratio of sound to noise.

    Args:
        samples: (T,) float32.
        rng: where the ratio, evenly distributed in decibels, and the noise come from.
        loudest: lowest ratio in decibels.
        softest: highest ratio in decibels.

    Returns:
        (T,) float32; the same power of noise for the whole sound, none for silence.
    """
    ratio = rng.uniform(loudest, softest)
    loudness = math.sqrt(np.square(samples, dtype=np.float64).mean())  # root mean square
    noise = rng.standard_normal(len(samples)) * (loudness * 10 ** (-ratio / 20))  # (T,)
    return (samples + noise).astype(np.float32)


def change_gain(samples: np.ndarray, rng: np.random.Generator, most: float = 6.0) -> np.ndarray:
    """Make louder or softer.

    Args:
        samples: (T,) float32.
        rng: where the gain comes from, evenly distributed in decibels.
        most: largest gain, up or down, in decibels.

    Returns:
        (T,) float32, beyond [-1, 1] where a loud sound is made louder.
    """
    return np.asarray(samples * np.float32(10 ** (rng.uniform(-most, most) / 20)))


def add_reverb(samples: np.ndarray, rate: int, rng: np.random.Generator, longest: float = 0.5) -> np.ndarray:
    """Add the echo of a made-up room: white noise that fades exponentially (the statistical model of Polack 1988).

    The direct sound comes first and has at least as much power as its echo, so that nothing is moved or smeared out.

    Args:
        samples: (T,) float32.
        rate: samples per second.
        rng: where the fading time, the echo's loudness (0 to 12 dB below the direct sound) and the noise come from.
        longest: longest time, in seconds, in which the echo falls by 60 dB; the shortest is a fifth of it.

    Returns:
        (T,) float32 with the peak of ``samples``; echoes after the end are cut off.
    """
    fading = rng.uniform(longest / 5, longest)
    below = rng.uniform(0, 12)
    length = min(len(samples), max(1, round(fading * rate)))  # L
    # 60 dB in amplitude are a factor of 1000 = exp(6.9).
    echo = rng.standard_normal(length) * np.exp(-math.log(1000) * np.arange(length) / (fading * rate))  # (L,)
    echo[0] = 0
    power = np.square(echo).sum()
    room = echo * (10 ** (-below / 20) / math.sqrt(power)) if power else echo
    room[0] = 1
    changed = _convolved(samples, room)
    loudest = np.abs(changed).max()
    if not loudest:
        return samples.copy()
    return np.asarray(changed * (np.abs(samples).max() / loudest), np.float32)


def _convolved(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The first T values of (T,) * (L,), as float64, by way of the Fourier transform."""
    total = len(samples) + len(response) - 1
    size = 1 << (total - 1).bit_length()  # a power of two is fast and wide enough not to wrap around
    spectrum = np.fft.rfft(samples.astype(np.float64), size) * np.fft.rfft(response, size)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(samples)])
