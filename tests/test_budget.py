"""The budget of a run: what stages took, what is left, what is left out, and what is said of a run that passes it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import handful
from handful.budget import Budget


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_stages_are_counted_and_what_they_leave_is_left():
    clock = Clock()
    budget = Budget(60, clock)
    with budget.stage("read"):
        clock.now += 5
    with budget.stage("train"):
        clock.now += 20
    with budget.stage("read"):
        clock.now += 1
    assert budget.taken == {"read": 6.0, "train": 20.0}
    assert (budget.elapsed, budget.left) == (26.0, 34.0)
    assert budget.for_training == 28.0  # a tenth of all is for what comes afterwards


def test_a_stage_that_fails_is_counted_too():
    clock = Clock()
    budget = Budget(60, clock)
    with pytest.raises(ValueError), budget.stage("read"):
        clock.now += 5
        raise ValueError
    assert budget.taken == {"read": 5.0}


@given(spent=st.lists(st.floats(0, 1e6), max_size=6), seconds=st.floats(0, 1e6))
def test_nothing_is_ever_left_beyond_what_there_was(spent, seconds):
    clock = Clock()
    budget = Budget(seconds, clock)
    for number, took in enumerate(spent):
        with budget.stage(str(number)):
            clock.now += took
    assert 0 <= budget.for_training <= budget.left <= seconds


def test_a_run_that_passes_its_budget_says_by_how_much_and_in_which_stage():
    clock = Clock()
    budget = Budget(60, clock)
    assert budget.passed == ""
    with budget.stage("extract"):
        clock.now += 75
    assert budget.passed == (
        "The run took 75 s, 15 s more than its budget of 60 s; most of it went into this stage: what the backbones see "
        "in the rows, which is kept for the next run (75 s)."
    )


def test_a_budget_of_nothing_is_never_passed():
    clock = Clock()
    budget = Budget(0, clock)
    with budget.stage("read"):
        clock.now += 5
    assert (budget.passed, budget.left, budget.for_training) == ("", 0.0, 0.0)


def test_a_run_whose_time_is_up_moves_nothing_checks_nothing_and_says_so(table, sentences):
    ticks = itertools.count(step=30)  # every look at the clock takes half a minute
    run = handful.tune(
        table(sentences({"ants": 10, "bees": 10})), backbone="toy-text", strategies="ridge,contrastive",
        budget=Budget(60, lambda: float(next(ticks))),
    )  # fmt: skip
    assert run.trainings == ()
    assert run.scores.stability == ()
    assert any(note == "Weights stay as they are: the budget leaves no time to move them." for note in run.notes)
    assert "What slight changes do to answers was left out: no time of the budget was left for it." in run.notes
    assert any("s more than its budget of 60 s" in note for note in run.notes)


def test_a_budget_that_is_given_is_the_default_one(table, sentences):
    rows = table(sentences({"ants": 10, "bees": 10}))
    usual, named = (
        handful.tune(rows, backbone="toy-text", strategies="centroid,ridge", **given)
        for given in ({}, {"budget": "1 min"})
    )
    assert usual.scores.estimate == named.scores.estimate
    assert usual.plan.budget == named.plan.budget == 60


def test_a_language_run_counts_from_reading_too():
    rows = [{"prompt": f"say {word}", "response": word.upper()} for word in ("cat", "dog", "sun", "sea", "car", "bee")]
    ticks = itertools.count(step=400)
    run = handful.tune(
        rows, backbone="toy-language", strategies="base,in-context", budget=Budget(600, lambda: float(next(ticks)))
    )
    assert set(run.scores.seconds) == {"read", "load", "compare", "other"}
    assert any("s more than its budget of 600 s" in note for note in run.notes)


def test_what_has_a_time_of_its_own_is_not_counted():
    clock = Clock()
    budget = Budget(60, clock)
    with budget.stage("select"):
        clock.now += 10
    with budget.paused():
        clock.now += 500
    with pytest.raises(ValueError), budget.paused():
        clock.now += 500
        raise ValueError
    assert (budget.elapsed, budget.left) == (10.0, 50.0)
    assert budget.accounted == {"select": 10.0}
    assert budget.passed == ""
