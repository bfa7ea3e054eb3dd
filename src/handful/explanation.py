"""Occlusion attribution: which words, fields or seconds of an item an answer hangs on, and which rows are like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.data.costs import affordable
from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT
from handful.data.items import make_items
from handful.data.names import listed
from handful.data.occlusion import PARTS, Part, covered
from handful.data.vectors import VECTORS
from handful.errors import DataError, OptionError, suggestion
from handful.evaluation.scores import HeldOut, most_doubtful
from handful.export.bundle import Bundle
from handful.export.reference import Near
from handful.keywords import known_keywords
from handful.tasks.base import HeadTask
from handful.tasks.classification import CLASSIFICATION

NEAREST = 3
"""How many training rows like an item are named."""

DOUBTFUL = 10
"""How many of the most doubtful rows are explained in the report."""

# Into how many parts these are cut: fewer than one item alone, since all of it should cost seconds.
_CUT = {"text": 20, "image": 16, "sound": 12}

# How many parts of an item are told on a terminal.
_SHOWN = 10


@dataclass(frozen=True)
class Carried:
    """A part of an item, and what it does for the answer."""

    part: Part
    """Which part."""
    weight: float
    """By how much what speaks for the answer (its probability; of a number, the number) falls when the part is hidden;
    below 0: it speaks against the answer."""

    def record(self) -> dict[str, Any]:
        """The part as plain values."""
        return {"part": self.part.name, "start": self.part.start, "end": self.part.end, "weight": round(self.weight, 6)}


@dataclass(frozen=True)
class Explanation:
    """An answer, and what it hangs on."""

    label: str
    """The answer that is explained."""
    confidence: float
    """What speaks for it in the whole item: its probability; of a number, the number."""
    parts: tuple[Carried, ...]
    """The parts, heaviest first; empty for an item that cannot be cut."""
    alike: tuple[Near, ...] = ()
    """The training rows most like the item, the most similar first; empty where the model does not keep them."""
    task: HeadTask = CLASSIFICATION
    """What was answered."""

    def as_dict(self) -> dict[str, Any]:
        """The explanation as plain values."""
        parts, alike = ([one.record() for one in some] for some in (self.parts, self.alike))
        return {"label": self.label, "confidence": self.confidence, "parts": parts, "alike": alike}

    def lines(self, inputs: Mapping[int, str]) -> list[str]:
        """The explanation as lines for a terminal: the heaviest parts, and the rows that are alike.

        Args:
            inputs: position in the source → text or file name, as far as known.
        """
        parts = [f"{self.task.told_support(-one.weight)} without: {one.part.name}" for one in self.parts[:_SHOWN]]
        alike = [f"{row.similarity:6.2f} alike: {row.told(inputs)}" for row in self.alike]
        return [self.task.told_answer(self.label, self.confidence), *parts, *alike]


@known_keywords
def explain(model: Bundle, item: Any, label: str | None = None, most: int = PARTS) -> Explanation:
    """Hide one part of an item after the other, and see how the answer changes (Zeiler & Fergus 2014, section 4.2).

    Parts that say the same twice each look dispensable, so small weights do not show that a part is not looked at.
    Training rows like the item are found by what the frozen model sees, among those that a bundle keeps (all, or 500
    spread over them).

    Args:
        model: a fitted model.
        item: a text, picture or sound, or the name of a file.
        label: the class to explain; the most probable one by default.
        most: into how many parts the item is cut at most; each costs one pass of the model.

    Returns:
        The class, its probability, the parts by weight, and the training rows nearest to the item.

    Raises:
        DataError: the item cannot be read.
        OptionError: the model knows no such class.
    """
    if model.task.grain:
        raise OptionError(
            f"explain hides parts of an item and sees how one answer to all of it changes, got {model.task.name}, "
            "which answers each part. Look at the spans and their confidence instead."
        )
    if model.modality == VECTORS:
        raise OptionError(
            "explain hides parts of an item and sees how its answer changes, got a model of vectors, whose numbers "
            "mean what the program that made them says. Look at the rows in its report instead."
        )
    if model.modality == IMAGE_TEXT:
        raise OptionError(
            "explain hides parts of one text, picture or sound, got a model of images with texts. Tune with one of the "
            "two columns to see what its answers hang on."
        )
    if label is not None and not model.task.can_answer(label, model.labels):
        must = (
            f"a class of the model ({listed(model.labels)})" if model.labels else "left out where numbers are answered"
        )
        raise OptionError(f"label must be {must}, got {label!r}.{suggestion(label, model.labels) or ' Leave it out.'}")
    (value,), failed = make_items([item], model.modality, None)
    if failed:
        raise DataError(f"{item} cannot be read: {failed[0]}.")
    return explain_all(model, [value], [label], most)[0]


def explain_all(
    model: Bundle, items: Sequence[Any], labels: Sequence[str | None], most: int = PARTS
) -> list[Explanation]:
    """Explain the answers to several items, all copies of all items in one go.

    Args:
        model: a fitted model.
        items: N items as a Dataset holds them.
        labels: the class to explain for each; None for the most probable one.
        most: into how many parts an item is cut at most.

    Returns:
        N explanations.

    Raises:
        DataError: an item cannot be read.
    """
    if not items:
        return []
    cut = [covered(item, model.modality, most) for item in items]
    outputs = model.outputs([*items, *(copy for _, copies in cut for copy in copies)])  # (N + copies, K)
    answered, task = model.task.words(outputs[: len(items)], model.labels), model.task
    alike, at, found = _alike(model, items), len(items), []
    for i, (label, (parts, copies)) in enumerate(zip(labels, cut, strict=True)):
        answer = answered[i] if label is None else label
        whole, hidden = (task.support(outputs[rows], answer, model.labels) for rows in (i, slice(at, at + len(copies))))
        falls = whole - hidden
        at += len(copies)
        carried = tuple(Carried(parts[j], float(falls[j])) for j in np.argsort(-falls, kind="stable").tolist())
        found.append(Explanation(answer, float(whole), carried, alike[i], task))
    return found


def _alike(model: Bundle, items: Sequence[Any]) -> list[tuple[Near, ...]]:
    if model.reference is None:
        return [()] * len(items)
    near = model.reference.like(model.judge(items).features, NEAREST)
    return [tuple(rows) for rows in near]


def explain_doubtful(model: Bundle, data: Dataset, answers: Sequence[HeldOut]) -> dict[int, Explanation]:
    """What carries the answers to the rows that the model doubts most, as far as that costs seconds.

    What is explained is the class that was answered while the row was held out, by the model that is saved: it has
    learned from the row since, so that its own answer may be another one by now.

    Args:
        model: what is saved.
        data: N rows that it learned from.
        answers: N out-of-fold answers.

    Returns:
        Row in the source → its explanation; rows that cannot be read any more are left out.
    """
    place, most = {row: position for position, row in enumerate(data.rows)}, _CUT[data.modality]
    wanted = [answer for answer in most_doubtful(answers, DOUBTFUL) if answer.row in place]
    try:
        predicted = {place[answer.row]: answer.predicted for answer in wanted}
        chosen = affordable(data.items, data.modality, list(predicted), 1 + most)
        labels = [predicted[i] for i in chosen]
        found = explain_all(model, [data.items[i] for i in chosen], labels, most)
    except DataError:  # a file may have gone since it was read
        return {}
    return {data.rows[i]: explanation for i, explanation in zip(chosen, found, strict=True)}
