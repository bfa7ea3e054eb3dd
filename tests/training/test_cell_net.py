"""Blocks that move for cells of pictures: what is learned, what stays as it was, and a training that is ended."""

import numpy as np
import pytest

from exportable import image
from handful.backbones.linear_map import LinearMap
from handful.backbones.tiles import CELL
from handful.training.apply_delta import installed
from handful.training.cell_net import UPDATES, MarkedCells, moved_cells

SIDE = 64


def picture(number):
    """Noise, a part of which is bright, and which cells these are; the first row of cells is not asked for."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 90, (SIDE, SIDE, 3)).astype(np.uint8)
    classes = np.zeros((SIDE // CELL, SIDE // CELL), np.int64)
    top, left = rng.integers(1, 6, 2)
    classes[top : top + 2, left : left + 2] = 1
    pixels[top * CELL : (top + 2) * CELL, left * CELL : (left + 2) * CELL] += 120
    classes[0] = -1
    return MarkedCells(pixels, classes)


def start(backbone, classes=2):
    seen = np.concatenate([backbone.cell_maps(picture(i).pixels).reshape(SIDE * SIDE // CELL**2, -1) for i in range(3)])
    width = seen.shape[1]
    scale = ((seen.std(0) + 1e-3) * np.sqrt(width)).astype(np.float32)
    return LinearMap(seen.mean(0), scale, np.zeros((width, classes), np.float32), np.zeros(classes, np.float32))


def loss(backbone, own):
    total = []
    for i in (7, 8):
        marked = picture(i)
        wanted = marked.classes.ravel()
        seen = backbone.cell_maps(marked.pixels).reshape(len(wanted), -1)
        scores = ((seen - own.centre) / own.scale) @ own.coef + own.intercept
        scores -= np.log(np.exp(scores).sum(1, keepdims=True))
        total += [-scores[at, wanted[at]] for at in np.flatnonzero(wanted >= 0)]
    return float(np.mean(total))


@pytest.fixture(scope="module")
def moved():
    backbone = image("tiny", 64)
    steps = []
    made = moved_cells(
        backbone, picture, [0, 1, 2, 3], start(backbone), np.ones(2), 0, lambda *at: steps.append(at) or False
    )
    return backbone, made, steps


def test_cells_that_were_not_learned_from_are_told_apart_better(moved):
    backbone, made, steps = moved
    assert steps == [(i, UPDATES) for i in range(1, UPDATES + 1)]
    assert loss(made.backbone, made.map) < 0.8 * loss(backbone, start(backbone))


def test_the_backbone_stays_as_it_was_and_what_moved_can_be_put_into_another(moved):
    backbone, made, _ = moved
    fresh = image("tiny", 64)
    pixels = picture(5).pixels
    assert np.array_equal(backbone.cell_maps(pixels), fresh.cell_maps(pixels))
    assert not np.allclose(made.backbone.cell_maps(pixels), fresh.cell_maps(pixels), atol=1e-3)
    again = installed(fresh, "blocks", 0, made.delta)
    assert np.array_equal(again.cell_maps(pixels), made.backbone.cell_maps(pixels))
    assert again.fingerprint == made.backbone.fingerprint


def test_a_training_can_be_ended():
    backbone = image("tiny", 64)
    assert moved_cells(backbone, picture, [0], start(backbone), np.ones(2), 0, lambda done, total: done == 2) is None
