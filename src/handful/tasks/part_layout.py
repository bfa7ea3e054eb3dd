"""How answers to the parts of an item lie in one row of numbers, so that an item has one answer whatever its length.

Of every part (a word of a text, a moment of a sound): where it begins and ends (characters, milliseconds), whether the
text came as tokens, and the K probabilities of its tags; rows are filled up with zeros to the longest item. ``N``
items, ``P`` parts of all of them, ``W`` parts of the longest, ``C`` labels, ``K`` tags, of which 0 is outside. Of words
``K`` is 1 + 2 C: 1 + 2 c the first word of a span of label c, 2 + 2 c a further one; of moments 1 + C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Numbers = NDArray[np.int64]

PLACED = 3
"""Numbers of a word before those of its tags: from, to, whether it came as a token."""


@dataclass(frozen=True)
class Words:
    """The words of N texts in rows as long as the longest."""

    bounds: Numbers
    """(N, W, 2) characters from and to; nothing behind the end of a text."""
    given: NDArray[np.bool_]
    """(N,) whether a text came as tokens."""
    rest: Floats
    """(..., N, W, K) what is said of each: probabilities, or one tag."""

    @property
    def counts(self) -> Numbers:
        """(N,) how many words each text has."""
        return np.asarray((self.bounds[..., 1] > self.bounds[..., 0]).sum(-1), np.int64)

    @property
    def real(self) -> NDArray[np.bool_]:
        """(N, W) where there is a word."""
        return np.asarray(self.bounds[..., 1] > self.bounds[..., 0])


def packed(
    counts: Sequence[int] | Numbers, bounds: Numbers, given: NDArray[np.bool_], rest: Floats, least: int = 1
) -> NDArray[np.float64]:
    """What is said of the P words of N texts as one row per text.

    Args:
        counts: (N,) words of each text.
        bounds: (P, 2) their characters.
        given: (N,) whether a text came as tokens.
        rest: (..., P, K) what is said of each.
        least: W, where no text has as many words.

    Returns:
        (..., N, W (3 + K)).
    """
    counts = np.asarray(counts, np.int64)
    longest, width = max(least, int(counts.max(initial=0))), PLACED + rest.shape[-1]
    item = np.repeat(np.arange(len(counts)), counts)
    at = np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts)
    out = np.zeros((*rest.shape[:-2], len(counts), longest, width))
    out[..., item, at, :2] = bounds
    out[..., item, at, 2] = given[item]
    out[..., item, at, PLACED:] = rest
    return out.reshape(*out.shape[:-2], longest * width)


def unpacked(rows: Floats, width: int) -> Words:
    """One row per text as words again.

    Args:
        rows: (..., N, W (3 + width)).
        width: K, or 1 of targets.
    """
    words = rows.reshape(*rows.shape[:-1], -1, PLACED + width)
    first = words if words.ndim == 3 else words.reshape(-1, *words.shape[-3:])[0]  # places are the same in all repeats
    return Words(first[..., :2].astype(np.int64), first[:, 0, 2] > 0, words[..., PLACED:])


def rows_of(bounds: Sequence[Numbers], given: Sequence[bool], tags: Sequence[Numbers]) -> Numbers:
    """What is wanted of N items, one row each: (N, W · 4), of every part its place and its tag.

    Args:
        bounds: of each item (W, 2) where its parts begin and end.
        given: whether it came as tokens.
        tags: of each (W,).
    """
    places = np.concatenate([*bounds, np.zeros((0, 2), np.int64)])
    wanted = np.concatenate([*tags, np.zeros(0, np.int64)])[:, None]
    rows = packed([len(own) for own in bounds], places, np.array(given, bool), wanted.astype(np.float64))
    return np.asarray(rows, np.int64)
