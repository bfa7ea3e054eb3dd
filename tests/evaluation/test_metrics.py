"""Metrics as functions of sums: what items add, how sums become scores, and parts of the items."""

import numpy as np
import pytest

from handful.evaluation.metrics import LOSS, SHARE, Kind, Metric, Scale, losses, no_outputs, ratio, share


def test_a_share_is_the_mean_and_a_ratio_one_sum_over_another():
    assert share([True, False, True, True]).value == 0.75
    assert ratio(LOSS, [2.0, 30.0], [1, 9]).value == 3.2
    assert ratio(LOSS, [2.0, 30.0], [1, 10]).scores.tolist() == [2.0, 3.0]
    assert losses(np.array([1.0, 2.0])).metric is LOSS


def test_some_of_the_items():
    found = share([1, 0, 1, 1])
    assert found.take(np.array([0, 1])).value == 0.5
    assert found.take(np.array([True, False, True, True])).value == 1.0
    assert (len(found), len(found.take(slice(2)))) == (4, 2)


def test_a_function_of_several_sums():
    spread = Metric("spread", lambda outputs, _: np.stack([outputs[0], outputs[0] ** 2], 1), Kind.FUNCTION,
                    lambda sums: sums[..., 1] - sums[..., 0] ** 2)  # fmt: skip
    assert spread.of(np.array([[1.0, 2.0]]), None).value == 1 + 4 - 9
    assert spread.value(np.array([[3.0, 5.0], [0.0, 1.0]])).tolist() == [-4.0, 1.0]


def test_what_was_counted_elsewhere_is_not_counted_again():
    with pytest.raises(TypeError, match="counted elsewhere"):
        SHARE.of(np.zeros((1, 2)), None)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.867, 0, "87%"),
        (0.996, 0, "99.6%"),
        (1.0, 0, "100%"),
        (0.004, 0, "0.4%"),
        (0.0, 1, "0%"),
        (0.8521, 1, "85.2%"),
    ],
)
def test_a_share_is_told_in_one_way_and_never_as_a_certainty_that_it_is_not(value, digits, text):
    assert Scale().told(value, digits) == text


def test_a_small_difference_has_a_decimal():
    minus = "\N{MINUS SIGN}"
    assert Scale().apart(0.05, -0.21, 0.12) == f"5 points ({minus}21 to +12)"
    assert Scale().apart(-0.01, -0.06, 0.04) == f"1 point ({minus}6 to +4)"
    assert Scale().apart(0.0031, 0.0022, 0.0041) == "0.3 points (+0.2 to +0.4)"
    assert Scale().apart(0.0, 0.0, 0.0) == "0 points (0 to 0)"
    assert Scale().apart(0.2, 0.2, 0.2) == "20 points (+20 to +20)"


def test_an_interval_that_is_narrow_is_told_more_exactly():
    assert Scale().between(0.846, 0.858) == "84.6% and 85.8%"
    assert Scale().between(0.73, 0.996, "to") == "73% to 99.6%"
    loss = Scale("loss", False, False, "nats per token")
    assert loss.between(1.2345, 1.2501) == "1.23 and 1.25 nats per token"


@pytest.mark.parametrize(("name", "title"), [("ap50", "AP50"), ("macro_f1", "macro F1"), ("box_f1", "box F1")])
def test_short_names_stay_in_capitals_also_where_a_sentence_begins(name, title):
    metric = Metric(name, no_outputs)
    assert metric.title == title
    assert metric.scale.heading == title[0].upper() + title[1:]
