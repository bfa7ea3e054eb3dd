"""Marked texts on the page: what is wanted and what is answered, drawn on the text itself."""

from __future__ import annotations

from dataclasses import dataclass

from handful.data.spans import labels_in_spans
from handful.report import words


@dataclass(frozen=True)
class Piece:
    """A stretch of a text."""

    text: str
    """The characters."""
    kind: str = ""
    """``right`` where what is answered is wanted, ``missed``, or ``wrong`` where it is not wanted; empty: neither."""
    label: str = ""
    """The label that is wanted, or answered."""


def pieces(text: str, wanted: str, said: str) -> tuple[Piece, ...]:
    """A text cut where spans begin and end; of those that overlap, what is wanted is drawn.

    Args:
        text: the text.
        wanted: the spans that are wanted, as they stand in a table.
        said: those that are answered.
    """
    own, given = set(labels_in_spans(wanted)), set(labels_in_spans(said))
    drawn = [(first, end, "right" if (first, end, label) in given else "missed", label) for first, end, label in own]
    for first, end, label in sorted(given - own):
        if not any(first < other_end and other_first < end for other_first, other_end, *_ in drawn):
            drawn.append((first, end, "wrong", label))
            continue
        drawn = [
            (a, b, kind, f"{name}, answered {label}" if kind == "missed" and a < end and first < b else name)
            for a, b, kind, name in drawn
        ]
    cut, at = list[Piece](), 0
    for first, end, kind, label in sorted(drawn):
        cut.append(Piece(words.printable(text[at:first])))
        cut.append(Piece(words.printable(text[first:end]), kind, words.printable(label)))
        at = end
    return tuple(piece for piece in (*cut, Piece(words.printable(text[at:]))) if piece.text)
