"""Pixels: what filters and the maps of a backbone say of every pixel of a picture, a block at a time.

Filters know edges, lines and blobs of a few pixels, maps know texture and things; together they tell more than either.
Both are read at a size at which the shorter side has at most ``MOST`` pixels, in blocks whose surroundings they see, so
that memory does not grow with the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import softmax

from handful.backbones.base import Backbone
from handful.backbones.graph_pixels import FilterBank
from handful.data.pixel_sizes import shrunk
from handful.features.view import Matrix

MOST = 512
"""Pixels of the shorter side up to which a picture is read at its own scale."""
BLOCK, HALO = 256, 32
"""Pixels of a side of a block at most, and what is seen around it."""
FILTERS, MAPS = "filters", "maps"
"""The two ways to look."""
REACH = 32
"""Pixels around a pixel that first answers are heard from."""
FLAT = 1e-6
"""The variance below which a place is flat: that of a quarter of a grey level, below which there is rounding alone."""

# Widths of the filters in pixels: from the finest line to a blob as wide as what is seen around a block.
_WIDTHS = (0.7, 1.0, 1.6, 2.5, 4.0, 6.5, 10.0)
# Filters end after so many widths, which the surroundings of a block hold.
_ENDS = 3.0
# Widths at which colours are averaged.
_COLOURS = (0.7, 2.5, 6.5)
# Widths of the filters that hear first answers: what is finer is said by the first answer itself.
_HEARD = _WIDTHS[2:]


@dataclass(frozen=True)
class Block:
    """A part of a picture, and what is seen at its pixels, row by row."""

    top: int
    """Its first row."""
    left: int
    """Its first column."""
    height: int
    """Rows."""
    width: int
    """Columns."""
    features: dict[str, Matrix]
    """Way to look → (P, D); P is height · width, or more where pixels around the part are looked at as well."""
    around: int = 0
    """Pixels at each side that are looked at as well: P is (height + 2 around) · (width + 2 around)."""

    def grid(self, x: NDArray[Any]) -> NDArray[Any]:
        """What belongs to its P pixels, in rows and columns. (P, D) → (height + 2 around, width + 2 around, D)."""
        return x.reshape(self.height + 2 * self.around, self.width + 2 * self.around, -1)

    def within(self) -> Block:
        """The same without the pixels around."""
        if not self.around:
            return self
        own = slice(self.around, self.around + self.height), slice(self.around, self.around + self.width)
        inner = {look: self.grid(x)[own].reshape(self.height * self.width, -1) for look, x in self.features.items()}
        return Block(self.top, self.left, self.height, self.width, inner)

    def of_places(self, places: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which pixels of a picture lie in the part without those around, and their numbers in it.

        Args:
            places: (p,) numbers of pixels of the picture, row by row.
            width: its columns.
        """
        row, column = places // width - self.top, places % width - self.left
        which = np.flatnonzero((row >= 0) & (row < self.height) & (column >= 0) & (column < self.width))
        return which, row[which] * self.width + column[which]

    def cut(self, picture: NDArray[Any]) -> NDArray[Any]:
        """The same part of an array of the size of the picture, row by row. (H, W, …) → (height · width, …)."""
        part = picture[self.top : self.top + self.height, self.left : self.left + self.width]
        return part.reshape(self.height * self.width, *part.shape[2:])


def worked(item: Any) -> NDArray[np.uint8]:
    """A picture at the size at which it is read, (H, W, 3).

    Raises:
        DataError: it cannot be decoded.
    """
    return shrunk(item, MOST)


def blocks_of(pixels: NDArray[np.uint8], backbone: Backbone | None, around: int = 0) -> Iterator[Block]:
    """What is seen in a picture (H, W, 3), a block after the other.

    Args:
        pixels: as ``worked`` gives them.
        backbone: whose maps are read beside the filters; None for the filters alone.
        around: pixels at each side of a block that are looked at as well.
    """
    for top, left, tall, wide, seen in seen_blocks(pixels, HALO + around):
        inner = slice(HALO, HALO + tall + 2 * around), slice(HALO, HALO + wide + 2 * around)
        looked = {FILTERS: filtered(seen)}
        if backbone is not None:
            looked[MAPS] = backbone.pixel_maps(seen)
        features = {look: x[inner].reshape(-1, x.shape[-1]) for look, x in looked.items()}
        yield Block(top, left, tall, wide, features, around)


def seen_blocks(
    pixels: NDArray[np.uint8], halo: int = HALO
) -> Iterator[tuple[int, int, int, int, NDArray[np.uint8]]]:  # fmt: skip
    """The blocks of a picture (H, W, 3): first row, first column, rows, columns, and its pixels with those around."""
    height, width = pixels.shape[:2]
    around = np.pad(pixels, ((halo, halo), (halo, halo), (0, 0)), mode="symmetric")
    for top, tall in _cuts(height):
        for left, wide in _cuts(width):
            yield top, left, tall, wide, around[top : top + tall + 2 * halo, left : left + wide + 2 * halo]


def _cuts(length: int) -> list[tuple[int, int]]:
    """Starts and lengths of about equal stretches, none longer than ``BLOCK``."""
    edges = np.linspace(0, length, -(-length // BLOCK) + 1).round().astype(int).tolist()
    return [(start, end - start) for start, end in zip(edges, edges[1:], strict=False)]


def filtered(pixels: NDArray[np.uint8]) -> Matrix:
    """What filters of several widths say of each pixel: brightness, edges, ridges, roughness, colour.

    The eigenvalues of second derivatives tell lines from blobs (Frangi et al. 1998); the set is that of trainable
    segmentation tools, as Weka's (Arganda-Carreras et al. 2017).

    Args:
        pixels: (H, W, 3).

    Returns:
        (H, W, D).
    """
    rgb = pixels.astype(np.float32) / 255
    grey = rgb.mean(2)
    out = [grey]
    for width in _WIDTHS:
        across, down = (_smooth(grey, width, order) for order in ((0, 1), (1, 0)))
        smooth, *ridges = _ridges(grey, width)
        out += [smooth, np.hypot(across, down) * width, *ridges, _rough(grey, width)]
    for opposed in (rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]):
        out += [_smooth(opposed, width, (0, 0)) for width in _COLOURS]
    return np.stack(out, -1)


def heard(scores: Matrix) -> Matrix:
    """What first answers say of each pixel and of what lies around it: how much of each class, in lines or in blobs.

    The idea is auto-context (Tu & Bai 2010, "Auto-context and its application to high-level vision tasks").

    Args:
        scores: (H, W, C) of the first answers, before any softmax.

    Returns:
        (H - 2 ``REACH``, W - 2 ``REACH``, E), E as ``heard_columns`` counts them: the first class is what is left over.
    """
    inner = slice(REACH, scores.shape[0] - REACH), slice(REACH, scores.shape[1] - REACH)
    probable = softmax(scores.astype(np.float32), -1)
    out = [scores[inner][..., 1:] - scores[inner][..., :1]]
    for c in range(1, scores.shape[-1]):
        for width in _HEARD:
            out += [x[inner][..., None] for x in _ridges(probable[..., c], width)]
    return np.concatenate(out, -1).astype(np.float32)


def heard_columns(classes: int) -> int:
    """E, how many columns ``heard`` has for so many classes."""
    return (classes - 1) * (1 + 3 * len(_HEARD))


def filter_bank() -> FilterBank:
    """The filters as rows of numbers, for a graph that computes what ``filtered`` and ``heard`` do."""
    reach = math.ceil(_ENDS * max(_WIDTHS))
    point = np.zeros(2 * reach + 1)
    point[reach] = 1
    kernels = {}
    for width in _WIDTHS:
        own = slice(reach - math.ceil(_ENDS * width), reach + math.ceil(_ENDS * width) + 1)
        rows = (ndimage.gaussian_filter1d(point, width, order=n, truncate=_ENDS, mode="constant") for n in range(3))
        kernels[width] = tuple(np.asarray(row[::-1][own], np.float32).copy() for row in rows)
    return FilterBank(kernels, _COLOURS, FLAT, _HEARD)


def _ridges(grey: NDArray[np.floating], width: float) -> tuple[Matrix, Matrix, Matrix]:
    """The mean around each pixel, and how it bends across and along a line: the eigenvalues of second derivatives."""
    smooth = _smooth(grey, width, (0, 0))
    xx, yy, xy = (_smooth(grey, width, order) * width**2 for order in ((0, 2), (2, 0), (1, 1)))
    middle, apart = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return smooth, np.asarray(middle + apart, np.float32), np.asarray(middle - apart, np.float32)


def _rough(grey: NDArray[np.floating], width: float) -> Matrix:
    """The deviation of brightness around each pixel; in float64, since it is a small difference of large numbers."""
    wide = grey.astype(np.float64)
    squares, mean = (ndimage.gaussian_filter(x, width, truncate=_ENDS) for x in (wide * wide, wide))
    return np.asarray(np.sqrt(np.maximum(squares - mean * mean, FLAT)), np.float32)


def _smooth(grey: NDArray[np.floating], width: float, order: tuple[int, int]) -> Matrix:
    return np.asarray(ndimage.gaussian_filter(grey, width, order=order, truncate=_ENDS), np.float32)
