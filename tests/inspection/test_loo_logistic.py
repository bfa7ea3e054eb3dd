"""Logistic models that left a row out each: close to fitting without it, at a fraction of the cost."""

import numpy as np
import pytest
from crowd import clouds
from scipy.special import log_softmax, softmax

from handful.inspection.loo_logistic import centred, left_out, narrowed


def fitted(z, targets, penalty=0.3, steps=4000):
    """Plain gradient descent on the penalised softmax loss, as slow as it is simple."""
    weights = np.zeros((z.shape[1], targets.shape[1]))
    for _ in range(steps):
        weights -= 0.02 * (z.T @ (softmax(z @ weights, axis=1) - targets) + penalty * weights)
    return weights


def test_leaving_out_is_close_to_fitting_without(monkeypatch):
    monkeypatch.setattr("handful.inspection.loo_logistic._ROUNDS", 1)
    monkeypatch.setattr("handful.inspection.loo_logistic._STEPS", 400)
    x, labels = clouds(6, spread=1.0)
    index = np.unique(labels, return_inverse=True)[1]
    z, given = centred(x), np.eye(3)[index]
    exact = []
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        exact.append(log_softmax(z[i] @ fitted(z[rest], given[rest])))
    assert left_out([x], index, 3) == pytest.approx(np.array(exact), abs=0.25)


def test_probabilities_sum_to_one_and_name_the_class():
    x, labels = clouds(5)
    index = np.unique(labels, return_inverse=True)[1]
    logs = left_out([x, x[:, ::-1]], index, 3)
    assert np.exp(logs).sum(1) == pytest.approx(np.ones(15))
    assert (logs.argmax(1) == index).all()


def test_constant_features_say_nothing():
    logs = left_out([np.ones((8, 4))], np.arange(8) % 2, 2)
    assert np.isfinite(logs).all()
    assert np.ptp(logs) == pytest.approx(0, abs=1e-6)


def test_centred_rows_of_one_kind_are_zero():
    assert not centred(np.ones((3, 4))).any()
    assert (centred(np.eye(4)) ** 2).sum(1).mean() == pytest.approx(1)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6)])
def test_narrowing_keeps_all_products(shape):
    x = np.random.default_rng(0).normal(size=shape)
    z = narrowed(x)
    assert z.shape[1] <= 40
    assert z @ z.T == pytest.approx(x @ x.T)


def test_many_rows_and_columns_are_narrowed_to_the_widest_directions(monkeypatch):
    monkeypatch.setattr("handful.inspection.loo_logistic._WIDEST", 5)
    x = np.random.default_rng(0).normal(size=(30, 4)) @ np.random.default_rng(1).normal(size=(4, 20))
    z = narrowed(x)
    assert z.shape == (30, 5)
    assert z @ z.T == pytest.approx(x @ x.T)
