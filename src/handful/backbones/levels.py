"""How sounds reach a backbone: at one rate, all about as loud, and how long they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from handful.data.sounds import duration
from handful.errors import DataError

RATE = 16_000
"""Samples per second."""

LOUDNESS, SILENT = 0.05, 1e-4
"""Root mean square that sounds are brought to, so that the distance to the microphone does not matter; below the second
value there is nothing to raise."""

VERSION = 1
"""A new value means that features of an older version cannot be compared with ours."""


def seconds_of(item: Any, longest: float) -> float:
    """How long an item is listened to; an unreadable one takes no time, and ``prepare`` says what is wrong with it."""
    try:
        return min(duration(item), longest)
    except DataError:
        return 0.0


def levelled(sound: np.ndarray) -> np.ndarray:
    """A sound at the usual loudness, (T,)."""
    level = max(float(np.sqrt(np.mean(np.square(sound)))), SILENT)
    return sound * np.float32(LOUDNESS / level)
