"""Answers known by their words, as two versions are compared by them: figures by hand, and those of the metrics."""

from __future__ import annotations

import json

import pytest

from handful.evaluation.scores import HeldOut
from handful.tasks.registry import TASKS
from handful.versions.comparison import paired
from handful.versions.told_rows import told_rows


def row(label, predicted, **beside):
    texts = [text if isinstance(text, str) else json.dumps(text) for text in (label, predicted)]
    return HeldOut(0, *texts, 0.0, 0.0, beside)


def value(task, metric, *rows):
    measured = told_rows(TASKS[task], metric, rows, rows)
    return measured.metric.name, measured.value


SPANS = [
    row([[0, 3, "who"], [10, 14, "where"]], [[0, 3, "who"], [9, 14, "where"]]),
    row([[5, 8, "who"]], []),
]


def test_spans_count_where_both_ends_and_the_label_are_right():
    assert value("tagging", "span_f1", *SPANS) == ("span_f1", pytest.approx(2 / 5))
    assert value("tagging", "overlap_f1", *SPANS) == ("overlap_f1", pytest.approx(4 / 5))
    # Words cannot be counted without the text: spans are told in their place, and called so.
    assert value("tagging", "word_accuracy", *SPANS) == ("span_f1", pytest.approx(2 / 5))


def test_events_count_by_the_seconds_that_they_touch_or_as_wholes():
    rows = [row([[0.4, 1.4, "bell"], [3.0, 4.0, "knock"]], [[0.4, 2.2, "bell"], [3.2, 3.8, "bell"]])]
    # wanted: bell in seconds 0 and 1, knock in 3; said: bell in 0, 1, 2 and 3; right: two
    assert value("events", "segment_f1", *rows) == ("segment_f1", pytest.approx(4 / 7))
    assert value("events", "event_f1", *rows) == ("event_f1", pytest.approx(2 / 4))


def test_seconds_end_where_events_end():
    rows = [row([[0.0, 2.0, "bell"]], [[2.0, 3.0, "bell"]])]
    assert value("events", "segment_f1", *rows) == ("segment_f1", 0.0)


def test_defects_masks_and_boxes_count_each_item_the_same():
    assert value("defects", "found", row("good", "good"), row("bad", "good")) == ("items_called_right", 0.5)
    masks = [row("a", "b", dice="0.9000"), row("a", "b", dice="0.5000")]
    assert value("masks", "dice", *masks) == ("dice_of_a_picture", pytest.approx(0.7))
    boxes = [row("a 1", "a 1", box_f1="1.0000"), row("a 1", "none", box_f1="0.0000")]
    assert value("boxes", "ap50", *boxes) == ("box_f1_of_a_picture", 0.5)


def test_the_better_of_two_versions_is_found():
    first = [row("a", "b", dice=f"{0.6 + i / 100:.4f}") for i in range(8)]
    second = [row("a", "b", dice=f"{0.8 + i / 100:.4f}") for i in range(8)]
    found = paired(TASKS["masks"], "dice", first, second)
    assert found.verdict == "better"
    assert found.told("the new model", "the old one") == (
        "the new model is better than the old one on 8 rows: dice of a picture better by 20 points (+20 to +20)"
    )
