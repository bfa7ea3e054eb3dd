"""Schedules: some by hand, all within 0 and 1 for runs of any length."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.errors import OptionError
from handful.training.schedules import (
    SCHEDULES,
    constant,
    cosine,
    layer_decay,
    linear,
    one_cycle,
    slanted_triangular,
    triangular,
)

WITH_WARM_UP = [constant, linear, cosine, slanted_triangular]


def run(schedule, total: int, **options) -> list[float]:
    return [schedule(update, total, **options) for update in range(total)]


def test_constant_is_full_rate_unless_a_warm_up_is_asked_for():
    assert run(constant, 4) == [1, 1, 1, 1]
    assert run(constant, 4, warm_up=0.5) == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_linear_by_hand():
    assert run(linear, 10, warm_up=0.2) == pytest.approx(
        [1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    )
    assert run(linear, 4, warm_up=0) == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4])


def test_triangular_by_hand():
    assert run(triangular, 5) == pytest.approx([1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    assert run(triangular, 6) == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 2 / 3, 1 / 3])
    assert run(triangular, 1) == [1]


def test_cosine_by_hand():
    expected = [1 / 2] + [(1 + math.cos(math.pi * k / 9)) / 2 for k in range(9)]
    assert run(cosine, 10) == pytest.approx(expected)
    assert run(cosine, 2, warm_up=0) == pytest.approx([1, 1 / 2])


def test_slanted_triangular_by_hand():
    def rate(height: float) -> float:
        return (1 + height * 31) / 32

    rise = [rate(k / 2) for k in range(2)]
    assert run(slanted_triangular, 20) == pytest.approx(rise + [rate(1 - k / 18) for k in range(18)])


def test_slanted_triangular_is_the_formula_of_the_paper_where_that_is_defined():
    total, cut = 100, 10
    for update in range(total):
        p = update / cut if update < cut else 1 - (update - cut) / (cut * (1 / 0.1 - 1))
        assert slanted_triangular(update, total) == pytest.approx((1 + p * 31) / 32)


def test_one_cycle_by_hand():
    # Up over 9 steps, down over 9, and 2 of tail.
    up = [0.1 + 0.9 * k / 9 for k in range(10)]
    assert run(one_cycle, 21) == pytest.approx([*up, *up[-2::-1], (0.1 + 0.001) / 2, 0.001])


def test_one_cycle_of_one_update_is_its_peak():
    assert one_cycle(0, 1) == pytest.approx(1)


def test_a_run_too_short_to_warm_up_begins_at_full_rate():
    assert [linear(0, 9), cosine(0, 9), slanted_triangular(0, 9)] == [1, 1, 1]


def test_every_schedule_has_a_name():
    assert list(SCHEDULES) == ["constant", "linear", "triangular", "cosine", "slanted_triangular", "one_cycle"]
    assert all(name == schedule.__name__ for name, schedule in SCHEDULES.items())


@pytest.mark.parametrize("name", SCHEDULES)
@given(total=st.integers(1, 10**6), share=st.floats(0, 1))
def test_factors_stay_between_0_and_1_and_no_update_stands_still(name, total, share):
    schedule = SCHEDULES[name]
    for update in {0, round(share * (total - 1)), total - 1}:
        assert 0 < schedule(update, total) <= 1


@pytest.mark.parametrize("name", SCHEDULES)
@given(total=st.integers(1, 1000))
def test_a_look_past_the_last_update_is_no_error(name, total):
    assert 0 <= SCHEDULES[name](total, total) <= 1


@pytest.mark.parametrize("schedule", WITH_WARM_UP)
def test_a_look_past_a_run_that_only_warms_up_is_no_error(schedule):
    assert 0 <= schedule(5, 5, warm_up=1.0) <= 1


@pytest.mark.parametrize("schedule", WITH_WARM_UP)
@given(total=st.integers(1, 200), warm_up=st.floats(0, 1))
def test_any_warm_up_rises_and_then_never_rises_again(schedule, total, warm_up):
    factors = run(schedule, total, warm_up=warm_up)
    peak = factors.index(max(factors))
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


@pytest.mark.parametrize("schedule", WITH_WARM_UP)
@pytest.mark.parametrize("warm_up", [-0.1, 1.5, 100])
def test_a_warm_up_that_is_no_share_is_refused(schedule, warm_up):
    with pytest.raises(OptionError) as error:
        schedule(0, 10, warm_up=warm_up)
    assert str(error.value) == f"warm-up must be a share of the updates between 0 and 1, got {warm_up}. Try 0.1."


def test_lower_blocks_move_less():
    assert layer_decay(4, 0.5) == (0.125, 0.25, 0.5, 1.0)
    assert layer_decay(3, 1.0) == (1, 1, 1)
    assert layer_decay(3, 0.0) == (0, 0, 1)
    assert layer_decay(1, 0.3) == (1,)
    assert layer_decay(0, 0.3) == ()
