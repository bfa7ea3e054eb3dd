"""Boxes against boxes: how far they overlap, which of several around one thing is kept, and which are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ENOUGH = 0.5
"""A box is right that overlaps one that is wanted by so much: common area over joint area (AP50)."""


def overlaps(first: Floats, second: Floats) -> Floats:
    """Common area over joint area of each pair of boxes. (A, 4), (B, 4) of left, top, right, bottom → (A, B)."""
    begin = np.maximum(first[:, None, :2], second[None, :, :2])
    end = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.prod(np.maximum(end - begin, 0), -1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], -1) for boxes in (first, second)]
    joint = areas[0][:, None] + areas[1][None, :] - common
    return np.asarray(common / np.maximum(joint, 1e-12))


def suppressed(boxes: Floats, scores: Floats, most: float) -> NDArray[np.int64]:
    """Which boxes are kept, the best first: each that overlaps none that is better by more than ``most``.

    Args:
        boxes: (A, 4).
        scores: (A,) how sure each is.
        most: common area over joint area.
    """
    left, kept = np.argsort(-scores, kind="stable"), list[int]()
    while len(left):
        kept.append(int(left[0]))
        left = left[1:][overlaps(boxes[left[:1]], boxes[left[1:]])[0] <= most]
    return np.array(kept, np.int64)


def matched(boxes: Floats, wanted: Floats, enough: float = ENOUGH) -> NDArray[np.bool_]:
    """Which boxes of a picture are right: the best ones choose first, and no wanted box is found twice.

    As COCO has it: each box takes the one that it overlaps most among those that are not taken yet.

    Args:
        boxes: (A, 4), the surest first.
        wanted: (B, 4).
        enough: common area over joint area from which on a box may be right.
    """
    right = np.zeros(len(boxes), bool)
    if not len(wanted):
        return right
    table = overlaps(boxes, wanted)
    for i in range(len(boxes)):
        best = int(table[i].argmax())
        if table[i, best] >= enough:
            right[i] = True
            table[:, best] = -1
    return right
