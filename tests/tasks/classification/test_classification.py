"""The task of classification: codes, links and their inverses, losses by hand, and what is written for each row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classified import targets_of
from handful.tasks.classification import CLASSIFICATION as TASK

NAMES = ("ants", "bees", "wasps")


def test_class_names_become_numbers_once_and_in_sorted_order():
    targets = TASK.read(["bees", "ants", "bees"])
    assert (targets.task.name, targets.names, targets.values.tolist()) == (
        "classification",
        ("ants", "bees"),
        [1, 0, 1],
    )
    assert TASK.wanted(targets) == ["bees", "ants", "bees"]
    assert targets.take([2, 1]).values.tolist() == [1, 0]


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_scores_and_answers_are_each_others_inverse(seed, classes):
    scores = 3 * np.random.default_rng(seed).normal(size=(2, 5, classes))
    answers = TASK.outputs(scores)
    np.testing.assert_allclose(answers.sum(-1), 1)
    np.testing.assert_allclose(TASK.outputs(TASK.scores(answers)), answers, atol=1e-4)


def test_losses_are_those_of_the_own_class_and_hedged():
    outputs = np.array([[1.0, 0.0], [0.5, 0.5], [1.0, 0.0]])
    np.testing.assert_allclose(TASK.losses(outputs, targets_of([0, 1, 1])), -np.log([7 / 8, 1 / 2, 1 / 8]))


def test_what_looks_at_no_item_knows_how_frequent_the_classes_are():
    targets = targets_of([0, 0, 0, 1], NAMES)
    assert TASK.constant(targets).tolist() == [0.75, 0.25, 0.0]
    assert TASK.design(targets).tolist() == [[1, 0, 0]] * 3 + [[0, 1, 0]]
    assert TASK.strata(targets).tolist() == [0, 0, 0, 1]


def test_what_is_answered_and_how_well_the_own_class_fits():
    outputs, targets = np.array([[0.2, 0.7, 0.1], [0.5, 0.2, 0.3]]), targets_of([1, 2], NAMES)
    assert TASK.words(outputs, NAMES) == ["bees", "ants"]
    assert TASK.confidence(outputs).tolist() == [0.7, 0.5]
    assert TASK.own(outputs, targets).tolist() == [0.7, 0.3]


def test_the_headline_is_a_share():
    assert TASK.headline.of(np.eye(2)[None, [0, 1, 1, 1]], targets_of([0, 1, 0, 1])).value == 0.75


@pytest.mark.parametrize(("rows", "sets"), [(8, False), (20, True)])
def test_details_hold_the_classes_and_the_sets_where_rows_are_enough(rows, sets):
    truth = np.arange(rows) % 2
    told = TASK.details(np.eye(2)[None, truth] * 0.9 + 0.05, targets_of(truth, NAMES[:2]), None)
    assert told["labels"] == ["ants", "bees"]
    assert told["confusion"] == [[rows / 2, 0], [0, rows / 2]]
    assert ("sets" in told) is sets


def test_rows_of_a_class_are_alike_and_names_are_of_their_own():
    targets = targets_of([1, 0, 1], NAMES)
    assert TASK.likeness(targets).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert TASK.named(targets).values.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("near", "tell"), [(range(12), True), (range(1, 13), False), ([0] * 12, False)])
def test_names_tell_where_the_nearest_one_is_right_beyond_doubt(near, tell):
    truth = np.arange(12) % 3
    similar = np.eye(3)[np.array(near) % 3]
    assert TASK.names_tell(similar, targets_of(truth, NAMES)) is tell
