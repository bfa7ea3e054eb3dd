import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.evaluation.intervals import (
    Estimate,
    accuracy_interval,
    bootstrap,
    independent_rows,
    paired_difference,
    wilson,
)


def test_wilson_gives_the_textbook_interval():
    # Newcombe 1998, table I: 81 of 263 and 15 of 148, method 3.
    first, second = wilson(81 / 263, 263), wilson(15 / 148, 148)
    assert (round(first.low, 4), round(first.high, 4)) == (0.2553, 0.3662)
    assert (round(second.low, 4), round(second.high, 4)) == (0.0624, 0.1605)


def test_eight_rows_cannot_tell_sixty_from_ninety_five_percent():
    assert wilson(7 / 8, 8).low < 0.6
    assert wilson(7 / 8, 8).high > 0.95


@given(st.integers(1, 300), st.floats(0, 1))
def test_the_interval_holds_the_value_and_stays_between_zero_and_one(n, share):
    e = wilson(share, n)
    assert 0 <= e.low <= share + 1e-9 and share - 1e-9 <= e.high <= 1


def test_rows_of_groups_that_share_one_fate_are_worth_the_groups():
    groups = np.repeat(np.arange(10), 10)
    alike = np.repeat(np.arange(10) % 2, 10).astype(float)
    assert independent_rows(alike, groups) == 10
    mixed = np.tile([0.0, 1.0], 50)
    assert independent_rows(mixed, groups) == 100
    assert independent_rows(np.ones(100), groups) == 10
    assert accuracy_interval(alike, groups).low < accuracy_interval(alike).low


def test_two_equal_arms_are_tied():
    right = np.random.default_rng(0).random(40)
    e = paired_difference(right, right)
    assert e.value == 0 and e.holds_zero


def test_a_clear_difference_is_not_a_tie_and_a_few_rows_that_agree_are():
    assert not paired_difference(np.ones(40), np.zeros(40)).holds_zero
    assert paired_difference(np.array([1.0, 1, 1]), np.array([1.0, 1, 0])).holds_zero


@pytest.mark.parametrize("rows", [10, 40, 150])
def test_equal_arms_are_called_different_in_at_most_one_of_twenty_draws(rows):
    rng = np.random.default_rng(0)
    called = [not paired_difference(rng.random(rows) < 0.7, rng.random(rows) < 0.7).holds_zero for _ in range(3000)]
    assert np.mean(called) <= 0.05


def test_groups_widen_a_difference():
    groups = np.repeat(np.arange(5), 8)
    first, second = np.ones(40), (groups % 2).astype(float)
    grouped, plain = paired_difference(first, second, groups), paired_difference(first, second)
    assert grouped.high - grouped.low > plain.high - plain.low


def test_bootstrap_draws_groups_whole():
    groups = np.repeat(np.arange(4), 5)
    values = groups / 3
    e = bootstrap(lambda at: float(values[at].mean()), 20, np.random.default_rng(0), groups)
    plain = bootstrap(lambda at: float(values[at].mean()), 20, np.random.default_rng(0))
    assert e.value == pytest.approx(0.5)
    assert e.high - e.low > plain.high - plain.low


@given(st.integers(1, 30), st.integers(0, 30))
def test_a_bootstrap_never_claims_more_than_rows_of_one_fate_support(n, wrong):
    right = (np.arange(n) >= wrong).astype(float)
    e = bootstrap(lambda at: float(right[at].mean()), n, np.random.default_rng(0), draws=20)
    assert e.low <= wilson(1, n).low and e.high >= wilson(0, n).high
    assert 0 <= e.low <= e.value <= e.high <= 1


def test_an_estimate_prints_as_a_sentence_would_say_it():
    assert str(Estimate(0.85, 0.731, 0.93)) == "0.85 (0.73 to 0.93)"
    assert f"{Estimate(0.85, 0.731, 0.93):.0%}" == "85% (73% to 93%)"
