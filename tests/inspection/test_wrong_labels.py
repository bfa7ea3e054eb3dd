"""How many labels are wrong: what is expected holds on drawn labels, and counts add up as by hand."""

import numpy as np
import pytest
from scipy.stats import binom

from handful.inspection.wrong_labels import WrongLabels


def drawn(rows, classes, sharp, share, rng):
    """Logarithms of true probabilities, labels drawn from them, a share of which is replaced by another class."""
    logs = sharp * rng.normal(size=(rows, classes))
    chances = np.exp(logs) / np.exp(logs).sum(1, keepdims=True)
    true = (rng.random(rows)[:, None] < np.cumsum(chances, 1)).argmax(1)
    wrong = rng.random(rows) < share
    return logs, np.where(wrong, (true + rng.integers(1, classes, rows)) % classes, true), wrong


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("sharp", [4.0, 8.0])
def test_as_many_labels_are_wrong_as_are_expected(share, sharp):
    """Of the ten most doubtful of sixty rows, over fifty draws."""
    rng = np.random.default_rng(0)
    expected, found, inside = [], [], 0
    for _ in range(50):
        logs, labels, wrong = drawn(60, 4, sharp, share, rng)
        known = WrongLabels.of(logs / 2.5, labels, np.ones(60, bool))  # less sharp than they should be, as usual
        rows = np.argsort(-known.chances)[:10]
        count = known.among(rows)
        expected.append(count.expected)
        found.append(wrong[rows].sum())
        inside += count.low <= found[-1] <= count.high
    assert np.mean(expected) == pytest.approx(np.mean(found), abs=1.0)
    assert inside >= 0.84 * 50


def test_a_count_is_that_of_coins_that_are_thrown():
    known = WrongLabels(np.array([1.0]), np.full((1, 12), 0.3))
    count = known.among(range(12))
    assert count.expected == pytest.approx(3.6)
    assert (count.low, count.high) == (binom.ppf(0.05, 12, 0.3), binom.ppf(0.95, 12, 0.3))


def test_no_rows_have_no_wrong_labels():
    logs, labels, _ = drawn(10, 2, 2.0, 0.0, np.random.default_rng(1))
    count = WrongLabels.of(logs, labels, np.ones(10, bool)).among([])
    assert (count.expected, count.low, count.high) == (0.0, 0, 0)


def test_where_the_others_are_too_sure_right_labels_are_not_called_wrong():
    """Of five of twenty rows whose labels are right, over fifty draws, a pair of classes that is hard to tell apart."""
    rng = np.random.default_rng(2)
    expected = []
    for _ in range(50):
        logs, labels, _ = drawn(20, 2, 1.0, 0.0, rng)
        known = WrongLabels.of(logs * 2, labels, np.ones(20, bool))
        expected.append(known.among(np.argsort(-known.chances)[:5]).expected)
    assert np.mean(expected) < 2.0  # 2.8 where no set is held to be hard
