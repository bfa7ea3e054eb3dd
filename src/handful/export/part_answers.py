"""What a model says of the parts of items, in memory that does not grow with how long a recording is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.backbones.parts import FRAMES
from handful.features.cache import FeatureCache
from handful.features.moments import pieces_of
from handful.features.view import Matrix, View
from handful.features.words import read_words


def part_scores(
    items: Sequence[Any], view: View, grain: str, backbone_of: Callable[[str], Backbone], cache: FeatureCache | None,
    score: Callable[[Matrix], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], dict[int, str]]:  # fmt: skip
    """The scores of the P parts of N items, (P, K), and position → why an item could not be read.

    Texts are read together; recordings one after the other, long ones a piece at a time.

    Args:
        items: N items.
        view: what is read.
        grain: what their parts are.
        backbone_of: name → backbone.
        cache: where features are kept.
        score: features of the view, (P, D), or (P, 0) where none could be read, to scores (P, K).
    """
    if grain != FRAMES:
        matrix, failed = read_words(items, view, backbone_of, cache)
        return score(matrix), failed
    found, failed = list[NDArray[np.float64]](), dict[int, str]()
    for i, item in enumerate(items):
        for piece in pieces_of(item):
            matrix, unread = read_words([piece], view, backbone_of, cache)
            found.append(score(matrix))
            if unread:
                failed[i] = unread[0]
    return np.concatenate([*found, score(np.zeros((0, 0), np.float32))]), failed
