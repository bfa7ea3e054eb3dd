"""Which search a budget affords: the largest grid whose arithmetic fits into the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handful.evaluation.protocol import MANY, REPEATS, Protocol
from handful.features.view import View
from handful.strategies.heads import Head
from handful.strategies.search import Grid

# Multiplications per second that the solver reaches on one ordinary core; a low guess, since a search that
# ends early annoys nobody.
RATE = 4e9

NAME_WEIGHTS = (0.0, 1.0, 4.0)


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


def seconds_of(grid: Grid, shape: Shape, folds: int, repeats: int) -> float:
    """Expected time of a search: one decomposition per fit and view, then steps for every penalty at once."""
    fits = repeats * folds * (folds + 1) / 2
    names = len(grid.name_weights) if shape.named else 1
    rows = shape.rows + (shape.classes if names > 1 else 0)
    width = min(shape.width, rows, 512)
    decompose = 12 * width**3 + 2 * rows * width**2
    step = 4.0 * rows * width * shape.classes + 40 * rows * shape.classes
    steps = sum(getattr(head, "steps", 0) * len(grid.penalties_of(head)) for head in grid.heads)
    settings = sum(len(grid.penalties_of(head)) for head in grid.heads)
    reduce = settings * 16 * 20 * rows * shape.classes * repeats * folds
    return float(len(grid.views) * names * (fits * (decompose + (steps + 1) * step) + reduce) / RATE)


def affordable(
    heads: Sequence[type[Head]], views: Sequence[View], shape: Shape, protocol: Protocol, budget: float, zero_shot: bool
) -> tuple[Grid, int]:
    """The largest grid, and the number of repeats, that the budget allows.

    Args:
        heads: the families asked for, cheapest first.
        views: all views, last layers first.
        shape: rows, width and classes.
        protocol: the folds of one repeat.
        budget: seconds the search may take; the smallest grid is always run.
        zero_shot: whether to score label names alone.

    Returns:
        The grid and the number of repeats, at most ``REPEATS``.
    """
    weights = NAME_WEIGHTS if shape.named else (0.0,)
    last = tuple(v for v in views if all(d == _deepest(views, b) for b, d in v.parts))
    lean = tuple(h for h in heads if getattr(h, "steps", 0) <= 1) or tuple(heads[:1])
    grids = [
        Grid(tuple(heads), tuple(views), weights, zero_shot),
        Grid(tuple(heads), tuple(views), weights[:1] + weights[-1:], zero_shot, penalties=3),
        Grid(tuple(heads), last, weights[:1] + weights[-1:], zero_shot, penalties=3),
        Grid(lean, last, weights[:1] + weights[-1:], zero_shot, penalties=2),
        Grid(lean, last, weights[:1], zero_shot, penalties=1),
    ]
    for grid in grids:
        once = seconds_of(grid, shape, protocol.folds, 1)
        if once * protocol.repeats <= budget:
            return grid, protocol.repeats
        if shape.rows > MANY and once <= budget:
            return grid, max(1, min(REPEATS, int(budget / once)))
    return grids[-1], 1 if shape.rows > MANY else protocol.repeats


def _deepest(views: Sequence[View], backbone: str) -> int:
    return max(depth for view in views for name, depth in view.parts if name == backbone)
