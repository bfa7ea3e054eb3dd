"""Doubtful labels and classes that cannot be told apart: found where planted, not where labels are right."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from crowd import clouds

from handful.data.dataset import Dataset
from handful.inspection.labels import Doubts, _expected, _mixed_up, _upper, confusable, doubts, label_errors
from handful.inspection.wrong_labels import Count, WrongLabels


def rows_of(labels, first=0):
    return Dataset(
        [f"t{i}" for i in range(len(labels))], "text", tuple(labels), rows=tuple(range(first, first + len(labels)))
    )


@pytest.mark.parametrize("per_class", [5, 10, 25])
def test_a_wrong_label_comes_first(per_class):
    x, labels = clouds(per_class)
    labels[1] = "c"
    (found,) = label_errors(rows_of(labels, first=100), doubts([x], labels))
    assert found.kind == "label_error"
    assert found.rows[0] == 101
    assert ': row 101 is labelled "c" and looks like "a"' in found.message
    alone = "Look at it, and correct it if it is wrong; leave it if it is right."
    several = "Look at these rows, the first ones first, and correct what is wrong; leave what is right as it is."
    assert found.advice == (alone if len(found.rows) == 1 else several)
    assert 0.5 < found.scores[0] <= 1
    assert all(score < 0.2 for score in found.scores[1:])
    assert found.severity == pytest.approx(1 / (3 * per_class), rel=0.5)


def test_several_wrong_labels_come_in_the_order_of_doubt():
    x, labels = clouds(8)
    labels[0], labels[9] = "b", "c"
    found = doubts([x], labels)
    first = found.second_look()
    assert sorted(first[:2]) == [0, 9]
    assert found.scores[first[0]] >= found.scores[first[1]]
    (said,) = label_errors(rows_of(labels), found)
    assert "about 2 of which are expected to be wrong (2" in said.message


def test_labels_that_fit_are_not_listed():
    x, labels = clouds(10)
    found = doubts([x], labels)
    assert found.wrong.chances.max() < 0.02
    assert list(label_errors(rows_of(labels), found)) == []


@pytest.mark.parametrize("labels", [["a", "a", "b", "b"], ["a", "b", "b", "b"], ["a", "b"]])
def test_few_rows_and_constant_features_make_no_label_likely_to_be_wrong(labels):
    assert doubts([np.ones((len(labels), 3))], labels).wrong.chances.max() < 0.5


@pytest.mark.parametrize("rows", [1, 2])
def test_a_class_with_one_or_two_rows_has_nobody_to_speak_for_it(rows, monkeypatch):
    """Such rows lie wherever they lie: nothing says that their labels are wrong."""
    x, labels = clouds(8)
    labels[:rows] = ["rare"] * rows  # in the middle of another class
    monkeypatch.setattr("handful.inspection.labels._UNLIKELY", 0.0)
    assert not set(range(rows)) & set(doubts([x], labels).second_look())
    monkeypatch.setattr("handful.inspection.labels._COMPANY", 1)
    assert set(range(rows)) <= set(doubts([x], labels).second_look()[:3])


def test_labels_worth_a_look_are_a_quarter_of_the_rows_and_ten_at_most_but_all_that_are_likely_wrong():
    for per_class, most in ((4, 3), (8, 6), (40, 10)):
        x, labels = clouds(per_class, spread=1.5)  # some might be wrong, none is likely to be
        found = doubts([x], labels)
        assert found.wrong.chances.max() < 0.5
        assert 0 < len(found.second_look()) <= most
    likely = WrongLabels(np.ones(1), np.where(np.arange(120) % 8 == 0, 0.6, 0.1)[None])
    assert replace(found, wrong=likely, scores=likely.chances).second_look() == list(range(0, 120, 8))


@pytest.mark.parametrize(
    ("count", "rows", "words"),
    [
        (Count(3.6, 2, 5), 10, "about 4 of which are expected to be wrong (2 to 5)"),
        (Count(1.2, 1, 1), 10, "about 1 of which is expected to be wrong (1)"),
        (Count(0.3, 0, 1), 10, "though most likely none of them is wrong (0 to 1 expected)"),
        (Count(0.83, 0, 1), 1, "with a chance of 83% that it is wrong"),
    ],
)
def test_how_many_are_expected_to_be_wrong_is_told_in_words(count, rows, words):
    assert _expected(count, rows) == words


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
    assert found.second_look() != []
    assert list(label_errors(rows_of(labels), found)) == []


def test_classes_apart_and_classes_with_three_rows_are_not_called_confusable():
    for x, labels in (clouds(10), (np.ones((6, 2)), ["a"] * 3 + ["b"] * 3)):
        assert list(confusable(rows_of(labels), doubts([x], labels))) == []


@pytest.mark.parametrize("rare", [4, 6, 10, 14])
def test_a_rare_class_that_lies_apart_is_not_called_confusable(rare):
    """Rows of a rare class are seldom called by its name, wherever they lie."""
    x, labels = clouds(40, classes=2, spread=1.0)
    apart = [*range(40), *range(40, 40 + rare)]
    labels = [labels[i] for i in apart]
    assert list(confusable(rows_of(labels), doubts([x[apart]], labels))) == []


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
        rows = round(4 / (1 / len(first) + 1 / len(second)))
        even = max(len(first), len(second)) <= 3 * min(len(first), len(second))
        if even and min(len(first), len(second)) >= 4 and share <= 0.65 and _upper(round(share * rows), rows) < 0.85:
            pairs.append((share, a, b))
    assert pairs
    assert _mixed_up(
        Doubts(tuple("abcdefghijkl"), index, logs, np.zeros(200), WrongLabels.of(logs, index, np.ones(200, bool)))
    ) == sorted(pairs)
