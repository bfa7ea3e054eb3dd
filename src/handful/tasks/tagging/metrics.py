"""Metrics of spans: F1 of exact spans, of spans that overlap, and of words, as functions of sums over texts.

Exact and partial are those of SemEval 2013, task 9.1, as nervaluate counts them: ``strict`` wants the same stretch and
label; of ``ent_type`` an overlap with the same label is enough.
"""

from __future__ import annotations

from collections.abc import Mapping

from handful.evaluation.metrics import Kind, Metric
from handful.tasks.part_statistics import counted, one_more, right_parts
from handful.tasks.runs import exact, f1, overlapping

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "span_f1", counted(exact), Kind.FUNCTION, f1, spare=one_more,
            plain="how far spans are right, with both ends and their label",
            headline="Spans found and right to about {} of 100",
        ),
        Metric(
            "overlap_f1", counted(overlapping), Kind.FUNCTION, f1, spare=one_more,
            plain="how far spans are met by one of the right label, whatever its ends",
        ),
        Metric(
            "word_accuracy", right_parts, Kind.FUNCTION, f1,
            plain="the share of words with the right label, or rightly without one",
        ),
    )
}  # fmt: skip
"""Name in ``--metric`` → metric; the first one is the headline."""
