"""Promises of detectors: thresholds, what can be claimed of false alarms and of bad items, in numbers and words."""

from __future__ import annotations

import numpy as np
import pytest

from handful.errors import OptionError
from handful.evaluation.intervals import Estimate
from handful.tasks.defects.promise import Asked, Promise, needed_for, promised, rate_of
from handful.tasks.defects.words import advice, not_enough, told_alarms, told_found

TEN = np.arange(10.0)
NONE = np.zeros(0)


def test_few_normal_items_promise_one_of_as_many_and_one_more():
    promise = promised(TEN, NONE, Asked(0.01))
    assert promise.threshold == 9
    assert promise.false_alarms.value == pytest.approx(1 / 11)
    assert promise.false_alarms.high == pytest.approx(1 - 0.025 ** (1 / 10))  # Beta(1, 10)
    assert not promise.kept


def test_many_normal_items_promise_what_is_asked():
    promise = promised(np.arange(99.0), NONE, Asked(0.05))
    assert promise.threshold == 94
    assert promise.kept
    assert promise.false_alarms.value == pytest.approx(0.05)
    assert promise.alarms(np.arange(99.0)).sum() == 4  # the fifth highest is the threshold itself


def test_new_normal_items_raise_as_many_alarms_as_promised():
    rng = np.random.default_rng(0)
    rates, held = [], 0
    for _ in range(400):
        promise = promised(rng.normal(size=15), NONE, Asked(0.1))
        rate = promise.alarms(rng.normal(size=2000)).mean()
        rates.append(rate)
        held += promise.false_alarms.low <= rate <= promise.false_alarms.high
    assert np.mean(rates) == pytest.approx(1 / 16, abs=0.01)
    assert held / 400 > 0.92


def test_what_must_be_found_chooses_the_threshold():
    bad = np.arange(5.0, 44.0)  # 39 of them
    promise = promised(TEN, bad, Asked(must_find=0.95))
    assert promise.kept
    assert promise.threshold == pytest.approx(6.0)  # just below the second lowest
    assert promise.caught == 38
    assert promise.found.value == pytest.approx(1 - 2 / 40)
    assert promise.false_alarms.value == pytest.approx(0.4)  # 6, 7, 8 and 9


def test_few_bad_items_cannot_promise_that_nearly_all_are_found():
    promise = promised(TEN, np.array([20.0, 30.0, 40.0]), Asked(must_find=0.95))
    assert not promise.kept
    assert promise.caught == 3
    assert promise.found.value == pytest.approx(0.75)
    assert "That 95% are found cannot be promised by 3: it takes 19 bad pictures." in told_found(promise, "pictures")


def test_what_must_be_found_takes_bad_items():
    with pytest.raises(
        OptionError, match=r"--must-find must have bad items to choose the threshold by, got none\. Put"
    ):
        promised(TEN, NONE, Asked(must_find=0.9))


@pytest.mark.parametrize(("share", "items"), [(0.05, 19), (0.01, 99), (0.5, 1)])
def test_how_many_normal_items_a_share_takes(share, items):
    assert needed_for(share) == items
    assert promised(np.arange(float(items)), NONE, Asked(share)).kept
    assert not promised(np.arange(float(items)), NONE, Asked(share * 0.9)).kept


def test_rates_lie_within_their_intervals():
    for above, normal in ((1, 3), (1, 100), (5, 99)):
        rate = rate_of(above, normal)
        assert 0 < rate.low <= rate.value <= rate.high < 1


def test_a_promise_is_read_back_as_it_was_written():
    promise = promised(TEN, np.array([3.0, 20.0]), Asked(0.05))
    assert Promise.from_dict(promise.as_dict()) == promise
    with pytest.raises((TypeError, KeyError, ValueError)):
        Promise.from_dict({**promise.as_dict(), "threshold": float("nan")})


def test_promises_are_told_in_the_words_of_who_sorts_parts():
    promise = promised(TEN, np.array([3.0, 20.0, 21.0]), Asked(0.05))
    assert told_alarms(promise, "pictures") == (
        "Of 100 good pictures, about 9 will be thrown away as a false alarm (between 0.3 and 31: 10 good pictures "
        "cannot say it more exactly). 10 of them can promise 9.1% on the mean and nothing lower; 5% takes 19."
    )
    assert told_found(promise, "pictures").startswith("1 of the 3 bad pictures slips through (of 100 like them between")
    unknown = told_found(promised(TEN, NONE, Asked()), "sounds")
    assert unknown.startswith("How many bad sounds slip through is not known: there were none to try it on.")


def test_what_is_not_good_enough_says_what_to_try():
    poor = promised(TEN, np.array([3.0, 4.0, 20.0]), Asked(0.1))
    assert not_enough(poor)
    said = " ".join(advice(poor, "image"))
    assert said.startswith("This is not good enough yet to sort by. Photograph closer, or crop to the part")
    good = Promise(1.0, 99, Estimate(0.05, 0.02, 0.1), 40, 40, Estimate(1.0, 0.91, 1.0))
    assert advice(good, "image") == []
