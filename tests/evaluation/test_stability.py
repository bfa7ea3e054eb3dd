"""Stability and neighbours: counted by hand, compared in pairs, told only where it is beyond doubt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.evaluation.intervals import Estimate, difference, wilson
from handful.evaluation.metrics import share
from handful.evaluation.stability import (
    NEIGHBOURS,
    Changed,
    Kept,
    accuracies,
    kept,
    neighbours,
    stability,
    worth_telling,
)

SURE = Estimate(0.98, 0.92, 1.0)


def test_stability_is_the_share_of_answers_that_stay():
    found = stability("typos", np.array([True, True, False, True, True] * 8), None, None, 3)
    assert (found.rows, found.same) == (40, wilson(0.8, 40))
    assert (found.frozen, found.difference, found.loss) == (None, None, None)


def test_the_tuned_model_is_compared_with_the_frozen_one_on_the_same_rows_at_a_corrected_level():
    same = np.arange(40) >= 15
    found = stability("typos", same, np.ones(40, bool), None, 3)
    assert found.frozen == wilson(1.0, 40)
    assert found.difference == difference(share(same), share(np.ones(40)), None, 1 - 0.05 / 3)
    assert found.sentences == [
        "Changed slightly (typos), 38% of items get another answer (24% to 53%, tried on 40 training rows).",
        f"typos: the tuned model keeps fewer of its answers than the frozen one, by 38 points "
        f"({-100 * found.difference.high:.0f} to {-100 * found.difference.low:.0f}).",
    ]


def test_what_changes_little_is_not_told():
    assert Changed("blur", 60, SURE).sentences == []
    assert worth_telling([Changed("blur", 60, SURE)], None) == []
    assert Changed("blur", 10, wilson(0.8, 10)).sentences == []  # ten rows cannot put it beyond doubt


def test_accuracy_of_test_rows_under_a_change():
    plain, changed = np.ones(40, bool), np.r_[np.zeros(20, bool), np.ones(20, bool)]
    found = Changed("noise", 60, SURE, **accuracies(plain, changed, 2))
    assert (found.test_rows, found.plain, found.accuracy) == (40, wilson(1.0, 40), wilson(0.5, 40))
    assert found.loss == difference(share(plain), share(changed), None, 0.975)
    (told,) = found.sentences
    assert told.startswith("noise: accuracy on 40 test rows falls by 50 points (")


def test_neighbours_that_stay_are_kept_and_others_are_lost():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 30)).astype(np.float32)
    same, other = kept("general sentences", x, 3 * x), kept("general sentences", x, rng.permutation(x))
    assert same.overlap == wilson(1.0, 60)
    assert same.sentence == (
        "Of the 5 nearest neighbours of an item among 60 general sentences, 100% (94% to 100%) were among the nearest "
        "before weights moved: what it knew is mostly kept."
    )
    assert not same.lost
    assert other.lost
    assert "most of what it knew has changed: use it for nothing but what it learned from." in other.sentence
    assert worth_telling([], other) == [other.sentence]
    assert worth_telling([], same) == []
    assert "part of what it knew has changed" in Kept("items", 60, Estimate(0.7, 0.6, 0.8)).sentence


def test_too_few_items_have_no_neighbourhood():
    x = np.eye(2 * NEIGHBOURS, dtype=np.float32)
    assert kept("items", x, x) is None


@settings(max_examples=30)
@given(st.integers(11, 40), st.integers(0, 2**32 - 1))
def test_the_overlap_lies_between_none_and_all_and_no_row_is_its_own_neighbour(n, seed):
    rng = np.random.default_rng(seed)
    before, after = (rng.normal(size=(n, 8)).astype(np.float32) for _ in range(2))
    overlap = kept("items", before, after).overlap
    assert 0 <= overlap.low <= overlap.value <= overlap.high <= 1
    assert (neighbours(before) != np.arange(n)[:, None]).all()


@pytest.mark.parametrize(
    "found", [Changed("blur", 60, SURE), Changed("blur", 60, SURE, SURE, SURE, 9, SURE, SURE, SURE)]
)
def test_what_was_written_is_read_back(found):
    assert Changed.from_dict(found.as_dict()) == found
    one = Kept("general sentences", 60, SURE)
    assert Kept.from_dict(one.as_dict()) == one
