"""The rows that the model doubts most, made visible: a text, a thumbnail, or a waveform that can be played."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful.errors import DataError
from handful.evaluation.scores import HeldOut, most_doubtful
from handful.explanation import DOUBTFUL
from handful.files import read_ordinary
from handful.report import words
from handful.report.marks import Marked, marked

if TYPE_CHECKING:
    from handful.export.bundle import Bundle
    from handful.run import Run

# Pixels of the longer side: twice what the page shows, for sharp screens.
_SIDE = 360
# Stretches of a waveform.
_STRETCHES = 160
# Texts up to this many characters are shown whole; of longer ones the rest is folded away.
_FOLDED = 320
# A page of ten books would not open on a phone.
_LONGEST = 5000
# A sound file up to this many bytes is put into the page, so that it can be heard.
_AUDIBLE = 200_000
# How many rows that are most like a doubtful one are named, and how much of each.
_ALIKE = 2
_QUOTED = 70
# Below this confidence an answer is called unsure.
_SURE = 0.6
# What browsers play, by suffix.
_PLAYED = {
    ".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".oga": "audio/ogg",
    ".opus": "audio/ogg",
}  # fmt: skip


@dataclass(frozen=True)
class Doubt:
    """One training row with what the source and the model say about it."""

    answer: HeldOut
    """The out-of-fold answer."""
    name: str
    """The file, or the number of the row."""
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
    alike: tuple[tuple[str, str], ...] = ()
    """The rows most like it: the text, shortened, or the file name, and the label."""
    marked: Marked | None = None
    """Which parts carry the answer; None where that was not asked."""
    shape: tuple[int, int] = (1, 1)
    """Width and height of the thumbnail, in pixels."""

    @property
    def interval(self) -> str:
        """Where a number may lie, in words; empty for answers that have names."""
        low, high = (self.answer.beside.get(end, "") for end in ("low", "high"))
        return f"{low} to {high}" if low and high else ""

    @property
    def disagrees(self) -> bool:
        """Whether the model says another class than the source."""
        return self.answer.predicted != self.answer.label

    @property
    def unsure(self) -> bool:
        """Whether the model agrees with the source, but is not far from another answer."""
        return not self.disagrees and self.answer.confidence < _SURE


def doubtful(run: Run, model: Bundle) -> list[Doubt]:
    """The ten rows whose own label the model finds least probable, the most doubtful first."""
    place = {row: position for position, row in enumerate(run.data.rows)}
    worst = most_doubtful(run.held_out, DOUBTFUL)
    return [_doubt(run, model, answer, place[answer.row]) for answer in worst if answer.row in place]


def name_of(item: Any, row: int, source: str) -> str:
    """How the reader finds a row: the file below the source, or the number of the row."""
    if not isinstance(item, Path):
        return f"row {row}"
    inside = item.is_relative_to(source)
    return str(item.relative_to(source)) if inside else item.name


def _doubt(run: Run, model: Bundle, answer: HeldOut, position: int) -> Doubt:
    item = run.data.items[position]
    name = words.printable(name_of(item, answer.row, run.data.source))
    try:
        shown, marks = _shown(item, run.data.modality), marked(run.explained.get(answer.row), run.data.modality)
        return Doubt(answer, name, **shown, alike=_alike(run, model, position), marked=marks)
    except (DataError, OSError) as error:  # the file may have gone since it was read
        return Doubt(answer, name, problem=words.printable(str(error)))


def _alike(run: Run, model: Bundle, position: int) -> tuple[tuple[str, str], ...]:
    reference, labels = model.reference, run.data.labels
    if reference is None or labels is None:
        return ()
    found = []
    for near in reference.nearest(position, _ALIKE):
        item = run.data.items[near]
        shown = name_of(item, run.data.rows[near], run.data.source)
        text = f"“{words.shortened(item, _QUOTED)}”" if isinstance(item, str) else shown
        found.append((words.printable(text), words.printable(labels[near])))
    return tuple(found)


def _shown(item: Any, modality: str) -> dict[str, Any]:
    if modality == "text":
        return _text(words.printable(item))
    if modality == "image":
        from handful.data.images import size_of, thumbnail

        small = thumbnail(item, _SIDE)
        return {"picture": _uri("image/jpeg", small), "shape": size_of(small)}
    from handful.data.sounds import duration, waveform

    return {"wave": outline(waveform(item, _STRETCHES)), "sound": _playable(item), "seconds": duration(item)}


def _text(text: str) -> dict[str, str]:
    if len(text) <= _FOLDED:
        return {"text": text}
    left_out = len(text) - _LONGEST
    whole = text if left_out <= 0 else f"{text[:_LONGEST]}… ({left_out:,} more characters)"
    return {"text": words.shortened(text, _FOLDED), "rest": whole}


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


def _playable(item: Any) -> str:
    kind = _PLAYED.get(item.suffix.lower()) if isinstance(item, Path) else None
    if kind is None or item.stat().st_size > _AUDIBLE:
        return ""
    return _uri(kind, read_ordinary(item, _AUDIBLE))


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
