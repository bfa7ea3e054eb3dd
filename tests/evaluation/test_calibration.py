"""Calibration on other folds: one sharpness per fold, found without its rows, that makes noise unsure."""

import numpy as np
import pytest
from scipy.special import softmax

from classified import targets_of
from handful.evaluation import calibration
from handful.tasks.classification.softmax import log_losses, spread_of

FACTORS = np.geomspace(0.1, 100, 13)


def calibrated(scores, truth, folds):
    targets = targets_of(truth, classes=scores.shape[1])
    return calibration.calibrated(scores, targets, folds, FACTORS)


def scored(n=40, classes=3, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % classes
    scores = (5 * np.eye(classes)[truth] + 5 * noise * rng.normal(size=(n, classes))).astype(np.float32)
    return scores, truth, rng.permutation(np.arange(n) % 4)


def test_probabilities_are_the_softmax_at_one_sharpness_per_fold():
    scores, truth, folds = scored()
    proba, sharpness = calibrated(scores, truth, folds)
    np.testing.assert_allclose(proba.sum(1), 1)
    values = FACTORS / spread_of(scores)
    assert sharpness in values.tolist()
    for k in range(4):
        own = folds == k
        assert any(np.allclose(proba[own], softmax(value * scores[own].astype(float), axis=1)) for value in values)


def test_a_fold_is_calibrated_on_the_others():
    scores, truth, folds = scored()
    proba, _ = calibrated(scores, truth, folds)
    for k in range(4):
        own = folds == k
        told = np.where(own, (truth + 1) % 3, truth)
        np.testing.assert_array_equal(calibrated(scores, told, folds)[0][own], proba[own])


def test_noise_is_made_unsure_and_what_is_right_is_not_made_certain():
    noisy, clean = scored(noise=9.0), scored(noise=0.01)
    assert calibrated(*noisy)[0].max(1).mean() < 0.6
    proba = calibrated(*clean)[0]
    assert (proba.argmax(1) == clean[1]).all()
    assert 0.9 < proba.max(1).mean() < 0.999


def test_the_sharpness_is_about_the_best_one():
    scores, truth, folds = scored(n=200)
    _, sharpness = calibrated(scores, truth, folds)
    values = FACTORS / spread_of(scores)
    losses = log_losses(scores, truth, values).mean(1)
    assert abs(values.tolist().index(sharpness) - losses.argmin()) <= 1


@pytest.mark.parametrize("fold", range(4))
def test_classes_that_a_fold_never_saw_make_nothing_surer_or_less_sure(fold):
    """A class of one row is in no fold's training part when that row is held out."""
    scores, truth, folds = scored(noise=0.8)
    _, plain = calibrated(scores, truth, folds)
    scores = np.concatenate([scores, np.full((40, 1), -8.0, np.float32)], 1)
    scores = np.concatenate([scores, scores[:1]])
    folds, truth = np.append(folds, fold), np.append(truth, 3)
    scores[folds == fold, 3] = -1e4
    proba, sharpness = calibrated(scores, truth, folds)
    assert plain / 3 <= sharpness <= 3 * plain
    assert 0.5 < np.median(proba.max(1)) < 0.9999
    assert proba[-1, 3] < 1e-6
