"""Self-training: which answers are learned from, how much they count, and that nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from handful.regimes.self_training import SelfTraining, agreement, balanced, strange, weights_of
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.registry import head_task
from pool_parts import clouds, part_of, right, unit


def test_items_further_than_nearly_all_rows_are_from_each_other_are_strange():
    rows, _ = clouds([10, 10])
    pool = np.concatenate([clouds([5, 5], seed=1)[0], unit(-np.eye(8)[:3])])
    assert strange(rows, pool, 0.0)[-3:].all()
    assert strange(rows, pool, 0.0)[:10].sum() <= 1


def test_agreement_is_how_many_neighbours_want_the_same():
    targets = CLASSIFICATION.coded(["a", "a", "b"], ["a", "b"])
    answers = CLASSIFICATION.coded(["a", "b"], ["a", "b"])
    cosines = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert agreement(CLASSIFICATION, answers, targets, cosines, 2).tolist() == [1.0, 0.0]
    assert agreement(CLASSIFICATION, answers, targets, cosines, 3).tolist() == pytest.approx([2 / 3, 1 / 3])


def test_the_surest_of_every_class_are_taken_and_no_more():
    sure, strata = np.array([0.9, 0.8, 0.0, 0.7, 0.6]), np.array([0, 0, 0, 1, 1])
    assert balanced(sure, strata, np.array([1, 5])).tolist() == [0, 3, 4]
    assert balanced(np.zeros(5), strata, np.array([5, 5])).tolist() == []


def test_the_items_of_a_class_count_for_no_more_than_its_rows():
    strata = np.array([0, 0, 0, 0, 1])
    weights = weights_of(strata, np.array([2, 8]), 1.0)
    assert weights.tolist() == [0.5, 0.5, 0.5, 0.5, 1.0]


def test_a_pool_like_the_rows_teaches():
    rows, y = clouds([2, 2, 2], spread=0.6, seed=3)
    pool, _ = clouds([80, 80, 80], spread=0.45, seed=4)
    new, truth = clouds([200, 200, 200], spread=0.45, seed=5)
    part = part_of(rows, y, pool)
    learned = SelfTraining(sure=0.3).fit(part)
    assert right(learned, new, truth) > right(part.plain, new, truth)


def test_a_pool_of_other_things_teaches_nothing():
    rows, y = clouds([8, 8])
    part = part_of(rows, y, unit(-np.abs(np.random.default_rng(0).normal(size=(200, 8)))))
    at, _ = SelfTraining().taken(part, part.answers)
    assert len(at) == 0
    assert SelfTraining().fit(part) is part.plain


def test_what_is_learned_is_as_sure_of_the_pool_as_before():
    rows, y = clouds([4, 4], spread=0.5)
    part = part_of(rows, y, clouds([100, 100], spread=0.5, seed=1)[0])
    model = SelfTraining(sure=0.5).fit(part)
    before, after = (CLASSIFICATION.confidence(part.answered(m, part.pool)).mean() for m in (part.plain, model))
    assert after == pytest.approx(before, abs=0.1)


def test_tasks_without_classes_are_refused_with_a_reason():
    assert SelfTraining().refuses(CLASSIFICATION) == ""
    assert SelfTraining().refuses(head_task("ordinal")) == ""
    assert SelfTraining().refuses(head_task("regression")) == "what is answered in regression is no label to learn from"
    assert SelfTraining().refuses(head_task("multilabel")) == "what is answered in multilabel is no label to learn from"
