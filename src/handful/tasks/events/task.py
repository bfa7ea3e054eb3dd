"""The task of events: every moment of a recording gets a tag, and runs of a tag become events with a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.data.targets import EVENTS, NOUNS
from handful.data.tracks import Event, Track, events_in, going_on, moments, written
from handful.errors import DataError, OptionError
from handful.features.moments import length_of
from handful.tasks.base import Baseline, Floats, Targets
from handful.tasks.events.metrics import METRICS
from handful.tasks.heads import SOFTMAX, Head
from handful.tasks.part_layout import Numbers, packed, rows_of, unpacked
from handful.tasks.parts_task import PartsTask, stepping_of
from handful.tasks.runs import Span, met
from handful.tasks.tag_sequences import HALF, likeliest

# Penalties reach far down, as those of words do.
LOGISTIC = Head("logistic", SOFTMAX, (1.0, 0.1, 0.03, 0.01))
CENTROID = Head("centroid")


def runs_of(tags: Numbers) -> list[Span]:
    """Runs of moments with one tag above 0. (W,) tags."""
    edges = np.flatnonzero(np.diff(tags, prepend=-1, append=-1))
    return [
        (int(first), int(end) - 1, int(tags[first]) - 1)
        for first, end in zip(edges, edges[1:], strict=False) if tags[first] > 0
    ]  # fmt: skip


@dataclass(frozen=True)
class Events(PartsTask):
    """Events of a recording; heads learn what goes on in moments, outputs lie as ``part_layout`` says."""

    transitions: tuple[tuple[float, ...], ...] = ()
    """(K, K) how much likelier each tag is behind each other than anywhere, as logarithms."""
    outside: float = 0.5
    """The factor on the probability that nothing goes on: below 1, since an event that is missed costs as much as one
    too many, and in most moments nothing does."""

    name: ClassVar[str] = EVENTS
    metrics: ClassVar = METRICS
    heads: ClassVar = {head.name: head for head in (CENTROID, LOGISTIC)}
    main: ClassVar = LOGISTIC
    reference: ClassVar = Baseline("majority", "always answering what goes on most often", "the most frequent alone")
    nouns: ClassVar = NOUNS[EVENTS]
    about: ClassVar = "events of the recording, each with its label and its time"
    nothing_shown: ClassVar = "nothing shows yet that these events can be learned"
    grain: ClassVar = "frames"
    structured: ClassVar = True
    answer_column: ClassVar = "events"
    tags_each: ClassVar = 1
    nothing_marked: ClassVar = "the recordings of {} must have events in some of them, got none. Mark some."
    nothing_wrong: ClassVar = (
        "Every event was found while it was held out; where it begins and ends may be a little off."
    )
    hits = staticmethod(met)
    runs = staticmethod(runs_of)

    # What the user wrote ---------------------------------------------------------------------------------------------

    def coded(self, column: Sequence[str], names: Sequence[str]) -> Targets:
        """The same with these names."""
        tracks = [Track.of_cell(cell) for cell in column]
        bounds = [moments(track.seconds) for track in tracks]
        tags = [going_on(track, names) for track in tracks]
        return Targets(self, rows_of(bounds, [False] * len(tracks), tags), tuple(names))

    def score(self, outputs: Floats, labels: Sequence[Any], names: Sequence[str]) -> float:
        """The F1 of seconds against lists of start, end and label, or labels of a Dataset of recordings."""
        parts = unpacked(outputs, self.width(names))
        cells = []
        for n, label in enumerate(labels):
            given = label if isinstance(label, str) else written([(float(a), float(b), str(c)) for a, b, c in label])
            seconds = int(parts.bounds[n, : parts.counts[n]].max(initial=1)) / 1000
            cells.append(given if '"seconds"' in given else Track(seconds, tuple(sorted(events_in(given)))).cell)
        if len(cells) != len(outputs):
            raise DataError(f"labels must be one per item ({len(outputs)}), got {len(cells)}. Correct them.")
        answers, targets = self.against(outputs, cells, names)
        return self.headline.of(answers[None], targets).value

    def wanted(self, targets: Targets) -> list[str]:
        """The events of each recording, by its moments."""
        bounds = unpacked(targets.values, 1).bounds
        return [
            written([_placed(run, own, targets.names) for run in runs])
            for runs, own in zip(self.spans_wanted(targets), bounds, strict=True)
        ]

    # Moments as rows that heads learn from ---------------------------------------------------------------------------

    def gathered_items(self, rows: Floats, items: Sequence[Any]) -> NDArray[np.float64]:
        """The same of the moments of N recordings, (P, K) → (N, W (3 + K))."""
        bounds = [moments(length_of(item)) for item in items]
        places = np.concatenate([*bounds, np.zeros((0, 2), np.int64)])
        given = np.zeros(len(items), bool)
        return np.asarray(packed([len(own) for own in bounds], places, given, rows), np.float64)

    def tags_said(self, outputs: Floats, names: Sequence[str]) -> Numbers:
        """(N, W) the tags of the likeliest sequences."""
        return likeliest(unpacked(outputs, self.width(names)), HALF * self._steps(names), self.outside)

    # What is told ----------------------------------------------------------------------------------------------------

    def words(self, outputs: Floats, names: Sequence[str]) -> list[str]:
        """The events of each recording in one text: ``[[0.4, 1.2, "bark"]]``."""
        bounds = unpacked(outputs, self.width(names)).bounds
        return [
            written([_placed(run, own, names) for run in runs])
            for runs, own in zip(self.spans_said(outputs, names), bounds, strict=True)
        ]

    def values(self, outputs: Floats, names: Sequence[str]) -> list[Any]:
        """A list of events for each recording: ``start``, ``end``, ``label`` and ``confidence``."""
        parts = unpacked(outputs, self.width(names))
        said = zip(self.spans_said(outputs, names), parts.bounds, parts.rest, strict=True)
        return [events_said(runs, own, shares, names) for runs, own, shares in said]

    def within(self, outputs: Floats, limit: float, names: Sequence[str]) -> list[str]:
        """Events have no sets.

        Raises:
            OptionError: always.
        """
        raise OptionError("sets are for classes, labels and numbers, got events of recordings. Leave --sets out.")

    # How it is kept --------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {"transitions": [list(row) for row in self.transitions], "outside": self.outside}

    def restored(self, settings: Mapping[str, Any]) -> Events:
        """The task with the settings of a record."""
        if set(settings) != {"transitions", "outside"}:
            raise ValueError(f"settings of {self.name} must be transitions and outside, got {sorted(settings)}")
        steps, outside = stepping_of(settings)
        return Events(steps, outside)


def events_said(runs: Sequence[Span], bounds: Numbers, shares: Floats, names: Sequence[str]) -> list[dict[str, Any]]:
    """The events of one recording as plain values.

    Args:
        runs: of moments.
        bounds: (W, 2) milliseconds from and to of each.
        shares: (W, K) probabilities of what goes on in each.
        names: C labels.
    """
    events = []
    for first, last, c in runs:
        start, end, label = _placed((first, last, c), bounds, names)
        sure = round(float(shares[first : last + 1, 1 + c].mean()), 4)
        events.append({"start": start, "end": end, "label": label, "confidence": sure})
    return events


def _placed(run: Span, bounds: Numbers, names: Sequence[str]) -> Event:
    """A run of moments in seconds."""
    first, last, c = run
    return int(bounds[first, 0]) / 1000, int(bounds[last, 1]) / 1000, names[c]


EVENTS_TASK = Events()
