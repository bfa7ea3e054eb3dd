"""Which rows the page shows: those answered wrongly, grouped by what was taken for what, and those that are unsure."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handful.data.cells import defuse
from handful.data.image_text import IMAGE_TEXT
from handful.data.places import input_of, name_of
from handful.data.vectors import VECTORS
from handful.evaluation.scores import HeldOut
from handful.report import words
from handful.report.mistakes import Mistake, mistakes, unsure
from handful.report.shown import Doubt, doubt

if TYPE_CHECKING:
    from handful.export.bundle import Bundle
    from handful.run import Run

# So many rows are on the page, by modality: pictures and sounds lie in it as a whole.
_SHOWN = {"text": 40, "image": 24, "sound": 12, VECTORS: 40, IMAGE_TEXT: 24}
# Of one kind of mistake so many at most.
_OF_EACH = 8
# So many rows that were answered rightly but hardly are shown at most.
_UNSURE = 6
# The table of rows to take away ends after so many, and cuts each input there, so that the page stays small.
_TABLED, _CELL = 500, 2000


@dataclass(frozen=True)
class Group:
    """One kind of mistake, with those of its rows that are shown."""

    missed: tuple[str, ...]
    """The names that the source gives and the answers lack."""
    given: tuple[str, ...]
    """The names that the answers give and the source lacks."""
    count: int
    """How many rows it has."""
    doubts: tuple[Doubt, ...]
    """The rows that are shown, the most doubtful first."""


@dataclass(frozen=True)
class Doubtful:
    """What the page shows of rows."""

    groups: tuple[Group, ...]
    """Kinds of mistakes, that of most rows first; those that have no room for a row have none."""
    wrong: int
    """How many rows were answered wrongly."""
    unsure: tuple[Doubt, ...]
    """Rows that were answered rightly, but hardly."""
    table: str
    """Data URI of a CSV file with all wrong and unsure rows; empty where there are none."""
    tabled: int
    """How many rows that file has."""

    @property
    def all(self) -> list[Doubt]:
        """Every row that is shown."""
        return [*(doubt for group in self.groups for doubt in group.doubts), *self.unsure]


def doubtful(run: Run, model: Bundle) -> Doubtful:
    """The rows to look at.

    Args:
        run: what ``tune`` returned.
        model: of the run.
    """
    place = {row: position for position, row in enumerate(run.data.rows)}
    answers = [answer for answer in run.held_out if answer.row in place]
    kinds, hardly = mistakes(answers, run.data.task), unsure(answers, run.data.task, _UNSURE)
    left, groups = _SHOWN[run.data.modality], []
    for mistake in kinds:
        some = mistake.answers[: min(left, _OF_EACH)]
        left -= len(some)
        doubts = tuple(doubt(run, model, answer, place[answer.row]) for answer in some)
        groups.append(_group(mistake, doubts))
    tabled = [*(answer for mistake in kinds for answer in mistake.answers), *hardly][:_TABLED]
    return Doubtful(
        groups=tuple(groups),
        wrong=sum(len(mistake.answers) for mistake in kinds),
        unsure=tuple(doubt(run, model, answer, place[answer.row]) for answer in hardly[:left]),
        table=_table(run, tabled, place) if tabled else "",
        tabled=len(tabled),
    )


def _group(mistake: Mistake, doubts: tuple[Doubt, ...]) -> Group:
    missed, given = (tuple(map(words.printable, names)) for names in (mistake.missed, mistake.given))
    return Group(missed, given, len(mistake.answers), doubts)


def _table(run: Run, answers: Sequence[HeldOut], place: dict[int, int]) -> str:
    """A CSV file of rows as a data URI: no cell of it is a formula, and a spreadsheet knows that it is UTF-8."""
    file, beside = io.StringIO(newline=""), run.model.task.columns
    writer = csv.writer(file)
    writer.writerow(["where", "input", *map(defuse, run.model.columns), *beside])
    for answer in answers:
        item = run.data.items[place[answer.row]]
        where = name_of(item, answer.row, run.data.places, run.data.source)
        cells = (where, input_of(item, answer.row)[:_CELL], answer.label, answer.predicted)
        writer.writerow([*map(defuse, cells), *(answer.beside[column] for column in beside)])
    content = file.getvalue().encode("utf-8-sig", "replace")
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(content).decode()}"
