"""Conformal sets: the quantile by hand, coverage on synthetic data, and levels that few rows cannot give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.errors import OptionError
from handful.evaluation.conformal import threshold
from handful.tasks.classification.conformal import Sets, misfits, sets


def answers(rng, count, classes=4):
    """Probabilities that mean what they say, and classes drawn from them. (N, C), (N,)."""
    proba = rng.dirichlet(np.full(classes, 0.4), count)
    truth = (proba.cumsum(1) < rng.random((count, 1))).sum(1)
    return proba, np.minimum(truth, classes - 1)


def test_misfits_by_hand():
    proba = np.array([[[0.8, 0.2], [0.5, 0.5]], [[0.2, 0.8], [0.5, 0.5]]])  # two repeats of two rows
    np.testing.assert_allclose(misfits(proba, np.array([1, 1])), [0.6, 0.5], atol=1e-6)


def test_the_threshold_is_vovks_quantile():
    ranked = np.arange(1, 20) / 20  # 19 rows: 90 % of 20 are the lowest 18
    assert threshold(ranked, 0.9) == pytest.approx(18 / 20)
    assert threshold(ranked, 0.95) == pytest.approx(19 / 20)
    assert threshold(ranked, 0.5) == pytest.approx(10 / 20)


def test_repeats_add_no_rows():
    proba, truth = answers(np.random.default_rng(0), 30)
    np.testing.assert_allclose(misfits(np.stack([proba] * 5), truth), misfits(proba[None], truth), atol=1e-6)


def test_a_class_that_was_thought_impossible_is_a_misfit_and_no_error():
    assert misfits(np.array([[[1.0, 0.0]]]), np.array([1])) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("rows", "level"), [(8, 0.9), (19, 0.96), (50, 0.0), (50, 90.0)])
def test_a_level_that_the_rows_cannot_give_is_refused(rows, level):
    with pytest.raises(OptionError) as caught:
        threshold(np.linspace(0, 1, rows), level)
    assert str(caught.value) == (
        f"the level of sets must lie between 0% and {rows / (rows + 1):.1%}, got {level:.1%}: with the {rows} rows "
        "that the model was scored on, a higher one would put every class into every set. Choose a level between them."
    )


def test_sets_hold_the_most_probable_class_and_all_that_fit():
    proba = np.array([[0.5, 0.3, 0.2], [0.28, 0.26, 0.46]])
    np.testing.assert_array_equal(sets(proba, 0.73), [[1, 1, 0], [1, 0, 1]])
    np.testing.assert_array_equal(sets(proba, 0.0), [[1, 0, 0], [0, 0, 1]])
    assert sets(proba, 1.0).all()


@pytest.mark.parametrize("rows", [10, 30, 100])
@pytest.mark.parametrize("level", [0.8, 0.9])
def test_sets_cover_as_often_as_asked_on_the_mean_of_many_draws(rows, level):
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        proba, truth = answers(rng, rows + 200)
        limit = threshold(misfits(proba[None, :rows], truth[:rows]), level)
        inside = sets(proba[rows:], limit)
        covered.append(inside[np.arange(200), truth[rows:]].mean())
    # At least the level; at most 1 / (N + 1) above it, and what adding the most probable class brings.
    assert level - 0.01 <= np.mean(covered) <= level + 1 / rows + 0.05


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_a_higher_level_never_gives_smaller_sets(seed, first, second):
    rng = np.random.default_rng(seed)
    proba, truth = answers(rng, 40)
    misfit = misfits(proba[None], truth)
    small, large = (sets(proba, threshold(misfit, level)) for level in sorted((first, second)))
    assert (small <= large).all()


def test_what_the_sets_of_a_run_look_like():
    rng = np.random.default_rng(0)
    proba, truth = answers(rng, 50)
    found = Sets.of(proba[None], truth, 0.8)
    assert found.limit == threshold(misfits(proba[None], truth), 0.8)
    assert found.size == sets(proba, found.limit).sum(1).mean()
    assert Sets(**found.as_dict()) == Sets(0.8, round(found.limit, 6), round(found.size, 3))


def test_too_few_rows_have_no_sets():
    proba, truth = answers(np.random.default_rng(0), 8)
    assert Sets.of(proba[None], truth, 0.9) is None
