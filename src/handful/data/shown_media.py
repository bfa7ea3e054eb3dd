"""Pictures and sounds as a page can show them: decoded within limits and written anew, whatever the file was."""

from __future__ import annotations

import io
from typing import Any

import soundfile

from handful.data.images import thumbnail
from handful.data.sounds import load_sound

LONGER_SIDE = 1024
"""Pixels of the longer side of a picture that is shown."""
RATE = 22050
"""Samples per second of a sound that is played."""
LONGEST = 60.0
"""Seconds of a sound that are played, from its start."""


def as_shown(item: Any, modality: str) -> tuple[bytes, str]:
    """The file of an item for a page, and its kind.

    Args:
        item: a path, or what was decoded of one.
        modality: image or sound.

    Returns:
        A JPEG or WAV file, and its media type.

    Raises:
        DataError: it cannot be read.
    """
    return (thumbnail(item, LONGER_SIDE), "image/jpeg") if modality == "image" else (_wave(item), "audio/wav")


def _wave(item: Any) -> bytes:
    samples = load_sound(item, RATE, LONGEST)  # (T,)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()
