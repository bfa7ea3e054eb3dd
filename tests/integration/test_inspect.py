"""Inspection of the example data with the real weights: what was planted is found, in the rows it was planted in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import handful

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_a_wrong_label_and_a_near_copy_among_the_tickets():
    data = handful.load(EXAMPLES / "tickets.csv", label="topic")
    (looked,) = handful.inspect(data)
    assert looked.kind == "label_error"  # all are right: a few are worth a second look, none is likely to be wrong
    assert sum(looked.scores) < 1.5 and max(looked.scores) < 0.5
    wrong = 6  # "my email adress changed when I changed jobs, so I can't receive …", a login ticket
    assert data.labels[wrong] == "login"
    labels = ["delivery" if i == wrong else label for i, label in enumerate(data.labels)]
    items = [*data.items, data.items[7].upper().rstrip(".?!") + " !"]
    spoiled = replace(
        data, items=items, labels=(*labels, labels[7]), rows=tuple(range(len(items))), split=None, groups=None
    )
    found = {finding.kind: finding for finding in handful.inspect(spoiled)}
    assert found["label_error"].rows[0] == wrong
    assert found["label_error"].scores[0] > 0.5
    assert found["near_duplicate"].rows == (7, 60)


def test_tickets_differ_from_another_pool():
    data = handful.load(EXAMPLES / "tickets.csv", label="topic")
    pool = handful.load([f"Recipe {i}: stir flour, eggs and milk, bake for {20 + i} minutes" for i in range(12)] * 2,
                        labels=["a", "b"] * 12)  # fmt: skip
    found = handful.inspect(data, against=pool)
    assert [finding.kind for finding in found] == ["shift", "label_error"]
