"""A model of masks as a graph: the classes of the pixels of a block come of it, a picture is put together of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.graph_pixels import pixel_graph_of
from handful.backbones.tiles import made_large
from handful.data.mask_files import classes_in_cell, colours_of, mask_of
from handful.data.pixel_sizes import nearest
from handful.evaluation.intervals import difference, interval
from handful.evaluation.metrics import losses, share
from handful.export.onnx.exporting import KnownRows
from handful.export.onnx.heads import with_pixel_classes
from handful.export.onnx.parity import Parity
from handful.export.onnx.part_graphs import PartGraph, pictures_judged
from handful.export.onnx.sessions import Answer, answering
from handful.export.segmenter import Segmenter
from handful.features.pixels import BLOCK, FILTERS, HALO, MAPS, MOST, REACH, blocks_of, filter_bank, seen_blocks, worked
from handful.strategies.frozen.context import FURTHEST, ContextMap

# Pictures that are compared at most, and those of them that are changed: each has hundreds of thousands of pixels.
_MOST, _CHANGED = 12, 3
_SMALLEST = 1e-9

Pixels = NDArray[np.float32]


def segmenter_graph(model: Segmenter, rows: KnownRows) -> PartGraph:
    """A model of masks as a graph.

    Args:
        model: the model.
        rows: by which it is judged, with their masks; none: by the public test items alone.

    Raises:
        OptionError: its backbone cannot be expressed in ONNX.
    """
    own, backbone = model.pixels, model.ready()
    bank = filter_bank() if FILTERS in own.looks else None
    heard = (own.first.linear, REACH) if isinstance(own, ContextMap) else None
    maps = backbone if MAPS in own.looks else None
    content, preparation = pixel_graph_of(bank, maps, HALO, MOST, BLOCK, heard)
    if isinstance(own, ContextMap):
        graph = with_pixel_classes(content, own.centre, own.scale, own.layers, FURTHEST)
    else:
        graph = with_pixel_classes(content, own.centre, own.scale, ((own.coef, own.intercept),))
    settings = {"looks": list(own.looks), "colours": colours_of(model.names).tolist()}
    depths = () if backbone is None else backbone.pixel_depths
    return PartGraph(graph, [preparation], settings, depths, _Judge(model, rows))


class _Judge:
    """The pictures by which graphs are compared with a model of masks."""

    def __init__(self, model: Segmenter, rows: KnownRows) -> None:
        self.model = model
        self.halo = HALO + model.pixels.around
        self.items = pictures_judged(rows, _MOST, _CHANGED, worked)

    def compared(self, content: bytes, what: str) -> Parity:
        """How a graph compares: probabilities, classes of pixels, and the loss where masks are known."""
        graph = answering(content, what)
        furthest, same, costs = 0.0, list[float](), list[tuple[float, float]]()
        for item, cell in self.items:
            pixels, alike = worked(item), 0.0
            truth = self._truth(item, cell, pixels.shape[:2])
            cost = np.zeros(2)
            for block, before, after in self._blocks(pixels, graph):
                furthest = max(furthest, float(np.abs(before - after).max()))
                alike += float((before.argmax(1) == after.argmax(1)).sum())
                if truth is not None:
                    own = truth[block].ravel()
                    cost += [-np.log(np.maximum(x[np.arange(len(own)), own], _SMALLEST)).sum() for x in (before, after)]
            same.append(alike / (pixels.shape[0] * pixels.shape[1]))
            if truth is not None:
                first, then = cost / truth.size
                costs.append((float(first), float(then)))
        told = None
        if len(costs) > 1:
            earlier, later = np.array(costs).T
            told = difference(losses(later), losses(earlier))
        return Parity(len(same), furthest, interval(share(np.array(same))), told, things="the pixels")

    def apart(self, first: bytes, second: bytes) -> float:
        """How far two graphs are apart."""
        graphs, furthest = [answering(content, "the graph") for content in (first, second)], 0.0
        for item, _ in self.items:
            for *_, seen in seen_blocks(worked(item), self.halo):
                one, other = (_said(graph, seen) for graph in graphs)
                furthest = max(furthest, float(np.abs(one - other).max()))
        return furthest

    def _blocks(self, pixels: NDArray[np.uint8], graph: Answer) -> Iterator[tuple[tuple[slice, slice], Pixels, Pixels]]:
        """Where each block is, and (P, C) what the model and the graph say of its pixels."""
        for block, (top, left, tall, wide, seen) in zip(
            blocks_of(pixels, self.model.ready(), self.model.pixels.around), seen_blocks(pixels, self.halo), strict=True
        ):
            before = self.model.pixels.answered(block)
            yield (slice(top, top + tall), slice(left, left + wide)), before, _said(graph, seen)

    def _truth(self, item: Any, cell: str, shape: Sequence[int]) -> NDArray[np.uint8] | None:
        """The classes that are wanted at the size at which a picture is read; None where these are not known."""
        if not cell or not set(classes_in_cell(cell)) <= set(self.model.names):
            return None
        return nearest(mask_of(cell, self.model.names, item), tuple(shape))


def _said(graph: Answer, seen: NDArray[np.uint8]) -> Pixels:
    """(P, C) what a graph says of the pixels of a block, which is given with those around."""
    return graph({"pixels": seen, "large": made_large(seen)}).astype(np.float32)
