"""Mistakes: wrong answers to rows that were held out, grouped by what was taken for what, the largest group first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handful.data.targets import missed_and_given, names_in
from handful.evaluation.scores import HeldOut, most_doubtful

# Numbers are hardly ever answered exactly: so many of those that are furthest off are told.
_FURTHEST = 8

# Below this confidence an answer is called unsure.
_SURE = 0.6


@dataclass(frozen=True)
class Mistake:
    """Rows that were answered wrongly in the same way."""

    missed: tuple[str, ...]
    """The names that the source gives and the answers lack."""
    given: tuple[str, ...]
    """The names that the answers give and the source lacks."""
    answers: tuple[HeldOut, ...]
    """Of the rows, the most doubtful first."""

    @property
    def sentence(self) -> str:
        """What was taken for what: ``billing taken for login``; of numbers, ``furthest off``."""
        if self.missed and self.given:
            return f"{' and '.join(self.missed)} taken for {' and '.join(self.given)}"
        if self.missed:
            return f"{' and '.join(self.missed)} missed"
        return f"{' and '.join(self.given)} answered where it is not" if self.given else "furthest off"


def mistakes(answers: Sequence[HeldOut], task: str) -> list[Mistake]:
    """The wrong answers to rows that were held out, grouped.

    Args:
        answers: to N rows while they were held out.
        task: what the labels are, by the name of the task.

    Returns:
        The groups, those of most rows first, and of equally many rows in the order of their names; of numbers one group
        with those that are furthest off.
    """
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[HeldOut]] = {}
    for answer in most_doubtful(answers, len(answers)):
        own = names_in(answer.label, task)
        missed, added = missed_and_given(answer.label, answer.predicted, task)
        if answer.label != answer.predicted and (missed or added or not own):
            groups.setdefault((missed, added), []).append(answer)
    kinds = [Mistake(missed, added, tuple(rows)) for (missed, added), rows in groups.items()]
    if any(not mistake.missed and not mistake.given for mistake in kinds):  # numbers
        return [Mistake((), (), kinds[0].answers[:_FURTHEST])]
    return sorted(kinds, key=lambda mistake: (-len(mistake.answers), mistake.sentence))


def unsure(answers: Sequence[HeldOut], task: str, most: int) -> list[HeldOut]:
    """The rows that were answered rightly, but hardly more surely than another answer; the least sure first."""
    right = [answer for answer in answers if answer.label == answer.predicted and names_in(answer.label, task)]
    return [answer for answer in most_doubtful(right, most) if answer.confidence < _SURE]
