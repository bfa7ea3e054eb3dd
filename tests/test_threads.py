"""Small linear algebra computes on one thread, whoever asks, and what was set before is set afterwards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from handful.inspection.loo_logistic import left_out
from handful.inspection.near_duplicates import _refined
from handful.strategies.frozen.heads import Ridge
from handful.strategies.frozen.solver import decompose, fit_head, rotate
from handful.tasks.classification import heads
from handful.threads import one_thread

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 5)).astype(np.float32)
WEIGHTS, TARGETS = np.ones((1, 12), np.float32), np.eye(2, dtype=np.float32)[np.arange(12) % 2]
PICTURE = RNG.normal(size=(8, 8)).astype(np.float32)
SOLVERS: dict[str, tuple[str, Callable[[], object]]] = {
    "rotate": ("qr", lambda: rotate(X[:3])),
    "decompose": ("eigh", lambda: decompose(X, WEIGHTS)),
    "fit_head": ("eigh", lambda: fit_head(heads.RIDGE, X, TARGETS, WEIGHTS, (0.1,))),
    "a head": ("eigh", lambda: Ridge().fit(X, np.arange(12) % 2)),
    "labels": ("eigh", lambda: left_out([X], np.arange(12) % 2, 2)),
    "near duplicates": ("lstsq", lambda: _refined(PICTURE, PICTURE, (0.0, 0.0, 1.0))),
}


def threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def two() -> None:
    """Two threads, on any machine."""
    with threadpool_limits(2, user_api="blas"):
        assert threads() == {2}
        yield


def test_within_it_there_is_one_and_afterwards_as_many_as_before(two):
    with one_thread():
        assert threads() == {1}
        with one_thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == {2}


def test_after_an_error_there_are_as_many_as_before(two):
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = 1 / 0
    assert threads() == {2}


@pytest.mark.parametrize("name", SOLVERS)
def test_small_problems_are_solved_on_one(two, monkeypatch, name):
    solver, solve = SOLVERS[name]
    usual, seen = getattr(np.linalg, solver), []

    def watched(*args, **options):
        seen.append(threads())
        return usual(*args, **options)

    monkeypatch.setattr(np.linalg, solver, watched)
    solve()
    assert seen
    assert set.union(*seen) == {1}
    assert threads() == {2}
