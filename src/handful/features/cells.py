"""Cells: what a backbone says of every small square of a picture, at the scale at which things are learned.

Pictures are made larger or smaller by one factor, so that things are about as many cells wide as a backbone knows best,
and read in blocks whose surroundings it sees, so that memory does not grow with the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.backbones.tiles import CELL, STEP
from handful.data.images import full_size
from handful.data.pixel_sizes import magnified
from handful.features.pixels import MAPS, Block

WIDE = 10
"""Cells that a typical thing is wide, once pictures are at the scale at which they are read."""
NARROW = 1.5
"""Things that are fewer cells wide are too small to be found."""
LARGEST = 4.0
"""By how much a picture is enlarged at most: nothing more is seen then."""
MOST = 24_000_000
"""Pixels of a picture at the scale at which it is read, at most."""

# Cells of a side of a block at most, and around it; both whole steps.
_BLOCK, _HALO = 512 // CELL, 64 // CELL


def scale_for(sides: Sequence[float], areas: Sequence[float]) -> float:
    """By how much pictures are enlarged.

    Args:
        sides: of all boxes, in pixels.
        areas: of all pictures, in pixels.
    """
    wanted = min(LARGEST, WIDE * CELL / float(np.median(sides)))
    return float(min(wanted, math.sqrt(MOST / max(areas))))


def read_at(item: Any, scale: float) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """A picture at the scale at which it is read, its edges repeated to whole steps.

    Args:
        item: the picture.
        scale: by how much it is enlarged; less where it would become too large.

    Returns:
        (H, W, 3), and how many of its pixels one of the picture is across and down.

    Raises:
        DataError: it cannot be decoded.
    """
    width, height = full_size(item)
    pixels = magnified(item, min(scale, math.sqrt(MOST / (width * height))))
    ratio = pixels.shape[1] / width, pixels.shape[0] / height
    more = [(0, -length % STEP) for length in pixels.shape[:2]]
    return np.pad(pixels, (*more, (0, 0)), mode="edge"), ratio


def cells_of(pixels: NDArray[np.uint8], backbone: Backbone) -> Iterator[Block]:
    """What is seen in the cells of a picture, a block after the other.

    Args:
        pixels: as ``read_at`` gives them.
        backbone: whose maps are read.
    """
    for top, left, tall, wide, seen, inner in seen_cells(pixels):
        yield Block(top, left, tall, wide, {MAPS: backbone.cell_maps(seen)[inner].reshape(tall * wide, -1)})


def seen_cells(
    pixels: NDArray[np.uint8],
) -> Iterator[tuple[int, int, int, int, NDArray[np.uint8], tuple[slice, slice]]]:
    """The blocks of cells of a picture, with the pixels around each, since a backbone sees these too.

    Returns:
        Of each block its first row and column, rows and columns, the pixels, and which of their cells are its own.
    """
    for top, tall in _cuts(pixels.shape[0] // CELL):
        for left, wide in _cuts(pixels.shape[1] // CELL):
            above, before = max(0, top - _HALO), max(0, left - _HALO)
            seen = pixels[above * CELL : (top + tall + _HALO) * CELL, before * CELL : (left + wide + _HALO) * CELL]
            inner = slice(top - above, top - above + tall), slice(left - before, left - before + wide)
            yield top, left, tall, wide, seen, inner


def _cuts(cells: int) -> Iterator[tuple[int, int]]:
    """Starts and lengths of stretches of whole steps."""
    for start in range(0, cells, _BLOCK):
        yield start, min(_BLOCK, cells - start)


def middles(top: int, left: int, height: int, width: int) -> NDArray[np.float64]:
    """Where the middle of each cell of a block is, (P, 2) of x and y in pixels at the scale that is read.

    Args:
        top: its first row of cells.
        left: its first column.
        height: its rows.
        width: its columns.
    """
    down, across = np.divmod(np.arange(height * width), width)
    return (np.stack([across + left, down + top], 1) + 0.5) * CELL


def brightness(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mean colour of each cell. (H, W, 3) → (H / CELL, W / CELL, 3)."""
    height, width = pixels.shape[0] // CELL, pixels.shape[1] // CELL
    return np.asarray(pixels.reshape(height, CELL, width, CELL, 3).mean((1, 3)), np.uint8)
