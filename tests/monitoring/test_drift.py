"""Drift: same rows pass, moved rows are found, another mix of classes is none, and the furthest rows are named."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.monitoring.drift import PERMUTATIONS, compare


def drawn(rng, counts, shift=0.0):
    """Rows around one axis per class, some way towards an axis of nobody. (N, D), (N,)."""
    truth = np.repeat(np.arange(len(counts)), counts)
    x = 2 * np.eye(12)[truth] + 0.5 * rng.normal(size=(len(truth), 12)) + shift * np.eye(12)[11]
    return x.astype(np.float32), truth


def test_rows_like_the_training_rows_are_rarely_called_drifted():
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found.append(compare(*drawn(rng, [20, 20]), *drawn(rng, [30, 30]), rng).p)
    assert np.mean(np.array(found) < 0.1) < 0.25  # one in ten, and three standard errors of sixty
    assert 0.35 < np.mean(found) < 0.65


def test_rows_that_moved_are_found():
    rng = np.random.default_rng(0)
    drift = compare(*drawn(rng, [20, 20]), *drawn(rng, [20, 20], shift=1.5), rng)
    assert drift.beyond_chance
    assert drift.p == 1 / (PERMUTATIONS + 1)


def test_another_mix_of_classes_is_no_drift():
    rng = np.random.default_rng(1)
    assert not compare(*drawn(rng, [20, 20, 20]), *drawn(rng, [90, 5, 5]), rng).beyond_chance


def test_the_furthest_rows_come_first():
    rng = np.random.default_rng(0)
    new, answered = drawn(rng, [10, 10])
    new[7] = -new[7]
    assert compare(*drawn(rng, [10, 10]), new, answered, rng).furthest[0] == 7


def test_rows_of_a_class_that_only_one_side_has_are_not_compared():
    rng = np.random.default_rng(0)
    old, new = drawn(rng, [10, 10, 0]), drawn(rng, [10, 0, 10])
    assert len(compare(*old, *new, rng).furthest) == 10
    only = drawn(rng, [0, 0, 10])
    assert compare(*old, *only, rng) is None


def test_rows_that_are_all_alike_have_not_drifted():
    x, answered = np.ones((10, 4), np.float32), np.zeros(10, np.int64)
    assert compare(x, answered, x, answered, np.random.default_rng(0)).p == 1


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
def test_any_two_sides_give_a_share_and_no_row_twice(seed, n, m):
    rng = np.random.default_rng(seed)
    old, new = rng.normal(size=(n, 3)).astype(np.float32), rng.normal(size=(m, 3)).astype(np.float32)
    drift = compare(old, np.zeros(n, int), new, np.zeros(m, int), rng)
    assert 0 < drift.p <= 1
    assert sorted(drift.furthest) == list(range(m))
