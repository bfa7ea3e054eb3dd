"""Boxes as they are answered: they begin in cells that are probably the middle of a thing, and one stays for each.

Everything here needs numpy alone beside what it names: its source goes into the folder of an export, for the runner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.tiles import CELL
from handful.features.view import Matrix
from handful.strategies.frozen.box_confidence import confidence
from handful.tasks.boxes import Detected, suppressed

Floats = NDArray[np.float64]

FLOOR = 0.02
"""Where nothing is as probable as this, no box begins."""
OVERLAP = 0.3
"""Boxes of a label overlap by so much at most: common area over joint area."""

# Boxes of a label that are looked at in one picture, and kept of these.
_CANDIDATES, _KEPT = 4000, 1000
# Natural logarithms of the shortest and longest side of a box in cells.
_SIDES = -2.0, 5.0


def boxes_around(told: Matrix, at: Floats) -> Floats:
    """Boxes around things, (P, 4) in the unit of ``CELL``.

    Args:
        told: (P, 4) where the middle of the thing is from there, in cells, and the natural logarithms of its sides.
        at: (P, 2) middles of the cells.
    """
    x = told.astype(np.float64)
    middle, half = at + CELL * x[:, :2], CELL * np.exp(np.clip(x[:, 2:], *_SIDES)) / 2
    return np.concatenate([middle - half, middle + half], 1)


def begun(outputs: Matrix, labels: int, at: Floats) -> list[Detected]:
    """Of each label the boxes that begin in P cells.

    Args:
        outputs: (P, 1 + C + 4 C) how probable it is that a cell is the middle of nothing, and of a thing of each label;
            then of each label what ``boxes_around`` reads.
        labels: C.
        at: (P, 2) the middles of the cells.
    """
    out = []
    for label in range(labels):
        some, told = outputs[:, 1 + label] >= FLOOR, slice(1 + labels + 4 * label, 5 + labels + 4 * label)
        out.append(Detected(boxes_around(outputs[some, told], at[some]), outputs[some, 1 + label].astype(np.float64)))
    return out


def cells_by(graph: Callable[[NDArray[np.uint8]], NDArray[Any]], seen: NDArray[np.uint8], inner: Any) -> Matrix:
    """What a graph says of the own cells of a block, (P, K).

    Args:
        graph: pixels → outputs of all their cells, row by row.
        seen: the pixels of the block with those around.
        inner: which of their cells are its own.
    """
    outputs = graph(seen)
    rows = outputs.reshape(seen.shape[0] // CELL, seen.shape[1] // CELL, -1)[inner]
    return np.asarray(rows.reshape(-1, outputs.shape[-1]), np.float32)


def in_picture(
    blocks: Iterable[Sequence[Detected]], labels: int, ratio: tuple[float, float], size: tuple[int, int]
) -> tuple[Detected, ...]:
    """Of each label the boxes of a picture that are left where several begin in one thing, in its pixels.

    Args:
        blocks: of each block of cells and each label the boxes that begin there.
        labels: C.
        ratio: how many pixels that are read one of the picture is across and down.
        size: width and height of the picture.
    """
    each, edge, ends = list(blocks), np.array([*ratio, *ratio]), np.array([*size, *size], np.float64)
    return tuple(_kept([block[label] for block in each], edge, ends) for label in range(labels))


def _kept(some: Sequence[Detected], edge: Floats, size: Floats) -> Detected:
    """The boxes of one label that are left, the surest first."""
    boxes, scores = np.concatenate([one.boxes for one in some]), np.concatenate([one.scores for one in some])
    best = np.argsort(-scores, kind="stable")[:_CANDIDATES]
    boxes = np.clip(boxes[best] / edge, 0, size)
    there = (boxes[:, 2:] > boxes[:, :2]).all(1)
    boxes, scores = boxes[there], scores[best][there]
    kept = suppressed(boxes, scores, OVERLAP)[:_KEPT]
    return Detected(boxes[kept], scores[kept])


def answered(
    each: Sequence[Detected], cuts: NDArray[np.floating], lines: NDArray[np.floating]
) -> tuple[Floats, NDArray[np.int64], Floats]:
    """The boxes that are sure enough, the surest first: (A, 4) corners, (A,) numbers of labels, (A,) confidence.

    Args:
        each: of C labels the boxes that are left, the surest first.
        cuts: (C,) how probable the middle of a thing has to be.
        lines: (C, 2) from there to how often such boxes are right.
    """
    own = [boxes.above(float(cut)) for boxes, cut in zip(each, cuts, strict=True)]
    sure = np.concatenate([confidence(boxes.scores, line) for boxes, line in zip(own, lines, strict=True)])
    order = np.argsort(-sure, kind="stable")
    labels = np.repeat(np.arange(len(own)), [len(boxes.scores) for boxes in own])
    return np.concatenate([boxes.boxes for boxes in own])[order], labels[order], sure[order]


def box_said(corners: Sequence[float], label: str, sure: float) -> dict[str, Any]:
    """A box as a program wants it.

    Args:
        corners: left, top, right and bottom.
        label: what it is around.
        sure: how often such boxes are right.
    """
    left, top, right, bottom = corners
    return {
        "left": round(left, 1), "top": round(top, 1), "width": round(right - left, 1), "height": round(bottom - top, 1),
        "label": label, "confidence": round(sure, 4),
    }  # fmt: skip
