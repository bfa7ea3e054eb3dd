"""The learning curve of a search: sizes, held-out rows, labels that can and that cannot be learned."""

import tracemalloc

import numpy as np
import pytest

from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.features.feature_set import FeatureSet
from handful.strategies.frozen import learning_curve as module
from handful.strategies.frozen.learning_curve import learning_curve
from handful.strategies.frozen.rung import SearchTerms, run_frozen
from handful.tasks.classification import CLASSIFICATION

QUICK = ("centroid", "ridge", "logistic")


def searched(labels, seed=0, apart=2.0, strategies=QUICK, names=False):
    """A frozen rung on noise around one axis per class, and what it saw."""
    rng = np.random.default_rng(seed)
    classes, truth = np.unique(labels, return_inverse=True)
    x = (apart * np.eye(16)[truth] + rng.normal(size=(len(labels), 16))).astype(np.float32)
    part = ("toy", 2)
    named = {part: np.eye(16, dtype=np.float32)[: len(classes)]} if names else {}
    sight = FeatureSet({part: x}, named, {"toy": (2,)})
    data = Dataset([f"item {i}" for i in range(len(labels))], "text", tuple(labels))
    return run_frozen(CLASSIFICATION.read(labels), data, sight, SearchTerms(strategies, 0.0, seed, Inline())), sight


def test_sizes_are_parts_of_what_a_fold_leaves():
    frozen, sight = searched(["a", "b"] * 30)
    sizes, right = learning_curve(frozen.search, sight, np.random.default_rng(0))
    np.testing.assert_allclose(sizes, [12, 24, 48], rtol=0.1)
    assert right.shape == (3, 60)
    assert ((right >= 0) & (right <= 1)).all()


def test_one_fit_is_read_at_a_time():
    """All fits of all rows for all classes at once would be 30 tables."""
    frozen, sight = searched([f"class {i}" for i in range(16)] * 20)
    learning_curve(frozen.search, sight, np.random.default_rng(0))
    tracemalloc.start()
    learning_curve(frozen.search, sight, np.random.default_rng(0))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * 90 * 8 * 320 * 16


def test_more_rows_are_better_where_there_is_something_to_learn():
    frozen, sight = searched(["a", "b", "c", "d"] * 25)
    _, right = learning_curve(frozen.search, sight, np.random.default_rng(0))
    assert right.mean(1)[2] > right.mean(1)[0] + 0.03


def test_rows_are_answered_by_fits_that_did_not_see_them():
    """On noise a curve that peeked would rise to 1."""
    frozen, sight = searched(["a", "b"] * 40, apart=0)
    _, right = learning_curve(frozen.search, sight, np.random.default_rng(0))
    assert right.mean(1).max() < 0.75


def test_a_class_of_two_rows_is_never_without_one():
    frozen, sight = searched(["a"] * 30 + ["b"] * 2)
    sizes, right = learning_curve(frozen.search, sight, np.random.default_rng(0))
    assert np.isfinite(right).all()
    assert sizes[0] >= 2


@pytest.mark.parametrize("strategies", [("zero-shot",), ("zero-shot", *QUICK)])
def test_label_names_take_part(strategies):
    frozen, sight = searched(["ants", "bees"] * 15, strategies=strategies, names=True)
    _, right = learning_curve(frozen.search, sight, np.random.default_rng(0))
    assert right[2].mean() > 0.8
    if strategies == ("zero-shot",):  # it learns nothing from rows
        np.testing.assert_allclose(right[0], right[2])


def test_many_rows_are_asked_once(monkeypatch):
    monkeypatch.setattr(module, "MANY", 20)
    frozen, sight = searched(["a", "b"] * 20)
    _, right = learning_curve(frozen.search, sight, np.random.default_rng(0))
    assert set(np.unique(right)) <= {0, 1}


def test_the_same_dice_give_the_same_curve():
    frozen, sight = searched(["a", "b"] * 20)
    first, second = (learning_curve(frozen.search, sight, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first[1], second[1])
