"""Moments: what backbones see in the frames of recordings, joined to moments of one length whatever the backbone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from handful.data.tracks import moments
from handful.errors import DataError


def length_of(item: Any) -> float:
    """Seconds of a recording; of one that cannot be read as long as nothing, since no answer to it is used."""
    from handful.data.sounds import duration  # loads a decoder, which texts have no use for

    try:
        return duration(item)
    except DataError:
        return 0.0


def moments_of(item: Any) -> np.ndarray:
    """(W, 2) where the moments of a recording begin and end, in milliseconds."""
    return moments(length_of(item))


LONGEST = 600.0
"""Seconds of a recording that are held in memory together when it is answered; a whole number of moments."""


def pieces_of(item: Any) -> Iterator[Any]:
    """A recording, or pieces of it one after the other where it is too long to be held in memory."""
    from handful.data.sounds import load_stretch

    length = length_of(item)
    if length <= LONGEST:
        yield item
        return
    for first in range(math.ceil(length / LONGEST)):
        start = first * LONGEST
        yield load_stretch(item, start, min(start + LONGEST, length))
