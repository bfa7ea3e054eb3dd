"""Pictures and sounds as bytes that somebody sent: decoded in memory, within limits, with no file in between."""

from __future__ import annotations

from typing import Any

from handful.data.images import picture_of
from handful.data.sounds import sound_of
from handful.errors import DataError

MOST_PIXELS = 50_000_000
"""The largest picture that is decoded; twice what most cameras make."""
MOST_SECONDS = 600.0
"""The longest sound that is decoded."""
MOST_TOGETHER = {"image": (200_000_000.0, "million pixels", 1e6), "sound": (3600.0, "minutes", 60.0)}
"""What may be decoded for one request: pixels or seconds, what these are told in, and how many of them that is."""


def item_of_bytes(content: bytes, modality: str) -> Any:
    """Decode one picture or sound.

    Args:
        content: the bytes of its file.
        modality: image or sound.

    Returns:
        A Pillow picture, or (samples (T, channels) float32 in [-1, 1], samples per second).

    Raises:
        DataError: it is none, is damaged, or is larger or longer than is decoded.
    """
    if not content:
        raise DataError("the file is empty (0 bytes). Send it again.")
    if modality == "image":
        return picture_of(content, "the picture", MOST_PIXELS)
    return sound_of(content, MOST_SECONDS)


def decoded_size(item: Any, modality: str) -> float:
    """How much a decoded item is: pixels of a picture, seconds of a sound."""
    if modality == "image":
        return float(item.width * item.height)
    samples, rate = item
    return len(samples) / float(rate)
