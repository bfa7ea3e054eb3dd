"""Shift against a pool: told where it is, as rarely as promised where it is not."""

import numpy as np
import pytest
from crowd import clouds

from handful.data.dataset import Dataset
from handful.inspection.shift import shift_between, shifts


def test_other_rows_are_told_with_those_that_differ_most():
    known, _ = clouds(20)
    same, _ = clouds(5, seed=1)
    other = np.eye(16)[[9] * 15] + 0.05 * np.random.default_rng(2).normal(size=(15, 16))
    new = np.concatenate([same, other])
    found = shift_between(known, new, np.random.default_rng(0))
    assert found.p == pytest.approx(1 / 500)
    assert found.unusual == pytest.approx(0.5, abs=0.05)
    pool = Dataset([f"text {i}" for i in range(len(new))], "text", source="new.csv", rows=tuple(range(len(new))))
    (said,) = shifts(pool, found)
    assert said.kind == "shift"
    assert set(said.rows[:15]) == set(range(15, 30))
    assert said.message.startswith("the rows of new.csv differ from the training rows (p 0.002; ")
    assert "those that differ most: " in said.message
    assert said.advice == (
        "Label some of the rows that differ most and add them: the score on the training rows says little about these."
    )


def test_rows_like_the_training_rows_are_told_apart_as_often_as_promised():
    p = []
    for seed in range(40):
        x, _ = clouds(10, seed=seed)
        at = np.random.default_rng(seed).permutation(30)
        p.append(shift_between(x[at[:18]], x[at[18:]], np.random.default_rng(seed)).p)
    assert np.mean(np.array(p) <= 0.1) <= 0.25
    assert min(p) > 0.002


def test_constant_features_and_two_rows():
    found = shift_between(np.ones((5, 3)), np.ones((4, 3)), np.random.default_rng(0))
    assert found.p == 1
    assert list(shifts(Dataset(["t"] * 4, "text"), found)) == []
    assert np.isfinite(shift_between(np.eye(3)[:2], np.eye(3)[1:], np.random.default_rng(0)).strangeness).all()
