"""Learning curves: straight lines by hand, forecasts that widen, sentences for steep and flat, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.errors import OptionError
from handful.evaluation import curves
from handful.evaluation.curves import BENDS, LEVEL, POWER, REMOVED, VARIES, Curve, told
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale, ratio
from handful.tasks.classification.details import needs_of
from handful.tasks.classification.metrics import METRICS
from handful.tasks.regression import METRICS as ERRORS

NAMES = ("ants", "bees", "wasps")
TABLE = np.array([[30, 8, 2], [5, 30, 2], [0, 1, 39]])
SIZES = (24, 48, 96)


def curve_of(sizes, right, now, table, names, groups=None):
    measured = [ratio(METRICS["accuracy"], row) for row in right]
    return curves.curve_of(sizes, measured, now, needs_of(table, names, right.shape[1]), groups)


def rights(shares, n=120, rows=None):
    """(J, N) where so large a share of the rows is right at each size, the same rows first."""
    return np.stack([(np.arange(n) < round(share * n)).astype(float) for share in shares])


def test_many_rows_speak_for_themselves():
    """Accuracy on a straight line in rows to the minus POWER goes on along that line, as far as rows are trusted."""
    line = [1.5 - 1.6 * size**-POWER for size in SIZES]
    n = 12000
    straight = 1.6 * (n**-POWER - (2 * n) ** -POWER)
    usual = np.sqrt(0.3) * REMOVED
    found = curve_of(SIZES, rights(line, n), 0.7, TABLE, NAMES)
    assert sorted([straight, usual, found.doubled])[1] == found.doubled
    varies, noise = VARIES * np.sqrt(0.3), BENDS  # so many rows leave no other noise
    trust = varies**2 / (varies**2 + noise**2)
    assert found.doubled == pytest.approx(trust * straight + (1 - trust) * usual, abs=1e-3)


def test_rows_that_say_nothing_leave_what_is_usual_elsewhere():
    rng = np.random.default_rng(0)
    right = (rng.random((3, 12)) < 0.5).astype(float)
    wild = curve_of((2, 4, 9), right, 0.5, TABLE, NAMES)
    assert wild.doubled == pytest.approx(np.sqrt(0.5) * REMOVED, abs=0.03)


def test_a_forecast_grows_and_widens_with_the_labels():
    curve = curve_of(SIZES, rights([0.5, 0.6, 0.7]), 0.7, TABLE, NAMES)
    found = [curve.gain(more) for more in (10, 60, 120, 360)]
    assert [g.value for g in found] == sorted(g.value for g in found)
    widths = [g.high - g.low for g in found]
    assert widths == sorted(widths)
    assert found[2].value == pytest.approx(curve.doubled)
    assert all(g.low < g.value < g.high for g in found)


@pytest.mark.parametrize("more", [0, -1, 361])
def test_a_forecast_beyond_what_was_measured_is_refused(more):
    curve = curve_of(SIZES, rights([0.5, 0.6, 0.7]), 0.7, TABLE, NAMES)
    with pytest.raises(OptionError) as caught:
        curve.gain(more)
    assert str(caught.value) == (
        f"a forecast must be for 1 to 360 more labels, got {more}: nothing was measured beyond 4 times the 120 there "
        "are. Ask for fewer."
    )


def test_what_the_folds_leave_out_lies_on_the_curve():
    """From 96 to 120 rows by the same law that the forecast uses from 120 to 240."""
    curve = curve_of(SIZES, rights([0.5, 0.6, 0.7]), 0.7, TABLE, NAMES)
    law = (96**-POWER - 120**-POWER) / (120**-POWER - 240**-POWER)
    assert curve.unseen() == pytest.approx(law * curve.doubled)
    assert 0.3 < law < 0.4
    law = (80**-POWER - 120**-POWER) / (120**-POWER - 240**-POWER)
    assert curve.unseen(folds=3) == pytest.approx(law * curve.doubled)


def test_a_steep_curve_asks_for_labels_and_names_the_class():
    curve = curve_of(SIZES, rights([0.5, 0.6, 0.7]), 0.7, TABLE, NAMES)
    assert curve.needs == ("bees", "ants", "wasps")
    worth = told(curve.gain(120), curve.scale)
    assert curve.sentence == (
        f"120 more labels, spread over the classes as these, are worth {worth}, 95 % interval. bees needs them most."
    )
    assert not curve.flat


def test_a_class_with_hardly_any_rows_needs_labels_most():
    table = np.array([[50, 10, 0], [12, 45, 0], [0, 0, 3]])
    curve = curve_of(SIZES, rights([0.5, 0.6, 0.7]), 0.7, table, NAMES)
    assert curve.needs == ("wasps", "ants", "bees")


def test_a_flat_curve_points_at_the_classes_instead():
    right = rights([0.96, 0.96, 0.96], 1200)
    curve = curve_of((240, 480, 960), right, 0.96, TABLE, NAMES)
    assert curve.flat
    assert curve.sentence.startswith("More labels will not help: twice as many are worth ")
    assert curve.sentence.endswith("Look at the classes ants and bees instead: they are taken for each other.")


def test_few_rows_cannot_rule_out_that_more_labels_help():
    """Eight rows that are all right, or as wrong at every size, do not say what more of them would show."""
    for share in (1.0, 0.6):
        curve = curve_of((4, 6, 8), rights([share] * 3, 8), share, TABLE if share < 1 else np.diag([3, 3, 2]), NAMES)
        flat = replace(curve, doubled=0.0)
        assert flat.sentence.startswith("Whether more labels help 8 rows cannot say: twice as many are worth ")
        assert "little left" not in flat.sentence


def test_labels_of_a_class_with_hardly_any_rows_are_never_told_to_be_useless():
    table = np.diag([56, 60, 4])
    curve = curve_of((480, 960, 1200), rights([0.99, 0.99, 0.99], 1200), 0.99, table * 10 // 10, NAMES)
    assert curve.scarce == ()  # in its share of 1,200 rows there are forty
    curve = curve_of((40, 80, 120), rights([0.99, 0.99, 0.99], 120), 0.99, table, NAMES)
    told_of = replace(curve, doubled=0.0, luck=0.0, unsure=0.001)
    assert told_of.scarce == ("wasps",)
    assert told_of.sentence.startswith("More labels, spread over the classes as these, will not help: twice as many ")
    assert told_of.sentence.endswith("More of wasps, which has hardly any rows, would show how well it is recognised.")


def test_labels_are_not_told_to_be_useless_where_the_rows_are_out_of_reach():
    curve = curve_of((240, 480, 960), rights([0.6, 0.6, 0.6], 1200), 0.6, TABLE, NAMES)
    unread = replace(curve, doubled=0.0, out_of_reach=True)
    assert unread.sentence.startswith("As the rows are read now, twice as many labels are worth ")
    assert unread.sentence.endswith(": see to what is not read first.")
    assert Curve.from_dict(json.loads(json.dumps(unread.as_dict()))).out_of_reach


def test_where_all_is_right_there_is_little_left():
    curve = curve_of(SIZES, rights([0.95, 1, 1]), 1.0, np.diag([40, 40, 40]), NAMES)
    assert curve.flat
    assert (curve.needs, curve.mixed) == ((), None)
    assert curve.sentence.endswith("There is little left to gain.")


def test_a_group_counts_once():
    right = rights([0.5, 0.6, 0.7])
    groups = np.arange(120) // 10
    alone, grouped = (curve_of(SIZES, right, 0.7, TABLE, NAMES, g) for g in (None, groups))
    assert grouped.unsure > alone.unsure
    assert grouped.points[0].score.low < alone.points[0].score.low


def test_a_gain_in_points():
    assert told(Estimate(0.051, -0.002, 0.12), Scale()) == "+5 points (0 to +12)"
    assert told(Estimate(-0.01, -0.03, 0.0), Scale()) == "\N{MINUS SIGN}1 point (\N{MINUS SIGN}3 to 0)"
    assert told(Estimate(0.001, -0.03, 0.11), Scale()) == "0 points (\N{MINUS SIGN}3 to +11)"


def test_of_an_error_more_labels_are_worth_what_it_falls():
    """Errors that fall by a fifth from a quarter of the rows to all of them, the same rows first."""
    ease = np.linspace(0.5, 1.5, 120)
    measured = [ratio(ERRORS["mean_absolute_error"], factor * ease) for factor in (1.2, 1.1, 1.0)]
    curve = curves.curve_of(SIZES, measured, 1.0, curves.Needs())
    assert 0 < curve.doubled < 0.15
    worth = told(curve.gain(120), curve.scale)
    assert worth.startswith(f"\N{MINUS SIGN}{curve.doubled:.3g} in mean absolute error (\N{MINUS SIGN}")
    assert curve.sentence == f"120 more labels, like these, are worth {worth}, 95 % interval."
    flat = curves.curve_of(SIZES, [measured[2]] * 3, 1.0, curves.Needs())
    assert flat.flat and flat.sentence.startswith("More labels will not help")


def test_one_size_shows_nothing():
    """With one row per class there is no smaller part: what is usual elsewhere is all there is to say."""
    curve = curve_of((3, 3, 3), rights([0.5, 0.5, 0.5], 6), 0.5, TABLE, NAMES)
    assert curve.doubled == pytest.approx(np.sqrt(0.5) * REMOVED, abs=1e-3)
    assert curve.unsure == pytest.approx(np.sqrt(0.5) * VARIES, abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.integers(6, 60))
def test_any_answers_give_a_curve_that_is_read_back_as_written(seed, n):
    rng = np.random.default_rng(seed)
    right = np.sort(rng.random((3, n)) < 0.6, 0).astype(float)
    curve = curve_of((0.2 * n, 0.4 * n, 0.8 * n), right, float(right[2].mean()), TABLE, NAMES)
    again = Curve.from_dict(json.loads(json.dumps(curve.as_dict())))
    assert again.sentence == curve.sentence
    assert curve.doubled >= 0
    assert again.gain(n).value == pytest.approx(curve.gain(n).value, abs=1e-5)
    assert curve.as_dict()["forecast"]["level"] == LEVEL
