"""Metrics against numbers computed by hand, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from handful.evaluation.metrics import METRICS, accuracy, balanced_accuracy, confusion, macro_f1
from handful.plan import METRICS as NAMES

# 4 rows of class 0, 3 of them right; 6 rows of class 1, 4 of them right.
TABLE = np.array([[3, 1], [2, 4]])


def test_by_hand():
    assert accuracy(TABLE) == pytest.approx(7 / 10)
    assert balanced_accuracy(TABLE) == pytest.approx((3 / 4 + 4 / 6) / 2)
    # class 0: precision 3/5, recall 3/4; class 1: precision 4/5, recall 4/6
    assert macro_f1(TABLE) == pytest.approx(
        (2 * (3 / 5 * 3 / 4) / (3 / 5 + 3 / 4) + 2 * (8 / 15) / (4 / 5 + 4 / 6)) / 2
    )


def test_a_class_without_rows_is_no_row_of_the_mean():
    table = np.array([[2, 0, 0], [1, 3, 0], [0, 0, 0]])
    assert balanced_accuracy(table) == pytest.approx((1 + 3 / 4) / 2)
    assert macro_f1(table) == pytest.approx((2 * 2 / 5 + 2 * 3 / 7) / 2)


def test_a_class_that_is_only_answered_lowers_the_f1():
    table = np.array([[2, 2], [0, 0]])
    assert balanced_accuracy(table) == 0.5
    assert macro_f1(table) == pytest.approx((2 * 2 / 6 + 0) / 2)


def test_tables_may_be_means_over_repeats():
    assert accuracy(TABLE / 5) == pytest.approx(0.7)
    assert macro_f1(TABLE / 5) == pytest.approx(macro_f1(TABLE))


def test_the_true_class_is_the_row_of_the_table():
    assert confusion(np.array([0, 0, 2]), np.array([0, 1, 1]), 3).tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert confusion(np.array([], int), np.array([], int), 2).tolist() == [[0, 0], [0, 0]]


def test_the_names_are_those_of_the_option():
    assert tuple(METRICS) == NAMES


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_against_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    table = confusion(truth, predicted, 4)
    assert (table == confusion_matrix(truth, predicted, labels=range(4))).all()
    assert accuracy(table) == pytest.approx(accuracy_score(truth, predicted))
    recall = recall_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    assert balanced_accuracy(table) == pytest.approx(recall)
    assert macro_f1(table) == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))
