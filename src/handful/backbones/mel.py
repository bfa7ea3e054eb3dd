"""Mel filter banks and power spectra: what the sound backbones see of a waveform.

All in NumPy: batches are prepared in a thread beside the model, and torch would start a second team of workers there
that fights the model's for the same cores.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

# Slaney's scale (Auditory Toolbox 1998): linear below 1 kHz, 27 steps per factor of 6.4 above.
_LINEAR_HERTZ = 200 / 3
_BREAK_HERTZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27


def _to_mel(hertz: float) -> float:
    if hertz < _BREAK_HERTZ:
        return hertz / _LINEAR_HERTZ
    return float(_BREAK_MEL + np.log(hertz / _BREAK_HERTZ) / _LOG_STEP)


def _to_hertz(mel: np.ndarray) -> np.ndarray:
    high = _BREAK_HERTZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HERTZ, high)


def mel_bank(bands: int, window: int, rate: int, low: float, high: float) -> np.ndarray:
    """Triangular filters of equal area, evenly spaced on Slaney's mel scale.

    Args:
        bands: how many filters.
        window: length of the Fourier transform in samples.
        rate: samples per second.
        low: lower edge of the first filter in hertz.
        high: upper edge of the last filter in hertz.

    Returns:
        (bands, window // 2 + 1) float32, to be multiplied with a power spectrum.
    """
    edges = _to_hertz(np.linspace(_to_mel(low), _to_mel(high), bands + 2))  # (bands + 2,)
    bins = np.linspace(0, rate / 2, window // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = 2 / (edges[2:] - edges[:-2])
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * area[:, None], np.float32)


@dataclass(frozen=True)
class _Filters:
    """A filter bank as a list of its weights, and the window: few weights are not 0, and BLAS would start threads."""

    bins: np.ndarray
    weights: np.ndarray
    starts: np.ndarray
    hann: np.ndarray

    def apply(self, power: np.ndarray) -> np.ndarray:
        """(frames, bins) → (frames, bands)."""
        return np.asarray(np.add.reduceat(power[:, self.bins] * self.weights, self.starts, axis=1))


@cache
def _filters(bands: int, window: int, rate: int, low: float, high: float) -> _Filters:
    bank = mel_bank(bands, window, rate, low, high)
    used = bank > 0
    used[:, 0] = True  # so that a band too narrow to hold a bin still has a weight to sum, which is 0
    rows, bins = np.nonzero(used)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    starts = np.searchsorted(rows, np.arange(bands))
    return _Filters(bins, bank[rows, bins], starts, hann.astype(np.float32))


def mel_power(
    samples: np.ndarray, rate: int, *, bands: int, window: int, hop: int, low: float = 0.0, high: float = 8000.0
) -> np.ndarray:
    """The power of a sound in mel bands over time; the frames are centred and the ends are mirrored.

    Args:
        samples: (T,) float32.
        rate: samples per second.
        bands: how many mel bands.
        window: samples per frame (Hann window); a shorter sound is followed by silence.
        hop: samples from frame to frame.
        low: lower edge of the lowest band in hertz.
        high: upper edge of the highest band in hertz.

    Returns:
        (bands, frames) float32, not logarithmic.
    """
    filters = _filters(bands, window, rate, low, high)
    x = np.pad(np.pad(samples, (0, max(0, window - len(samples)))), window // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(x, window)[::hop] * filters.hann  # (frames, window)
    spectrum = np.fft.rfft(frames)  # (frames, bins)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return filters.apply(power.astype(np.float32)).T
