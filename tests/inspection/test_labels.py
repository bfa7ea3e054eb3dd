"""Doubtful labels and classes that cannot be told apart: found where planted, not where labels are right."""

import itertools

import numpy as np
import pytest
from crowd import clouds

from handful.data.dataset import Dataset
from handful.inspection.labels import Doubts, _mixed_up, _upper, confusable, doubts, label_errors


def rows_of(labels, first=0):
    return Dataset(
        [f"t{i}" for i in range(len(labels))], "text", tuple(labels), rows=tuple(range(first, first + len(labels)))
    )


@pytest.mark.parametrize("per_class", [5, 10, 25])
def test_a_wrong_label_is_found(per_class):
    x, labels = clouds(per_class)
    labels[1] = "c"
    (found,) = label_errors(rows_of(labels, first=100), doubts([x], labels))
    assert found.kind == "label_error"
    assert found.rows == (101,)
    assert found.message == '1 label looks wrong to the other rows: row 101 is labelled "c" and looks like "a"'
    assert found.advice == (
        "Look at these rows, the first ones first, and correct what is wrong; leave what is right as it is."
    )
    assert 0.8 < found.scores[0] <= 1
    assert found.severity == pytest.approx(1 / (3 * per_class))


def test_several_wrong_labels_come_in_the_order_of_doubt():
    x, labels = clouds(8)
    labels[0], labels[9] = "b", "c"
    found = doubts([x], labels)
    assert sorted(found.doubtful) == [0, 9]
    assert found.scores[found.doubtful[0]] >= found.scores[found.doubtful[1]]
    (said,) = label_errors(rows_of(labels), found)
    assert said.message.startswith("2 labels look wrong to the other rows: row ")


def test_right_labels_are_left_in_peace():
    x, labels = clouds(10)
    found = doubts([x], labels)
    assert found.doubtful == []
    assert list(label_errors(rows_of(labels), found)) == []


@pytest.mark.parametrize("labels", [["a", "a", "b", "b"], ["a", "b", "b", "b"], ["a", "b"]])
def test_few_rows_and_constant_features_raise_no_doubt(labels):
    assert doubts([np.ones((len(labels), 3))], labels).doubtful == []


def test_classes_that_are_one_cloud_cannot_be_told_apart():
    x, labels = clouds(30, classes=2)
    rng = np.random.default_rng(0)
    both = ["x" if side else "y" for side in rng.random(30) < 0.5]
    labels = both + labels[30:]
    (found,) = confusable(rows_of(labels), doubts([x], labels))
    assert found.kind == "confusable"
    assert found.rows == tuple(range(30))
    assert found.message.startswith('classes "x" and "y" cannot be told apart: ')
    assert found.message.endswith(
        "of their 30 rows are nearer to their own class than to the other, and a coin would get 50%"
    )
    assert found.advice == ("Join them, or say what divides them and check these rows.")


def test_many_classes_in_one_cloud_are_one_finding_and_none_of_their_labels_is_doubted():
    x = np.random.default_rng(0).normal(size=(120, 16))
    labels = ["abcd"[i % 4] for i in range(120)]
    found = doubts([x], labels)
    (said,) = confusable(rows_of(labels), found)
    assert said.message.startswith('classes "a", "b", "c" and "d" cannot be told apart: ')
    assert "of their 120 rows are nearer to their own class than to the other, on the mean of the " in said.message
    assert found.doubtful != []
    assert sum(len(finding.rows) for finding in label_errors(rows_of(labels), found)) < len(found.doubtful)


def test_classes_apart_and_classes_with_three_rows_are_not_called_confusable():
    for x, labels in (clouds(10), (np.ones((6, 2)), ["a"] * 3 + ["b"] * 3)):
        assert list(confusable(rows_of(labels), doubts([x], labels))) == []


def test_the_upper_bound_is_that_of_clopper_and_pearson():
    assert _upper(5, 10) == pytest.approx(0.813, abs=0.001)
    assert _upper(10, 10) == 1.0


def test_a_malicious_label_is_only_a_name():
    x, labels = clouds(5, classes=2)
    names = {"a": "<script>alert(1)</script>", "b": "=cmd|' /C calc'!A0"}
    labels = [names[label] for label in labels]
    labels[0] = names["b"]
    (found,) = label_errors(rows_of(labels), doubts([x], labels))
    assert names["a"] in found.message


def test_pairs_of_classes_are_found_as_by_asking_each_pair():
    """All pairs at once, so that thousands of classes take seconds."""
    rng = np.random.default_rng(0)
    index = np.sort(rng.integers(0, 12, 200))
    logs = np.round(rng.normal(size=(200, 12)) + 0.5 * np.eye(12)[index], 1)  # with ties
    pairs = []
    for a, b in itertools.combinations(range(12), 2):
        first, second = (np.flatnonzero(index == c) for c in (a, b))
        ahead = logs[:, a] > logs[:, b]
        share = float(ahead[first].mean() + 1 - ahead[second].mean()) / 2
        rows = len(first) + len(second)
        if min(len(first), len(second)) >= 4 and share <= 0.65 and _upper(round(share * rows), rows) < 0.85:
            pairs.append((share, a, b))
    assert pairs
    assert _mixed_up(Doubts(tuple("abcdefghijkl"), index, logs, np.zeros(200))) == sorted(pairs)
