"""Intervals: by hand, their coverage, what groups and rare parts do to them, and how often equal arms differ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classified import targets_of
from handful.evaluation.intervals import Estimate, better, difference, independent_rows, interval, wilson
from handful.evaluation.metrics import LOSS, Measured, losses, ratio, share
from handful.tasks.base import Targets
from handful.tasks.classification.metrics import METRICS
from handful.tasks.masks.task import DICE
from handful.tasks.multilabel import MULTILABEL
from handful.tasks.ordinal import METRICS as RATED
from handful.tasks.ordinal import ORDINAL
from handful.tasks.several import METRICS as SEVERAL


def rng():
    return np.random.default_rng(0)


# Shares ------------------------------------------------------------------------------------------------------------


def test_wilson_gives_the_textbook_interval():
    # Newcombe 1998, table I: 81 of 263 and 15 of 148, method 3.
    first, second = wilson(81 / 263, 263), wilson(15 / 148, 148)
    assert (round(first.low, 4), round(first.high, 4)) == (0.2553, 0.3662)
    assert (round(second.low, 4), round(second.high, 4)) == (0.0624, 0.1605)


def test_eight_rows_cannot_tell_sixty_from_ninety_five_percent():
    assert wilson(7 / 8, 8).low < 0.6
    assert wilson(7 / 8, 8).high > 0.95


@given(st.integers(1, 300), st.floats(0, 1))
def test_the_interval_holds_the_value_and_stays_between_zero_and_one(n, part):
    e = wilson(part, n)
    assert 0 <= e.low <= part + 1e-9 and part - 1e-9 <= e.high <= 1


def test_rows_of_groups_that_share_one_fate_are_worth_the_groups():
    groups = np.repeat(np.arange(10), 10)
    alike = np.repeat(np.arange(10) % 2, 10).astype(float)
    assert independent_rows(alike, groups) == 10
    mixed = np.tile([0.0, 1.0], 50)
    assert independent_rows(mixed, groups) == 100
    assert independent_rows(np.ones(100), groups) == 10
    assert interval(share(alike), groups).low < interval(share(alike)).low


def test_two_equal_arms_are_tied():
    right = share(rng().random(40))
    e = difference(right, right)
    assert e.value == 0 and e.holds_zero


def test_a_clear_difference_is_not_a_tie_and_a_few_rows_that_agree_are():
    assert not difference(share(np.ones(40)), share(np.zeros(40))).holds_zero
    assert difference(share([1, 1, 1]), share([1, 1, 0])).holds_zero


@pytest.mark.parametrize("rows", [10, 40, 150])
def test_equal_arms_are_called_different_in_at_most_one_of_twenty_draws(rows):
    draws = rng()
    called = [
        not difference(share(draws.random(rows) < 0.7), share(draws.random(rows) < 0.7)).holds_zero for _ in range(3000)
    ]
    assert np.mean(called) <= 0.05


def test_groups_widen_a_difference():
    groups = np.repeat(np.arange(5), 8)
    first, second = share(np.ones(40)), share(groups % 2)
    grouped, plain = difference(first, second, groups), difference(first, second)
    assert grouped.high - grouped.low > plain.high - plain.low


# Ratios ------------------------------------------------------------------------------------------------------------


def test_a_loss_per_token_counts_tokens_not_rows():
    found = interval(ratio(LOSS, [2.0, 30.0, 4.0], [1, 10, 2]))
    assert found.value == pytest.approx(36 / 13)
    assert found.low < found.value < found.high


def test_the_interval_of_a_ratio_covers_the_truth():
    draws, held = rng(), 0
    for _ in range(400):
        weight = draws.integers(5, 60, size=25)
        found = interval(ratio(LOSS, weight * draws.normal(2.0, 0.4, size=25), weight))
        held += found.low <= 2.0 <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_groups_that_share_a_fate_widen_the_interval_of_a_ratio():
    draws = np.random.default_rng(1)
    fate = np.repeat(draws.normal(2, 1, size=8), 5)
    score = ratio(LOSS, fate * 10 + draws.normal(size=40) * 0.1, np.full(40, 10))
    alone, together = interval(score), interval(score, np.repeat(np.arange(8), 5))
    assert together.high - together.low > 1.8 * (alone.high - alone.low)


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_rows_give_a_ratio_no_interval(n):
    alone, grouped = interval(losses(np.full(n, 2.0))), interval(losses(np.full(6, 2.0)), np.arange(6) % n)
    for nothing in (alone, grouped):
        assert (nothing.low, nothing.high) == (0.0, np.inf)  # no loss is below nothing


def test_a_difference_of_ratios_is_paired():
    draws = np.random.default_rng(2)
    hard, weight = draws.normal(20, 8, size=30), np.full(30, 10.0)
    lower, higher = ratio(LOSS, hard - 1 + draws.normal(size=30) * 0.1, weight), ratio(LOSS, hard, weight)
    found = difference(lower, higher)
    assert found.value == pytest.approx(-0.1, abs=0.01)
    assert found.high < 0
    assert better(lower, higher) == -found  # less of a loss is more


# Functions of several sums -----------------------------------------------------------------------------------------


def answered(truth, said, classes=2):
    """What the answers ``said`` to rows of these classes add to the sums of a metric, by name."""
    outputs, targets = np.eye(classes)[np.asarray(said)][None], targets_of(truth, classes=classes)
    return lambda name: METRICS[name].of(outputs, targets)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_rows_that_are_all_right_or_all_wrong_are_no_certainty(metric):
    truth = np.array([0, 1, 0] * 7)
    right, wrong = (interval(answered(truth, said)(metric), rng=rng()) for said in (truth, 1 - truth))
    assert right.value == right.high == 1.0
    assert 0.75 < right.low < 0.95
    assert wrong.value == wrong.low == 0.0
    assert 0.02 < wrong.high < 0.25


def test_a_rare_class_that_is_all_right_by_luck_leaves_the_mean_unsure():
    """Thirty-six rows of one class and four of another, all right: the recall of the four may be two thirds."""
    rare, even = np.repeat([0, 1], [36, 4]), np.repeat([0, 1], [20, 20])
    lows = [interval(answered(truth, truth)("balanced_accuracy"), rng=rng()).low for truth in (rare, even)]
    assert lows[0] < lows[1] - 0.05


def test_groups_are_drawn_whole():
    truth, groups = np.arange(40) % 2, np.arange(40) // 10
    said = np.where(groups == 0, 1 - truth, truth)
    grouped, plain = (interval(answered(truth, said)("macro_f1"), g, rng=rng()) for g in (groups, None))
    assert grouped.value == plain.value
    assert grouped.high - grouped.low > 1.5 * (plain.high - plain.low)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_the_interval_of_a_function_covers_the_truth(metric):
    """The value of a million rows is known: intervals of forty, a fifth of them of a rare class, should hold it."""
    draws = rng()

    def drawn(n):
        truth = (draws.random(n) < 0.2).astype(int)
        return truth, np.where(draws.random(n) < np.where(truth, 0.6, 0.9), truth, 1 - truth)

    true, held = answered(*drawn(1_000_000))(metric).value, 0
    for _ in range(300):
        truth, said = drawn(40)
        found = interval(answered(truth, said)(metric), rng=draws)
        held += found.low <= true <= found.high
    assert held / 300 >= 0.92


@pytest.mark.parametrize("pictures", [3, 5, 12])
def test_the_interval_of_a_function_of_a_few_items_covers_the_truth(pictures):
    """Masks are scored on five pictures or so, whose overlaps differ by a few points."""
    draws, held, apart = rng(), 0, 0
    for _ in range(400):
        first, second = (np.stack([draws.normal(0.8, 0.05, pictures), np.ones(pictures)], 1) for _ in range(2))
        one, other = Measured(DICE, first), Measured(DICE, second)
        found = interval(one, rng=draws)
        held += found.low <= 0.8 <= found.high
        apart += not difference(one, other, rng=draws).holds_zero
    assert held / 400 >= 0.92
    assert apart / 400 <= 0.08


@pytest.mark.parametrize("groups", [None, np.array([0, 0, 0, 1, 1])])
def test_a_function_of_two_items_or_groups_may_be_anything_it_can_be(groups):
    sums = np.stack([np.linspace(0.7, 0.9, 2 if groups is None else 5), np.ones(2 if groups is None else 5)], 1)
    found = interval(Measured(DICE, sums), groups, rng=rng())
    assert (found.low, found.high) == (0, 1)


def test_the_difference_of_functions_is_paired_and_equal_arms_are_tied():
    truth = np.arange(60) % 2
    first = np.where(np.arange(60) % 10 == 0, 1 - truth, truth)
    second = np.where(np.arange(60) % 3 == 0, 1 - truth, truth)
    good, worse = (answered(truth, said)("macro_f1") for said in (first, second))
    found = difference(good, worse, rng=rng())
    assert found.value == pytest.approx(good.value - worse.value)
    assert found.low > 0
    same = difference(good, good, rng=rng())
    assert same.value == 0 and same.low < 0 < same.high


@pytest.mark.parametrize("rare", [2, 3, 4, 8])
@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_a_difference_to_who_looks_at_no_row_is_as_unsure_as_the_score(metric, rare):
    """It finds one class and never another, however few rows there are: the score alone is unsure."""
    truth = np.repeat([0, 1], [40 - rare, rare])
    good, same = answered(truth, truth)(metric), answered(truth, 0 * truth)(metric)
    score, blind, apart = interval(good, rng=rng()), interval(same, rng=rng()), difference(good, same, rng=rng())
    assert blind.high - blind.low < 0.1
    assert apart.low == pytest.approx(score.low - blind.value, abs=0.03)
    assert apart.low > 0


def test_labels_and_ratings_know_what_is_said_by_who_looks_at_no_row():
    labels = np.zeros((40, 2), bool)
    labels[:, 0], labels[:3, 1] = True, True
    several = Targets(MULTILABEL, labels, ("a", "b"))
    same = SEVERAL["macro_f1"].of(np.broadcast_to([0.9, 0.1], (1, 40, 2)), several)
    assert interval(same, rng=rng()).as_dict() == {"value": 0.5, "low": 0.5, "high": 0.5}
    ratings = Targets(ORDINAL, np.repeat([0, 1, 2], [30, 7, 3]), ("1", "2", "3"))
    middling = RATED["quadratic_kappa"].of(np.broadcast_to([0.2, 0.6, 0.2], (1, 40, 3)), ratings)
    assert interval(middling, rng=rng()).as_dict() == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_equal_arms_are_rarely_called_different_by_a_function():
    draws, called = rng(), 0
    for _ in range(300):
        truth = np.arange(30) % 3
        arms = (np.where(draws.random(30) < 0.7, truth, draws.integers(3, size=30)) for _ in range(2))
        first, second = (answered(truth, said, 3)("macro_f1") for said in arms)
        called += not difference(first, second, rng=draws).holds_zero
    assert called / 300 <= 0.07


def test_an_estimate_prints_as_a_sentence_would_say_it():
    assert str(Estimate(0.85, 0.731, 0.93)) == "0.85 (0.73 to 0.93)"
    assert f"{Estimate(0.85, 0.731, 0.93):.0%}" == "85% (73% to 93%)"


# Errors in steps ------------------------------------------------------------------------------------------------------


def test_ratings_without_an_error_leave_room_for_some():
    rows = ORDINAL.read([str(1 + i % 3) for i in range(60)])
    perfect = np.eye(3)[rows.values][None]
    found = interval(ORDINAL.headline.of(perfect, rows))
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(wilson(0, 60).high)  # so many may be off by one
    tens = ORDINAL.read([str(10 * (1 + i % 3)) for i in range(60)])
    assert interval(ORDINAL.headline.of(perfect, tens)).high == pytest.approx(10 * found.high)
    far = perfect[:, ::-1]
    wide = interval(ORDINAL.headline.of(far, rows))
    assert wide.low > 0 and wide.high > wide.value


def test_the_interval_of_a_mean_error_of_rare_steps_covers_it():
    draws, truth, held = rng(), 0.06, 0
    rows = ORDINAL.read([str(1 + i % 3) for i in range(40)])
    for _ in range(300):
        wrong = draws.random(40) < truth
        answers = np.where(wrong, np.where(rows.values == 2, 1, rows.values + 1), rows.values)
        found = interval(ORDINAL.headline.of(np.eye(3)[answers][None], rows))
        held += found.low <= truth <= found.high
    assert held / 300 > 0.93
