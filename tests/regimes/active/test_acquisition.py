"""Each acquisition function by hand-computed numbers: higher is asked first."""

from __future__ import annotations

import numpy as np
import pytest

from handful.regimes.active import acquisition
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.multilabel import MULTILABEL
from handful.tasks.ordinal import ORDINAL

SURE = np.array([[0.9, 0.1, 0.0], [0.5, 0.4, 0.1], [0.4, 0.3, 0.3]])
# Three items: two alike, one at right angles to them.
ROWS = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])


def test_margin_is_one_minus_the_lead_of_the_first_class():
    assert acquisition.margin(CLASSIFICATION, SURE) == pytest.approx([0.2, 0.9, 0.9])


def test_entropy_is_highest_where_all_classes_are_as_likely():
    found = acquisition.entropy(CLASSIFICATION, SURE)
    assert found == pytest.approx([-(p[p > 0] * np.log(p[p > 0])).sum() for p in SURE])
    assert found.argmax() == 2


def test_ratings_have_the_margin_of_classes():
    assert acquisition.margin(ORDINAL, SURE) == pytest.approx([0.2, 0.9, 0.9])


def test_of_several_labels_the_most_doubtful_one_decides_the_margin_and_all_add_up_in_the_entropy():
    outputs = np.array([[0.9, 0.1], [0.5, 0.99]])
    assert acquisition.margin(MULTILABEL, outputs) == pytest.approx([0.2, 1.0])
    half = np.log(2)
    assert acquisition.entropy(MULTILABEL, np.array([[0.5, 0.5], [0.5, 1.0]])) == pytest.approx([2 * half, half])


def test_models_that_contradict_each_other_come_before_models_that_guess():
    first = np.array([[0.9, 0.1], [0.9, 0.1], [0.51, 0.49]])
    second = np.array([[0.9, 0.1], [0.1, 0.9], [0.49, 0.51]])
    found = acquisition.disagreement(CLASSIFICATION, [first, second])
    assert np.argsort(-found).tolist() == [1, 2, 0]


def test_badge_begins_with_the_longest_gradient_and_goes_on_with_the_one_furthest_from_it():
    slopes = CLASSIFICATION.slopes(np.array([[0.5, 0.5], [0.5, 0.5], [0.6, 0.4]]))
    none = np.array([], np.int64)
    assert acquisition.badge(slopes, ROWS, none) == pytest.approx([0.5, 0.5, 0.32])
    # |g|²|x|² of both minus twice the product of slopes and of rows.
    assert acquisition.badge(slopes, ROWS, np.array([0])) == pytest.approx([0, 0.5 + 0.5 - 2 * 0.5 * 0.8, 0.82])


def test_slopes_are_answers_minus_what_is_answered():
    assert CLASSIFICATION.slopes(SURE[:1]) == pytest.approx(np.array([[-0.1, 0.1, 0.0]]))
    assert MULTILABEL.slopes(np.array([[0.9, 0.2]])) == pytest.approx(np.array([[-0.1, 0.2]]))


def test_the_core_set_grows_by_the_item_furthest_from_all_labelled_ones():
    assert acquisition.core_set(ROWS, np.array([0])) == pytest.approx([0, 0.2, 1])
    assert acquisition.core_set(ROWS, np.array([0, 2])) == pytest.approx([0, 0.2, 0])
    assert (acquisition.core_set(ROWS, np.array([], np.int64)) == 0).all()


def test_a_typical_item_is_like_many_that_no_labelled_one_is_like():
    alike = ROWS @ ROWS.T
    assert acquisition.typical(alike, np.zeros(3)) == pytest.approx([1.8, 2.4, 1.6])
    covered = alike[1]  # the second is labelled
    assert acquisition.typical(alike, covered) == pytest.approx([0.2, 0, 0.4])


def test_the_largest_cluster_without_a_label_is_asked_at_its_densest_item():
    clusters, density = np.array([0, 0, 0, 1, 1, 2]), np.array([0.1, 0.3, 0.2, 0.5, 0.6, 0.9])
    assert acquisition.typical_of_clusters(clusters, density, np.array([], np.int64)).argmax() == 1
    assert acquisition.typical_of_clusters(clusters, density, np.array([2])).argmax() == 4
    assert acquisition.typical_of_clusters(clusters, density, np.array([2, 3])).argmax() == 5


def test_what_is_drawn_by_chance_is_the_same_with_the_same_generator():
    first, second = (acquisition.random(4, np.random.default_rng(3)) for _ in range(2))
    assert first.tolist() == second.tolist()
    assert len(set(first)) == 4


def test_doubt_spread_over_what_is_in_doubt_asks_an_item_amid_other_doubtful_ones():
    alike, nothing = ROWS @ ROWS.T, np.zeros(3)
    doubt = np.array([0.5, 1.0, 0.2])
    found = acquisition.margin_spread(doubt, doubt, alike, nothing)
    assert found == pytest.approx(doubt * (alike @ doubt))
    everything = np.ones(3)  # a model that knows nothing: as typical
    assert acquisition.margin_spread(everything, everything, alike, alike[1]) == pytest.approx(
        acquisition.typical(alike, alike[1])
    )
