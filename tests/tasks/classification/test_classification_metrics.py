"""Metrics of classes against numbers computed by hand, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from classified import targets_of
from handful.choices import METRICS as NAMES
from handful.tasks.classification.metrics import METRICS, confusion


def value(metric, truth, *repeats, classes=0):
    targets = targets_of(truth, classes=classes)
    outputs = np.eye(len(targets.names))[np.array(repeats)]  # (R, N, C)
    return METRICS[metric].of(outputs, targets).value


# 4 rows of class 0, 3 of them right; 6 rows of class 1, 4 of them right.
TRUTH, SAID = [0] * 4 + [1] * 6, [0, 0, 0, 1] + [1, 1, 1, 1, 0, 0]


def test_by_hand():
    assert value("accuracy", TRUTH, SAID) == pytest.approx(7 / 10)
    assert value("balanced_accuracy", TRUTH, SAID) == pytest.approx((3 / 4 + 4 / 6) / 2)
    # class 0: precision 3/5, recall 3/4; class 1: precision 4/5, recall 4/6
    assert value("macro_f1", TRUTH, SAID) == pytest.approx(
        (2 * (3 / 5 * 3 / 4) / (3 / 5 + 3 / 4) + 2 * (8 / 15) / (4 / 5 + 4 / 6)) / 2
    )


def test_a_class_without_rows_is_no_row_of_the_mean():
    truth, said = [0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]
    assert value("balanced_accuracy", truth, said, classes=3) == pytest.approx((1 + 3 / 4) / 2)
    assert value("macro_f1", truth, said, classes=3) == pytest.approx((2 * 2 / 5 + 2 * 3 / 7) / 2)


def test_a_class_that_is_only_answered_lowers_the_f1():
    truth, said = [0] * 4, [0, 0, 1, 1]
    assert value("balanced_accuracy", truth, said, classes=2) == 0.5
    assert value("macro_f1", truth, said, classes=2) == pytest.approx((2 * 2 / 6 + 0) / 2)


def test_repeats_are_pooled_and_add_no_rows():
    first, second = [0, 0, 1, 1], [0, 1, 1, 1]
    assert value("balanced_accuracy", first, first, second) == pytest.approx((3 / 4 + 1) / 2)
    found = METRICS["accuracy"].of(np.eye(2)[np.array([first, second])], targets_of(first))
    assert found.scores.tolist() == [1.0, 0.5, 1.0, 1.0]


def test_the_true_class_is_the_row_of_the_table():
    assert confusion(np.array([0, 0, 2]), np.array([0, 1, 1]), 3).tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert confusion(np.array([], int), np.array([], int), 2).tolist() == [[0, 0], [0, 0]]


def test_the_names_are_those_of_the_option():
    assert set(METRICS) <= set(NAMES)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_against_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    assert (confusion(truth, predicted, 4) == confusion_matrix(truth, predicted, labels=range(4))).all()
    assert value("accuracy", truth, predicted, classes=4) == pytest.approx(accuracy_score(truth, predicted))
    recall = recall_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    assert value("balanced_accuracy", truth, predicted, classes=4) == pytest.approx(recall)
    macro = f1_score(truth, predicted, average="macro", zero_division=0)
    assert value("macro_f1", truth, predicted, classes=4) == pytest.approx(macro)
