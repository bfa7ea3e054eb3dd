"""Metrics of events: F1 of seconds, of whole events, and of moments, as functions of sums over recordings.

Seconds are the segments of Mesaros, Heittola & Virtanen 2016 ("Metrics for Polyphonic Sound Event Detection"): an event
is active in every second that it touches; every label of every second is right, missed or wrong, as sed_eval counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handful.data.tracks import STEP
from handful.evaluation.metrics import Kind, Metric
from handful.tasks.part_statistics import counted, one_more, right_parts
from handful.tasks.runs import Statistics, f1, overlapping

if TYPE_CHECKING:
    from handful.tasks.base import Targets

Floats = NDArray[np.floating]

SEGMENT = 1000 // STEP
"""Moments of a segment."""


def active(tags: NDArray[np.int64], labels: int) -> NDArray[np.bool_]:
    """Which labels are active in which second of N recordings. (N, W) tags → (N, S, C)."""
    items, longest = tags.shape
    padded = np.zeros((items, -(-longest // SEGMENT) * SEGMENT), np.int64)
    padded[:, :longest] = tags
    seconds = padded.reshape(items, -1, SEGMENT)  # (N, S, moments)
    return np.stack([(seconds == 1 + c).any(-1) for c in range(labels)], -1)


def _seconds(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2): twice how many labels of seconds are right, and how many are wanted or answered, mean over repeats."""
    task: Any = targets.task
    labels, wanted = len(targets.names), task.tags_wanted(targets)[0]
    own, sums = active(wanted, labels), np.zeros((len(targets), 2))
    for some in outputs:
        said = active(task.tags_said(some, targets.names)[:, : wanted.shape[1]], labels)
        sums += np.stack([2 * (own & said).sum((1, 2)), own.sum((1, 2)) + said.sum((1, 2))], 1)
    return np.asarray(sums / len(outputs))


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "segment_f1", _seconds, Kind.FUNCTION, f1, spare=one_more,
            plain="how far the events of every second are right",
            headline="Seconds of events found and right to about {} of 100",
        ),
        Metric(
            "event_f1", counted(overlapping), Kind.FUNCTION, f1, spare=one_more,
            plain="how far events are met by one of the right label, whatever its ends",
        ),
        Metric(
            "moment_accuracy", right_parts, Kind.FUNCTION, f1,
            plain="the share of fifths of a second with the right label, or rightly without one",
        ),
    )
}  # fmt: skip
"""Name in ``--metric`` → metric; the first one is the headline."""
