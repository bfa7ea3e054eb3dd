"""Synthetic rows: they lie between rows of their own class, and only scarce classes get them."""

from __future__ import annotations

import numpy as np

from handful.regimes.synthetic_rows import SyntheticRows, between
from handful.tasks.registry import head_task
from pool_parts import clouds, part_of, right


def test_both_ends_are_rows_of_the_class():
    rows, y = clouds([6, 3, 1])
    first, second, way = between(rows @ rows.T, y, np.array([0, 3, 5]), 2, np.random.default_rng(0))
    assert (len(first), len(way)) == (3, 3)  # a class of one row can have none
    assert (y[first] == 1).all()
    assert (y[second] == 1).all()
    assert (first != second).all()
    assert ((way >= 0) & (way < 1)).all()
    assert len(between(rows @ rows.T, y, np.array([0, 0, 0]), 2, np.random.default_rng(0))[0]) == 0


def test_only_scarce_classes_get_rows_and_not_without_end():
    rows, y = clouds([12, 3, 1])
    part = part_of(rows, y, rows)
    assert SyntheticRows(most=2.0).scarce(part).tolist() == [0, 6, 2]
    assert SyntheticRows().applies(part)
    even = part_of(*clouds([6, 6]), rows)
    assert not SyntheticRows().applies(even)
    assert SyntheticRows().fit(even) is even.plain


def test_a_scarce_class_is_answered_more_often():
    rows, y = clouds([20, 3], spread=0.8, seed=1)
    new, truth = clouds([300, 300], spread=0.8, seed=2)
    part = part_of(rows, y, new)
    scarce = truth == 1
    assert right(SyntheticRows().fit(part), new[scarce], 1) > right(part.plain, new[scarce], 1)


def test_numbers_are_never_scarce():
    assert SyntheticRows().refuses(head_task("regression")) == "regression has no classes that could be scarce"
