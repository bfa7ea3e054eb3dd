"""Pictures and masks made smaller or larger: read at a size that is worked at, and answered at their own."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handful.data.images import full_size, load_image

# Rows of a large picture that get their classes together.
_STRIP = 256


def shrunk(item: Any, most: int) -> NDArray[np.uint8]:
    """A picture whose shorter side has so many pixels at most, (H, W, 3).

    Raises:
        DataError: it cannot be decoded.
    """
    picture = load_image(item, at_least=most)
    shorter = min(picture.size)
    if shorter > most:
        size = max(1, round(picture.width * most / shorter)), max(1, round(picture.height * most / shorter))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(picture)


def magnified(item: Any, factor: float) -> NDArray[np.uint8]:
    """A picture made larger or smaller by a factor, (H, W, 3).

    Raises:
        DataError: it cannot be decoded.
    """
    width, height = full_size(item)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    picture = load_image(item, at_least=min(size))
    return np.asarray(picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC))


def nearest(classes: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A mask at another size, no class mixed with another. (H, W) → ``shape``."""
    if classes.shape == shape:
        return classes
    return np.asarray(Image.fromarray(classes).resize((shape[1], shape[0]), Image.Resampling.NEAREST))


def within(classes: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A mask whose longer side has so many pixels at most. (H, W) → (h, w)."""
    height, width = classes.shape
    factor = min(1.0, side / max(height, width))
    return nearest(classes, (max(1, round(height * factor)), max(1, round(width * factor))))


def enlarged(probable: NDArray[np.floating], width: int, height: int) -> NDArray[np.uint8]:
    """The most probable class of every pixel of a picture, of probabilities at the size at which it was read.

    A strip of rows at a time, so that the probabilities of a large picture are never held together.

    Args:
        probable: (h, w, C).
        width: of the picture.
        height: the same.

    Returns:
        (height, width).
    """
    layers = [Image.fromarray(np.ascontiguousarray(probable[..., c], np.float32)) for c in range(probable.shape[-1])]
    out, ratio = np.zeros((height, width), np.uint8), probable.shape[0] / height
    for top in range(0, height, _STRIP):
        end = min(top + _STRIP, height)
        best = np.full((end - top, width), -1.0, np.float32)
        box = (0.0, top * ratio, float(probable.shape[1]), end * ratio)
        for c, layer in enumerate(layers):
            some = np.asarray(layer.resize((width, end - top), Image.Resampling.BILINEAR, box=box))
            out[top:end][some > best] = c
            best = np.maximum(best, some)
    return out


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file. (H, W, 3)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()
