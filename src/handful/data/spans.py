"""Spans: stretches of a text with a label, as one text per row, and as tags of its words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.data.sentences import Bounds, Sentence, bounds_of
from handful.errors import DataError

Span = tuple[int, int, str]
"""Characters from and to, and the label."""

OUTSIDE = "O"
_TAG = re.compile(r"([BILUSEM])[-_](.+)", re.DOTALL)
# Prefixes that begin a span, and those that end one.
_BEGINS, _ENDS = "BUS", "LUSE"
# What tools call the label of a span.
_LABELLED = ("label", "labels", "type", "tag", "entity_group")
_NOTHING = frozenset({"", "O", "_", "-"})


@dataclass(frozen=True)
class Marked:
    """What is marked in one text, with what its words are."""

    bounds: tuple[tuple[int, int], ...]
    """Characters of each of the W words, from and to."""
    given: bool
    """Whether the text came as tokens, which the words then are."""
    spans: tuple[Span, ...]
    """In order, none over another, each from the start of a word to the end of one."""

    @property
    def cell(self) -> str:
        """The same as one text, which a Dataset holds as the label of the row."""
        return json.dumps({"words": self.bounds, "given": self.given, "spans": self.spans}, ensure_ascii=False)

    @classmethod
    def of_cell(cls, cell: str) -> Marked:
        """Read back what ``cell`` says.

        Raises:
            DataError: it says nothing of the kind.
        """
        try:
            raw = json.loads(cell)
            spans = tuple((int(first), int(end), str(label)) for first, end, label in raw["spans"])
            return cls(tuple((int(first), int(end)) for first, end in raw["words"]), bool(raw["given"]), spans)
        except (ValueError, KeyError, TypeError) as error:
            raise _no_spans(cell) from error

    def tags(self, names: Sequence[str]) -> list[int]:
        """The tag of each word: 0 outside, 1 + 2 c where a span of name c begins, 2 + 2 c within it."""
        tags, place = [0] * len(self.bounds), {name: c for c, name in enumerate(names)}
        firsts = {first: w for w, (first, _) in enumerate(self.bounds)}
        for first, end, label in self.spans:
            w = firsts[first]
            tags[w] = 1 + 2 * place[label]
            while w + 1 < len(self.bounds) and self.bounds[w + 1][1] <= end:
                w += 1
                tags[w] = 2 + 2 * place[label]
        return tags


def _no_spans(text: str) -> DataError:
    return DataError(
        f"labels of tagging must be spans as load reads them from a file, got {text[:60]!r}. Give a Dataset, or the "
        "name of a file."
    )


def labels_in_spans(text: str) -> list[Span]:
    """The spans that a label of a row, or an answer, holds: a cell, or a list of them in JSON."""
    try:
        raw = json.loads(text)
        spans = raw["spans"] if isinstance(raw, dict) else raw
        return [(int(first), int(end), str(label)) for first, end, label in spans]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _no_spans(text) from error


def written(spans: Sequence[Span]) -> str:
    """Spans as they stand in a table: ``[[0, 12, "person"]]``."""
    return json.dumps([list(span) for span in spans], ensure_ascii=False)


@dataclass
class Repairs:
    """What had to be changed in the spans of a source, counted."""

    widened: int = 0
    """Spans that began or ended within a word."""
    dropped: int = 0
    """Spans that lay over a longer one, or within it."""
    unbegun: int = 0
    """Spans of tags whose first one does not say that it begins."""

    def notes(self) -> list[str]:
        """One sentence each."""
        said = {
            "begin or end within a word: they are widened to whole words": self.widened,
            "overlap a longer one or lie within it: the longest is kept, since a word has one label": self.dropped,
            "begin with a tag that says that they go on (I- without B-): they are taken to begin there": self.unbegun,
        }
        return [f"{count:,} span{'s' * (count > 1)} {what}" for what, count in said.items() if count]


def marked(text: str, spans: Sequence[Span], repairs: Repairs) -> Marked:
    """The spans of a text on its words: widened to whole ones, of those that overlap the longest.

    Args:
        text: the text.
        spans: with characters that lie in it.
        repairs: counts what had to be changed.
    """
    bounds = bounds_of(text)
    longest: list[tuple[int, int, str]] = []  # words from and to
    for first, end, label in sorted(spans, key=lambda span: (span[0] - span[1], span[0], span[2])):
        inside = np.flatnonzero((bounds[:, 0] < end) & (bounds[:, 1] > first))
        if not len(inside):  # blanks alone
            repairs.dropped += 1
            continue
        low, high = int(inside[0]), int(inside[-1]) + 1
        if any(low < other_high and other_low < high for other_low, other_high, _ in longest):
            repairs.dropped += 1
            continue
        text_first, text_end = first + _blanks(text[first:end]), end - _blanks(text[first:end][::-1])
        repairs.widened += (int(bounds[low, 0]), int(bounds[high - 1, 1])) != (text_first, text_end)
        longest.append((low, high, label))
    found = tuple((int(bounds[low, 0]), int(bounds[high - 1, 1]), label) for low, high, label in sorted(longest))
    return Marked(tuple(map(tuple, bounds.tolist())), isinstance(text, Sentence), found)


def _blanks(text: str) -> int:
    return len(text) - len(text.lstrip())


def spans_of_tags(tags: Sequence[str], bounds: Bounds, repairs: Repairs) -> list[Span]:
    """Tags of W words as spans: BIO, IOB, BILOU, BIOES, or bare labels, of which equal ones in a row are one span.

    Args:
        tags: W tags.
        bounds: (W, 2) characters of the words.
        repairs: counts spans that do not begin with a tag that says so.
    """
    spans: list[Span] = []
    label, first, last = "", 0, 0
    bare = not any(_TAG.fullmatch(tag) for tag in tags)
    scheme = any(tag[:1] in _BEGINS and _TAG.fullmatch(tag) for tag in tags)
    for w, tag in enumerate([*tags, OUTSIDE]):
        match = None if bare else _TAG.fullmatch(tag)
        prefix, name = match.groups() if match else ("I", "" if tag in _NOTHING else tag)
        if label and (name != label or prefix in _BEGINS):
            spans.append((int(bounds[first, 0]), int(bounds[last, 1]), label))
            label = ""
        if name and not label:
            repairs.unbegun += scheme and prefix not in _BEGINS
            label, first = name, w
        last = w
        if label and prefix in _ENDS and match:
            spans.append((int(bounds[first, 0]), int(bounds[last, 1]), label))
            label = ""
    return spans


def span_of(value: Any) -> tuple[Any, Any, Any] | None:
    """Start, end and label of one annotation, however a tool writes it; None where it is none."""
    if isinstance(value, list | tuple) and len(value) == 3:
        return value[0], value[1], value[2]
    if not isinstance(value, dict):
        return None
    for first, end in (("start", "end"), ("start_offset", "end_offset"), ("start_char", "end_char")):
        if first in value and end in value:
            label = next((value[key] for key in _LABELLED if key in value), None)
            if isinstance(label, list):  # as Label Studio writes them
                label = label[0] if label else None
            return value[first], value[end], label
    return None
