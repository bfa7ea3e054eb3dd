"""Which labels there are in a labelling, and what may be one: a class, several labels, a rating, a number."""

from __future__ import annotations

from dataclasses import dataclass

from handful.answer_store import AnswerStore
from handful.data.cells import label_text, shown
from handful.data.target_column import read_column
from handful.data.targets import CLASSES, JOIN, LABELS, NO_LABEL, NUMBERS, RATINGS, labels_in, number_of
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

    def given(self, label: str) -> str:
        """A label that came with the pool, as it is written; its classes become known.

        Raises:
            RefusedError: it cannot be one.
        """
        [cell] = read_column([label], "label", self.task).cells
        if self.task == NUMBERS:
            return self.checked(cell)
        for name in self.parts(cell):
            self.add(name)
        return cell

    def checked(self, label: str | None) -> str:
        """A label as it is kept.

        Raises:
            RefusedError: it is none of those that are known.
        """
        text = label_text(label)
        if self.task == NUMBERS:
            if number_of(text) is None:
                raise RefusedError(f"label must be a number, got {shown(text)[:LONGEST]!r}. Type one.", "label", 422)
            return text
        known = set(self.store.classes())
        if not text or not set(self.parts(text)) <= known:
            raise RefusedError(
                f"label must be one of the classes, got {shown(text)[:LONGEST]!r}. Make the class first.", "label", 422
            )
        return text

    def parts(self, text: str) -> tuple[str, ...]:
        """The classes that one label names; of a number, itself."""
        return labels_in(text) if self.task == LABELS else (text,)

    @property
    def kind(self) -> str:
        """How the page asks: ``one`` of the classes, ``several`` of them, or a ``number``."""
        return {CLASSES: "one", RATINGS: "one", LABELS: "several", NUMBERS: "number"}[self.task]
