"""Association: its p-value by hand, its level where labels mean nothing, and that groups do not fool it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classified import one_hot
from handful.evaluation import association as permanova
from handful.evaluation.association import DEALS, DOUBT


def association(x, truth, *rest):
    return permanova.association(x, one_hot(truth), *rest)


def labels_tell(x, truth, *rest):
    return permanova.labels_tell(x, one_hot(truth), *rest)


def rows(n, rng, apart=0.0, classes=2, width=6):
    """Rows around the means of their classes, so far apart."""
    truth = np.arange(n) % classes
    return (rng.normal(size=(n, width)) + apart * np.eye(width)[truth]).astype(np.float32), truth


def test_the_p_value_of_four_rows_by_hand():
    """Two pairs at right angles: of all six deals, two are as clean as the one that was found."""
    x, truth = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32), np.array([0, 0, 1, 1])
    deals = list(itertools.permutations(truth))
    exact = np.mean([deal in {(0, 0, 1, 1), (1, 1, 0, 0)} for deal in deals])
    assert association(x, truth) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / DEALS))


def test_classes_that_lie_apart_tell_and_the_smallest_value_is_one_deal():
    x, truth = rows(20, np.random.default_rng(0), apart=6.0)
    assert association(x, truth) == 1 / (1 + DEALS)
    assert labels_tell(x, truth)


def test_rows_that_are_all_alike_tell_nothing():
    assert association(np.ones((10, 3), np.float32), np.arange(10) % 2) == 1


@pytest.mark.parametrize("classes", [2, 5])
def test_labels_that_mean_nothing_are_believed_once_in_twenty(classes):
    rng = np.random.default_rng(classes)
    told = [labels_tell(*rows(20, rng, classes=classes)) for _ in range(400)]
    assert np.mean(told) == pytest.approx(DOUBT, abs=0.035)


def test_sixteen_rows_show_what_is_there():
    rng = np.random.default_rng(1)
    assert np.mean([labels_tell(*rows(16, rng, apart=2.0)) for _ in range(100)]) > 0.8


def named(n, rng, near):
    """Rows with little about their class in them, and names that lie so near to it."""
    x, truth = rows(n, rng, apart=1.0)
    return x, truth, None, (rng.normal(size=(2, 6)) + near * np.eye(2, 6)).astype(np.float32)


def test_names_show_what_the_rows_alone_leave_in_doubt():
    rng = np.random.default_rng(6)
    found = [named(14, rng, near=8.0) for _ in range(150)]
    alone, both = np.mean([(labels_tell(*some[:3]), labels_tell(*some)) for some in found], 0)
    assert alone < 0.5
    assert both > alone + 0.2


@pytest.mark.parametrize("classes", [2, 5])
def test_names_leave_the_level_as_it_is(classes):
    rng = np.random.default_rng(7 + classes)
    told = [
        labels_tell(*rows(20, rng, classes=classes), None, rng.normal(size=(classes, 6)).astype(np.float32))
        for _ in range(400)
    ]
    assert np.mean(told) == pytest.approx(DOUBT, abs=0.035)


def test_names_of_the_other_class_speak_against_the_labels():
    rng = np.random.default_rng(8)
    x, truth, _, names = named(16, rng, near=8.0)
    assert association(x, truth, None, names) < association(x, truth, None, names[::-1])


def test_names_that_are_all_alike_add_nothing():
    rng = np.random.default_rng(9)
    x, truth = rows(20, rng, apart=1.0)
    assert association(x, truth, None, np.ones((2, 6), np.float32)) == association(x, truth)


def test_names_of_classes_without_rows_are_left_out():
    rng = np.random.default_rng(10)
    x, truth, _, names = named(16, rng, near=3.0)
    assert association(x, truth * 2, None, np.stack([names[0], -names[0], names[1]])) == association(
        x, truth, None, names
    )


def test_copies_of_a_row_count_once():
    """Ten rows with labels that mean nothing, each six times: taken for sixty they would seem to tell nearly always."""
    rng = np.random.default_rng(2)
    copied, fooled = [], []
    for _ in range(200):
        x, truth = rows(10, rng)
        many, labels, groups = np.repeat(x, 6, 0), np.repeat(truth, 6), np.repeat(np.arange(10), 6)
        assert association(many, labels, groups) == association(x, truth)
        copied.append(labels_tell(many, labels, groups))
        fooled.append(labels_tell(many, labels))
    assert np.mean(copied) < 0.12
    assert np.mean(fooled) > 0.8


def test_speakers_who_sound_alike_are_not_taken_for_words():
    """Every speaker says every word: that their own rows are alike must not look like words."""
    rng = np.random.default_rng(3)
    told = []
    for _ in range(200):
        voice = 4 * rng.normal(size=(5, 1, 8))
        x = (voice + rng.normal(size=(5, 4, 8))).reshape(20, 8).astype(np.float32)
        told.append(labels_tell(x, np.tile(np.arange(4), 5), np.repeat(np.arange(5), 4)))
    assert np.mean(told) < 0.1


def test_classes_of_large_groups_are_not_told_from_those_of_single_rows():
    """Twelve patients with ten rows each and four with one, ill or not by the number of rows alone."""
    rng = np.random.default_rng(4)
    groups = np.concatenate([np.repeat(np.arange(12), 10), np.arange(12, 16)])
    truth = (groups >= 12).astype(int)
    told = []
    for _ in range(200):
        x = rng.normal(size=(16, 32))[groups] + rng.normal(size=(124, 32))
        told.append(labels_tell(x.astype(np.float32), truth, groups))
    assert np.mean(told) < 0.1


@given(st.integers(2, 30), st.integers(1, 5), st.integers(0, 9))
def test_it_is_a_p_value_whatever_the_rows(n, classes, seed):
    rng = np.random.default_rng(seed)
    x, truth = rng.normal(size=(n, 3)).astype(np.float32), rng.integers(classes, size=n)
    p = association(x, truth, rng.integers(3, size=n) if seed % 2 else None)
    assert 1 / (1 + DEALS) <= p <= 1
    assert p == association(x, truth, None) or seed % 2
