"""Grids: what a search tries, and the largest one whose arithmetic fits into a budget."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handful.evaluation.protocol import MANY, REPEATS, Protocol
from handful.features.view import View
from handful.tasks.heads import Head

# What one ordinary core does per second: low guesses, since a search that ends early annoys nobody.
PRODUCTS = 2e10  # multiplications and additions inside matrix products
ELEMENTS = 1e9  # numbers touched by anything else
DECOMPOSED = 4e8  # cubes of a width whose principal axes are found
ALONE = 0.02  # seconds of a fit that shares nothing with others, beside its products

NAME_WEIGHTS = (0.0, 1.0, 4.0)


@dataclass(frozen=True)
class Setting:
    """One way to make a head: what the search compares."""

    arm: str
    """The family that the setting belongs to in the scores, for example ``logistic`` or ``zero-shot``."""
    head: Head
    """How the map is found."""
    view: View
    """The features it reads."""
    penalty: float = 0.0
    """λ, or 0 where the head has none."""
    name_weight: float = 0.0
    """How many rows a label's name counts for; infinity: the names alone."""
    last: bool = False
    """Whether it reads the last layer of its backbones."""


@dataclass(frozen=True)
class Grid:
    """What to try."""

    heads: tuple[Head, ...]
    """How maps are found, cheapest first."""
    views: tuple[View, ...]
    """The feature matrices."""
    name_weights: tuple[float, ...] = (0.0,)
    """How many rows a label's name counts for; only where names have features."""
    zero_shot: bool = False
    """Whether to score the label names alone."""
    penalties: int | None = None
    """How many penalties per head, spread over its range; all by default."""

    def penalties_of(self, head: Head) -> tuple[float, ...]:
        """The penalties to try for a head."""
        known = head.penalties
        if self.penalties is None or self.penalties >= len(known):
            return known
        at = np.linspace(0, len(known) - 1, self.penalties + 2)[1:-1].round().astype(int)
        return tuple(known[i] for i in dict.fromkeys(at.tolist()))

    def __len__(self) -> int:
        per_view = sum(len(self.penalties_of(head)) for head in self.heads) * len(self.name_weights)
        return len(self.views) * (per_view + self.zero_shot)


@dataclass(frozen=True)
class Shape:
    """What the cost of a search depends on."""

    rows: int
    """N."""
    width: int
    """D of the widest view."""
    classes: int
    """C."""
    named: bool
    """Whether label names have features."""
    counted: int = 0
    """How many of the views hold counts, whose every fit has a space of its own."""


def seconds_of(grid: Grid, shape: Shape, folds: int, repeats: int, cores: int) -> float:
    """Expected time of a search: one decomposition per fit and view, then steps for every penalty.

    Args:
        grid: what is tried.
        shape: rows, width and classes.
        folds: K of one repeat.
        repeats: R.
        cores: how many jobs run at once.
    """
    names = len(grid.name_weights) if shape.named else 1
    jobs = len(grid.views) * names
    rows = shape.rows + (shape.classes if shape.named else 0)
    width = min(shape.width, rows, 512)
    step = 4 * rows * width * shape.classes / PRODUCTS + 12 * (rows + width) * shape.classes / ELEMENTS
    steps = sum(max(1, head.steps) * len(grid.penalties_of(head)) for head in grid.heads)
    fit = width**3 / DECOMPOSED + steps * step
    settings = sum(len(grid.penalties_of(head)) for head in grid.heads)
    reduce = settings * 60 * shape.rows * shape.classes * folds / ELEMENTS
    fits = repeats * folds * (folds + 1) / 2
    alone = min(shape.counted, len(grid.views)) * names * (ALONE + rows**2 * shape.width / PRODUCTS)
    return float(math.ceil(jobs / cores) * (fits * fit + repeats * reduce) + fits * alone / cores)


def affordable(
    heads: Sequence[Head], views: Sequence[View], shape: Shape, protocol: Protocol, budget: float, zero_shot: bool
) -> tuple[Grid, int]:
    """The largest grid, and the number of repeats, that the budget allows.

    Args:
        heads: the families asked for, cheapest first.
        views: all views, the most promising first: last layers, of parts those in the middle.
        shape: rows, width and classes.
        protocol: the folds of one repeat.
        budget: seconds the search may take; the smallest grid is always run.
        zero_shot: whether to score label names alone.

    Returns:
        The grid and the number of repeats, at most ``REPEATS``.
    """
    weights = NAME_WEIGHTS if shape.named else (0.0,)
    ends = weights[:1] + weights[-1:] if shape.named else weights
    last = tuple(v for v in views if all(d == _first(views, b) for b, d in v.parts))
    usual = tuple(head for head in heads if not head.optional) or tuple(heads)
    lean = tuple(h for h in heads if h.steps <= 1) or tuple(heads)
    grids = [
        Grid(tuple(heads), tuple(views), weights, zero_shot),
        Grid(usual, tuple(views), ends, zero_shot),
        Grid(usual, last, ends, zero_shot),
        Grid(usual, last, ends[-1:], zero_shot, penalties=2),
        Grid(lean, last, ends[-1:], zero_shot, penalties=2),
    ]
    cores = os.cpu_count() or 1
    for grid in grids:
        once = seconds_of(grid, shape, protocol.folds, 1, cores)
        if once * protocol.repeats <= budget:
            return grid, protocol.repeats
        if shape.rows > MANY and once <= budget:
            return grid, max(1, min(REPEATS, int(budget / once)))
    return grids[-1], 1 if shape.rows > MANY else protocol.repeats


def _first(views: Sequence[View], backbone: str) -> int:
    """The depth at which a backbone is read first: its last layer, of parts its most promising one."""
    return next(depth for view in views for name, depth in view.parts if name == backbone)
