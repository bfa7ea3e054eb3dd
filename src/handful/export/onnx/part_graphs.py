"""Graphs of models of parts before they are compared and written: what detectors, segmenters and finders share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from handful.backbones.graphs import Preparation
from handful.errors import DataError
from handful.export.onnx.exporting import KnownRows, changed, odd_items, sample
from handful.export.onnx.parity import Judge
from handful.export.onnx.rounding import FLOAT


@dataclass(frozen=True)
class PartGraph:
    """A model of parts as a graph, with what its runner has to know."""

    graph: onnx.ModelProto
    """In float32."""
    preparations: Sequence[Preparation]
    """What items become before each input."""
    settings: Mapping[str, Any]
    """What a program has to know of the task."""
    reads: Sequence[int]
    """Depths at which the backbone is read."""
    judge: Judge
    """By what it is compared with the model."""
    step: float = FLOAT
    """How coarse what is seen is, relative to each number."""


def judged(modality: str, rows: KnownRows, most: int, most_changed: int) -> tuple[list[Any], list[str]]:
    """The items by which a graph is judged: rows, some of them slightly changed, and odd ones; with what is wanted.

    Args:
        modality: text, image or sound.
        rows: what the model learned from.
        most: how many of these at most.
        most_changed: how many of those are changed at most.

    Returns:
        N items, and of each what is wanted as the task writes it, empty where that is not known.
    """
    some = sample(rows, most)
    items = [*some.items, *changed(modality, some.items, most_changed), *odd_items(modality, False)]
    return items, [*some.labels, *[""] * (len(items) - len(some.labels))]


def pictures_judged(
    rows: KnownRows, most: int, most_changed: int, read: Callable[[Any], object]
) -> list[tuple[Any, str]]:  # fmt: skip
    """The same of pictures, without those that ``read`` cannot decode: each with what is wanted of it."""
    return [(item, cell) for item, cell in zip(*judged("image", rows, most, most_changed), strict=True)
            if _is_readable(item, read)]  # fmt: skip


def _is_readable(item: Any, read: Callable[[Any], object]) -> bool:
    try:
        read(item)
    except (DataError, OSError):
        return False
    return True
