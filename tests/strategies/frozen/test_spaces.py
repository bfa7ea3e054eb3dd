"""Spaces: rare counts weigh more, by the rows of the fit alone, and a map carries the weight."""

import numpy as np
import pytest

from classified import one_hot, targets_of
from handful.data.splits import fold_ids
from handful.engines import Inline
from handful.features.view import View, unit_rows
from handful.seeding import generator
from handful.strategies.frozen.ensemble import pooled
from handful.strategies.frozen.search import search
from handful.strategies.frozen.search_space import Grid, Shape, seconds_of
from handful.strategies.frozen.spaces import Rows, rarity, spaces
from handful.tasks.classification.heads import RIDGE

COUNTS = View((("counts", 0),))
BOTH = View((("dense", 1), ("counts", 0)))


def counted(n=30, width=60, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = (rng.random((n, width)) < np.linspace(0.9, 0.05, width)).astype(np.float32)
    x[np.arange(n), 3 + y] = 1
    return x, y


def test_what_few_rows_have_weighs_more_and_all_counts_together_as_before():
    x, _ = counted()
    columns = np.ones(x.shape[1], bool)
    columns[:5] = False
    factors = rarity(x, columns)
    assert (factors[:5] == 1).all()
    common, rare = (x != 0).mean(0)[5:].argmax(), (x != 0).mean(0)[5:].argmin()
    assert factors[5 + rare] > factors[5 + common] > 0
    some = x[:, columns]
    assert np.square(some * factors[columns]).sum() == pytest.approx(np.square(some).sum(), rel=1e-5)


def test_a_column_that_no_row_learned_from_has_does_no_harm():
    assert np.isfinite(rarity(np.zeros((4, 3), np.float32), np.ones(3, bool))).all()


def test_a_fold_is_scored_by_weights_of_counts_that_the_other_rows_give():
    x, y = counted()
    columns = np.ones(x.shape[1], bool)
    folds = np.stack([fold_ids(y, np.arange(len(y)), 5, generator(0, "folds"))])
    features = unit_rows(x)
    found = search(
        targets_of(y), {COUNTS: features}, {}, folds, Grid((RIDGE,), (COUNTS,)), Inline(), counted={COUNTS: columns}
    )
    q = next(i for i, setting in enumerate(found.settings) if setting.penalty == 1.0)
    for k in range(5):
        train, held = folds[0] != k, folds[0] == k
        scaled = features * rarity(features[train], columns)
        ours = found.outcomes[q].scores[0, held]
        # Our heads make rows of length one, so the map is fitted here as the search must have done it.
        kernel = (scaled[train] - scaled[train].mean(0)) @ (scaled[train] - scaled[train].mean(0)).T
        dual = np.linalg.solve(
            kernel + np.eye(train.sum()), (2 * one_hot(y[train]) - 1) - (2 * one_hot(y[train]) - 1).mean(0)
        )
        expected = (scaled[held] - scaled[train].mean(0)) @ (scaled[train] - scaled[train].mean(0)).T @ dual
        expected += (2 * one_hot(y[train]) - 1).mean(0)
        np.testing.assert_allclose(ours, expected, atol=2e-3)


def test_the_map_on_all_rows_carries_the_weights_of_counts():
    x, y = counted()
    dense = np.random.default_rng(1).normal(size=(len(y), 8)).astype(np.float32)
    items = {("dense", 1): dense, ("counts", 0): x}
    matrix = BOTH.matrix(items)
    columns = BOTH.counted(frozenset({"counts"}), items)
    folds = np.stack([fold_ids(y, np.arange(len(y)), 5, generator(0, "folds"))])
    found = search(targets_of(y), {BOTH: matrix}, {}, folds, Grid((RIDGE,), (BOTH,)), Inline(), counted={BOTH: columns})
    members = found.members(range(len(found.settings)))
    with_weights = pooled(members, items, {}, one_hot(y), frozenset({"counts"}))
    without = pooled(members, items, {}, one_hot(y))
    assert not np.allclose(with_weights.coef, without.coef)
    assert (with_weights.scores(matrix).argmax(1) == y).mean() > 0.9


def test_the_space_of_a_fit_keeps_the_products_of_rows_and_leads_back():
    x, y = counted(n=20, width=300)
    x = np.concatenate([x, np.zeros((1, 300), np.float32), x[:3]])  # copies add no direction
    rows = Rows(x, one_hot(np.concatenate([y, y[:4]])), len(x), np.ones(300, bool))
    (space,) = spaces(rows, np.ones((1, len(x)), np.float32))
    scale = rarity(x, rows.counted)
    assert space.z.shape[1] <= 20
    np.testing.assert_allclose(space.z @ space.z.T, (x * scale) @ (x * scale).T, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(x @ space.back(), space.z, atol=1e-2)


def test_rows_that_count_nothing_have_a_space():
    rows = Rows(np.zeros((4, 300), np.float32), one_hot(np.arange(4) % 2), 4, np.ones(300, bool))
    (space,) = spaces(rows, np.ones((1, 4), np.float32))
    assert np.isfinite(space.z).all()
    assert np.isfinite(space.back()).all()


def test_views_of_counts_are_known_to_take_longer():
    grid = Grid((RIDGE,), (COUNTS, BOTH))
    without, with_one, with_two = (
        seconds_of(grid, Shape(rows, 16_384, 4, False, counted), 5, 5, 2)
        for rows, counted in ((60, 0), (60, 1), (60, 2))
    )
    assert without < with_one < with_two
    assert with_two - with_one == pytest.approx(with_one - without)
