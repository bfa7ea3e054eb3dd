"""The solver: its heads against closed forms and scikit-learn, a batch of folds against single fits."""

import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from handful.features.view import unit_rows
from handful.strategies.frozen.solver import ABSENT, centroids, fit_path, rotate
from handful.tasks.heads import HINGE, SOFTMAX, SQUARED


def rows(n=24, width=40, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = unit_rows(rng.normal(size=(n, width)) + 2 * np.eye(classes, width)[y])
    return x, y, np.eye(classes, dtype=np.float32)[y]


def test_ridge_is_exact_after_one_step():
    x, y, targets = rows()
    coef, intercept = fit_path(x, targets, np.ones((1, len(x)), np.float32), [1.0, 0.1], SQUARED)
    for s, penalty in enumerate([1.0, 0.1]):
        known = RidgeClassifier(alpha=penalty).fit(x, y).decision_function(x)
        np.testing.assert_allclose(x @ coef[0, :, s] + intercept[0, s], known, atol=1e-5)


@pytest.mark.parametrize("penalty", [1.0, 0.1, 0.03])
def test_logistic_agrees_with_scikit_learn(penalty):
    x, y, targets = rows()
    coef, intercept = fit_path(x, targets, np.ones((1, len(x)), np.float32), [penalty], SOFTMAX)
    known = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000).fit(x, y).decision_function(x)
    ours = x @ coef[0, :, 0] + intercept[0, 0]
    np.testing.assert_allclose(ours - ours.mean(1, keepdims=True), known, atol=0.02)


def test_svm_step_reaches_a_point_without_slope():
    x, _, targets = rows()
    coef, intercept = fit_path(x, targets, np.ones((1, len(x)), np.float32), [0.3], HINGE)
    g = HINGE.gradient((x @ coef[0, :, 0] + intercept[0, 0])[:, None], targets)[:, 0]
    assert np.abs(x.T @ g + 0.3 * coef[0, :, 0]).max() < 1e-2
    assert np.abs(g.sum(0)).max() < 1e-2


@pytest.mark.parametrize("loss", [SOFTMAX, SQUARED, HINGE])
def test_a_fold_in_a_batch_equals_a_fit_on_its_rows_alone(loss):
    x, _, targets = rows()
    weights = np.ones((3, len(x)), np.float32)
    weights[1, ::4], weights[2, :5] = 0, 0
    together, b = fit_path(x, targets, weights, [0.3], loss)
    for f in range(3):
        kept = weights[f] > 0
        alone, b1 = fit_path(x[kept], targets[kept], weights[f : f + 1, kept], [0.3], loss)
        np.testing.assert_allclose(x @ together[f, :, 0] + b[f, 0], x @ alone[0, :, 0] + b1[0, 0], atol=2e-3)


def test_rotation_changes_no_score():
    x, _, targets = rows(n=12, width=50)
    z, basis = rotate(x)
    assert z.shape == (12, 12)
    ones = np.ones((1, 12), np.float32)
    wide, b = fit_path(x, targets, ones, [0.3], SOFTMAX)
    narrow, b1 = fit_path(z, targets, ones, [0.3], SOFTMAX)
    np.testing.assert_allclose(x @ wide[0, :, 0] + b[0, 0], z @ narrow[0, :, 0] + b1[0, 0], atol=1e-3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(12), atol=1e-5)


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (30, 30)])
def test_rotation_keeps_the_widest_directions(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32) * np.linspace(
        3, 0.001, shape[1], dtype=np.float32
    )
    z, basis = rotate(x, widest=10)
    assert z.shape == (shape[0], 10)
    np.testing.assert_allclose(basis.T @ basis, np.eye(10), atol=1e-4)
    assert (z**2).sum() > 0.75 * (x**2).sum()


@pytest.mark.parametrize("loss", [SOFTMAX, SQUARED, HINGE])
def test_a_class_without_training_rows_scores_below_all_others(loss):
    x, y, targets = rows()
    coef, intercept = fit_path(x, targets, (y != 2)[None].astype(np.float32), [0.3], loss)
    scores = x @ coef[0, :, 0] + intercept[0, 0]
    assert (scores[:, 2] == ABSENT).all()
    assert np.abs(scores[:, :2]).max() < 100


def test_centroids_rank_by_distance():
    x, y, targets = rows()
    coef, intercept = centroids(x, targets, np.ones((1, len(x)), np.float32))
    means = np.stack([x[y == c].mean(0) for c in range(3)])
    nearest = ((x[:, None] - means) ** 2).sum(2).argmin(1)
    assert ((x @ coef[0, :, 0] + intercept[0, 0]).argmax(1) == nearest).all()


def test_centroids_are_weighted_means_in_every_fit_also_of_many_classes():
    rng = np.random.default_rng(0)
    y = np.arange(600) % 300
    x, weights = rng.normal(size=(600, 8)).astype(np.float32), rng.random((4, 600)).astype(np.float32)
    weights[0, y == 7] = 0  # a class that a fit does not see
    tracemalloc.start()
    coef, intercept = centroids(x, np.eye(300, dtype=np.float32)[y], weights)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    for f in range(4):
        for c in (0, 8, 299):
            mean = np.average(x[y == c].astype(float), axis=0, weights=weights[f, y == c])
            np.testing.assert_allclose(coef[f, :, 0, c], mean, atol=1e-5)
    assert (intercept[0, 0, 7], coef[0, :, 0, 7].any()) == (ABSENT, False)
    assert most < 4 * 600 * 300 * 4 / 2  # half of a table of fits, rows and classes
