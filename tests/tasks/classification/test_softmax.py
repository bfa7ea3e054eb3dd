"""The softmax and the losses by hand, and at numbers where a plain softmax fails."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from handful.tasks.classification.softmax import (
    SMALLEST,
    expected_error,
    hedged_losses,
    leads,
    log_losses,
    probabilities,
    spread_of,
)


def test_probabilities_by_hand():
    scores = np.log([[1.0, 3.0], [2.0, 2.0]])
    np.testing.assert_allclose(probabilities(scores, 1.0), [[1 / 4, 3 / 4], [1 / 2, 1 / 2]])
    np.testing.assert_allclose(probabilities(scores, 2.0), [[1 / 10, 9 / 10], [1 / 2, 1 / 2]])


def test_scores_of_any_size_give_probabilities():
    scores = np.array([[1e6, -1e6, 0], [-1e30, -1e30, -1e30]], np.float32)
    np.testing.assert_allclose(probabilities(scores, 3.0), [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])


def test_losses_by_hand():
    scores = np.log([[1.0, 3.0], [1.0, 3.0]])
    losses = log_losses(scores, np.array([0, 1]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(losses, -np.log([[1 / 4, 3 / 4], [1 / 10, 9 / 10]]), rtol=1e-5)
    assert losses.dtype == np.float32


def test_no_answer_is_surer_than_its_rows_allow():
    proba = np.array([[1.0, 0.0], [0.5, 0.5], [1.0, 0.0]])
    losses = hedged_losses(proba, np.array([0, 1, 1]))
    np.testing.assert_allclose(losses, -np.log([7 / 8, 1 / 2, 1 / 8]))  # a quarter of each answer is one half


def test_a_loss_is_charged_for_at_most_near_certainty():
    losses = log_losses(np.array([[0.0, 1e6]]), np.array([0]), np.array([1.0]))
    np.testing.assert_allclose(losses, [[-np.log(SMALLEST)]], rtol=1e-6)


def test_many_fits_at_once_are_as_each_alone():
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(2, 3, 7, 4)), rng.integers(4, size=7)
    together = log_losses(scores, truth, np.array([0.5, 2.0]))
    assert together.shape == (2, 2, 3, 7)
    np.testing.assert_allclose(together[:, 1, 2], log_losses(scores[1, 2], truth, np.array([0.5, 2.0])))


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 50))
def test_losses_against_scipy(seed, factor):
    rng = np.random.default_rng(seed)
    scores, truth = rng.normal(size=(5, 3)) * 3, rng.integers(3, size=5)
    expected = np.minimum(-log_softmax(factor * scores, 1)[np.arange(5), truth], -np.log(SMALLEST))
    np.testing.assert_allclose(log_losses(scores, truth, np.array([factor]))[0], expected, rtol=1e-3, atol=1e-4)


def test_the_spread_is_the_mean_distance_to_the_best():
    assert spread_of(np.array([[0.0, 2.0], [1.0, 0.0]])) == pytest.approx((2 + 0 + 0 + 1) / 4)


def test_classes_that_a_fold_never_saw_do_not_count_in_the_spread():
    assert spread_of(np.array([[0.0, 2.0, -1e9]])) == pytest.approx(1.0)


def test_scores_that_are_all_equal_have_some_spread():
    assert spread_of(np.zeros((4, 3))) > 0


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 5), st.integers(1, 50))
def test_smoothed_targets_cost_the_lead_times_the_sharpness(seed, factor, n):
    rng = np.random.default_rng(seed)
    scores, truth = rng.normal(size=(5, 3)), rng.integers(3, size=5)
    targets = np.where(np.arange(3) == truth[:, None], (n + 1) / (n + 2), 1 / (n + 2) / 2)
    logs = log_softmax(factor * scores, 1)
    plain, smoothed = -logs[np.arange(5), truth], -(targets * logs).sum(1)
    np.testing.assert_allclose(plain + factor * leads(scores, truth) / (n + 2), smoothed, atol=1e-9)


def test_classes_that_a_fold_never_saw_have_no_part_in_a_lead():
    scores = np.array([[[2.0, 1.0, -1e4], [0.0, 1.0, -1e4]], [[5.0, -1e4, -1e4], [5.0, -1e4, -1e4]]])  # two fits
    np.testing.assert_allclose(leads(scores, np.array([0, 2])), [[1, 0], [0, 0]])


def test_the_expected_calibration_error_by_hand():
    proba = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.45, 0.55]])
    # One bin holds both 0.9 (one of them right: 0.4 off), one 0.6 (right), one 0.55 (right).
    expected = (2 * 0.4 + 0.4 + 0.45) / 4
    assert expected_error(proba, np.array([0, 1, 0, 1])) == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1))
def test_probabilities_that_mean_what_they_say_have_a_small_error(seed):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(3), 3000)
    truth = np.minimum((proba.cumsum(1) < rng.random((3000, 1))).sum(1), 2)
    assert expected_error(proba, truth) < 0.06
    assert expected_error(proba**8 / (proba**8).sum(1, keepdims=True), truth) > 0.15


def test_certainty_lies_in_the_last_bin():
    assert expected_error(np.array([[1.0, 0.0]]), np.array([1])) == 1
