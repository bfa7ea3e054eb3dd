"""The task of spans: every word of a text gets a tag, and tags become stretches with a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.data.sentences import bounds_of
from handful.data.spans import Marked, written
from handful.data.targets import NOUNS, SPANS
from handful.errors import DataError, OptionError
from handful.tasks.base import Baseline, Floats, Targets
from handful.tasks.heads import SOFTMAX, Head
from handful.tasks.part_layout import Numbers, packed, rows_of, unpacked
from handful.tasks.parts_task import stepping_of
from handful.tasks.tagging.decoding import Found, best_tags, decoded, stretches, told
from handful.tasks.tagging.gazetteer import Gazetteer
from handful.tasks.tagging.looking_up import LookingUp
from handful.tasks.tagging.metrics import METRICS

# Penalties reach far down: words are many, and what tells a name from any other word is a small part of what they say.
LOGISTIC = Head("logistic", SOFTMAX, (0.1, 0.03, 0.01, 0.003))
CENTROID = Head("centroid")


@dataclass(frozen=True)
class Tagging(LookingUp):
    """Spans of a text; see ``tasks.base.HeadTask``. Heads learn tags of words; outputs lie as ``part_layout`` says."""

    transitions: tuple[tuple[float, ...], ...] = ()
    """(K, K) how much likelier each tag is behind each other than anywhere, as logarithms; see ``decoding``."""
    outside: float = 0.5
    """The factor on the probability that a word is outside of spans: below 1, since a span that is missed costs as much
    as one too many, and most words are outside."""
    listed: Gazetteer | None = None
    """The marked strings that are looked up in new texts; None: none are."""
    alone: bool = False
    """Whether nothing but these is answered."""

    name: ClassVar[str] = SPANS
    metrics: ClassVar = METRICS
    heads: ClassVar = {head.name: head for head in (CENTROID, LOGISTIC)}
    main: ClassVar = LOGISTIC
    reference: ClassVar = Baseline("gazetteer", "looking up the strings that were marked", "marked strings looked up")
    nouns: ClassVar = NOUNS[SPANS]
    about: ClassVar = "spans of the text, each with its label"
    nothing_shown: ClassVar = "nothing shows yet that more can be learned than which strings were marked"
    grain: ClassVar = "tokens"
    structured: ClassVar = True
    answer_column: ClassVar = "spans"
    tags_each: ClassVar = 2
    nothing_marked: ClassVar = "the texts of {} must have spans in some of them, got none. Mark some."
    runs = staticmethod(stretches)

    # What the user wrote ---------------------------------------------------------------------------------------------

    def coded(self, column: Sequence[str], names: Sequence[str]) -> Targets:
        """The same with these names."""
        marks = [Marked.of_cell(cell) for cell in column]
        bounds = [np.array(own.bounds, np.int64).reshape(-1, 2) for own in marks]
        tags = [np.array(own.tags(names), np.int64) for own in marks]
        return Targets(self, rows_of(bounds, [own.given for own in marks], tags), tuple(names))

    def score(self, outputs: Floats, labels: Sequence[Any], names: Sequence[str]) -> float:
        """The F1 of exact spans against lists of start, end and label, or labels of a Dataset of marked texts."""
        words = unpacked(outputs, self.width(names))
        cells = []
        for n, label in enumerate(labels):
            if isinstance(label, str):
                cells.append(label)
                continue
            bounds = tuple((int(a), int(b)) for a, b in words.bounds[n, : words.counts[n]])
            starts, ends = {a for a, _ in bounds}, {b for _, b in bounds}
            own = sorted((int(first), int(end), str(name)) for first, end, name in label)
            if any(first not in starts or end not in ends for first, end, _ in own):
                raise DataError(
                    f"labels of item {n} must begin and end with words of its text, got {own}. Give whole words."
                )
            cells.append(Marked(bounds, bool(words.given[n]), tuple(own)).cell)
        if len(cells) != len(outputs):
            raise DataError(f"labels must be one per item ({len(outputs)}), got {len(cells)}. Correct them.")
        answers, targets = self.against(outputs, cells, names)
        return self.headline.of(answers[None], targets).value

    def wanted(self, targets: Targets) -> list[str]:
        """The spans of each text."""
        words = unpacked(targets.values, 1)
        return [
            written([(int(b[first, 0]), int(b[last, 1]), targets.names[c]) for first, last, c in own])
            for own, b in zip(self.spans_wanted(targets), words.bounds, strict=True)
        ]

    # Words as rows that heads learn from -----------------------------------------------------------------------------

    def gathered_items(self, rows: Floats, items: Sequence[Any]) -> NDArray[np.float64]:
        """The same of the words of N texts, (P, K) → (N, W (3 + K))."""
        rows, bounds = self.looked_up(rows, items), [bounds_of(item) for item in items]
        given = np.array([hasattr(item, "bounds") for item in items], bool)
        places = np.concatenate([*bounds, np.zeros((0, 2), np.int64)])
        return np.asarray(packed([len(own) for own in bounds], places, given, rows), np.float64)

    def tags_said(self, outputs: Floats, names: Sequence[str]) -> Numbers:
        """(N, W) the tags that are answered."""
        return best_tags(unpacked(outputs, self.width(names)), self._steps(names), self.outside)

    # What is told ----------------------------------------------------------------------------------------------------

    def found(self, outputs: Floats, names: Sequence[str]) -> list[list[Found]]:
        """The spans that are answered to N texts."""
        return decoded(outputs, names, self._steps(names), self.outside)

    def words(self, outputs: Floats, names: Sequence[str]) -> list[str]:
        """The spans of each text in one text: ``[[0, 12, "person"]]``."""
        return [told(own) for own in self.found(outputs, names)]

    def values(self, outputs: Floats, names: Sequence[str]) -> list[Any]:
        """A list of spans for each text: ``start``, ``end``, ``label``, ``confidence``, and tokens where it came so."""
        given = unpacked(outputs, self.width(names)).given
        return [
            [one.record(bool(tokens)) for one in own]
            for own, tokens in zip(self.found(outputs, names), given, strict=True)
        ]

    def within(self, outputs: Floats, limit: float, names: Sequence[str]) -> list[str]:
        """Spans have no sets.

        Raises:
            OptionError: always.
        """
        raise OptionError("sets are for classes, labels and numbers, got spans of texts. Leave --sets out.")

    # How it is kept --------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> dict[str, Any]:
        """The fields as plain values."""
        own = {"transitions": [list(row) for row in self.transitions], "outside": self.outside}
        return own if self.listed is None else {**own, "listed": self.listed.record(), "alone": self.alone}

    def restored(self, settings: Mapping[str, Any]) -> Tagging:
        """The task with the settings of a record."""
        if set(settings) - {"listed", "alone"} != set(TAGGING.settings) or ("listed" in settings) != (
            "alone" in settings
        ):
            raise ValueError(f"settings of {self.name} must be {sorted(TAGGING.settings)}, got {sorted(settings)}")
        steps, outside = stepping_of(settings)
        listed = Gazetteer.of_record(settings["listed"]) if "listed" in settings else None
        if listed is not None and len(listed.usual) != len(steps):
            raise ValueError("a gazetteer must know as many tags as transitions do")
        return Tagging(steps, outside, listed, bool(settings.get("alone")))


TAGGING = Tagging()
