"""Blocks of a backbone that move so that cells of pictures are told apart, from a linear map on, by the one loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handful.backbones.base import Backbone, State
from handful.backbones.linear_map import LinearMap
from handful.backbones.tiles import CELL, STEP, at_cells
from handful.seeding import generator
from handful.training.apply_delta import Arrays, arrays_of, installed
from handful.training.body import Body
from handful.training.loop import Group, Settings, Update, train
from handful.training.objectives import Batch, Outputs
from handful.training.objectives.classify import CrossEntropy
from handful.training.tuners import Blocks

UPDATES = 60
"""How many times the weights are moved."""

# Chosen on the val part of bccd_boxes: see docs/decisions/0078.
_RATE, _CROPS, _SIDE = 1e-3, 4, 320


@dataclass(frozen=True)
class MarkedCells:
    """A picture, and what is wanted of its cells."""

    pixels: NDArray[np.uint8]
    """(H, W, 3), both sides whole ``STEP``s."""
    classes: NDArray[np.int64]
    """(H / CELL, W / CELL) numbers of classes, below 0 where nothing is wanted."""


@dataclass(frozen=True)
class MovedCells:
    """What moved."""

    backbone: Backbone
    """With it in its place."""
    delta: Arrays
    """The weights by name."""
    map: LinearMap
    """The map that moved with them."""


class _CellNet(nn.Module):
    """Crops of pictures → scores of their cells."""

    def __init__(self, backbone: Backbone, body: Body, start: LinearMap) -> None:
        super().__init__()
        self.blocks, self._stem, self._depths = body.blocks, backbone.stem, backbone.cell_depths
        self.centre, self.scale, self.coef, self.intercept = (
            nn.Parameter(torch.from_numpy(x.copy()).to(body.device), requires_grad=False)
            for x in (start.centre, start.scale, start.coef, start.intercept)
        )

    def forward(self, crops: Sequence[tuple[Tensor, Tensor]]) -> Outputs:
        """(1, 3, H, W) pixels and (P,) which of the cells are wanted something of; their scores one after the other."""
        x = torch.cat([
            at_cells(self._states(pixels), *pixels.shape[2:]).flatten(0, 1)[wanted.to(self.coef.device)]
            for pixels, wanted in crops
        ])  # fmt: skip
        return Outputs(x, ((x - self.centre) / self.scale) @ self.coef + self.intercept)

    def _states(self, pixels: Tensor) -> Iterator[tuple[int, State]]:
        with torch.no_grad():
            state = self._stem(pixels)
        for depth, block in enumerate(self.blocks, 1):
            state = block(state)
            if depth in self._depths:
                yield depth, state


def moved_cells(
    backbone: Backbone, pictures: Callable[[int], MarkedCells], among: Sequence[int], start: LinearMap,
    weights: NDArray[np.float64], seed: int, step: Callable[[int, int], bool],
) -> MovedCells | None:  # fmt: skip
    """Let the blocks below the deepest map, and a linear map, learn from crops of pictures.

    Args:
        backbone: whose blocks are copied; it stays as it is.
        pictures: number of a picture → the picture.
        among: which pictures are learned from.
        start: where the linear map begins.
        weights: (C,) how much a cell of each class counts.
        seed: fixes which crops are seen.
        step: called with updates done and in all; True ends the training.

    Returns:
        What moved; None where the training was ended.

    Raises:
        TrainingError: the loss stopped being a finite number.
        MachineError: memory ran out.
    """
    body = Body(backbone.up_to(max(backbone.cell_depths)), 0).eval()
    tuner = Blocks()
    network = _CellNet(backbone, body, start)
    for own in (network.coef, network.intercept):
        own.requires_grad_(True)
    groups = [*tuner.prepare(body), Group((network.coef,)), Group((network.intercept,), decay=False)]
    design = torch.from_numpy(np.diag(weights / weights.mean()).astype(np.float32)).to(body.device)

    def drawn(update: int, parts: int) -> list[Batch]:
        rng = generator(seed, f"crops {update}")
        crops = [_crop(pictures(among[int(rng.integers(len(among)))]), rng) for _ in range(_CROPS)]
        return [_batch(crops[part::parts], design) for part in range(min(parts, _CROPS))]

    def told(update: Update, total: int) -> bool:
        return step(update.number + 1, total)

    settings = Settings(updates=UPDATES, rate=_RATE, seed=seed, dropout=False, mixed=False)
    log = train(network, CrossEntropy(), drawn, groups, settings, progress=told)
    if len(log) < UPDATES:
        return None
    delta = arrays_of(tuner.delta(body))
    coef, intercept = (x.detach().cpu().numpy() for x in (network.coef, network.intercept))
    moved = LinearMap(start.centre, start.scale, coef, intercept)
    return MovedCells(installed(backbone, tuner.name, 0, delta), delta, moved)


def _crop(picture: MarkedCells, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A part of a picture whose sides are whole steps, and of its classes, mirrored at random."""
    side, whole = STEP // CELL, picture.classes.shape
    size = [min(_SIDE // CELL, length) for length in whole]
    top, left = (side * int(rng.integers((whole[a] - size[a]) // side + 1)) for a in (0, 1))
    classes = picture.classes[top : top + size[0], left : left + size[1]]
    pixels = picture.pixels[top * CELL : (top + size[0]) * CELL, left * CELL : (left + size[1]) * CELL]
    return (pixels[:, ::-1], classes[:, ::-1]) if rng.integers(2) else (pixels, classes)


def _batch(crops: Sequence[tuple[NDArray[np.uint8], NDArray[np.int64]]], design: Tensor) -> Batch:
    """What the network is given of some crops, and what it should answer."""
    classes = [torch.from_numpy(own.ravel().copy()) for _, own in crops]
    pixels = [torch.from_numpy(np.ascontiguousarray(seen)).permute(2, 0, 1)[None] for seen, _ in crops]
    state = [(x, own >= 0) for x, own in zip(pixels, classes, strict=True)]
    wanted = torch.cat([own[own >= 0] for own in classes])
    return Batch(state, design[wanted.to(design.device)])
