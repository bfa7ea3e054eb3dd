"""Tests of mixtures: rows are weighted means of two, and their targets are mixed with the same weights."""

import numpy as np
import pytest

from handful.data.augment.mixing import mixup
from handful.errors import OptionError


def dice(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("shape", [(8,), (8, 5), (8, 4, 6, 3)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_numbers_and_targets_are_mixed_alike(shape, kind):
    x = np.zeros(shape, kind)
    x[:] = np.arange(8, dtype=kind).reshape(8, *(1,) * (len(shape) - 1))
    targets = np.eye(8, dtype=kind)
    mixed, soft = mixup(x, targets, dice(), 1.0)
    assert mixed.shape == shape and mixed.dtype == kind and soft.dtype == kind
    np.testing.assert_allclose(soft.sum(1), 1, rtol=1e-6)
    # With x = the number of the row, the mixed number is the mean row number under its target.
    np.testing.assert_allclose(mixed.reshape(8, -1)[:, 0], soft @ np.arange(8), rtol=1e-5)
    assert ((soft > 0).sum(1) <= 2).all() and ((soft > 0).sum(1) == 2).sum() >= 4
    np.testing.assert_array_equal(targets, np.eye(8))


def test_each_row_draws_its_own_share():
    _, soft = mixup(np.zeros((50, 1)), np.eye(50), dice(), 1.0)
    assert len(np.unique(soft.max(1).round(6))) > 40


def test_the_same_dice_give_the_same_mixture():
    x, targets = dice().random((6, 3)), np.eye(6)
    for first, second in zip(mixup(x, targets, dice(4)), mixup(x, targets, dice(4)), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_batch_of_one_or_none_stays(rows):
    x, targets = np.ones((rows, 3), np.float32), np.ones((rows, 1), np.float32)
    mixed, soft = mixup(x, targets, dice(), 0.4)
    np.testing.assert_allclose(mixed, x)
    np.testing.assert_allclose(soft, targets)


def test_no_alpha_mixes_nothing_and_a_tiny_one_stays_finite():
    x, targets = dice().random((6, 3)), np.eye(6)
    mixed, soft = mixup(x, targets, dice(), 0)
    np.testing.assert_array_equal(mixed, x)
    np.testing.assert_array_equal(soft, targets)
    assert mixed is not x
    assert np.isfinite(mixup(x, targets, dice(), 1e-300)[0]).all()


@pytest.mark.parametrize("alpha", [-1.0, float("nan"), float("inf")])
def test_a_wrong_alpha_is_refused(alpha):
    with pytest.raises(OptionError) as caught:
        mixup(np.ones((2, 1)), np.eye(2), dice(), alpha)
    assert str(caught.value) == (
        f"alpha of mixup must be a finite number, 0 or more, got {alpha}. Use 0.2, or 0 for none."
    )
