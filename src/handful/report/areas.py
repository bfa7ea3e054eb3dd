"""Masks, ready to be drawn: pictures, what is wanted, and what was answered while they were held out, side by side."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handful.data.images import thumbnail
from handful.data.pixel_sizes import png_of
from handful.errors import DataError
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale
from handful.report import words

if TYPE_CHECKING:
    from handful.run import Run

# Pixels of the longer side of a picture.
_SIDE = 320

# Colours that the colour-blind can tell (Okabe & Ito 2008), the first two as far apart as can be.
_COLOURS = (
    (0, 50, 90), (240, 228, 66), (86, 180, 233), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (0, 0, 0),
)  # fmt: skip
_WRONG, _RIGHT = (213, 94, 0), (235, 235, 235)


@dataclass(frozen=True)
class Shown:
    """One picture, what is wanted of it, what was answered, and where these differ."""

    name: str
    """The file, or what the row is called."""
    dice: str
    """How far the answer overlaps what is wanted."""
    pictures: tuple[tuple[str, str], ...]
    """What is shown, and its data URI."""
    problem: str = ""
    """Why the picture itself cannot be shown."""


def areas(run: Run) -> dict[str, Any]:
    """What the template of this part needs: pictures, the worst first, and the classes with their scores."""
    place = {row: i for i, row in enumerate(run.data.rows)}
    rows = [answer for answer in run.held_out if answer.row in run.answered]
    shown = [_shown(run, answer.row, place[answer.row], answer.own) for answer in sorted(rows, key=lambda one: one.own)]
    scale = Scale("dice")
    classes = [
        {
            "name": words.printable(one["name"]), "colour": _hex(c), "share": words.percent(one["share"]),
            "dice": _told(one["dice"], scale), "iou": _told(one["iou"], scale),
        }
        for c, one in enumerate(run.scores.details["masks"])
    ]  # fmt: skip
    return {"shown": shown, "classes": classes, "wrong_colour": "#{:02x}{:02x}{:02x}".format(*_WRONG)}


def _told(raw: dict[str, float], scale: Scale) -> str:
    estimate = Estimate(**raw)
    return f"{estimate.told(scale)} ({scale.between(estimate.low, estimate.high, 'to')})"


def _shown(run: Run, row: int, position: int, dice: float) -> Shown:
    answered = run.answered[row]
    pictures, problem = [], ""
    try:
        small = thumbnail(run.data.items[position], _SIDE)
        pictures.append(("picture", f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"))
    except (DataError, OSError) as error:  # the file may have gone since it was read
        problem = words.printable(str(error))
    differs = (answered.truth != answered.said)[..., None]
    wrong = np.where(differs, np.array(_WRONG, np.uint8), np.array(_RIGHT, np.uint8))
    pictures += [
        ("wanted", _uri(_coloured(answered.truth))),
        ("answered", _uri(_coloured(answered.said))),
        ("wrong", _uri(wrong.astype(np.uint8))),
    ]
    name = words.printable(run.data.called(position))
    return Shown(name, f"{100 * dice:.0f}", tuple(pictures), problem)


def _coloured(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array(_COLOURS, np.uint8)[classes % len(_COLOURS)]


def _uri(pixels: NDArray[np.uint8]) -> str:
    return f"data:image/png;base64,{base64.b64encode(png_of(pixels)).decode()}"


def _hex(c: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*_COLOURS[c % len(_COLOURS)])
