"""What served models of defects, masks and boxes answer to an item: values, and a picture where it is asked for.

Of every kind it is said here what a row holds, which pictures can be drawn, and what is said of why.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from handful.data.framed import COLOURS, SIDE, framed
from handful.data.heat import heat_map
from handful.data.images import full_size
from handful.data.mask_files import colours_of, written
from handful.detection_reasons import SHOWN, reasons_of
from handful.export.detector import Detector, Seen
from handful.export.finder import Counted, Finder
from handful.export.part_model import PartModel
from handful.export.segmenter import Segmented, Segmenter

Row = dict[str, Any]

HEAT, MASK, BOXES = "heat map", "mask", "boxes"
"""What is drawn of an answer."""


class PartAnswers(Protocol):
    """How one kind of model answers over HTTP."""

    @property
    def draws(self) -> str | None:
        """What it draws; None where there is nothing to draw on."""

    @property
    def told(self) -> Row:
        """What there is to know of its answers beside the names, as JSON values."""

    def rows(self, items: Sequence[Any]) -> Iterator[tuple[Row, Any]]:
        """The row of each of N items, and what it was made of; an item that cannot be read has an ``error``."""

    def picture(self, item: Any, seen: Any) -> bytes:
        """What is drawn of an answer, as PNG."""

    def why(self, seen: Any) -> list[Row] | None:
        """What the answer hangs on; None where this kind tells nothing beside the answer."""


@dataclass(frozen=True)
class DefectAnswers:
    """Answers of a model of defects."""

    model: Detector
    """Who answers."""

    @property
    def draws(self) -> str | None:
        """A heat map, of pictures."""
        return HEAT if self.model.modality == "image" else None

    @property
    def told(self) -> Row:
        """From which score on there is an alarm, and how often a good item raises one."""
        rate = self.model.promise.false_alarms
        false = {"value": rate.value, "low": rate.low, "high": rate.high}
        return {"threshold": round(self.model.promise.threshold, 6), "false_alarms": false}

    def rows(self, items: Sequence[Any]) -> Iterator[tuple[Row, Seen]]:
        """What each item is called, how unusual it is, and from where on there is an alarm."""
        for one in self.model.look(items):
            if one.failed:
                yield {"error": one.failed}, one
                continue
            (label,) = self.model.words(np.array([one.score]))
            yield {
                "answer": label, "alarm": label != self.model.names[0], "score": round(one.score, 6),
                "threshold": round(self.model.promise.threshold, 6),
            }, one  # fmt: skip

    def picture(self, item: Any, seen: Seen) -> bytes:
        """The picture with what is unusual in it coloured."""
        return heat_map(item, seen.heat, seen.place, self.model.normality.hot, SIDE, "PNG")

    def why(self, seen: Seen) -> list[Row] | None:
        """The most unusual places; a text is compared as a whole."""
        if self.model.modality == "text":
            return []
        return [one.record() for one in reasons_of(self.model, seen).places[:SHOWN]]


@dataclass(frozen=True)
class MaskAnswers:
    """Answers of a model of masks."""

    model: Segmenter
    """Who answers."""
    draws: str | None = MASK
    """A mask as large as the picture, as ``handful predict --maps`` writes it."""

    @property
    def told(self) -> Row:
        """How each class is written in a mask: red, green and blue."""
        table = colours_of(self.model.names).tolist()
        return {"colours": dict(zip(self.model.names, table, strict=True))}

    def rows(self, items: Sequence[Any]) -> Iterator[tuple[Row, Segmented]]:
        """The share of each class, and how sure the classes are."""
        for one in self.model.segments(items):
            if one.failed:
                yield {"error": one.failed}, one
                continue
            shares = one.shares(len(self.model.names))
            (words,) = self.model.words(shares[None])
            height, width = one.classes.shape
            yield {
                "answer": words,
                "shares": {name: round(float(s), 6) for name, s in zip(self.model.names, shares, strict=True)},
                "confidence": round(one.confidence, 6), "width": width, "height": height,
            }, one  # fmt: skip

    def picture(self, item: Any, seen: Segmented) -> bytes:
        """The mask."""
        file = io.BytesIO()
        written(seen.classes, self.model.names).save(file, "PNG")
        return file.getvalue()

    def why(self, seen: Segmented) -> list[Row] | None:
        """Nothing: the mask is all that there is to tell."""
        return None


@dataclass(frozen=True)
class BoxAnswers:
    """Answers of a model of boxes."""

    model: Finder
    """Who answers."""
    draws: str | None = BOXES
    """The picture with a frame around each thing."""

    @property
    def told(self) -> Row:
        """In which colour the boxes of each label are drawn: red, green and blue."""
        return {"colours": {name: list(COLOURS[i % len(COLOURS)]) for i, name in enumerate(self.model.names)}}

    def rows(self, items: Sequence[Any]) -> Iterator[tuple[Row, Counted]]:
        """The boxes, the surest first, and how many there are of each label."""
        for item, one in zip(items, self.model.finds(items), strict=True):
            if one.failed:
                yield {"error": one.failed}, one
                continue
            width, height = full_size(item)
            counts = dict(zip(self.model.names, one.counts(self.model.names), strict=True))
            yield {
                "answer": one.values, "count": len(one.boxes), "counts": counts, "width": width, "height": height,
            }, one  # fmt: skip

    def picture(self, item: Any, seen: Counted) -> bytes:
        """The picture with its boxes."""
        return framed(item, seen.boxes, self.model.names, SIDE)

    def why(self, seen: Counted) -> list[Row] | None:
        """Nothing: each box says how sure it is."""
        return None


def answers_of(model: PartModel) -> PartAnswers:
    """How a model answers over HTTP."""
    if isinstance(model, Detector):
        return DefectAnswers(model)
    if isinstance(model, Segmenter):
        return MaskAnswers(model)
    assert isinstance(model, Finder)
    return BoxAnswers(model)


def in_text(png: bytes) -> str:
    """A picture as JSON holds it."""
    return base64.b64encode(png).decode()
