"""Heat maps: what is unusual about the patches of a picture, drawn on top of it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handful.data.images import full_size, load_image

# From where on a patch is coloured, as a share of what is the most unusual place of normal items; and the colours.
_FROM, _FULL = 0.75, 1.5
_WARM, _HOT = np.array([255, 196, 0]), np.array([214, 0, 32])
_MOST_ALPHA = 0.6


def heat_grid(heat: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """The patches of a picture as a grid. (P,), (P, 4) → (rows, columns); places without a patch are 0."""
    lefts, column = np.unique(place[:, 0], return_inverse=True)
    tops, row = np.unique(place[:, 1], return_inverse=True)
    grid = np.zeros((len(tops), len(lefts)))
    grid[row, column] = heat
    return grid


def heat_map(item: Any, heat: NDArray[np.float64], place: NDArray[np.float64], hot: float, side: int,
             kind: str = "JPEG") -> bytes:  # fmt: skip
    """A picture with what is unusual in it coloured: yellow near the worst place of normal items, red above it.

    Args:
        item: what ``load_image`` reads.
        heat: (P,) how unusual each patch is.
        place: (P, 4) left, top, right and bottom in pixels of the picture as it is seen upright.
        hot: the most unusual place of normal items.
        side: the most pixels of the longer side.
        kind: JPEG or PNG.

    Raises:
        DataError: the picture cannot be read.
    """
    whole = full_size(item)
    picture = load_image(item, at_least=side)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    grid = heat_grid(heat, place).astype(np.float32)
    # The last patches may be cut off by the border: the grid is scaled as if they were not.
    pitch = float(place[0, 2] - place[0, 0]) if len(np.unique(place[:, 0])) > 1 else float(whole[0])
    drop = float(place[0, 3] - place[0, 1]) if len(np.unique(place[:, 1])) > 1 else float(whole[1])
    wide, high = grid.shape[1] * pitch / whole[0], grid.shape[0] * drop / whole[1]
    size = max(1, round(picture.width * wide)), max(1, round(picture.height * high))
    smooth = Image.fromarray(grid, "F").resize(size, Image.Resampling.BILINEAR)
    warmth = np.asarray(smooth)[: picture.height, : picture.width] / max(hot, 1e-9)
    pixels = np.asarray(picture, np.float64)
    warm = np.zeros(pixels.shape[:2])
    warm[: warmth.shape[0], : warmth.shape[1]] = np.clip((warmth - _FROM) / (_FULL - _FROM), 0, 1)
    colour = _WARM + warm[:, :, None] * (_HOT - _WARM)
    alpha = (_MOST_ALPHA * np.sqrt(warm))[:, :, None]
    file = io.BytesIO()
    mixed = (pixels * (1 - alpha) + colour * alpha).astype(np.uint8)
    Image.fromarray(mixed).save(file, kind, **({"quality": 88} if kind == "JPEG" else {}))
    return file.getvalue()
