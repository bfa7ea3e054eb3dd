"""Occlusion attribution: copies of an item with one part hidden in each, to see which parts an answer hangs on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from handful.data.images import load_image
from handful.data.pairs import Pair
from handful.data.sounds import load_sound

PARTS = 25
"""Into how many parts an item is cut at most: each costs one pass of the model."""

# Sounds are cut at this rate, which all backbones for sound listen at, into parts no shorter than this many seconds.
_RATE = 16_000
_SHORTEST = 0.1


@dataclass(frozen=True)
class Part:
    """One part of an item."""

    name: str
    """The words, ``0.4 to 0.6 s``, or ``row 2 of 4, column 3 of 4`` of a picture."""
    start: tuple[float, ...]
    """Where it begins, as a share of the whole: across and down for pictures, along otherwise."""
    end: tuple[float, ...]
    """Where it ends."""


def covered(item: Any, modality: str, most: int = PARTS) -> tuple[list[Part], list[Any]]:
    """Cut an item into parts and hide each in turn.

    Words are left out, a field of a picture gets its mean colour, a stretch of sound falls silent.

    Args:
        item: a text, or whatever can be read as a picture or sound.
        modality: text, image or sound.
        most: how many parts there are at most.

    Returns:
        P parts, and P copies of the item; none for an item that is one part.

    Raises:
        DataError: the file cannot be decoded.
    """
    cuts: dict[str, Callable[[Any, int], tuple[list[Part], list[Any]]]]
    cuts = {"text": _words, "image": _fields, "sound": _stretches}
    if isinstance(item, Pair):
        return _both(item, most)
    parts, copies = cuts[modality](item, most)
    return (parts, copies) if len(parts) > 1 else ([], [])


def _bounds(length: int, most: int) -> list[tuple[int, int]]:
    """Cut ``length`` things into at most so many runs of nearly the same length."""
    edges = np.linspace(0, length, min(length, most) + 1).round().astype(int)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _words(text: str, most: int) -> tuple[list[Part], list[str]]:
    words = text.split()
    runs = _bounds(len(words), most)
    parts = [Part(" ".join(words[a:b]), (a / len(words),), (b / len(words),)) for a, b in runs]
    return parts, [" ".join(words[:a] + words[b:]) for a, b in runs]


def _both(pair: Pair, most: int) -> tuple[list[Part], list[Any]]:
    """The words of either text, each hidden while the other stays."""
    share = len(pair.first.split()) / max(1, len(pair.split()))
    first, without = _words(pair.first, max(1, most // 2))
    second, others = _words(pair.second, max(1, most // 2))
    before = [Part(part.name, (share * part.start[0],), (share * part.end[0],)) for part in first]
    rest = 1 - share
    after = [Part(part.name, (share + rest * part.start[0],), (share + rest * part.end[0],)) for part in second]
    return before + after, [
        *(Pair(text, pair.second) for text in without),
        *(Pair(pair.first, text) for text in others),
    ]


def _fields(item: Any, most: int) -> tuple[list[Part], list[Image.Image]]:
    pixels = np.asarray(load_image(item))  # (H, W, 3)
    height, width = pixels.shape[:2]
    mean = pixels.reshape(-1, 3).mean(0).round().astype(np.uint8)
    side = math.isqrt(most)
    parts, copies = [], []
    for i, (top, bottom) in enumerate(_bounds(height, side)):
        for j, (left, right) in enumerate(_bounds(width, side)):
            copy = pixels.copy()
            copy[top:bottom, left:right] = mean
            place = (left / width, top / height), (right / width, bottom / height)
            parts.append(Part(f"row {i + 1} of {side}, column {j + 1} of {side}", *place))
            copies.append(Image.fromarray(copy))
    return parts, copies


def _stretches(item: Any, most: int) -> tuple[list[Part], list[Any]]:
    samples = load_sound(item, _RATE)  # (T,)
    parts, copies = list[Part](), list[Any]()
    for a, b in _bounds(len(samples), max(1, min(most, int(len(samples) / _RATE / _SHORTEST)))):
        copy = samples.copy()
        copy[a:b] = 0
        parts.append(Part(f"{a / _RATE:.1f} to {b / _RATE:.1f} s", (a / len(samples),), (b / len(samples),)))
        copies.append((copy, _RATE))
    return parts, copies
