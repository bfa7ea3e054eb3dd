"""Rankings: precision, recall and average precision of hand-made ones, and which runs have one."""

from __future__ import annotations

import numpy as np
import pytest

import handful
from handful.errors import OptionError
from handful.evaluation.ranking import ranked

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
WANTED = np.array([True, False, True, False, False, True])


def test_a_ranking_by_hand():
    found = ranked(SCORES[::-1], WANTED[::-1], 3, None, np.random.default_rng(0))
    assert found.precision.value == pytest.approx(2 / 3)
    assert found.recall.value == pytest.approx(2 / 3)
    assert found.average_precision.value == pytest.approx((1 / 1 + 2 / 3 + 3 / 6) / 3)
    assert found.at_random == 0.5
    assert found.precision.low < 2 / 3 < found.precision.high
    assert str(found).startswith("of the 3 ranked first 67% are wanted (")
    assert "at random 50%; they are 67% of all that are wanted; average precision 72%" in str(found)


def test_a_better_ranking_is_better_and_ties_are_not_broken_by_the_order_of_rows():
    best = ranked(WANTED.astype(float), WANTED, 3, None, np.random.default_rng(0))
    assert (best.precision.value, best.recall.value, best.average_precision.value) == (1, 1, 1)
    first = np.arange(400) < 200
    tied = ranked(np.zeros(400), first, 100, None, np.random.default_rng(0))
    assert 0.35 < tied.precision.value < 0.65


def test_rows_of_one_group_count_as_what_they_are_worth():
    scores, wanted = np.tile(SCORES, 10), np.tile(WANTED, 10)
    alone, grouped = (
        ranked(scores, wanted, 30, groups, np.random.default_rng(0)) for groups in (None, np.tile(np.arange(6), 10))
    )
    assert grouped.precision.value == alone.precision.value
    assert grouped.precision.high - grouped.precision.low > alone.precision.high - alone.precision.low


def test_the_rows_of_a_run_are_ranked_by_one_of_two_classes():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 4))
    rows[:12, 0] += 4
    clicked = np.arange(30) < 12
    run = handful.tune(rows, ["yes" if one else "no" for one in clicked], budget=0)
    found = run.ranking("yes", 5)
    assert found.at_random == pytest.approx(clicked.mean())
    assert found.precision.value >= 0.8
    assert found.recall.value == pytest.approx(found.precision.value * 5 / clicked.sum())
    with pytest.raises(OptionError) as error:
        run.ranking("maybe", 5)
    assert str(error.value) == (
        'wanted= must be one of the two classes of a run, got \'maybe\' of "no" and "yes". Rows are ranked by how '
        "probable one of two is."
    )
    with pytest.raises(OptionError) as error:
        run.ranking("yes", 31)
    assert str(error.value) == "k must be from 1 to 30, the number of rows, got 31. Choose another."
    three = handful.tune(rows, [f"c{i % 3}" for i in range(30)], budget=0)
    with pytest.raises(OptionError, match='got \'c1\' of "c0", "c1" and "c2"'):
        three.ranking("c1", 3)
