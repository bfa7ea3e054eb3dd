"""Tracks: what happens in a recording and when, as one text per row, and as what goes on in each moment of it.

A moment lasts a fifth of a second. What fills most of it goes on in it; of two that fill as much, the shorter event.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError

Event = tuple[float, float, str]
"""Seconds from and to, and the label."""

STEP = 200
"""Milliseconds of a moment."""
TRACK_SUFFIXES = (".csv", ".tsv", ".txt")
"""The endings of files with the track of one recording, beside it under its name; or of one table for all."""


def track_of(sound: Path) -> Path | None:
    """The file of the same name that holds the track of a recording."""
    return next((file for suffix in TRACK_SUFFIXES if (file := sound.with_suffix(suffix)).is_file()), None)


@dataclass(frozen=True)
class Track:
    """What happens in one recording."""

    seconds: float
    """How long it is."""
    events: tuple[Event, ...]
    """In order of their starts, all within the recording."""

    @property
    def cell(self) -> str:
        """The same as one text, which a Dataset holds as the label of the row."""
        return json.dumps({"seconds": self.seconds, "events": self.events}, ensure_ascii=False)

    @classmethod
    def of_cell(cls, cell: str) -> Track:
        """Read back what ``cell`` says.

        Raises:
            DataError: it says nothing of the kind.
        """
        try:
            raw = json.loads(cell)
            events = tuple((float(first), float(end), str(label)) for first, end, label in raw["events"])
            return cls(float(raw["seconds"]), events)
        except (ValueError, KeyError, TypeError) as error:
            raise _no_events(cell) from error


def _no_events(text: str) -> DataError:
    return DataError(
        f"labels of events must be tracks as load reads them from a folder, got {text[:60]!r}. Give a Dataset, or the "
        "name of a folder."
    )


def events_in(text: str) -> list[Event]:
    """The events that a label of a row, or an answer, holds: a cell, or a list of them in JSON."""
    try:
        raw = json.loads(text)
        events = raw["events"] if isinstance(raw, dict) else raw
        return [(float(first), float(end), str(label)) for first, end, label in events]
    except (ValueError, KeyError, TypeError) as error:
        raise _no_events(text) from error


def written(events: Sequence[Event]) -> str:
    """Events as they stand in a table: ``[[0.4, 1.2, "bark"]]``."""
    return json.dumps([list(event) for event in events], ensure_ascii=False)


def moments(seconds: float) -> NDArray[np.int64]:
    """(W, 2) milliseconds from and to of the moments of a recording, at least one."""
    length = max(1, round(1000 * seconds))
    firsts = np.arange(0, length, STEP)
    return np.stack([firsts, np.minimum(firsts + STEP, length)], 1)


def going_on(track: Track, names: Sequence[str]) -> NDArray[np.int64]:
    """(W,) what goes on in each moment: 0 nothing, 1 + c an event of name c.

    An event that fills no moment by half goes on in the one that it fills most.
    """
    bounds = moments(track.seconds) / 1000
    tags, filled = np.zeros(len(bounds), np.int64), np.zeros(len(bounds))
    # Longer ones first, so that of two that fill a moment alike the shorter one stays.
    for first, end, label in sorted(track.events, key=lambda event: event[0] - event[1]):
        shares = np.minimum(bounds[:, 1], end) - np.maximum(bounds[:, 0], first)
        shares = np.maximum(shares, 0) / (bounds[:, 1] - bounds[:, 0])
        goes_on = shares >= 0.5
        goes_on[int(shares.argmax())] = True
        goes_on &= shares >= filled - 1e-9
        tags[goes_on], filled[goes_on] = 1 + list(names).index(label), shares[goes_on]
    return tags


def met(event: Event, others: Sequence[Event]) -> bool:
    """Whether one of other events has the same label and shares at least half of the time that either takes."""
    first, end, label = event
    return any(
        label == name and 2 * (min(end, stop) - max(first, start)) >= max(end, stop) - min(first, start)
        for start, stop, name in others
    )


def overlaps(events: Sequence[Event]) -> int:
    """How many events begin while another one goes on."""
    ends, count = float("-inf"), 0
    for first, end, _ in sorted(events):
        count += first < ends
        ends = max(ends, end)
    return count
