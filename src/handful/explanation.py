"""Explanations: which words, fields or seconds of an item an answer hangs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.data.classes import listed
from handful.data.covering import PARTS, Part, covered
from handful.data.items import make_items
from handful.errors import DataError, OptionError, suggestion
from handful.export.bundle import Bundle


@dataclass(frozen=True)
class Carried:
    """A part of an item, and what it does for the answer."""

    part: Part
    """Which part."""
    weight: float
    """By how much the probability of the class falls when the part is hidden; below 0: it speaks against the class."""

    def record(self) -> dict[str, Any]:
        """The part as plain values."""
        return {"part": self.part.name, "start": self.part.start, "end": self.part.end, "weight": round(self.weight, 6)}


@dataclass(frozen=True)
class Explanation:
    """An answer, and what it hangs on."""

    label: str
    """The class that is explained."""
    confidence: float
    """Its probability for the whole item."""
    parts: tuple[Carried, ...]
    """The parts, heaviest first; empty for an item that cannot be cut."""


def explain(model: Bundle, item: Any, label: str | None = None, most: int = PARTS) -> Explanation:
    """Hide one part of an item after the other, and see how the answer changes (Zeiler & Fergus 2014, section 4.2).

    Parts that say the same twice each look dispensable, so small weights do not show that a part is not looked at.

    Args:
        model: a fitted model.
        item: a text, picture or sound, or the name of a file.
        label: the class to explain; the most probable one by default.
        most: into how many parts the item is cut at most; each costs one pass of the model.

    Returns:
        The class, its probability, and the parts by weight.

    Raises:
        DataError: the item cannot be read.
        OptionError: the model knows no such class.
    """
    if label is not None and label not in model.labels:
        raise OptionError(
            f"label must be a class of the model ({listed(model.labels)}), got {label!r}."
            f"{suggestion(label, model.labels) or ' Leave it out.'}"
        )
    (value,), failed = make_items([item], model.modality, None)
    if failed:
        raise DataError(f"{item} cannot be read: {failed[0]}.")
    parts, copies = covered(value, model.modality, most)
    proba = model.predict_proba([value, *copies])  # (1 + P, C)
    c = int(proba[0].argmax()) if label is None else model.labels.index(label)
    falls = proba[0, c] - proba[1:, c]
    order = np.argsort(-falls, kind="stable")
    return Explanation(
        model.labels[c], float(proba[0, c]), tuple(Carried(parts[i], float(falls[i])) for i in order.tolist())
    )
