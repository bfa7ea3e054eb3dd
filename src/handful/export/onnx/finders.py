"""A model of boxes as a graph: whether each cell is the middle of a thing, and where this ends, come of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.graph_pixels import cell_graph_of
from handful.data.boxes import Boxed
from handful.data.images import full_size
from handful.evaluation.intervals import difference, interval
from handful.evaluation.metrics import losses, share
from handful.export.finder import Finder
from handful.export.onnx.exporting import KnownRows
from handful.export.onnx.heads import with_boxes
from handful.export.onnx.parity import Parity
from handful.export.onnx.part_graphs import PartGraph, pictures_judged
from handful.export.onnx.sessions import Answer, answering
from handful.features.cells import cells_of, middles, read_at, seen_cells
from handful.strategies.frozen.box_answers import FLOOR, Floats, answered, begun, boxes_around, cells_by, in_picture
from handful.tasks.boxes import Detected, matched

# Pictures that are compared at most, and those of them that are changed: each has thousands of cells.
_MOST, _CHANGED = 12, 3
# Two boxes are the same that lie over each other by so much: common area over joint area.
_SAME = 0.98


def finder_graph(model: Finder, rows: KnownRows) -> PartGraph:
    """A model of boxes as a graph.

    Args:
        model: the model.
        rows: by which it is judged, with their boxes; none: by the public test items alone.

    Raises:
        OptionError: its backbone cannot be expressed in ONNX.
    """
    backbone, pixels, sides = model.ready(), model.boxes.pixels, model.boxes.sides
    content, preparation = cell_graph_of(backbone)
    graph = with_boxes(
        content, pixels.centre, pixels.scale, (pixels.coef, pixels.intercept), (sides.coef, sides.intercept)
    )
    settings = {"magnification": model.scale, "cuts": model.cuts.tolist(), "lines": model.lines.tolist()}
    return PartGraph(graph, [preparation], settings, backbone.cell_depths, _Judge(model, rows))


class _Judge:
    """The pictures by which graphs are compared with a model of boxes."""

    def __init__(self, model: Finder, rows: KnownRows) -> None:
        self.model = model
        self.items = pictures_judged(rows, _MOST, _CHANGED, lambda item: read_at(item, model.scale))

    def compared(self, content: bytes, what: str) -> Parity:
        """How a graph compares: probabilities and edges of cells, boxes, and what is missed or wrong where known."""
        graph = answering(content, what)
        furthest, same, costs = 0.0, list[float](), list[tuple[float, float]]()
        for item, cell in self.items:
            before, after, apart = self._both(item, graph)
            furthest = max(furthest, apart)
            same.append(alike(before, after))
            if cell:
                wanted = Boxed.of_cell(cell).corners(self.model.names)
                costs.append((astray(before, wanted), astray(after, wanted)))
        told = None
        if len(costs) > 1:
            earlier, later = np.array(costs).T
            told = difference(losses(later), losses(earlier))
        return Parity(
            len(same), furthest, interval(share(np.array(same))), told, "the share of boxes that are missed or wrong",
            "the boxes",
        )  # fmt: skip

    def apart(self, first: bytes, second: bytes) -> float:
        """How far two graphs are apart."""
        graphs, furthest = [answering(content, "the graph") for content in (first, second)], 0.0
        for item, _ in self.items:
            for *place, seen, inner in seen_cells(read_at(item, self.model.scale)[0]):
                one, other = (_said(graph, seen, inner) for graph in graphs)
                furthest = max(furthest, _apart(one, other, len(self.model.names), middles(*place)))
        return furthest

    def _both(self, item: Any, graph: Answer) -> tuple[list[Floats], list[Floats], float]:
        """The boxes of each label by the model and by the graph, and how far apart these are in any cell."""
        model, labels = self.model, len(self.model.names)
        pixels, ratio = read_at(item, model.scale)
        own, other, furthest = list[list[Detected]](), list[list[Detected]](), 0.0
        for block, (top, left, tall, wide, seen, inner) in zip(
            cells_of(pixels, model.ready()), seen_cells(pixels), strict=True
        ):
            at = middles(top, left, tall, wide)
            before, after = model.boxes.outputs(block.features), _said(graph, seen, inner)
            furthest = max(furthest, _apart(before, after, labels, at))
            own.append(begun(before, labels, at))
            other.append(begun(after, labels, at))
        size = full_size(item)
        first, second = (self._answered(in_picture(each, labels, ratio, size)) for each in (own, other))
        return first, second, furthest

    def _answered(self, each: Sequence[Detected]) -> list[Floats]:
        """The corners of the boxes of each label that are answered."""
        boxes, numbers, _ = answered(each, self.model.cuts, self.model.lines)
        return [boxes[numbers == label] for label in range(len(self.model.names))]


def _said(graph: Answer, seen: NDArray[np.uint8], inner: tuple[slice, slice]) -> NDArray[np.float32]:
    """What a graph says of the own cells of a block, which is given with those around."""
    return cells_by(lambda x: graph({"pixels": x}), seen, inner)


def _apart(before: NDArray[np.float32], after: NDArray[np.float32], labels: int, at: Floats) -> float:
    """The largest difference of two probabilities, or of two edges of a box that may begin, in its longer side."""
    furthest = float(np.abs(before[:, : 1 + labels] - after[:, : 1 + labels]).max())
    for label in range(labels):
        some = before[:, 1 + label] >= FLOOR
        told = slice(1 + labels + 4 * label, 5 + labels + 4 * label)
        own, other = (boxes_around(x[some, told], at[some]) for x in (before, after))
        side = np.maximum(own[:, 2:] - own[:, :2], 1e-9).max(1, initial=0)[:, None]
        furthest = max(furthest, float((np.abs(own - other) / side).max(initial=0)))
    return furthest


def alike(before: Sequence[Floats], after: Sequence[Floats]) -> float:
    """The share of the boxes of a picture that are in both answers; 1 where there are none. Of each label (A, 4)."""
    common = sum(int(matched(own, other, _SAME).sum()) for own, other in zip(before, after, strict=True))
    every = sum(map(len, before)) + sum(map(len, after))
    return 2 * common / every if every else 1.0


def astray(said: Sequence[Floats], wanted: Sequence[Floats]) -> float:
    """The share of boxes that are missed or wrong among those that are wanted or answered. Of each label (A, 4)."""
    right = sum(int(matched(own, other).sum()) for own, other in zip(said, wanted, strict=True))
    every = sum(map(len, said)) + sum(map(len, wanted))
    return 1 - 2 * right / every if every else 0.0
