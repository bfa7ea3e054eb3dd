"""Fingerprints of items: small copies that change little when a file is resized, re-encoded or cropped."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from handful.data.images import load_image
from handful.data.sounds import load_sound

Print = NDArray[np.float32]

# Cells of a picture's print from side to side.
SIDE = 48

# Samples per second of a sound's print, and the most seconds of it.
RATE = 2000
SECONDS = 5.0


def plain_text(text: str) -> str:
    """The letters, marks and digits of a text in small letters, with nothing between them.

    Where a text holds none of these (smileys, punctuation) it is kept as it is.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char)[0] in "LMN") or text.strip()


def picture_print(item: Any) -> Print:
    """A picture as blurred cells of colour, stretched to a square: (SIDE, SIDE, 3), red, green and blue from 0 to 1.

    The blur is as wide as a cell, so that a crop by half a cell changes little.

    Raises:
        DataError: the picture cannot be read.
    """
    cells = load_image(item, at_least=2 * SIDE).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(cells.filter(ImageFilter.GaussianBlur(1)), np.float32) / np.float32(255)


def sound_print(item: Any) -> Print:
    """The first seconds of a sound at a low rate, at full scale: (T,).

    Raises:
        DataError: the sound cannot be read.
    """
    samples = load_sound(item, RATE, SECONDS)
    return np.asarray(samples / max(float(np.abs(samples).max()), 1e-6), np.float32)
