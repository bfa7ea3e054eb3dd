"""What a detector sees, ready to be drawn: bad items that look most normal, normal ones that look most unusual."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handful.data.heat import heat_map
from handful.errors import DataError
from handful.evaluation.scores import HeldOut
from handful.export.detector import Detector, Seen
from handful.report import words
from handful.tasks.defects.words import advice

if TYPE_CHECKING:
    from handful.run import Run

# Pixels of the longer side of a heat map.
_SIDE = 480
# Letters of a text that are shown.
_LONGEST = 600


@dataclass(frozen=True)
class Unusual:
    """One row, and what is unusual in it."""

    name: str
    """The file, or what the row is called."""
    label: str
    """What the source says that it is."""
    predicted: str
    """What it is called."""
    score: str
    """How unusual it is."""
    wrong: bool
    """Whether these two differ."""
    picture: str = ""
    """Data URI of its heat map."""
    text: str = ""
    """The text, shortened; of a sound where it is most unusual."""
    problem: str = ""
    """Why it cannot be shown."""


def unusual(run: Run) -> dict[str, Any]:
    """What the template of this part needs: rows of bad items, rows of normal ones, and what to try."""
    model = run.model
    assert isinstance(model, Detector)
    place = {row: i for i, row in enumerate(run.data.rows)}
    rows = [_row(run, model, answer, place[answer.row]) for answer in run.held_out if answer.row in run.seen]
    rows.sort(key=lambda row: float(row.score))
    bad = [row for row in rows if row.label != model.names[0]]
    normal = [row for row in reversed(rows) if row.label == model.names[0]]
    return {
        "bad_rows": bad,
        "normal_rows": normal,
        "threshold": f"{model.promise.threshold:.2f}",
        "to_try": advice(model.promise, model.modality),
    }


def _row(run: Run, model: Detector, answer: HeldOut, position: int) -> Unusual:
    item, sight = run.data.items[position], run.seen[answer.row]
    name, score = words.printable(run.data.called(position)), f"{sight.score:.2f}"
    label, said = words.printable(answer.label), words.printable(answer.predicted)
    made = Unusual(name, label, said, score, answer.label != answer.predicted)
    if model.modality == "text":
        return Unusual(*_known(made), text=words.printable(words.shortened(item, _LONGEST)))
    if model.modality == "sound":
        return Unusual(*_known(made), text=_when(sight))
    try:
        drawn = heat_map(item, sight.heat, sight.place, model.normality.hot, _SIDE)
    except (DataError, OSError) as error:  # the file may have gone since it was read
        return Unusual(*_known(made), problem=words.printable(str(error)))
    return Unusual(*_known(made), picture=f"data:image/jpeg;base64,{base64.b64encode(drawn).decode()}")


def _known(made: Unusual) -> tuple[str, str, str, str, bool]:
    return made.name, made.label, made.predicted, made.score, made.wrong


def _when(seen: Seen) -> str:
    """Where a sound is most unusual."""
    start, end = seen.place[int(np.argmax(seen.heat))].tolist()
    return f"most unusual from {start:.1f} to {end:.1f} s"
