"""Boxes around things in pictures: what a row says of them, as one text, and boxes that do not lie in their picture."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError

MOST_LABELS = 31
"""More labels than this are not learned."""

# A box that is narrower than so many pixels holds nothing.
_THINNEST = 1.0


@dataclass(frozen=True)
class Box:
    """A box around a thing, upright, in pixels of its picture."""

    left: float
    """Its first column."""
    top: float
    """Its first row."""
    right: float
    """Where it ends, to the right."""
    bottom: float
    """Where it ends, below."""
    label: str
    """What the thing is."""

    @classmethod
    def of(cls, corners: Iterable[float], label: str) -> Box:
        """The box of left, top, right and bottom."""
        left, top, right, bottom = map(float, corners)
        return cls(left, top, right, bottom, label)

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        return self.left, self.top, self.right, self.bottom


@dataclass(frozen=True)
class Boxed:
    """The boxes of one picture."""

    boxes: tuple[Box, ...]
    """As they were drawn; none where the picture is known to hold nothing."""

    @property
    def cell(self) -> str:
        """The same as one text, which a Dataset holds as the label of the row."""
        return json.dumps({"boxes": [[*one.corners, one.label] for one in self.boxes]}, ensure_ascii=False)

    def corners(self, names: Sequence[str]) -> list[NDArray[np.float64]]:
        """The boxes of each label, (B, 4) left, top, right and bottom."""
        return [np.array([box.corners for box in self.boxes if box.label == name]).reshape(-1, 4) for name in names]

    @classmethod
    def of_cell(cls, cell: str) -> Boxed:
        """Read back what ``cell`` says.

        Raises:
            DataError: it says nothing of the kind.
        """
        try:
            rows = json.loads(cell)["boxes"]
            return cls(tuple(Box.of(corners, str(label)) for *corners, label in rows))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"labels of boxes must be boxes as load reads them from a folder, got {cell[:60]!r}. Give a Dataset, "
                "or the name of a folder."
            ) from error


def labels_in_boxes(cell: str) -> tuple[str, ...]:
    """The different labels in a row; none where the text holds no boxes, as that of an answer."""
    try:
        return tuple(dict.fromkeys(box.label for box in Boxed.of_cell(cell).boxes))
    except DataError:
        return ()


def fitted(boxes: Iterable[Box], width: float, height: float, odd: Counter[str]) -> Boxed:
    """Boxes as they lie in their picture: cut at its edges, without empty ones and those that lie elsewhere.

    Args:
        boxes: as they were read.
        width: of the picture.
        height: the same.
        odd: counts what was done to how many boxes.
    """
    kept = []
    for box in boxes:
        if box.left > box.right or box.top > box.bottom:
            odd["with corners the other way round put right"] += 1
            (left, right), (top, bottom) = sorted((box.left, box.right)), sorted((box.top, box.bottom))
            box = Box(left, top, right, bottom, box.label)
        if box.right - box.left < _THINNEST or box.bottom - box.top < _THINNEST:
            odd["that are empty left out"] += 1
            continue
        cut = Box(max(0.0, box.left), max(0.0, box.top), min(width, box.right), min(height, box.bottom), box.label)
        if cut.right - cut.left < _THINNEST or cut.bottom - cut.top < _THINNEST:
            odd["that lie outside their picture left out"] += 1
            continue
        # Written numbers are rounded: what sticks out by less than a pixel is not worth a word.
        if max(abs(a - b) for a, b in zip(cut.corners, box.corners, strict=True)) > _THINNEST:
            odd["that reach over the edge of their picture cut there"] += 1
        kept.append(cut)
    return Boxed(tuple(kept))


def around(points: Sequence[float], label: str) -> Box:
    """The upright box around a turned one, or around an outline. (x, y, x, y, …)."""
    return Box(min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2]), label)
