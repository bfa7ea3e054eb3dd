"""Sequences of tags: how likely each follows each other, and the likeliest sequence of an item (Viterbi).

``N`` items, ``W`` parts of the longest, ``K`` tags, of which 0 is outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handful.tasks.part_layout import Floats, Numbers, Words

_SMALLEST = 1e-9

HALF = 0.5
"""How much transitions count beside what parts say themselves: the parts have seen their neighbours already."""


def transitions_of(tags: Sequence[Numbers], count: int) -> NDArray[np.float64]:
    """How likely each tag follows each other, smoothed by half a case; start and end count as outside.

    Args:
        tags: of each item, (W,).
        count: K.

    Returns:
        (K, K) logarithms of the probability of the column behind the row, less that of the column anywhere: what the
        parts say of themselves knows already how frequent tags are.
    """
    cases = np.full((count, count), 0.5)
    for own in tags:
        np.add.at(cases, (np.concatenate([[0], own]), np.concatenate([own, [0]])), 1)
    behind = np.log(cases / cases.sum(1, keepdims=True))
    return np.asarray(behind - np.log(cases.sum(0) / cases.sum()))


def likeliest(parts: Words, steps: NDArray[np.float64], outside: float) -> Numbers:
    """(N, W) tags of the likeliest sequences.

    Args:
        parts: probabilities of the tags of each.
        steps: (K, K) logarithms, see ``viterbi``.
        outside: the factor on the probability of being outside.
    """
    logs = np.log(np.maximum(parts.rest, _SMALLEST))  # (N, W, K)
    logs[..., 0] += np.log(outside)
    return viterbi(logs, parts.counts, steps)


def viterbi(scores: Floats, counts: Numbers, steps: NDArray[np.float64]) -> Numbers:
    """The best sequence of tags of each item.

    Args:
        scores: (N, W, K) of each part.
        counts: (N,) parts of each item.
        steps: (K, K) of the column behind the row; also of the first part behind the start, which is outside.

    Returns:
        (N, W) tags; 0 behind the end of an item.
    """
    items, longest, width = scores.shape
    best = scores[:, 0] + steps[0]  # (N, K)
    came = np.zeros((items, longest, width), np.int32)
    for w in range(1, longest):
        ways = best[:, :, None] + steps[None]  # (N, K, K)
        came[:, w] = ways.argmax(1)
        following = ways.max(1) + scores[:, w]
        best = np.where((w < counts)[:, None], following, best)
    tags = np.zeros((items, longest), np.int64)
    at = best.argmax(1)
    for w in range(longest - 1, -1, -1):
        there = w < counts
        tags[there, w] = at[there]
        # Of the part behind it the way back is followed only where that part is in the item.
        at = np.where(there & (w > 0), came[np.arange(items), w, at], at)
    return tags
