"""What is kept of an answer: who said what of which item, why it was asked, and what the model had thought."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handful.data.cells import is_missing
from handful.data.dataset import item_hash
from handful.data.pairs import Pair
from handful.errors import DataError, OptionError

LABEL, SKIP, UNSURE, UNDO = "label", "skip", "unsure", "undo"
ACTS = (LABEL, SKIP, UNSURE, UNDO)
"""What somebody can do: say what is right, pass on, say that it cannot be said, take an answer back."""

ASKED = ("typical", "informative", "control", "searched", "alike", "second look", "correction", "given")
"""Why somebody was asked: the item stands for many; the model learns most from it; drawn by chance, to measure with;
looked for; like one just answered; its label looked wrong; a served answer was wrong; it came with the pool."""


@dataclass(frozen=True)
class StoredItem:
    """An item that somebody was asked about, named by its content."""

    item: str
    """64 hexadecimal digits, see ``item_hash``."""
    modality: str
    """text, image or sound."""
    text: str | None = None
    """The text; the first of two."""
    second: str | None = None
    """The second of two texts."""
    file: str | None = None
    """The absolute path of the file of a picture or sound."""

    @classmethod
    def of(cls, item: Any, modality: str) -> StoredItem:
        """An item of a Dataset: a text, a pair of texts, or the path of a file.

        Args:
            item: what is kept.
            modality: text, image or sound.

        Raises:
            OSError: a file cannot be read.
            OptionError: it is something else, such as pixels; those are kept with ``AnswerStore.keep_bytes``.
        """
        if isinstance(item, Pair):
            return cls(item_hash(item), modality, item.first, item.second)
        if isinstance(item, str):
            return cls(item_hash(item), modality, item)
        if isinstance(item, Path):
            return cls(item_hash(item), modality, file=str(item.absolute()))
        raise OptionError(
            f"an item must be a text, two texts or the path of a file, got {type(item).__name__}. Save it as a file."
        )


@dataclass(frozen=True)
class Answer:
    """What one person did about one item; rows of a log that only grows."""

    item: str
    """The item, by its content."""
    act: str
    """One of ``ACTS``."""
    label: str | None = None
    """What is right, as a label column holds it: a class, labels joined by ``|``, a rating, a number."""
    person: str = ""
    """Who said it; empty where only one person does."""
    asked: str = "typical"
    """Why it was asked, one of ``ASKED``."""
    guess: str | None = None
    """What the model would have answered, had it been asked."""
    confidence: float | None = None
    """How sure the model was of its guess, from 0 to 1."""
    model: str | None = None
    """Which version of the model guessed."""
    undoes: str | None = None
    """The id of the answer that is taken back."""
    time: float = field(default_factory=time.time)
    """When, in seconds since 1970."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Made by whoever sends the answer: sent twice, it is kept once."""


def agreed_labels(standing: Sequence[Answer]) -> dict[str, str]:
    """Item → what most people say of it; where as many say different things, what was said last.

    Args:
        standing: answers that stand, in order, as ``AnswerStore.standing`` gives them.
    """
    said: dict[str, dict[str, int]] = {}
    for answer in standing:
        if answer.label is not None:
            votes = said.setdefault(answer.item, {})
            votes[answer.label] = votes.pop(answer.label, 0) + 1  # what was said last stands last
    return {item: max(reversed(votes), key=votes.__getitem__) for item, votes in said.items()}


def not_undone(log: Sequence[Answer]) -> list[Answer]:
    """The answers of a log, in order, without those that were taken back."""
    undone = {answer.undoes for answer in log if answer.act == UNDO}
    return [answer for answer in log if answer.act != UNDO and answer.id not in undone]


def check_answer(answer: Answer) -> None:
    """Refuse what no answer can be.

    Raises:
        DataError: it is none.
    """
    if answer.act not in ACTS:
        raise DataError(f"an act must be one of {', '.join(ACTS)}, got {answer.act!r}. Correct it.")
    if answer.asked not in ASKED:
        raise DataError(f"asked must be one of {', '.join(ASKED)}, got {answer.asked!r}. Correct it.")
    if (answer.act == LABEL) == is_missing(answer.label):
        must = "a text for a label, and for nothing else"
        raise DataError(f"the label of an answer must be {must}, got {answer.label!r} for {answer.act}. Correct it.")
