"""The decision: its arithmetic by hand, how often it is fooled, and that no fold is decided by its own rows."""

import numpy as np
import pytest
from scipy.special import ndtr, softmax
from scipy.stats import norm

from classified import targets_of
from handful.evaluation import decision
from handful.evaluation.decision import SURE, Prior, expected, gain
from handful.evaluation.intervals import Estimate
from handful.tasks.classification.softmax import hedged_losses


def decide(below, above, truth, folds, groups, prior=None):
    """The decision for classes."""
    return decision.decide(below, above, targets_of(truth, classes=below.shape[1]), folds, groups, prior)


def arms(n, rng, better=0.0, classes=3):
    """Two arms with the same kind of errors, the second one ahead by so many nats per row."""
    truth = np.arange(n) % classes
    sure = np.eye(classes)[truth]
    below, above = (softmax(2 * sure + rng.normal(size=(n, classes)), axis=1) for _ in range(2))
    above = softmax(np.log(above) + better * sure, axis=1)
    return below, above, truth, rng.permutation(np.arange(n) % 5)


# The interval ------------------------------------------------------------------------------------------------------


def test_the_gain_by_hand():
    # Differences 1, 2, 3, 6: mean 3, variance (4 + 1 + 0 + 9) / 3, Student's 95 % quantile of 3 degrees 2.353363.
    found = gain(np.array([2.0, 2.0, 5.0, 6.5]), np.array([1.0, 0.0, 2.0, 0.5]))
    half = 2.3533634 * np.sqrt(14 / 3) / 2
    assert found.value == 3
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), rel=1e-6)


def test_rows_of_a_group_count_once():
    below, above = np.array([1.0, 3.0, 2.0, 2.0, 4.0, 6.0]), np.zeros(6)
    grouped = gain(below, above, np.array([7, 7, 3, 3, 9, 9]))
    alone = gain(np.array([2.0, 2.0, 5.0]), np.zeros(3))
    assert (grouped.value, grouped.low, grouped.high) == pytest.approx((alone.value, alone.low, alone.high))
    assert gain(below, above, np.arange(6)) == gain(below, above)


def test_a_gain_and_its_opposite():
    rng = np.random.default_rng(0)
    first, second = rng.exponential(size=(2, 20))
    there, back = gain(first, second), gain(second, first)
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low))


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_rows_prove_nothing(n):
    found = gain(np.full(n, 9.0), np.zeros(n))
    assert (found.value, found.low, found.high) == (9, -np.inf, np.inf)
    assert gain(np.full(6, 9.0), np.zeros(6), np.arange(6) % n).low == -np.inf


def test_the_interval_holds_the_truth_nine_times_in_ten():
    rng = np.random.default_rng(1)
    found = [gain(*(rng.normal(size=(2, 12)) + np.array([[0.5], [0.0]]))) for _ in range(2000)]
    held = np.mean([e.low <= 0.5 <= e.high for e in found])
    assert held == pytest.approx(0.9, abs=0.02)


# The decision ------------------------------------------------------------------------------------------------------


def test_a_better_arm_passes_and_the_gain_is_that_of_all_rows():
    below, above, truth, folds = arms(60, np.random.default_rng(0), better=2.0)
    found = decide(below, above, truth, folds, None)
    assert found.passed
    assert found.gain.low > 0
    assert found.gain.value == pytest.approx((hedged_losses(below, truth) - hedged_losses(above, truth)).mean())
    np.testing.assert_array_equal(found.whole, above)


def test_a_worse_arm_and_the_same_arm_stay_out():
    below, above, truth, folds = arms(60, np.random.default_rng(0), better=2.0)
    for rival in (below, softmax(np.log(below) - 2 * np.eye(3)[truth], axis=1)):
        found = decide(below, rival, truth, folds, None)
        assert not found.passed
        np.testing.assert_array_equal(found.whole, below)
    assert not decide(above, below, truth, folds, None).passed


@pytest.mark.parametrize("n", [12, 40, 120])
def test_an_arm_that_is_no_better_passes_about_one_time_in_twenty(n):
    rng = np.random.default_rng(n)
    passed = [decide(*arms(n, rng), None).passed for _ in range(1500)]
    assert np.mean(passed) <= 0.07


def test_rows_that_come_in_copies_do_not_fool_it():
    rng = np.random.default_rng(5)
    passed = []
    for _ in range(800):
        below, above, truth, folds = (np.repeat(part, 6, axis=0) for part in arms(10, rng))
        passed.append(decide(below, above, truth, folds, np.repeat(np.arange(10), 6)).passed)
    assert np.mean(passed) <= 0.08


def test_a_certain_mistake_costs_what_six_rows_can_show():
    truth, folds = np.zeros(6, int), np.arange(6) % 3
    below = np.tile([0.0, 1.0], (6, 1))
    above = np.tile([1.0, 0.0], (6, 1))
    assert decide(below, above, truth, folds, None).gain.value == pytest.approx(np.log(13))


def test_one_certain_mistake_does_not_outweigh_all_other_rows():
    truth, folds = np.arange(40) % 2, np.arange(40) // 2 % 5
    below, above = (np.where(np.eye(2)[truth] > 0, sure, 1 - sure) for sure in (0.7, 0.95))
    above[7] = [1.0, 0.0]
    assert decide(below, above, truth, folds, None).passed


# The answers of the whole procedure --------------------------------------------------------------------------------


def test_a_fold_is_decided_by_the_others():
    rng = np.random.default_rng(2)
    below, above, truth, folds = arms(50, rng, better=0.8)
    found = decide(below, above, truth, folds, None)
    for k in range(5):
        own = folds == k
        taken = (found.whole[own] == above[own]).all()
        assert taken or (found.whole[own] == below[own]).all()
        # Whatever the fold's own rows say, the decision about them is the same.
        for wrong in ((truth + 1) % 3, (truth + 2) % 3):
            told = np.where(own, wrong, truth)
            again = decide(below, above, told, folds, None).whole
            np.testing.assert_array_equal(again[own], found.whole[own])
        lone = decide(below[~own], above[~own], truth[~own], folds[~own], None)
        assert lone.passed == taken


def test_folds_may_be_decided_differently():
    """One fold carries the rival: without its rows nothing speaks for the rival, so that fold stays with the arm."""
    rng = np.random.default_rng(0)
    n, folds = 40, np.arange(40) % 4
    truth = np.arange(n) // 4 % 2
    below = np.tile([0.5, 0.5], (n, 1))
    sure = 0.5 + rng.uniform(-0.02, 0.02, n)
    sure[folds == 2] = 0.95
    above = np.where(np.eye(2)[truth] == 1, sure[:, None], 1 - sure[:, None])
    found = decide(below, above, truth, folds, None)
    assert found.passed
    np.testing.assert_array_equal(found.whole[folds == 2], below[folds == 2])
    np.testing.assert_array_equal(found.whole[folds != 2], above[folds != 2])


def test_the_gain_to_expect_by_hand():
    """As much is known as the rows show: halfway, and the deviation of either divided by √2."""
    found = Estimate(0.05, 0.05 - 0.16448536, 0.05 + 0.16448536)  # an error of 0.1
    alone, known = expected(found, 1.25, None), expected(found, 1.25, Prior(0.08, 0.08))
    assert (alone.mean, alone.chance) == pytest.approx((0.05, ndtr(0.5)), rel=1e-5)
    assert (known.mean, known.chance) == pytest.approx((0.075, ndtr(0.075 / (0.1 / np.sqrt(2)))), rel=1e-5)
    nothing = expected(Estimate(0.05, -np.inf, np.inf), 1.25, Prior(0.08, 0.08))
    assert (nothing.mean, nothing.chance) == pytest.approx((0.1, ndtr(1)))
    assert expected(Estimate(0.05, 0.05, 0.05), 1.25, Prior(0.08, 0.08)).mean == 0.05
    assert expected(Estimate(0.05, -np.inf, np.inf), 1.25, None).chance == 0.5


def test_trainings_that_do_harm_by_hand():
    """Each part of the prior counts by how well it foretold the rows."""
    found = Estimate(-0.4, -0.4 - 0.16448536, -0.4 + 0.16448536)
    prior = Prior(0.1, 0.1, 0.05, -0.5, 0.5)
    usual = 0.95 * norm.pdf(-0.4, 0.1, np.hypot(0.1, 0.1))
    harmful = 0.05 * norm.pdf(-0.4, -0.5, np.hypot(0.1, 0.5))
    middle = 0.5 * -0.4 + 0.5 * 0.1, (0.25 * -0.4 + 0.01 * -0.5) / 0.26
    wanted = (usual * middle[0] + harmful * middle[1]) / (usual + harmful)
    assert expected(found, 1.0, prior).mean == pytest.approx(wanted, rel=1e-5)
    assert expected(found, 1.0, prior).mean < expected(found, 1.0, Prior(0.1, 0.1)).mean


def test_what_is_known_from_other_sets_ships_what_the_rows_leave_open():
    below, above, truth, folds = arms(60, np.random.default_rng(5), better=0.3)
    unknown, known = (decide(below, above, truth, folds, None, prior) for prior in (None, Prior(0.2, 0.1)))
    assert unknown.gain == known.gain
    assert (unknown.passed, known.passed) == (False, True)
    assert unknown.expected.chance < SURE
    assert known.expected.chance > unknown.expected.chance


def test_what_does_harm_stays_out_whatever_is_known():
    below, above, truth, folds = arms(60, np.random.default_rng(0), better=2.0)
    prior = Prior(0.15, 0.12, 0.05, -0.5, 0.5)
    assert not decide(above, below, truth, folds, None, prior).passed


def test_where_labels_mean_nothing_shipping_costs_nothing():
    """Both arms are at chance: which of the two ships is all the same, so nothing has to refuse it."""
    apart = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth = rng.permutation(np.arange(40) % 2)
        below, above = (softmax(0.5 * rng.normal(size=(40, 2)), axis=1) for _ in range(2))
        found = decide(below, above, truth, np.arange(40) % 5, None, Prior(0.15, 0.12, 0.05, -0.5, 0.5))
        new, other, fresh, _ = arms(400, rng, classes=2)
        apart.append(((other if found.passed else new).argmax(1) == fresh).mean() - (new.argmax(1) == fresh).mean())
    assert abs(np.mean(apart)) < 0.01


def test_groups_are_kept_apart_within_the_decision_of_a_fold():
    rng = np.random.default_rng(3)
    below, above, truth, folds = arms(30, rng, better=0.7)
    groups = rng.integers(12, size=30)
    found = decide(below, above, truth, folds, groups)
    for k in range(5):
        rest = folds != k
        lone = decide(below[rest], above[rest], truth[rest], folds[rest], groups[rest])
        expected = above if lone.passed else below
        np.testing.assert_array_equal(found.whole[folds == k], expected[folds == k])


def test_being_less_wrong_than_an_arm_that_knows_nothing_is_no_gain():
    """Labels that mean nothing: the arm below is surer of itself than it should be, its rival knows as little."""
    truth = np.tile([0, 1], 30)
    below = np.where(np.arange(60)[:, None] // 2 % 2 == [[0, 1]], 0.8, 0.2)  # right and wrong in turn, and sure of it
    above = np.full((60, 2), 0.5)
    found = decide(below, above, truth, np.arange(60) % 3, None, Prior(0.2, 0.15, 0.05, -0.5, 0.5))
    assert found.gain.low > 0 and found.expected.mean > 0
    assert not found.passed
    assert (found.whole == below).all()


def test_a_gain_has_to_be_worth_the_price_of_another_model():
    truth = np.tile([0, 1], 30)
    below = np.stack([1 - truth, truth], 1) * 0.5 + 0.25  # 0.75 for the right class
    prior = Prior(0.2, 0.15, 0.05, -0.5, 0.5)
    for lift, ships in ((0.001, False), (0.05, True)):
        above = below + lift * (2 * np.stack([1 - truth, truth], 1) - 1)
        assert decide(below, above, truth, np.arange(60) % 3, None, prior).passed == ships


def test_rows_that_count_more_decide():
    below, above = np.full((40, 2), 0.5), np.full((40, 2), 0.5)
    above[:20], above[20:] = [0.8, 0.2], [0.3, 0.7]  # right in the first half, wrong in the second
    truth, folds = np.zeros(40, np.int64), np.arange(40) % 4
    weights = np.where(np.arange(40) < 20, 1.9, 0.1)
    targets = targets_of(truth, classes=2)
    plain = decision.decide(below, above, targets, folds, None)
    weighted = decision.decide(below, above, targets, folds, None, None, weights)
    losses = [hedged_losses(one, truth) for one in (below, above)]
    by_hand = np.average(losses[0], weights=weights) - np.average(losses[1], weights=weights)
    assert weighted.gain.value == pytest.approx(by_hand)
    assert weighted.gain.value > plain.gain.value


def test_an_arm_that_costs_nothing_needs_no_gain_beyond_none():
    truth = np.tile([0, 1], 30)
    below = np.stack([1 - truth, truth], 1) * 0.5 + 0.25
    above = below + 0.001 * (2 * np.stack([1 - truth, truth], 1) - 1)
    prior, targets, folds = Prior(0.2, 0.15, 0.05, -0.5, 0.5), targets_of(truth), np.arange(60) % 3
    assert not decision.decide(below, above, targets, folds, None, prior).passed
    assert decision.decide(below, above, targets, folds, None, prior, price=0.0).passed
