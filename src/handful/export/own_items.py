"""Training items that travel with a model where their owner lets them: a few short ones, for its self-test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.images import load_image
from handful.data.sounds import load_sound
from handful.data.vectors import VECTORS, Vector
from handful.errors import DataError

FILE = "items.safetensors"
"""Its name within the bundle."""

COUNT = 4
"""How many items travel at most."""

# Characters of a text, pixels of the longer side of a picture, seconds and samples per second of a sound.
_CHARACTERS, _SIDE, _SECONDS, _RATE = 200, 96, 1.0, 16_000


def short_items(items: Sequence[Any], modality: str) -> tuple[Any, ...]:
    """A few items made short: the shortest texts, small pictures, the first second of sounds; vectors are as they are.

    Args:
        items: N texts, pictures, sounds or vectors; what cannot be read is passed over.
        modality: which of these.

    Returns:
        At most ``COUNT`` items, each of which ``packed`` can write.
    """
    if modality == "text":
        some = sorted(dict.fromkeys(item[:_CHARACTERS] for item in items if item.strip()), key=len)
        return tuple(some[:COUNT])
    if modality == VECTORS:
        return tuple(items[:COUNT])
    short = []
    for item in items:
        try:
            short.append(_small_picture(item) if modality == "image" else _short_sound(item))
        except DataError:
            continue
        if len(short) == COUNT:
            break
    return tuple(short)


def packed(items: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """Items as tensors for a file: the bytes of texts, the pixels of pictures, the samples of sounds, numbers."""
    return {f"{i:02d}": _tensor(item) for i, item in enumerate(items)}


def unpacked(tensors: Mapping[str, NDArray[Any]], modality: str) -> tuple[Any, ...]:
    """Read back what ``packed`` gave.

    Raises:
        ValueError: they are no items of this modality.
    """
    shapes = {"text": (1, np.uint8), "image": (3, np.uint8), "sound": (1, np.int16), VECTORS: (1, np.float64)}
    axes, kind = shapes[modality]
    for name, tensor in tensors.items():
        if tensor.ndim != axes or tensor.dtype != kind or not tensor.size:
            raise ValueError(f"{name} is no {modality}")
    values = [tensors[name] for name in sorted(tensors)]
    if modality == "text":
        return tuple(value.tobytes().decode("utf-8") for value in values)
    if modality == VECTORS:
        return tuple(map(Vector, values))
    return tuple((value, _RATE) for value in values) if modality == "sound" else tuple(values)


def _tensor(item: Any) -> NDArray[Any]:
    if isinstance(item, str):
        return np.frombuffer(item.encode("utf-8", "replace"), np.uint8)
    if isinstance(item, Vector):
        return item.values
    return np.asarray(item[0] if isinstance(item, tuple) else item)


def _small_picture(item: Any) -> NDArray[np.uint8]:
    picture = load_image(item, at_least=_SIDE)
    picture.thumbnail((_SIDE, _SIDE))
    return np.asarray(picture, np.uint8)


def _short_sound(item: Any) -> tuple[NDArray[np.int16], int]:
    samples = load_sound(item, _RATE, longest=_SECONDS)
    return np.round(samples * np.iinfo(np.int16).max).astype(np.int16), _RATE
