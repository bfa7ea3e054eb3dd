"""Marks: which words, fields or seconds of a doubtful row carry its answer, ready to be drawn on it."""

from __future__ import annotations

from dataclasses import dataclass

from handful.explanation import Carried, Explanation
from handful.report import words
from handful.tasks.base import HeadTask

# Parts that move the probability by fewer points than this are not marked: they would be noise.
_LEAST = 2
# So many fields of a picture, or stretches of a sound, are marked at most; more would hide what is under them.
_MOST = 4


@dataclass(frozen=True)
class Mark:
    """A part of an item, with what it does for the answer."""

    text: str
    """The words; empty for a field or a stretch."""
    points: int
    """By how many points what speaks for the answer falls without the part; 0: not worth a mark."""
    strength: float
    """The same as a share of the strongest part, 0 to 1."""
    start: tuple[float, ...]
    """Where it begins, as a share of the whole: across and down for pictures, along otherwise."""
    end: tuple[float, ...]
    """Where it ends."""
    fall: str
    """The fall with its sign, in points of 100 or in the unit of the answer."""

    @property
    def side(self) -> str:
        """Whether the part speaks for the answer or against it."""
        return "for" if self.points > 0 else "against"


@dataclass(frozen=True)
class Marked:
    """An item with its marks."""

    label: str
    """The class that the marks speak for."""
    marks: tuple[Mark, ...]
    """Of a text all parts, in their order; of pictures and sounds the strongest ones."""
    confidence: float
    """The probability that the saved model gives the class."""

    @property
    def unlearned(self) -> bool:
        """Whether nothing is marked because the saved model, which has seen the row since, answers another class."""
        return not self.strong and self.confidence < 0.5

    @property
    def sides(self) -> str:
        """Whether the marks speak for the class, against it, or both."""
        return " and ".join(side for side in ("for", "against") if any(mark.side == side for mark in self.strong))

    @property
    def strong(self) -> list[Mark]:
        """The parts that are worth a mark, the strongest first."""
        return sorted((mark for mark in self.marks if mark.points), key=lambda mark: -mark.strength)


def marked(explanation: Explanation | None, modality: str) -> Marked | None:
    """The marks of an explained row; None for a row that was not explained, or that is one part."""
    if explanation is None or not explanation.parts:
        return None
    strongest = max(abs(part.weight) for part in explanation.parts)
    marks = [_mark(part, strongest, explanation.task) for part in explanation.parts]
    if modality != "text":
        marks = sorted((mark for mark in marks if mark.points), key=lambda mark: -mark.strength)[:_MOST]
    return Marked(words.printable(explanation.label), tuple(sorted(marks, key=_place)), explanation.confidence)


def _mark(part: Carried, strongest: float, task: HeadTask) -> Mark:
    points = round(part.weight / task.point)
    strong = abs(points) >= _LEAST
    share = abs(part.weight) / strongest if strong else 0.0
    text = words.printable(part.part.name)
    fall = task.told_mark(part.weight).replace("-", "\N{MINUS SIGN}")
    return Mark(text, points if strong else 0, round(share, 2), part.part.start, part.part.end, fall)


def _place(mark: Mark) -> tuple[float, ...]:
    return mark.start[::-1]  # pictures row by row
