"""Alignment: class shares and density ratios come out as they were put in."""

from __future__ import annotations

import numpy as np
import pytest

from handful.regimes.alignment import (
    MOST,
    Importance,
    LabelShift,
    density_ratio,
    effective,
    shares_differ,
    shares_in,
)
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.registry import head_task
from pool_parts import clouds, part_of, right


def answers(counts, sure=0.9):
    """Probabilities that are as right as they are sure, by a model of classes that were equally frequent."""
    rng, classes = np.random.default_rng(0), len(counts)
    y = np.repeat(np.arange(classes), counts)
    said = np.where(rng.random(len(y)) < sure, y, rng.integers(classes, size=len(y)))
    out = np.full((len(y), classes), (1 - sure) / classes)
    out[np.arange(len(y)), said] += sure
    return out, y


def test_shares_are_those_of_the_pool():
    out, _ = answers([900, 100])
    assert shares_in(out, np.array([0.5, 0.5]), 0.0) == pytest.approx([0.9, 0.1], abs=0.02)


def test_with_items_of_the_old_mixture_shares_move_less():
    out, _ = answers([900, 100])
    half = shares_in(out, np.array([0.5, 0.5]), len(out))
    assert 0.6 < half[0] < 0.85
    assert shares_in(out, np.array([0.5, 0.5]), 1e9) == pytest.approx([0.5, 0.5], abs=1e-3)


def test_equal_pools_do_not_differ_and_others_do():
    out, y = answers([30, 30])
    assert shares_differ(out, y, answers([200, 200])[0]) > 0.05
    assert shares_differ(out, y, answers([360, 40])[0]) < 0.001


def test_rows_that_the_pool_has_more_of_count_more():
    rows, y = clouds([30, 30], spread=0.2)
    pool, _ = clouds([180, 20], spread=0.2, seed=1)
    weights = density_ratio(rows, pool)
    assert weights.mean() == pytest.approx(1)
    assert weights[y == 0].mean() > 1.3 * weights[y == 1].mean()
    assert weights.max() / weights.min() <= MOST**2
    same = density_ratio(rows, clouds([100, 100], spread=0.2, seed=1)[0])
    assert same[y == 0].mean() == pytest.approx(same[y == 1].mean(), rel=0.2)


def test_weights_are_worth_fewer_rows():
    assert effective(np.ones(10)) == 10
    assert effective(np.array([1.0, 0.0])) == 1


def test_label_shift_moves_answers_toward_what_is_frequent():
    rows, y = clouds([8, 8], spread=0.6)
    pool, _ = clouds([360, 40], spread=0.6, seed=1)
    new, truth = clouds([900, 100], spread=0.6, seed=2)
    part = part_of(rows, y, pool)
    assert right(LabelShift().fit(part), new, truth) > right(part.plain, new, truth)
    weights = LabelShift().weights(part)
    assert weights[y == 0].mean() > 1 > weights[y == 1].mean()


def test_weights_leave_a_model_that_works():
    arm = Importance()
    rows, y = clouds([8, 8], spread=0.3)
    pool, _ = clouds([50, 150], spread=0.3, seed=1)
    new, truth = clouds([100, 100], spread=0.3, seed=2)
    part = part_of(rows, y, pool)
    assert right(arm.fit(part), new, truth) > 0.8
    assert arm.refuses(head_task("regression")) == ""


def test_label_shift_is_for_classes():
    assert LabelShift().refuses(CLASSIFICATION) == ""
    assert LabelShift().refuses(head_task("regression")) == "regression has no classes whose frequency could differ"
