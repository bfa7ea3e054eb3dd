"""Likeness: whether two prints come from one picture or one sound that was cropped, resized or re-encoded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import map_coordinates, zoom

from handful.threads import one_thread

Array = NDArray[np.float32]

# The sides of a crop that are tried, as shares of the whole picture: 0.8 keeps 64 % of its area. Pictures that
# correlate less than this at the first two are not tried further.
SHARES = (0.9, 1.0, 0.96, 0.93, 0.87, 0.84, 0.8)
_HOPELESS = 0.6

# Of drawings at most half of the cells differ from their neighbours by this much, of photographs hardly ever so few.
_STEP, _PLAIN = 0.005, 0.5

# Edges that fall on other cells when a drawing is resized, and what compression adds, stay below this.
_SAME = 0.2

# How bright red, green and blue are (ITU-R BT.601).
_GREY = np.array([0.299, 0.587, 0.114], np.float32)

# Two sounds must share at least this much of the shorter one.
OVERLAP = 0.7

# A window that correlates less is not worth moving; so many steps move it.
_PROMISING, _STEPS = 0.85, 6

# Sounds that correlate less at whole samples are not looked at more closely; of the others so many shifts are, and
# so many fractions of a sample around each.
_LIKELY, _PEAKS, _FRACTIONS = 0.4, 3, 9

_LITTLE = 1e-9


def pictures_alike(first: Array, second: Array) -> float:
    """The best correlation of one picture with a window of the other, -1 to 1; 0 where one shows nothing.

    Plain drawings agree in their outlines with many others once one is moved and made larger: a square is like any
    other square. Where one of the two has little detail, they are 1 if they agree cell by cell and colour by colour,
    and otherwise 0.

    Args:
        first: (S, S, 3) a print.
        second: (S, S, 3) another one.
    """
    one, two = first @ _GREY, second @ _GREY  # (S, S)
    if one.std() < _LITTLE or two.std() < _LITTLE:
        return 0.0
    if min(_detail(one), _detail(two)) < _PLAIN:
        return float(np.abs(first - second).max() <= _SAME)
    return max(_best_window(one, two), _best_window(two, one))


def _detail(grey: Array) -> float:
    """The share of the cells that differ from those around them."""
    down, across = np.gradient(grey)
    return float((np.hypot(down, across) > _STEP).mean())


def _best_window(whole: Array, part: Array) -> float:
    """How well a print correlates with the window of another where it does so best."""
    side, best, window = len(whole), 0.0, (0.0, 0.0, 1.0)
    for tried, share in enumerate(SHARES):
        if tried == 2 and best < _HOPELESS:
            break
        cells = round(share * side)
        small = part if cells == side else zoom(part, cells / side, order=1, grid_mode=True, mode="nearest")
        small = small - small.mean()
        windows = np.lib.stride_tricks.sliding_window_view(whole, (cells, cells))  # (P, P, cells, cells)
        mean = windows.mean((2, 3))
        power = np.einsum("ijkl,ijkl->ij", windows, windows) - cells * cells * mean**2
        norms = np.sqrt(np.maximum(power, 0) * float((small**2).sum()))
        correlation = np.where(
            norms > _LITTLE, np.einsum("ijkl,kl->ij", windows, small) / np.maximum(norms, _LITTLE), 0
        )
        if correlation.max() > best:
            top, left = np.unravel_index(int(correlation.argmax()), correlation.shape)
            best, window = float(correlation.max()), (float(top), float(left), cells / side)
    return best if best < _PROMISING else max(best, _refined(whole, part, window))


@one_thread()
def _refined(whole: Array, part: Array, window: tuple[float, float, float]) -> float:
    """The correlation after the edges of a window have been moved by fractions of a cell, each side by its own.

    Gauss-Newton steps on the squared difference of the standardised pictures (Lucas and Kanade 1981).
    """
    side = len(whole)
    cell = (np.arange(side) + 0.5) / side
    down, across = (grid.ravel() for grid in np.meshgrid(cell, cell, indexing="ij"))
    target = _standard(part.ravel())
    # Edges of the window in cells of the whole: top, left, height, width.
    edges = np.array([window[0], window[1], window[2] * side, window[2] * side])
    slopes = np.gradient(whole.astype(np.float64))
    best = 0.0
    for _ in range(_STEPS):
        at = np.stack([edges[0] + down * edges[2] - 0.5, edges[1] + across * edges[3] - 0.5])
        resampled = map_coordinates(whole, at, order=1, mode="nearest")
        spread = float(resampled.std()) or 1.0
        best = max(best, float(np.mean(_standard(resampled) * target)))
        along = [map_coordinates(slope, at, order=1, mode="nearest") / spread for slope in slopes]
        moves = np.stack([along[0], along[1], along[0] * down, along[1] * across], axis=1)  # (cells, 4)
        moves -= moves.mean(0)
        step, *_ = np.linalg.lstsq(moves, target - _standard(resampled), rcond=1e-6)
        edges = edges + np.clip(step, -2, 2)
    return best


def _standard(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Values with mean 0 and spread 1; zeros where all are the same."""
    centred = np.asarray(values, np.float64) - values.mean()
    spread = float(centred.std())
    return centred / spread if spread > _LITTLE else np.zeros_like(centred)


def sounds_alike(first: Array, second: Array) -> float:
    """The best correlation of two sounds over all shifts that leave enough in common, -1 to 1.

    Args:
        first: (T,) a print.
        second: (U,) another one, at the same rate.
    """
    size = next_fast_len(len(first) + len(second))
    spectrum = rfft(first, size) * np.conj(rfft(second, size))
    products = irfft(spectrum, size)
    shift = np.arange(-len(second) + 1, len(first))  # ``second`` starts so many samples after ``first``
    start, end = np.maximum(shift, 0), np.minimum(len(first), len(second) + shift)
    power = _power_between(first, start, end) * _power_between(second, start - shift, end - shift)
    enough = (end - start >= OVERLAP * min(len(first), len(second))) & (power > _LITTLE)
    if not enough.any():
        return 0.0
    shift, norms = shift[enough], np.sqrt(power[enough])
    correlation = products[shift] / norms
    if correlation.max() < _LIKELY:
        return float(correlation.max())
    top = np.argsort(-correlation)[:_PEAKS]
    return float(max(_between(spectrum, size, float(shift[i])) / norms[i] for i in top))


def _between(spectrum: NDArray[np.complexfloating], size: int, shift: float) -> float:
    """The largest product of two sounds at fractions of a sample around a shift: a cut rarely falls on a sample."""
    waves = np.arange(len(spectrum))
    weights = np.where((waves == 0) | (2 * waves == size), 1.0, 2.0) / size
    shifts = shift + np.linspace(-0.5, 0.5, _FRACTIONS)
    turned = np.exp(2j * np.pi * np.outer(shifts, waves) / size)
    return float((turned @ (weights * spectrum)).real.max())


def _power_between(samples: Array, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float64]:
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    return np.asarray(sums[end] - sums[start])
