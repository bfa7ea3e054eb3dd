"""Likeness: whether two prints come from one picture or one sound that was cropped, resized or re-encoded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import zoom

Array = NDArray[np.float32]

# The sides of a crop that are tried, as shares of the whole picture: 0.8 keeps 64 % of its area.
SHARES = (1.0, 0.96, 0.92, 0.88, 0.84, 0.8)

# Two sounds must share at least this much of the shorter one.
OVERLAP = 0.7

_LITTLE = 1e-9


def pictures_alike(first: Array, second: Array) -> float:
    """The best correlation of one picture with a window of the other, -1 to 1; 0 where one shows nothing.

    Args:
        first: (S, S) a print.
        second: (S, S) another one.
    """
    return max(_best_window(first, second), _best_window(second, first))


def _best_window(whole: Array, part: Array) -> float:
    """How well a print, shrunk to each share, correlates with the window of another where it does so best."""
    side, best = len(whole), 0.0
    for share in SHARES:
        cells = round(share * side)
        small = part if cells == side else zoom(part, cells / side, order=1, grid_mode=True, mode="nearest")
        small = small - small.mean()
        windows = np.lib.stride_tricks.sliding_window_view(whole, (cells, cells))  # (P, P, cells, cells)
        mean = windows.mean((2, 3))
        power = np.einsum("ijkl,ijkl->ij", windows, windows) - cells * cells * mean**2
        norms = np.sqrt(np.maximum(power, 0) * float((small**2).sum()))
        found = np.where(norms > _LITTLE, np.einsum("ijkl,kl->ij", windows, small) / np.maximum(norms, _LITTLE), 0)
        best = max(best, float(found.max()))
    return best


def sounds_alike(first: Array, second: Array) -> float:
    """The best correlation of two sounds over all shifts that leave enough in common, -1 to 1.

    Args:
        first: (T,) a print.
        second: (U,) another one, at the same rate.
    """
    size = next_fast_len(len(first) + len(second))
    products = irfft(rfft(first, size) * np.conj(rfft(second, size)), size)
    shift = np.arange(-len(second) + 1, len(first))  # ``second`` starts so many samples after ``first``
    start, end = np.maximum(shift, 0), np.minimum(len(first), len(second) + shift)
    power = _power_between(first, start, end) * _power_between(second, start - shift, end - shift)
    enough = (end - start >= OVERLAP * min(len(first), len(second))) & (power > _LITTLE)
    return float(np.max(products[shift[enough]] / np.sqrt(power[enough]), initial=0.0))


def _power_between(samples: Array, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float64]:
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    return np.asarray(sums[end] - sums[start])
