"""Boxes, ready to be drawn: pictures with what is marked in them, and what was answered while they were held out."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handful.data.boxes import Box
from handful.data.images import thumbnail
from handful.errors import DataError
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale
from handful.report import words
from handful.tasks.boxes import BOXES

if TYPE_CHECKING:
    from handful.run import Run

# Pixels of the longer side of a picture.
_SIDE = 640


@dataclass(frozen=True)
class Frame:
    """A box as it is drawn, in pixels of the whole picture."""

    left: float
    """Its first column."""
    top: float
    """Its first row."""
    width: float
    """Columns."""
    height: float
    """Rows."""
    label: str
    """What is in it."""
    kind: str
    """``marked``, ``right`` or ``wrong``."""


@dataclass(frozen=True)
class Shown:
    """One picture with its boxes."""

    name: str
    """The file, or what the row is called."""
    marked: str
    """How many things of each label are marked in it."""
    answered: str
    """How many were answered."""
    right: str
    """How many of these are right."""
    width: int
    """Of the picture, in pixels."""
    height: int
    """The same."""
    frames: tuple[Frame, ...]
    """Marked ones first, since they are drawn below."""
    picture: str = ""
    """Its data URI; empty where it cannot be shown."""
    problem: str = ""
    """Why it cannot be shown."""


def boxed(run: Run) -> dict[str, Any]:
    """What the template of this part needs: pictures, the worst first, and the labels with their scores."""
    place = {row: i for i, row in enumerate(run.data.rows)}
    rows = sorted((answer for answer in run.held_out if answer.row in run.boxed), key=lambda one: (one.own, one.row))
    shown = [_shown(run, place[one.row], one.row, one.label, one.predicted, one.beside["right"]) for one in rows]
    labels = [
        {
            "name": words.printable(one["name"]), "wanted": one["wanted"], "answered": one["answered"],
            "right": one["right"], **{name: _told(one[name], metric.scale) for name, metric in BOXES.metrics.items()},
        }
        for one in run.scores.details["boxes"]
    ]  # fmt: skip
    return {"shown": shown, "box_labels": labels}


def _told(raw: dict[str, float], scale: Scale) -> str:
    estimate = Estimate(**raw)
    return f"{estimate.figure(scale)} ({scale.figure(estimate.low)} to {scale.figure(estimate.high)})"


def _shown(run: Run, position: int, row: int, marked: str, answered: str, right: str) -> Shown:
    drawn, picture, problem = run.boxed[row], "", ""
    try:
        small = thumbnail(run.data.items[position], _SIDE)
        picture = f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"
    except (DataError, OSError) as error:  # the file may have gone since it was read
        problem = words.printable(str(error))
    frames = [_frame(box, "marked") for box in drawn.wanted]
    frames += [_frame(box, "right" if fine else "wrong") for box, fine in zip(drawn.said, drawn.right, strict=True)]
    return Shown(
        words.printable(run.data.called(position)), words.printable(marked), words.printable(answered), right,
        drawn.width, drawn.height, tuple(frames), picture, problem,
    )  # fmt: skip


def _frame(box: Box, kind: str) -> Frame:
    width, height = round(box.right - box.left, 1), round(box.bottom - box.top, 1)
    return Frame(round(box.left, 1), round(box.top, 1), width, height, words.printable(box.label), kind)
