"""Tracks on the page: what is wanted and what is answered in a recording, drawn below its waveform."""

from __future__ import annotations

from dataclasses import dataclass

from handful.data.tracks import Event, events_in, met
from handful.report import words


@dataclass(frozen=True)
class Bar:
    """An event, drawn."""

    left: float
    """Where it begins, in percent of the recording."""
    width: float
    """How long it is, in percent of the recording."""
    label: str
    """What goes on."""
    told: str
    """The same with its time, in words."""
    right: bool
    """Whether it is wanted and answered, for half of its time at least."""


@dataclass(frozen=True)
class Lane:
    """The events of one recording that are wanted, or those that are answered."""

    name: str
    """``marked`` or ``answered``."""
    bars: tuple[Bar, ...]
    """In order."""


def lanes(seconds: float, wanted: str, said: str) -> tuple[Lane, ...]:
    """What is drawn below a waveform.

    Args:
        seconds: how long the recording is.
        wanted: its events, as they stand in a table.
        said: those that are answered.
    """
    own, given = events_in(wanted), events_in(said)
    return (
        Lane("marked", tuple(_bar(event, given, seconds) for event in own)),
        Lane("answered", tuple(_bar(event, own, seconds) for event in given)),
    )


def _bar(event: Event, others: list[Event], seconds: float) -> Bar:
    first, end, label = event
    name = words.printable(label)
    told = f"{name}, {first:.1f} to {end:.1f} s"
    return Bar(
        100 * first / max(seconds, 1e-9), 100 * (end - first) / max(seconds, 1e-9), name, told, met(event, others)
    )
