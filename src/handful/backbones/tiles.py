"""Tiles: a picture of any size as squares that overlap, so that a network sees all of it, and small things in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from handful.backbones.base import State
from handful.backbones.parts import Numbers, Places, owners, starts
from handful.data.images import full_size, load_image

PATCH = 16
"""Pixels of a side of a patch."""
MARGIN = 2
"""Patches at an end of a tile that are better read from its neighbour, since the network pads there."""


@dataclass(frozen=True)
class Tiles:
    """A picture in W tiles, and its P patches, row by row."""

    pixels: NDArray[np.uint8]
    """(W, side, side, 3)."""
    window: Numbers
    """(P,) the tile that each patch is read from."""
    cell: Numbers
    """(P,) its number in that tile, row by row."""
    place: Places
    """(P, 4) left, top, right and bottom in pixels of the picture as it is seen upright."""


def scale_of(width: int, height: int, side: int, most: int) -> float:
    """By how much a picture is scaled: up where a tile would not fit, down where its shorter side has too many pixels.

    Args:
        width: of the picture, in pixels.
        height: the same.
        side: of a tile.
        most: pixels of the shorter side up to which a picture is read at its own scale.
    """
    shorter = min(width, height)
    return max(side / shorter, min(1.0, most / shorter))


def count_of(width: int, height: int, side: int, most: int) -> int:
    """How many tiles a picture becomes; the arguments are those of ``scale_of``."""
    scale = scale_of(width, height, side, most)
    across, down = (len(starts(_cells(scale * length), side // PATCH, MARGIN)) for length in (width, height))
    return across * down


def tiles_of(item: Any, side: int, most: int) -> Tiles:
    """Cut a picture into tiles that cover all of it.

    Args:
        item: what ``load_image`` reads.
        side: of a tile in pixels, a multiple of ``PATCH``.
        most: as for ``scale_of``.

    Raises:
        DataError: it cannot be decoded.
    """
    picture = load_image(item, at_least=max(side, most))
    scale = scale_of(*picture.size, side, most)
    size = max(side, round(scale * picture.width)), max(side, round(scale * picture.height))
    pixels = np.asarray(picture if size == picture.size else picture.resize(size, Image.Resampling.BICUBIC))
    down, across = (_cells(length) for length in pixels.shape[:2])
    more = [(0, cells * PATCH - length) for cells, length in zip((down, across), pixels.shape[:2], strict=True)]
    pixels = np.pad(pixels, (*more, (0, 0)), mode="edge")
    cells_across = side // PATCH
    tops, lefts = (starts(cells, cells_across, MARGIN) for cells in (down, across))
    cut = [pixels[t * PATCH : t * PATCH + side, left * PATCH : left * PATCH + side] for t in tops for left in lefts]
    row, column = (np.repeat(np.arange(down), across), np.tile(np.arange(across), down))
    by_row, by_column = (
        owners(tops, tops + cells_across, down)[row],
        owners(lefts, lefts + cells_across, across)[column],
    )
    cell = (row - tops[by_row]) * cells_across + column - lefts[by_column]
    corners = np.stack([column, row, column + 1, row + 1], 1) * PATCH / scale
    edges = np.array([*full_size(item)] * 2, np.float64)
    ratio = edges / np.array([*picture.size] * 2)  # of a file that was decoded at a part of its size
    return Tiles(np.stack(cut), by_row * len(lefts) + by_column, cell, np.minimum(corners * ratio, edges))


def patch_vectors(maps: Tensor, cells: int) -> Tensor:
    """A map of any resolution as one vector per patch: the mean of what is next to each, at the scale of patches.

    Local means as in Roth et al. 2022, "Towards total recall in industrial anomaly detection" (section 3.1).

    Args:
        maps: (W, D, H, H).
        cells: patches in a row of a tile.

    Returns:
        (W, cells · cells, D), row by row.
    """
    x = functional.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)
    size = int(x.shape[-1])
    if size > cells and size % cells == 0:
        x = functional.avg_pool2d(x, size // cells)  # unlike the next one it can be recorded
    elif size > cells:
        x = functional.adaptive_avg_pool2d(x, cells)
    elif size < cells:
        x = functional.interpolate(x, size=(cells, cells), mode="bilinear", align_corners=False)
    return x.flatten(2).transpose(1, 2)


ENLARGED = 2
"""How many times pictures are enlarged before maps are read for every pixel."""
COARSEST = 8
"""Enlarged pixels of a side of a cell of the coarsest map that is read so. Pictures are filled up to whole ones, since
a map would otherwise be stretched over a picture that it is larger than."""


def enlarged_maps(
    pixels: NDArray[np.uint8], states: Callable[[Tensor], Iterable[tuple[int, State]]]
) -> NDArray[np.float32]:
    """What the states of a network say of every pixel of an enlarged picture, at several depths joined.

    Args:
        pixels: (H, W, 3).
        states: a batch (1, 3, h, w) → depth and state, shallowest first.

    Returns:
        (H, W, D).
    """
    large = filled(torch.from_numpy(made_large(pixels))).permute(2, 0, 1)[None]
    maps = at_pixels((state.x.float() for _, state in states(large)), pixels.shape[0], pixels.shape[1])
    return np.asarray(maps.cpu().numpy(), np.float32)


def filled(large: Tensor) -> Tensor:
    """An enlarged picture with black behind its ends, up to whole cells of the coarsest map. (H, W, 3)."""
    return functional.pad(large, (0, 0, 0, -large.shape[1] % COARSEST, 0, -large.shape[0] % COARSEST))


def at_pixels(maps: Iterable[Tensor], height: int, width: int) -> Tensor:
    """Maps (1, D, h, w) of an enlarged picture that was filled, at each pixel of the picture. (height, width, D)."""
    whole = height + -height % (COARSEST // ENLARGED), width + -width % (COARSEST // ENLARGED)
    at = [functional.interpolate(x, size=whole, mode="bilinear", align_corners=False)[0] for x in maps]
    return torch.cat(at).permute(1, 2, 0)[:height, :width]


def made_large(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture ``ENLARGED`` times as large. (H, W, 3)."""
    height, width = pixels.shape[:2]
    picture = Image.fromarray(pixels)
    return np.array(picture.resize((ENLARGED * width, ENLARGED * height), Image.Resampling.BICUBIC))


CELL = 8
"""Pixels of a side of a cell, for which maps of all depths are read."""
STEP = 32
"""Sides of a picture whose cells are read are a multiple of this, so that the cells of all maps lie over each other."""


def cell_maps(
    pixels: NDArray[np.uint8], states: Callable[[Tensor], Iterable[tuple[int, State]]]
) -> NDArray[np.float32]:
    """What the states of a network say of every cell of a picture, at several depths joined.

    Args:
        pixels: (H, W, 3), both sides a multiple of ``STEP``.
        states: a batch (1, 3, H, W) → depth and state, shallowest first.

    Returns:
        (H / CELL, W / CELL, D).
    """
    batch = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    return np.asarray(at_cells(states(batch), *pixels.shape[:2]).cpu().numpy(), np.float32)


def at_cells(states: Iterable[tuple[int, State]], height: int, width: int) -> Tensor:
    """The states of a picture of so many pixels at each of its cells. (height / CELL, width / CELL, D)."""
    cells, maps = (height // CELL, width // CELL), []
    for _, state in states:
        x = state.x.float()
        if x.shape[-1] > cells[1]:
            x = functional.adaptive_avg_pool2d(x, cells)
        elif x.shape[-1] < cells[1]:
            x = functional.interpolate(x, size=cells, mode="bilinear", align_corners=False)
        maps.append(x[0])
    return torch.cat(maps).permute(1, 2, 0)


def joined(tiles: Sequence[Tiles]) -> tuple[Tensor, Numbers, Numbers, Numbers, Places]:
    """The tiles of B pictures together: pixels (W, 3, side, side), and of all patches window, cell, item and place."""
    first = np.cumsum([0, *(len(one.pixels) for one in tiles)])
    window = np.concatenate([start + one.window for start, one in zip(first, tiles, strict=False)])
    item = np.repeat(np.arange(len(tiles)), [len(one.window) for one in tiles])
    pixels = torch.from_numpy(np.concatenate([one.pixels for one in tiles])).permute(0, 3, 1, 2)
    return pixels, window, np.concatenate([one.cell for one in tiles]), item, np.concatenate([t.place for t in tiles])


def _cells(length: float) -> int:
    """How many patches cover so many pixels."""
    return int(-(-round(length) // PATCH))
