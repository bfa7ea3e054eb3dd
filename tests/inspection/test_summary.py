"""The summary of an inspection, in lines for a terminal."""

from dataclasses import replace

import numpy as np

from handful.data.dataset import Dataset
from handful.inspection.audit import Audit
from handful.inspection.findings import Finding
from handful.inspection.match import Match
from handful.inspection.profile import findings
from handful.inspection.summary import summary


def test_counts_facts_match_findings_and_advice():
    data = Dataset(["where is it", "who is that"] * 5, "text", ("a",) * 6 + ("b",) * 4, groups=("g", "h") * 5)
    finding = Finding("outlier", (3,), "1 row is far from everything else", "Look at it.")
    lines = summary(data, Audit((finding,), (Match("toy", 0.75, 0.5, 10),)))
    assert lines[:8] == [
        "10 rows of text in 2 classes",
        "       6  a",
        "       4  b",
        "characters per text: 11 to 11, half of them up to 11",
        "languages: English 10",
        "groups: 2",
        "toy suits these rows: domain match 0.50 (75% of 10 rows are nearest to their own class, chance is 50%)",
        "! 1 row is far from everything else. Look at it.",
    ]
    assert lines[8] == "what makes sense with 4 rows in the smallest class:"
    assert any(line.startswith("  yes  ridge, logistic, svm: ") for line in lines)
    assert any(line.startswith("  no   partial, gradual, distilled, full: ") for line in lines)


def test_pictures_and_sounds():
    pictures = Dataset([np.zeros((4, 6))] * 4, "image", ("a", "b") * 2)
    assert "pixels of the shorter side: 4 to 4, half of them up to 4" in summary(pictures, Audit((), ()))
    sounds = Dataset([(np.zeros(4000), 8000)] * 4, "sound", ("a", "b") * 2, split=("train", "test") * 2)
    lines = summary(sounds, Audit((), ()))
    assert "seconds per sound: 0.5 to 0.5, half of them up to 0.5" in lines
    assert {"in all 2 seconds", "rates: 8000 4", "split: train 2, test 2"} <= set(lines)


def test_many_classes_are_counted_and_control_characters_shown():
    labels = tuple(f"c{i:02}" for i in range(39)) + ("\x1b[31mred\r",)
    lines = summary(Dataset(["t"] * 40, "text", labels), Audit((), ()))
    assert "          and 10 more" in lines
    lines = summary(Dataset(["t"] * 2, "text", ("\x1b[31mred\r", "b")), Audit((), ()))
    assert r"       1  \x1b[31mred\r" in lines


def test_good_items_are_told_what_they_can_promise_and_no_strategies():
    data = Dataset([np.full((4, 6), i) for i in range(7)], "image", ("good",) * 4 + ("crack",) * 3, task="defects")
    lines = summary(data, Audit((), ()))
    assert any(
        line.startswith("4 good items can promise false alarms of 20 % and no less: 19 promise 5 %") for line in lines
    )
    assert any(line.startswith("3 bad ones say what slips through, and are not learned from") for line in lines)
    assert not any("what makes sense with" in line for line in lines)
    alone = summary(data.take(range(4)), Audit((), ()))
    assert alone[-1] == "no bad ones: what slips through cannot be told; none of them is needed to learn"


def test_few_bad_items_are_no_fault():
    data = Dataset([np.full((4, 6), i) for i in range(12)], "image", ("good",) * 11 + ("crack",), task="defects")
    assert findings(data) == []
    assert {one.kind for one in findings(replace(data, task="classification"))} == {"too_few", "imbalance"}
