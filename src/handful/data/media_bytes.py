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
