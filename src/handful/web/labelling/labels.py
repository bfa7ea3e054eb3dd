"""Which labels there are in a labelling, and what may be one: a class, several, a rating, a number, marked spans."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from handful.answer_store import AnswerStore
from handful.data.cells import label_text, shown
from handful.data.spans import Repairs, Span, labels_in_spans, marked, written
from handful.data.target_column import read_column
from handful.data.targets import (
    CLASSES,
    JOIN,
    LABELS,
    NO_LABEL,
    NUMBERS,
    RATINGS,
    SPANS,
    labels_in,
    names_in,
    number_of,
)
from handful.errors import DataError
from handful.web.questions import RefusedError

LONGEST = 100
"""Characters of a class at most."""
MOST = 1000
"""Classes at most."""


@dataclass(frozen=True)
class Labels:
    """The labels of one labelling."""

    store: AnswerStore
    """Where classes are kept."""
    task: str
    """What is wanted of an item, by its name."""

    @property
    def names(self) -> list[str]:
        """The classes, in the order in which they became known; ratings from low to high."""
        known = self.store.classes()
        numbers = [number_of(name) for name in known]
        if self.task == RATINGS and None not in numbers:
            return sorted(known, key=lambda name: number_of(name) or 0.0)
        return known

    def add(self, name: str) -> str:
        """Make a class known.

        Args:
            name: what it is called.

        Returns:
            The same as it is written everywhere.

        Raises:
            RefusedError: it cannot be one.
        """
        written = label_text(name)
        if self.task == NUMBERS:
            raise RefusedError("numbers are asked here, which have no classes. Type a number.", "name", 422)
        if not written or len(written) > LONGEST or JOIN in written or written == NO_LABEL or shown(written) != written:
            raise RefusedError(
                f'a class must have 1 to {LONGEST} characters, all of which can be seen, and no "{JOIN}", got '
                f"{shown(written)[:LONGEST]!r}. Choose another name.",
                "name", 422,
            )  # fmt: skip
        if self.task == RATINGS and number_of(written) is None:
            raise RefusedError(f"a rating must be a number, got {written!r}. Type one such as 3.", "name", 422)
        if written not in self.store.classes() and len(self.store.classes()) >= MOST:
            raise RefusedError(f"there can be {MOST:,} classes at most. Use one of them.", "name", 422)
        self.store.add_class(written)
        return written

    def given(self, label: str, item: Any) -> str:
        """A label that came with the pool, as it is written; its classes become known.

        Args:
            label: of a Dataset, or as ``checked`` takes it.
            item: what it is the label of.

        Raises:
            RefusedError: it cannot be one.
        """
        if self.task == SPANS:
            for *_, name in _spans_in(label):
                self.add(name)
            return self.checked(label, item)
        [cell] = read_column([label], "label", self.task).cells
        if self.task == NUMBERS:
            return self.checked(cell, item)
        for name in self.parts(cell):
            self.add(name)
        return cell

    def checked(self, label: str | None, item: Any) -> str:
        """A label as it is kept.

        Args:
            label: what was said; spans as a list of start, end and class in JSON.
            item: what it is the label of.

        Raises:
            RefusedError: it is none of those that are known, or marks what is not in the text.
        """
        text = label_text(label)
        if self.task == SPANS:
            return self._spans(text, str(item))
        if self.task == NUMBERS:
            if number_of(text) is None:
                raise RefusedError(f"label must be a number, got {shown(text)[:LONGEST]!r}. Type one.", "label", 422)
            return text
        if not text:
            raise self._no_class(text)
        self._known(self.parts(text))
        return text

    def _spans(self, label: str, text: str) -> str:
        """Spans on whole words of a text."""
        spans = _spans_in(label)
        self._known([name for *_, name in spans])
        outside = next(((a, b) for a, b, _ in spans if not 0 <= a < b <= len(text)), None)
        if outside is not None:
            raise RefusedError(
                f"a mark must lie within its text of {len(text)} characters, got {outside[0]} to {outside[1]}. Mark it "
                "again.", "label", 422,
            )  # fmt: skip
        repairs = Repairs()
        placed = marked(text, spans, repairs).spans
        if repairs.dropped:
            raise RefusedError(
                "marks must hold a word at least and lie beside each other, got some that do not. Mark it again.",
                "label", 422,
            )  # fmt: skip
        return written(placed)

    def _known(self, names: Iterable[str]) -> None:
        """Refuse a class that nobody made.

        Raises:
            RefusedError: there is one.
        """
        known = set(self.store.classes())
        strange = next((name for name in names if name not in known), None)
        if strange is not None:
            raise self._no_class(strange)

    def _no_class(self, name: str) -> RefusedError:
        return RefusedError(
            f"label must be one of the classes, got {shown(name)[:LONGEST]!r}. Make the class first.", "label", 422
        )

    def learned(self, label: str, item: Any) -> str:
        """A label that is kept, as a learner reads it."""
        return marked(str(item), labels_in_spans(label), Repairs()).cell if self.task == SPANS else label

    def parts(self, text: str) -> tuple[str, ...]:
        """The classes that one label names; of a number, itself."""
        if self.task == SPANS:
            return names_in(text, SPANS)
        return labels_in(text) if self.task == LABELS else (text,)

    @property
    def kind(self) -> str:
        """How the page asks: for ``one`` of the classes, ``several`` of them, a ``number``, or ``spans``."""
        return {CLASSES: "one", RATINGS: "one", LABELS: "several", NUMBERS: "number", SPANS: "spans"}[self.task]


def _spans_in(label: str) -> list[Span]:
    """The spans that a label says.

    Raises:
        RefusedError: it says none.
    """
    try:
        return labels_in_spans(label)
    except DataError as error:
        what = "a list of start, end and class of each marked stretch"
        raise RefusedError(f"label must be {what}, got {shown(label)[:LONGEST]!r}.", "label", 422) from error
