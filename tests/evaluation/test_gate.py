"""The gate: its interval by hand, how often it is fooled, and that no fold is decided by its own rows."""

import numpy as np
import pytest
from scipy.special import ndtr, softmax

from classified import one_hot, targets_of
from handful.evaluation import gate as gates
from handful.evaluation.gate import SURE, Prior, Seen, chance_to_help, expected, gain
from handful.evaluation.intervals import Estimate
from handful.tasks.classification.softmax import hedged_losses


def gate(below, above, truth, folds, groups, prior=None, seen=None, names=None):
    """The gate for classes: what is seen in rows and names comes beside the class numbers."""
    seen = None if seen is None else Seen(seen, names, one_hot(truth))
    targets = targets_of(truth, classes=below.shape[1])
    return gates.gate(below, above, targets, folds, groups, prior, seen)


def chance_to_show(below, truth, groups, prior):
    return gates.chance_to_show(below, targets_of(truth, classes=below.shape[1]), groups, prior)


def arms(n, rng, better=0.0, classes=3):
    """Two arms with the same kind of errors, the second one ahead by so many nats per row."""
    truth = np.arange(n) % classes
    sure = np.eye(classes)[truth]
    below, above = (softmax(2 * sure + rng.normal(size=(n, classes)), axis=1) for _ in range(2))
    above = softmax(np.log(above) + better * sure, axis=1)
    return below, above, truth, rng.permutation(np.arange(n) % 5)


# Before it is tried ------------------------------------------------------------------------------------------------


def test_what_rows_can_show_by_hand():
    """Eight rows at 0.8 (wrong) and 0.2 nats against log 2: mean 0.5, deviation 0.3207, Student's quantile 1.8946."""
    truth = np.arange(8) % 2
    own = (9 * np.exp(-np.where(np.arange(8) < 4, 0.8, 0.2)) - 1 / 2) / 8  # before one part in nine is hedged
    below = np.where(np.eye(2)[truth] > 0, own[:, None], 1 - own[:, None])
    low = np.log(2) - 0.5 - 1.8945786 * np.sqrt(8 / 7) * 0.3 / np.sqrt(8)
    assert chance_to_show(below, truth, None, Prior(-low / 0.5, 0.1)) == pytest.approx(0.5, abs=1e-6)
    assert chance_to_show(below, truth, None, Prior(0.08, 0.1)) == pytest.approx(float(ndtr((0.08 + low / 0.5) / 0.1)))


def test_few_rows_can_show_little_and_many_rows_can():
    truth = np.arange(200) % 2
    wrong = truth[:, None] != np.arange(2)
    below = np.where(wrong == (np.arange(200) % 8 < 3)[:, None], 0.7, 0.3)
    few, many = (chance_to_show(below[:n], truth[:n], None, Prior(0.08, 0.1)) for n in (16, 200))
    assert few < 0.3
    assert many > 0.5


@pytest.mark.parametrize(("n", "chance"), [(2, 0.0), (20, 1.0)])
def test_where_nothing_is_left_to_lose_the_rows_decide(n, chance):
    truth = np.arange(n) % 2
    assert chance_to_show(np.eye(2)[truth], truth, None, Prior(0.08, 0.1)) == chance


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
    found = gate(below, above, truth, folds, None)
    assert found.passed
    assert found.gain.low > 0
    assert found.gain.value == pytest.approx((hedged_losses(below, truth) - hedged_losses(above, truth)).mean())
    np.testing.assert_array_equal(found.whole, above)


def test_a_worse_arm_and_the_same_arm_stay_out():
    below, above, truth, folds = arms(60, np.random.default_rng(0), better=2.0)
    for rival in (below, softmax(np.log(below) - 2 * np.eye(3)[truth], axis=1)):
        found = gate(below, rival, truth, folds, None)
        assert not found.passed
        np.testing.assert_array_equal(found.whole, below)
    assert not gate(above, below, truth, folds, None).passed


@pytest.mark.parametrize("n", [12, 40, 120])
def test_an_arm_that_is_no_better_passes_about_one_time_in_twenty(n):
    rng = np.random.default_rng(n)
    passed = [gate(*arms(n, rng), None).passed for _ in range(1500)]
    assert np.mean(passed) <= 0.07


def test_rows_that_come_in_copies_do_not_fool_it():
    rng = np.random.default_rng(5)
    passed = []
    for _ in range(800):
        below, above, truth, folds = (np.repeat(part, 6, axis=0) for part in arms(10, rng))
        passed.append(gate(below, above, truth, folds, np.repeat(np.arange(10), 6)).passed)
    assert np.mean(passed) <= 0.08


def test_a_certain_mistake_costs_what_six_rows_can_show():
    truth, folds = np.zeros(6, int), np.arange(6) % 3
    below = np.tile([0.0, 1.0], (6, 1))
    above = np.tile([1.0, 0.0], (6, 1))
    assert gate(below, above, truth, folds, None).gain.value == pytest.approx(np.log(13))


def test_one_certain_mistake_does_not_outweigh_all_other_rows():
    truth, folds = np.arange(40) % 2, np.arange(40) // 2 % 5
    below, above = (np.where(np.eye(2)[truth] > 0, sure, 1 - sure) for sure in (0.7, 0.95))
    above[7] = [1.0, 0.0]
    assert gate(below, above, truth, folds, None).passed


# The answers of the whole procedure --------------------------------------------------------------------------------


def test_a_fold_is_decided_by_the_others():
    rng = np.random.default_rng(2)
    below, above, truth, folds = arms(50, rng, better=0.8)
    found = gate(below, above, truth, folds, None)
    for k in range(5):
        own = folds == k
        taken = (found.whole[own] == above[own]).all()
        assert taken or (found.whole[own] == below[own]).all()
        # Whatever the fold's own rows say, the decision about them is the same.
        for wrong in ((truth + 1) % 3, (truth + 2) % 3):
            told = np.where(own, wrong, truth)
            again = gate(below, above, told, folds, None).whole
            np.testing.assert_array_equal(again[own], found.whole[own])
        lone = gate(below[~own], above[~own], truth[~own], folds[~own], None)
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
    found = gate(below, above, truth, folds, None)
    assert found.passed
    np.testing.assert_array_equal(found.whole[folds == 2], below[folds == 2])
    np.testing.assert_array_equal(found.whole[folds != 2], above[folds != 2])


def test_the_chance_to_help_by_hand():
    # An error of 0.1 and a gain of 0.05; a prior gain of 8 % of 1.25, give or take 8 %: precisions 100 and 100.
    found = Estimate(0.05, 0.05 - 0.16448536, 0.05 + 0.16448536)
    assert chance_to_help(found, 1.25, None) == pytest.approx(0.6914625, rel=1e-5)  # Φ(0.5)
    assert chance_to_help(found, 1.25, Prior(0.08, 0.08)) == pytest.approx(0.8555778, rel=1e-5)  # Φ(15 / √200)


def test_the_gain_to_expect_by_hand():
    """As much is known as the rows show: halfway, and the deviation of either divided by √2."""
    found = Estimate(0.05, 0.05 - 0.16448536, 0.05 + 0.16448536)
    assert expected(found, 1.25, None) == pytest.approx((0.05, 0.1))
    assert expected(found, 1.25, Prior(0.08, 0.08)) == pytest.approx((0.075, 0.1 / np.sqrt(2)))
    assert expected(Estimate(0.05, -np.inf, np.inf), 1.25, Prior(0.08, 0.08)) == pytest.approx((0.1, 0.1))
    assert expected(Estimate(0.05, 0.05, 0.05), 1.25, Prior(0.08, 0.08)) == (0.05, 0)


def test_what_is_known_from_other_sets_tips_a_small_gain_but_never_a_loss():
    below, above, truth, folds = arms(60, np.random.default_rng(5), better=0.3)
    unknown, known = (gate(below, above, truth, folds, None, prior) for prior in (None, Prior(0.2, 0.1)))
    assert unknown.gain == known.gain
    assert known.gain.value > 0
    assert (unknown.passed, known.passed) == (False, True)
    assert unknown.chance < SURE
    assert known.chance > unknown.chance
    worse = gate(above, below, truth, folds, None, Prior(2.0, 0.01))
    assert worse.chance > SURE
    assert not worse.passed


def test_labels_that_say_nothing_let_no_rival_in_whatever_is_known():
    """One run in twenty may be fooled."""
    passed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth = rng.permutation(np.arange(40) % 2)
        below, above = (softmax(0.5 * rng.normal(size=(40, 2)), axis=1) for _ in range(2))
        passed += gate(below, above, truth, np.arange(40) % 5, None, Prior(0.3, 0.1)).passed
    assert passed <= 5


def test_who_is_right_far_more_often_has_learned_something_however_unsure():
    """Three of five right in five classes, and so sure of the others that the mean log loss shows nothing."""
    rng = np.random.default_rng(0)
    truth = np.arange(40) % 5
    said = np.where(rng.permutation(40) < 24, truth, (truth + 1) % 5)
    above = np.full((40, 5), 0.01)
    above[np.arange(40), said] = 0.96
    below = np.full((40, 5), 0.02)
    below[np.arange(40), (truth + 2) % 5] = 0.92
    found = gate(below, above, truth, np.arange(40) // 8, None, Prior(0.08, 0.1))
    assert gain(np.full(40, np.log(5)), -np.log(above[np.arange(40), truth])).low < 0
    assert found.learnable
    assert found.passed
    often_wrong = np.where(rng.permutation(40) < 10, truth, (truth + 1) % 5)  # ten of forty, where eight are chance
    above = np.full((40, 5), 0.01)
    above[np.arange(40), often_wrong] = 0.96
    assert not gate(below, above, truth, np.arange(40) // 8, None, Prior(0.08, 0.1)).learnable


def unsure():
    """Sixteen rows, five of them wrong by either arm, the second a little surer: too few to beat the frequencies."""
    truth, folds = np.arange(16) % 2, np.arange(16) // 2 % 4
    wrong = (np.arange(16) % 3 == 0)[:, None]
    below, above = (np.where((np.eye(2)[truth] > 0) != wrong, sure, 1 - sure) for sure in (0.6, 0.63))
    return below, above, truth, folds


def test_what_frozen_backbones_see_shows_that_labels_mean_something():
    below, above, truth, folds = unsure()
    rng = np.random.default_rng(0)
    apart = (rng.normal(size=(16, 4)) + 3 * np.eye(4)[truth]).astype(np.float32)
    alike = rng.normal(size=(16, 4)).astype(np.float32)
    known = Prior(0.15, 0.12)
    alone, blind, told = (gate(below, above, truth, folds, None, known, seen) for seen in (None, alike, apart))
    assert (alone.learnable, alone.passed) == (blind.learnable, blind.passed) == (False, False)
    assert told.gain == alone.gain
    assert told.gain.value > 0
    assert (told.learnable, told.passed) == (True, True)
    # It says nothing for a rival that does not help.
    assert not gate(above, below, truth, folds, None, known, apart).passed


def test_what_frozen_backbones_see_in_names_counts_beside_it():
    below, above, truth, folds = unsure()
    x = (np.random.default_rng(0).normal(size=(16, 4)) + 0.6 * np.eye(4)[truth]).astype(np.float32)
    near = np.eye(2, 4, dtype=np.float32)
    without, told, misled = (
        gate(below, above, truth, folds, None, Prior(0.15, 0.12), x, names).passed for names in (None, near, near[::-1])
    )
    assert (without, told, misled) == (False, True, False)


def test_what_is_seen_in_a_fold_does_not_decide_about_it():
    below, above, truth, folds = unsure()
    x = (np.random.default_rng(1).normal(size=(16, 4)) + 1.2 * np.eye(4)[truth]).astype(np.float32)
    found = gate(below, above, truth, folds, None, Prior(0.15, 0.12), x)
    for k in range(4):
        own = folds == k
        other = np.where(own[:, None], -x, x)
        again = gate(below, above, truth, folds, None, Prior(0.15, 0.12), other).whole
        np.testing.assert_array_equal(again[own], found.whole[own])


def test_what_is_right_often_enough_already_can_show_it():
    truth = np.arange(40) % 5
    below = np.full((40, 5), 0.01)
    below[np.arange(40), np.where(np.arange(40) < 24, truth, (truth + 1) % 5)] = 0.96
    assert chance_to_show(below, truth, None, Prior(0.08, 0.1)) > 0.99


def test_groups_are_kept_apart_within_the_decision_of_a_fold():
    rng = np.random.default_rng(3)
    below, above, truth, folds = arms(30, rng, better=0.7)
    groups = rng.integers(12, size=30)
    found = gate(below, above, truth, folds, groups)
    for k in range(5):
        rest = folds != k
        lone = gate(below[rest], above[rest], truth[rest], folds[rest], groups[rest])
        expected = above if lone.passed else below
        np.testing.assert_array_equal(found.whole[folds == k], expected[folds == k])
