"""Texts that end an answer: found across the seams of its pieces, and never told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


class Told(Iterator[str]):
    """The pieces of an answer up to the first text that ends it.

    What may yet turn out to be the beginning of such a text is held back. Where the seams are changes nothing.
    """

    def __init__(self, pieces: Iterator[str], stops: Sequence[str]) -> None:
        """Take the pieces; none is asked for before it is told.

        Args:
            pieces: the answer.
            stops: texts that end it, none of them empty.
        """
        self.stopped = False  # by one of the texts
        self._parts = self._until(pieces, tuple(stops))

    def __next__(self) -> str:
        """The next piece; it may be empty."""
        return next(self._parts)

    def _until(self, pieces: Iterator[str], stops: tuple[str, ...]) -> Iterator[str]:
        held = ""
        for piece in pieces:
            held += piece
            at = _first(held, stops)
            if at is not None:
                self.stopped = True
                yield held[:at]
                return
            safe = len(held) - _begun(held, stops)
            yield held[:safe]
            held = held[safe:]
        yield held


def _first(text: str, stops: tuple[str, ...]) -> int | None:
    """Where the stop begins that is complete first; of several that end there, the longest."""
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    return min(found)[1] if found else None


def _begun(text: str, stops: tuple[str, ...]) -> int:
    """How many letters at the end may be the beginning of a stop."""
    longest = max((len(stop) - 1 for stop in stops), default=0)
    sizes = range(min(longest, len(text)), 0, -1)
    return next((size for size in sizes if any(stop.startswith(text[-size:]) for stop in stops)), 0)
