"""Rows made visible: a text, a thumbnail, or a waveform that can be played, with what the model says of each."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful.data.image_text import ImageText
from handful.data.kept import KeptItem
from handful.data.places import name_of
from handful.data.targets import EVENTS, SPANS
from handful.data.vectors import Vector
from handful.errors import DataError
from handful.evaluation.scores import HeldOut
from handful.files import read_ordinary
from handful.report import words
from handful.report.marks import Marked, marked
from handful.report.span_marks import Piece, pieces
from handful.report.track_marks import Lane, lanes

if TYPE_CHECKING:
    from handful.export.bundle import Bundle
    from handful.run import Run

# Pixels of the longer side of a picture that can be enlarged, and of one that is only like another.
_SIDE, _SIDE_ALIKE = 480, 160
# Stretches of a waveform.
_STRETCHES = 160
# Texts up to this many characters are shown whole; of longer ones the rest is folded away.
_FOLDED = 320
# The same of a text below its picture.
_BESIDE = 80
# A page of ten books would not open on a phone.
_LONGEST = 5000
# A sound file up to this many bytes is put into the page, so that it can be heard.
_AUDIBLE = 200_000
# The same for sounds that are only like another.
_AUDIBLE_ALIKE = 60_000
# How many rows that are most like a doubtful one are named, and how much of each.
_ALIKE = 2
_QUOTED = 70
# What browsers play, by suffix.
_PLAYED = {
    ".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".oga": "audio/ogg",
    ".opus": "audio/ogg",
}  # fmt: skip


@dataclass(frozen=True)
class Alike:
    """A training row that is like another one."""

    name: str
    """The text, shortened; of other items the file, or what the row is called."""
    label: str
    """What the source says."""
    picture: str = ""
    """Data URI of a small copy."""
    sound: str = ""
    """Data URI of a sound that a browser can play."""


@dataclass(frozen=True)
class Doubt:
    """One training row with what the source and the model say about it."""

    answer: HeldOut
    """The out-of-fold answer."""
    name: str
    """The file, or what the row is called."""
    text: str = ""
    """The text, shortened."""
    rest: str = ""
    """What the shortening left out, as a whole text; empty where nothing was."""
    picture: str = ""
    """Data URI of a thumbnail."""
    wave: str = ""
    """Points of the outline of a sound, for a box of 160 by 2."""
    sound: str = ""
    """Data URI of a sound that a browser can play."""
    seconds: float = 0.0
    """How long a sound is."""
    problem: str = ""
    """Why the item cannot be shown."""
    alike: tuple[Alike, ...] = ()
    """The rows most like it."""
    marked: Marked | None = None
    """Which parts carry the answer; None where that was not asked."""
    shape: tuple[int, int] = (1, 1)
    """Width and height of the thumbnail, in pixels."""
    pieces: tuple[Piece, ...] = ()
    """Of a text whose parts are answered, what is wanted and answered in it; empty for others."""
    lanes: tuple[Lane, ...] = ()
    """The same of a recording."""

    @property
    def interval(self) -> str:
        """Where a number may lie, in words; empty for answers that have names."""
        low, high = (self.answer.beside.get(end, "") for end in ("low", "high"))
        return f"{low} to {high}" if low and high else ""


def doubt(run: Run, model: Bundle, answer: HeldOut, position: int) -> Doubt:
    """Make a row visible.

    Args:
        run: what ``tune`` returned.
        model: of the run.
        answer: what was answered to the row while it was held out.
        position: of the row in the data of the run.
    """
    item = run.data.items[position]
    name = words.printable(name_of(item, answer.row, run.data.places, run.data.source))
    try:
        shown, marks = _shown(item, run.data.modality), marked(run.explained.get(answer.row), run.data.modality)
        drawn = pieces(item[:_LONGEST], answer.label, answer.predicted) if run.data.task == SPANS else ()
        tracks = lanes(shown["seconds"], answer.label, answer.predicted) if run.data.task == EVENTS else ()
        alike = () if tracks else _alike(run, model, position)  # what is alike as a whole says nothing of moments
        return Doubt(answer, name, **shown, alike=alike, marked=marks, pieces=drawn, lanes=tracks)
    except (DataError, OSError) as error:  # the file may have gone since it was read
        return Doubt(answer, name, problem=words.printable(str(error)))


def _alike(run: Run, model: Bundle, position: int) -> tuple[Alike, ...]:
    reference, labels = model.reference, run.data.labels
    if reference is None or labels is None:
        return ()
    return tuple(_like(run, near, labels[near]) for near in reference.nearest(position, _ALIKE))


def _like(run: Run, position: int, label: str) -> Alike:
    item, label = run.data.items[position], words.printable(label)
    name = name_of(item, run.data.rows[position], run.data.places, run.data.source)
    if isinstance(item, str):
        return Alike(words.printable(f"“{words.shortened(item, _QUOTED)}”"), label)
    if isinstance(item, ImageText):
        name = f"“{words.shortened(item.text, _QUOTED)}”"
        return Alike(words.printable(name), label, _picture(item.image, _SIDE_ALIKE)["picture"])
    picture = _picture(item, _SIDE_ALIKE)["picture"] if run.data.modality == "image" else ""
    sound = _playable(item, _AUDIBLE_ALIKE) if run.data.modality == "sound" else ""
    return Alike(words.printable(name), label, picture, sound)


def _shown(item: Any, modality: str) -> dict[str, Any]:
    if modality == "text":
        return _text(words.printable(item))
    if isinstance(item, Vector):
        return {"text": words.printable(item.begins)}
    if isinstance(item, ImageText):
        return _picture(item.image, _SIDE) | _text(words.printable(item.text), _BESIDE)
    if isinstance(item, KeptItem):
        raise DataError("The file is not at hand any more: what was seen in it is kept, and nothing to show.")
    if modality == "image":
        return _picture(item, _SIDE)
    from handful.data.sounds import duration, waveform

    return {"wave": outline(waveform(item, _STRETCHES)), "sound": _playable(item, _AUDIBLE), "seconds": duration(item)}


def _picture(item: Any, side: int) -> dict[str, Any]:
    from handful.data.images import size_of, thumbnail

    small = thumbnail(item, side)
    return {"picture": _uri("image/jpeg", small), "shape": size_of(small)}


def _text(text: str, most: int = _FOLDED) -> dict[str, str]:
    if len(text) <= most:
        return {"text": text}
    left_out = len(text) - _LONGEST
    whole = text if left_out <= 0 else f"{text[:_LONGEST]}… ({left_out:,} more characters)"
    return {"text": words.shortened(text, most), "rest": whole}


def outline(wave: np.ndarray) -> str:
    """The points of a polygon around a waveform.

    Args:
        wave: (points, 2) lowest and highest sample of each stretch.

    Returns:
        ``x,y`` pairs in a box of ``points`` by 2, the loudest sample at its edge, silence a thin line in the middle.
    """
    loudest = max(float(np.abs(wave).max()), 1e-6)
    low, high = (np.clip(wave / loudest, -1, 1) * [0.98, 0.98]).T
    thick = 0.02  # so that silence is a line, not nothing
    top = [f"{x},{1 - max(y, thick):.2f}" for x, y in enumerate(high.tolist())]
    bottom = [f"{x},{1 - min(y, -thick):.2f}" for x, y in enumerate(low.tolist())]
    return " ".join([*top, *reversed(bottom)])


def _playable(item: Any, most: int) -> str:
    kind = _PLAYED.get(item.suffix.lower()) if isinstance(item, Path) else None
    if kind is None or item.stat().st_size > most:
        return ""
    return _uri(kind, read_ordinary(item, most))


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
