"""Boxes from weights that move: held out in three folds, beside the frozen maps, and chosen by what was held out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.budget import given_up
from handful.data.dataset import Dataset
from handful.errors import OptionError, TrainingError
from handful.features.pixels import MAPS
from handful.picture_options import MOVER
from handful.plan import Plan
from handful.strategies.frozen.centres import BoxMap, CellRows, detections, sides_of
from handful.strategies.frozen.pixels import Compared, PixelMap
from handful.tasks.base import AnyTargets
from handful.tasks.boxes import BOXES, Detected
from handful.training.cell_net import MarkedCells, MovedCells, moved_cells

# After so many updates of the first training it is known how long all will take.
_LOOKED = 3

Floats = NDArray[np.float64]
Seen = tuple[Detected, ...]
"""Of each label what is seen in one picture."""


@dataclass(frozen=True)
class MovedBoxes:
    """What came of weights that moved."""

    seen: list[Seen]
    """Of each of N pictures what is seen by weights that have not learned from it."""
    boxes: BoxMap
    """The maps that learned from all."""
    moved: MovedCells
    """What moved with them."""


@dataclass(frozen=True)
class Pictures:
    """The pictures that are learned from, as trainings need them."""

    data: Dataset
    """N pictures with boxes."""
    scale: float
    """By how much they are enlarged."""
    marked: Callable[[int], MarkedCells]
    """Number of a picture → the picture at that size, and what its boxes say of its cells."""
    rows: Callable[[Dataset, Backbone], CellRows]
    """Some cells of pictures, as a backbone sees them."""
    weights: NDArray[np.float64]
    """(1 + C,) how much a cell of each class counts."""


def moves(plan: Plan) -> bool:
    """Whether it was asked for weights that move."""
    return "strategies" in plan.origins


def check_moves(backbone: Backbone) -> None:
    """Refuse a backbone whose weights cannot move for boxes.

    Raises:
        OptionError: it is one.
    """
    if not backbone.cells_move:
        raise OptionError(
            f"--strategies {MOVER} of pictures with boxes must have a backbone whose maps come of blocks that can "
            f"move, got {backbone.name}. Leave it out, or name another --backbone."
        )


def moved_boxes(
    pictures: Pictures, compared: Compared, backbone: Backbone, seed: int, left: Callable[[], float],
    tell: Callable[[int, int], None],
) -> MovedBoxes | str:  # fmt: skip
    """Let weights move without each fold, and with all pictures.

    Args:
        pictures: what is learned from.
        compared: the frozen maps, with the folds.
        backbone: whose weights move, in copies.
        seed: fixes the trainings.
        left: seconds that are left.
        tell: called with trainings done and in all.

    Returns:
        What came of it, or in a sentence why it was given up.
    """
    trainings = _Trainings(pictures, compared, backbone, seed, left)
    seen: list[Seen] = [()] * len(pictures.data)
    labels = len(pictures.weights) - 1
    folds = sorted(set(compared.folds.tolist()))
    try:
        for done, fold in enumerate(folds):
            made = trainings.without(fold)
            if made is None:
                return given_up(MOVER, trainings.more)
            tell(done + 1, len(folds) + 1)
            for i in np.flatnonzero(compared.folds == fold).tolist():
                item, arm = pictures.data.items[i], {MOVER: made[0].candidates}
                seen[i] = detections(item, pictures.scale, made[1].backbone, arm, labels)[MOVER]
        last = trainings.without(None)
    except TrainingError as error:
        return f"{MOVER} was given up: {error}"
    if last is None:
        return given_up(MOVER, trainings.more)
    tell(len(folds) + 1, len(folds) + 1)
    return MovedBoxes(seen, *last)


def chosen_arm(
    held: Mapping[str, Floats], targets: AnyTargets, folds: NDArray[np.int64]
) -> tuple[str, Floats]:  # fmt: skip
    """The arm with the highest AP50, and what is claimed of it.

    Args:
        held: arm → (1, N, K) what it adds to the scores of each held-out picture.
        targets: of these N.
        folds: (N,) the fold of each.

    Returns:
        Its name, and (1, N, K) what the arm that is best on other folds adds of each picture.
    """
    arms = [arm for arm in held if arm != BOXES.reference.name]

    def best(among: NDArray[np.bool_]) -> str:
        own = targets.take(among)
        return max(arms, key=lambda arm: BOXES.headline.of(held[arm][:, among], own).value)

    whole = held[arms[0]].copy()
    for fold in np.unique(folds).tolist():
        whole[:, folds == fold] = held[best(folds != fold)][:, folds == fold]
    return best(np.ones(len(folds), bool)), whole


class _Trainings:
    """Trainings one after the other, each of which may find that too little time is left for it and those to come."""

    def __init__(
        self, pictures: Pictures, compared: Compared, backbone: Backbone, seed: int, left: Callable[[], float]
    ) -> None:
        self.pictures, self.compared, self.backbone, self.seed, self.left = pictures, compared, backbone, seed, left
        self.to_come = len(set(compared.folds.tolist())) + 1
        self.more = 0.0

    def without(self, fold: int | None) -> tuple[BoxMap, MovedCells] | None:
        """What learned from the pictures outside a fold, or all; None where too little time is left."""
        folds, pictures = self.compared.folds, self.pictures
        among = np.flatnonzero(folds != (-1 if fold is None else fold)).tolist()
        first, started = self.compared.fitted(fold), time.perf_counter()

        def step(done: int, total: int) -> bool:
            each = (time.perf_counter() - started) / done
            self.more = each * (total * self.to_come - done)
            return done == _LOOKED and self.more > self.left()

        moved = moved_cells(self.backbone, pictures.marked, among, first.linear, pictures.weights, self.seed, step)
        self.to_come -= 1
        return None if moved is None else (self._boxes(first, moved, among), moved)

    def _boxes(self, first: PixelMap, moved: MovedCells, among: Sequence[int]) -> BoxMap:
        """The maps on top of what moved: that of classes moved with it, those of sides are fitted anew."""
        rows = self.pictures.rows(self.pictures.data.take(among), moved.backbone)
        own = PixelMap(first.looks, first.centre, first.scale, moved.map.coef, moved.map.intercept)
        seen = own.scaled({MAPS: rows.pixels.features[MAPS]})
        return BoxMap(own, sides_of(seen, rows.pixels.classes, rows.sides, len(self.pictures.weights) - 1))
