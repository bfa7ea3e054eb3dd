"""Why a detector calls an item what it calls it: its score beside the threshold, and where it is most unusual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.data.items import make_items
from handful.errors import DataError
from handful.export.detector import Detector, Seen

SHOWN = 5
"""Places of an item that are told where not all are."""


@dataclass(frozen=True)
class Unusual:
    """A place of an item, and how unusual it is."""

    place: tuple[float, ...]
    """Left, top, right and bottom in pixels, or seconds or characters from and to."""
    times: float
    """How many times as far as usual from what normal items show."""

    def record(self) -> dict[str, Any]:
        """The place as plain values."""
        return {"place": list(self.place), "times": round(self.times, 4)}


@dataclass(frozen=True)
class Reasons:
    """What a detector says of one item, and why."""

    label: str
    """What it is called."""
    score: float
    """How unusual it is."""
    threshold: float
    """From which score on there is an alarm."""
    hot: float
    """How many times as far as usual the worst place of any normal item is."""
    modality: str
    """text, image or sound."""
    places: tuple[Unusual, ...]
    """All places, the most unusual first."""

    def as_dict(self) -> dict[str, Any]:
        """The reasons as plain values."""
        places = [one.record() for one in self.places]
        return {"label": self.label, "score": round(self.score, 6), "threshold": round(self.threshold, 6),
                "hot": round(self.hot, 4), "places": places}  # fmt: skip

    def lines(self) -> list[str]:
        """The same as lines for a terminal."""
        side = "above" if self.score > self.threshold else "not above"
        first = (
            f"{self.label}: a score of {self.score:.2f}, {side} {self.threshold:.2f}, from where on there is an alarm"
        )
        if self.modality == "text":
            return [first, "a text is compared as a whole: no place in it is told"]
        told = [f"{one.times:6.2f} times as far as usual: {self._where(one)}" for one in self.places[:SHOWN]]
        more = [f"the worst place of any normal item: {self.hot:.2f} times"]
        if self.modality == "image":
            more.append("`handful predict RUN ITEM --maps FOLDER` draws all of it")
        return [first, *told, *more]

    def _where(self, one: Unusual) -> str:
        if self.modality == "sound":
            start, end = one.place
            return f"{start:.2f} to {end:.2f} s"
        left, top, right, bottom = (round(edge) for edge in one.place)
        return f"{left} to {right} across, {top} to {bottom} down"


def reasons(model: Detector, item: Any) -> Reasons:
    """Why an item is called what it is called.

    Args:
        model: the detector.
        item: a text, picture or sound, or the name of a file.

    Raises:
        DataError: the item cannot be read.
    """
    (value,), failed = make_items([item], model.modality, None)
    if failed:
        raise DataError(f"{item} cannot be read: {failed[0]}.")
    (sight,) = model.look([value])
    if sight.failed:
        raise DataError(f"{item} cannot be read: {sight.failed}.")
    return reasons_of(model, sight)


def reasons_of(model: Detector, sight: Seen) -> Reasons:
    """The same of what was seen in an item that could be read."""
    order = np.argsort(-sight.heat, kind="stable").tolist()
    places = tuple(Unusual(tuple(map(float, sight.place[i])), float(sight.heat[i])) for i in order)
    (label,) = model.words(np.array([sight.score]))
    return Reasons(label, sight.score, model.promise.threshold, model.normality.hot, model.modality, places)
