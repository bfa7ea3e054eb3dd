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
FLAT = 1e-6
"""The variance below which a place is flat: that of a quarter of a grey level, below which there is rounding alone."""

# Widths of the filters in pixels: from the finest line to a blob as wide as what is seen around a block.
_WIDTHS = (0.7, 1.0, 1.6, 2.5, 4.0, 6.5, 10.0)
# Filters end after so many widths, which the surroundings of a block hold.
_ENDS = 3.0
# Widths at which colours are averaged.
_COLOURS = (0.7, 2.5, 6.5)


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
    """Way to look → (height · width, D)."""

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


def blocks_of(pixels: NDArray[np.uint8], backbone: Backbone | None) -> Iterator[Block]:
    """What is seen in a picture (H, W, 3), a block after the other.

    Args:
        pixels: as ``worked`` gives them.
        backbone: whose maps are read beside the filters; None for the filters alone.
    """
    for top, left, tall, wide, seen in seen_blocks(pixels):
        inner = slice(HALO, HALO + tall), slice(HALO, HALO + wide)
        features = {FILTERS: filtered(seen)[inner].reshape(tall * wide, -1)}
        if backbone is not None:
            features[MAPS] = backbone.pixel_maps(seen)[inner].reshape(tall * wide, -1)
        yield Block(top, left, tall, wide, features)


def seen_blocks(pixels: NDArray[np.uint8]) -> Iterator[tuple[int, int, int, int, NDArray[np.uint8]]]:
    """The blocks of a picture (H, W, 3): first row, first column, rows, columns, and its pixels with those around."""
    height, width = pixels.shape[:2]
    around = np.pad(
        pixels, ((HALO, HALO), (HALO, HALO), (0, 0)), mode="symmetric" if min(height, width) >= HALO else "edge"
    )
    for top, tall in _cuts(height):
        for left, wide in _cuts(width):
            yield top, left, tall, wide, around[top : top + tall + 2 * HALO, left : left + wide + 2 * HALO]


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
        smooth, across, down = (_smooth(grey, width, order) for order in ((0, 0), (0, 1), (1, 0)))
        xx, yy, xy = (_smooth(grey, width, order) * width**2 for order in ((0, 2), (2, 0), (1, 1)))
        middle, apart = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
        out += [smooth, np.hypot(across, down) * width, middle + apart, middle - apart, _rough(grey, width)]
    for opposed in (rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]):
        out += [_smooth(opposed, width, (0, 0)) for width in _COLOURS]
    return np.stack(out, -1)


def filter_bank() -> FilterBank:
    """The filters as rows of numbers, for a graph that computes what ``filtered`` does."""
    reach = math.ceil(_ENDS * max(_WIDTHS))
    point = np.zeros(2 * reach + 1)
    point[reach] = 1
    kernels = {}
    for width in _WIDTHS:
        own = slice(reach - math.ceil(_ENDS * width), reach + math.ceil(_ENDS * width) + 1)
        rows = (ndimage.gaussian_filter1d(point, width, order=n, truncate=_ENDS, mode="constant") for n in range(3))
        kernels[width] = tuple(np.asarray(row[::-1][own], np.float32).copy() for row in rows)
    return FilterBank(kernels, _COLOURS, FLAT)


def _rough(grey: NDArray[np.floating], width: float) -> Matrix:
    """The deviation of brightness around each pixel; in float64, since it is a small difference of large numbers."""
    wide = grey.astype(np.float64)
    squares, mean = (ndimage.gaussian_filter(x, width, truncate=_ENDS) for x in (wide * wide, wide))
    return np.asarray(np.sqrt(np.maximum(squares - mean * mean, FLAT)), np.float32)


def _smooth(grey: NDArray[np.floating], width: float, order: tuple[int, int]) -> Matrix:
    return np.asarray(ndimage.gaussian_filter(grey, width, order=order, truncate=_ENDS), np.float32)
