"""Novelty: strange inputs look strange, usual ones as rare as promised, and what too few rows cannot say is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.errors import OptionError
from handful.evaluation.novelty import Novelty, mostly_strange


def rows(rng, count, classes=3, width=20):
    """Directions around one axis per class, and a confidence that says nothing."""
    truth = np.arange(count) % classes
    x = 3 * np.eye(width)[truth] + rng.normal(size=(count, width))
    return x.astype(np.float32), truth


def sure(count, at=0.8):
    return np.full(count, at)


def test_a_row_is_compared_with_means_that_lack_it_by_hand():
    x = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    found = Novelty.of(x, np.array([0, 0, 1]), np.ones(3))
    # Row 0 meets (0, 1) of its own class and (1, 0) of the other, row 1 (1, 0) twice, row 2 only (1, 1) / √2.
    far = np.array([0, 1, 1 - 1 / np.sqrt(2)])
    np.testing.assert_allclose(found.usual, [[far.mean(), far.std()], [0, 1e-4]], atol=1e-6)
    np.testing.assert_allclose(found.strange, np.sort((far - far.mean()) / far.std()), atol=1e-5)
    np.testing.assert_allclose(found.means, [[np.sqrt(0.5)] * 2, [1, 0]], atol=1e-6)


def test_far_away_and_unsure_are_both_strange():
    rng = np.random.default_rng(0)
    x, truth = rows(rng, 60)
    found = Novelty.of(x, truth, rng.uniform(0.7, 0.9, 60))
    away = -3 * np.eye(20)[:3].sum(0)[None]
    near = np.eye(20)[:1]
    assert found.scores(away, sure(1)) > found.strange[-1]
    assert found.scores(near, sure(1, at=0.4)) > found.scores(near, sure(1))
    assert found.rarity(found.scores(away, sure(1))) == pytest.approx(1 / 61)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_about_as_many_usual_rows_are_refused_as_asked(share):
    refused = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, truth = rows(rng, 90)
        found = Novelty.of(x, truth, np.full(90, 0.8))
        refused.append(found.refused(rows(rng, 900)[0], sure(900), share).mean())
    # The share of 90 rows that lie beyond a quantile of 90 others, three standard deviations of a mean of 20.
    assert np.mean(refused) == pytest.approx(share, abs=3 * np.sqrt(2 * share / 90 / 20))


def test_rows_of_a_group_are_left_out_together():
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(8), 5)
    x = (rng.normal(size=(8, 20))[speakers] + 0.01 * rng.normal(size=(40, 20))).astype(np.float32)
    truth = speakers % 2
    alone, together = Novelty.of(x, truth, np.ones(40)), Novelty.of(x, truth, np.ones(40), speakers)
    assert together.usual[0, 0] > alone.usual[0, 0]


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_leaving_out_is_as_taking_the_group_away(seed, count):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 5)).astype(np.float32)
    truth, groups = np.r_[0, 1, rng.integers(2, size=count - 2)], rng.integers(4, size=count)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    far = []
    for i in range(count):
        others = groups != groups[i]
        sums = [x[others & (truth == c)].sum(0) for c in (0, 1) if (others & (truth == c)).any()]
        far.append(1 - max([float(x[i] @ s) / max(np.linalg.norm(s), 1e-12) for s in sums], default=-1))
    found = Novelty.of(x, truth, np.ones(count), groups)
    assert found.usual[0, 0] == pytest.approx(np.mean(far), abs=1e-4)


def test_a_class_of_one_row_is_measured_by_the_others():
    x = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    found = Novelty.of(x, np.array([0, 0, 1]), np.ones(3))
    assert np.isfinite(found.strange).all()
    assert found.usual[0, 0] == pytest.approx(1 / 3)  # 0, 0 and a right angle


def test_rows_that_are_all_the_same_make_anything_else_strange():
    x = np.ones((30, 4), np.float32)
    found = Novelty.of(x, np.arange(30) % 2, np.ones(30))
    assert not found.refused(x[:1], sure(1, 1.0), 0.05).any()
    assert found.refused(np.array([[1, 1, 1, 0.5]]), sure(1, 1.0), 0.05).all()


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0, 5.0, -0.1])
def test_what_so_few_rows_cannot_say_is_refused(share):
    rng = np.random.default_rng(0)
    x, truth = rows(rng, 10)
    found = Novelty.of(x, truth, np.ones(10))
    with pytest.raises(OptionError) as caught:
        found.refused(x, sure(10), share)
    assert str(caught.value) == (
        f"the share to reject must lie between 9.1% and 100%, got {share:.1%}: with the 10 rows that the "
        "model has seen, nothing can be called rarer than 1 in 11. Choose a share between them."
    )


@pytest.mark.parametrize(
    ("strange", "count", "level", "said"),
    [(1, 1, 0.05, False), (2, 2, 0.05, True), (20, 40, 0.05, False), (21, 40, 0.05, True), (40, 40, 1.0, False)],
)
def test_inputs_are_mostly_strange_where_it_is_no_chance(strange, count, level, said):
    assert mostly_strange(strange, count, level) is said
