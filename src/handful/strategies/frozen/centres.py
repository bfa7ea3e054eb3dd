"""Centres: which cells of a picture are the middle of a thing, and how far its sides are from there, by linear maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.data.images import full_size
from handful.features.cells import brightness, cells_of, middles, read_at
from handful.features.view import Matrix
from handful.strategies.frozen.box_answers import begun, in_picture
from handful.strategies.frozen.pixels import Brightness, PixelMap, PixelRows, levels_of
from handful.tasks.boxes import Detected

Floats = NDArray[np.float64]

NOTHING = "(nothing)"
"""The class of cells in the middle of no thing."""
UNSAID = -1
"""Stands for the class of cells that are neither in the middle of a thing nor well away from it."""

MIDDLE, BESIDE = 0.25, 0.45
"""Cells up to so far from the middle of a thing are its middle; those up to so far are neither; in sides of its box."""
SHRUNK = 0.003
"""The penalty on the maps to sides, as a share of how much the rows of a label vary."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of the cells of a picture, H rows of W."""

    classes: NDArray[np.int64]
    """(H, W) 0 for nothing, 1 + the number of a label in the middle of a thing, or ``UNSAID``."""
    sides: Matrix
    """(H, W, 4) where the middle of the thing is from there, in cells across and down, and the natural logarithms of
    its sides in cells; of the middles of things only."""


def wanted_of(shape: tuple[int, int], boxes: Floats, labels: NDArray[np.integer]) -> Wanted:
    """What boxes say of the cells of a picture; where several claim one, the one whose middle is nearest has it.

    Args:
        shape: rows and columns of cells.
        boxes: (B, 4) left, top, right and bottom in cells.
        labels: (B,) their numbers.
    """
    classes, nearest = np.zeros(shape, np.int64), np.full(shape, np.inf)
    sides = np.zeros((*shape, 4), np.float32)
    for (left, top, right, bottom), label in zip(boxes, labels, strict=True):
        width, height = right - left, bottom - top
        x, y = (left + right) / 2, (top + bottom) / 2
        own = min(shape[0] - 1, int(y)), min(shape[1] - 1, int(x))
        first = max(0, int(min(y - BESIDE * height, own[0]))), max(0, int(min(x - BESIDE * width, own[1])))
        last = int(max(y + BESIDE * height, own[0])) + 1, int(max(x + BESIDE * width, own[1])) + 1
        window = slice(first[0], last[0]), slice(first[1], last[1])
        rows, columns = np.mgrid[first[0] : min(last[0], shape[0]), first[1] : min(last[1], shape[1])]
        across, down = x - (columns + 0.5), y - (rows + 0.5)
        away = np.hypot(across / width, down / height)
        away[own[0] - first[0], own[1] - first[1]] = 0  # however small a thing is, one cell is its middle
        taken = (away <= MIDDLE) & (away < nearest[window])
        unsaid = (away <= BESIDE) & (classes[window] == 0) & ~taken
        classes[window][unsaid] = UNSAID
        classes[window][taken] = 1 + label
        nearest[window][taken] = away[taken]
        ends = np.full_like(across, np.log(width)), np.full_like(down, np.log(height))
        sides[window][taken] = np.stack([across, down, *ends], -1)[taken]
    return Wanted(classes, sides)


@dataclass(frozen=True)
class CellRows:
    """The P cells that heads learn from, of N pictures."""

    pixels: PixelRows
    """What is seen in them, and their classes."""
    sides: Matrix
    """(P, 4) where the boxes end that they are the middles of."""


@dataclass(frozen=True)
class Sides:
    """Linear maps from what is seen in the middle of a thing to what ``box_answers.boxes_around`` reads, by label."""

    coef: Matrix
    """(C, D, 4)."""
    intercept: Matrix
    """(C, 4)."""


def sides_of(seen: Matrix, classes: NDArray[np.int64], sides: Matrix, labels: int) -> Sides:
    """Ridge regression in closed form, for each label on the middles of its things.

    Args:
        seen: (P, D) each column at its scale.
        classes: (P,) as in ``Wanted``.
        sides: (P, 4) the same.
        labels: C.
    """
    coef = np.zeros((labels, seen.shape[1], 4), np.float32)
    intercept = np.zeros((labels, 4), np.float32)
    for label in range(labels):
        own = classes == 1 + label
        if not own.any():
            continue
        x, y = seen[own].astype(np.float64), sides[own].astype(np.float64)
        centre, mean = x.mean(0), y.mean(0)
        x -= centre
        gram = x.T @ x
        penalty = SHRUNK * float(np.trace(gram)) + 1e-9
        found = np.linalg.solve(gram + penalty * np.eye(len(gram)), x.T @ (y - mean))
        coef[label], intercept[label] = found, mean - centre @ found
    return Sides(coef, intercept)


@dataclass(frozen=True)
class BoxMap:
    """Linear maps from what is seen in a cell to whether it is the middle of a thing, and to its box."""

    pixels: PixelMap
    """To ``NOTHING`` and the C labels."""
    sides: Sides
    """To boxes."""

    def candidates(self, features: Mapping[str, Matrix], levels: NDArray[np.int64], at: Floats) -> list[Detected]:
        """Of each label the boxes that begin in P cells.

        Args:
            features: way to look → (P, D).
            levels: (P,) steps of brightness.
            at: (P, 2) the middles of the cells.
        """
        return begun(self.outputs(features), len(self.sides.coef), at)

    def outputs(self, features: Mapping[str, Matrix]) -> Matrix:
        """What ``box_answers.begun`` reads of P cells, (P, 1 + C + 4 C). Way to look → (P, D)."""
        seen = self.pixels.scaled(features)
        told = [seen @ coef + intercept for coef, intercept in zip(self.sides.coef, self.sides.intercept, strict=True)]
        return np.concatenate([self.pixels.probabilities(features), *told], 1)


@dataclass(frozen=True)
class BrightnessBoxes:
    """The reference: how frequent middles of things are at each step of brightness, and the mean box of each label."""

    table: Brightness
    """Steps of brightness → ``NOTHING`` and the C labels."""
    sides: Sides
    """Of which the intercepts alone are read."""

    def candidates(self, features: Mapping[str, Matrix], levels: NDArray[np.int64], at: Floats) -> list[Detected]:
        """As ``BoxMap.candidates``."""
        told = np.tile(self.sides.intercept.ravel(), (len(levels), 1))
        return begun(np.concatenate([self.table.probabilities(levels), told], 1), len(self.sides.intercept), at)


def mean_sides(classes: NDArray[np.int64], sides: Matrix, labels: int) -> Sides:
    """The mean box of each label: ``sides_of`` without anything seen."""
    return sides_of(np.zeros((len(classes), 0), np.float32), classes, sides, labels)


Candidates = Callable[[Mapping[str, Matrix], NDArray[np.int64], Floats], list[Detected]]


def detections(
    item: Any, scale: float, backbone: Backbone, makers: Mapping[str, Candidates], labels: int
) -> dict[str, tuple[Detected, ...]]:
    """What each of several arms sees in a picture, which is looked at once for all of them.

    Args:
        item: the picture.
        scale: by how much it is enlarged.
        backbone: whose maps are read.
        makers: arm → its ``candidates``.
        labels: C.

    Returns:
        Arm → of each label its boxes in pixels of the picture.

    Raises:
        DataError: it cannot be decoded.
    """
    pixels, ratio = read_at(item, scale)
    grey = levels_of(brightness(pixels))
    blocks: dict[str, list[list[Detected]]] = {arm: [] for arm in makers}
    for block in cells_of(pixels, backbone):
        at = middles(block.top, block.left, block.height, block.width)
        for arm, make in makers.items():
            blocks[arm].append(make(block.features, block.cut(grey), at))
    size = full_size(item)
    return {arm: in_picture(each, labels, ratio, size) for arm, each in blocks.items()}
