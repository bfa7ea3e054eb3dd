"""Slices: parts are formed, measured, and named only where they differ beyond doubt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.evaluation import slices as module
from handful.evaluation.intervals import wilson
from handful.evaluation.metrics import ratio
from handful.evaluation.slices import FEWEST, Slice, holm, named, parts_by_name, parts_by_size, slices
from handful.tasks.classification.metrics import METRICS


def looked(right, kinds, groups=None, seed=0):
    return slices(ratio(METRICS["accuracy"], right), kinds, groups, np.random.default_rng(seed))


def test_rows_are_parted_into_thirds_and_named_by_their_ends():
    parts = parts_by_size(list(range(1, 31)), "characters")
    assert [parts.count(name) for name in dict.fromkeys(parts)] == [10, 10, 10]
    assert list(dict.fromkeys(parts)) == ["up to 10 characters", "11 to 20 characters", "21 characters or more"]


def test_few_rows_are_parted_into_halves_and_fewer_not_at_all():
    assert set(parts_by_size(list(range(20)), "s")) == {"up to 9 s", "10 s or more"}
    assert parts_by_size(list(range(2 * FEWEST - 1)), "s") is None
    assert parts_by_size([3.0] * 50, "s") is None
    assert parts_by_size([], "s") is None


@given(st.lists(st.floats(0, 1e5), max_size=80))
def test_parts_are_in_order_large_enough_and_equal_values_stay_together(values):
    parts = parts_by_size(values, "characters")
    if parts is None:
        return
    assert len(parts) == len(values)
    assert min(parts.count(name) for name in set(parts)) >= FEWEST
    assert len(set(parts)) in (2, 3)
    of_value = {}
    for value, part in zip(values, parts, strict=True):
        assert of_value.setdefault(round(value), part) == part


def test_a_slice_that_is_worse_is_named_with_its_figures():
    right = [0.0] * 15 + [1.0] * 5 + [1.0] * 40
    short, long = looked(right, {"length": ["up to 9 characters"] * 20 + ["10 characters or more"] * 40})
    assert (short.name, short.rows, short.rest) == ("up to 9 characters", 20, 1.0)
    assert short.score == wilson(0.25, 20)
    assert short.differs
    assert long.differs
    assert short.p == long.p < 0.001
    assert short.sentence == (
        "A part that differs: length up to 9 characters, 25% right (11% to 47%, 20 rows held out), the others 100%."
    )


def test_of_two_parts_that_are_all_rows_the_weaker_is_named():
    right = [0.0] * 15 + [1.0] * 45
    found = looked(right, {"length": ["short"] * 20 + ["long"] * 40})
    assert [part.name for part in named(found)] == ["short"]
    thirds = looked(right, {"length": ["short"] * 20 + ["middle"] * 20 + ["long"] * 20})
    assert "short" in [part.name for part in named(thirds)]


def test_a_kind_of_two_parts_counts_once():
    right = np.r_[np.zeros(12), np.ones(28)]
    parts = ["a"] * 20 + ["b"] * 20
    alone = looked(right, {"source": parts})[0].p
    again = looked(right, {"source": parts, "length": parts})
    assert [s.p for s in again] == pytest.approx([2 * alone] * 4, rel=0.5)


def test_parts_with_too_few_rows_are_not_looked_at():
    assert looked(np.ones(30), {"group": ["a"] * 26 + ["b"] * 4}) == ()
    assert [s.name for s in looked(np.ones(30), {"group": ["a"] * 13 + ["b"] * 13 + ["c"] * 4})] == ["a", "b"]


def test_a_part_that_is_one_group_alone_cannot_be_told_from_that_group():
    groups = np.repeat(np.arange(4), 10)
    right = np.r_[np.zeros(10), np.ones(30)]
    lengths = ["short"] * 10 + ["long"] * 30
    assert not looked(right, {"length": lengths}, groups)[0].differs
    assert looked(right, {"group": [f"speaker {g}" for g in groups]}, groups)[0].differs


def test_single_rows_are_dealt_among_each_other_though_some_rows_are_copies():
    groups = np.r_[0, 0, np.arange(2, 60)]
    right = np.r_[np.zeros(20), np.ones(40)]
    assert looked(right, {"length": ["short"] * 20 + ["long"] * 40}, groups)[0].differs


@pytest.mark.parametrize("accuracy", [0.7, 0.95])
def test_where_nothing_differs_a_slice_is_rarely_named(accuracy, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 999)  # rows are dealt anew as often as on large sets: a tenth of the time
    false = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        right = (rng.random((5, 60)) < np.clip(rng.normal(accuracy, 0.2, 60), 0, 1)).mean(0)
        kinds = {
            "length": list(np.repeat(["a", "b", "c"], 20)),
            "group": [f"{g}" for g in rng.integers(5, size=60)],
            "class": [f"{c}" for c in np.arange(60) % 4],
        }
        false += any(s.differs for s in looked(right, kinds, seed=seed))
    assert false <= 10 + 9  # one in twenty, and three standard errors of two hundred


def test_equal_slices_of_grouped_rows_are_rarely_named(monkeypatch):
    monkeypatch.setattr(module, "_MOST", 999)
    false = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(12), 5)
        easy = rng.random(12) < 0.6  # a group is right or wrong as one
        right = (rng.random(60) < np.where(easy[groups], 0.95, 0.3)).astype(float)
        mostly = np.where(rng.random(60) < 0.9, groups % 2, 1 - groups % 2)  # length goes with the group
        false += any(s.differs for s in looked(right, {"length": [f"{m}" for m in mostly]}, groups, seed))
    assert false <= 19


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p):
    corrected = holm(p)
    assert all(1 >= after >= min(1, before) for before, after in zip(p, corrected, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_a_slice_is_read_back():
    (one, *_) = looked(np.r_[np.zeros(10), np.ones(20)], {"length": ["a"] * 10 + ["b"] * 20})
    back = Slice.from_dict(one.as_dict())
    assert (back.kind, back.name, back.rows, back.differs) == (one.kind, one.name, one.rows, one.differs)
    assert back.p == pytest.approx(one.p, abs=1e-6)


def test_parts_by_name_need_two_names_with_enough_rows():
    names = ["a"] * 8 + ["b"] * 9 + ["c"] * 7 + [None]
    assert parts_by_name(names, "other") == ["a"] * 8 + ["b"] * 9 + ["other"] * 8
    assert parts_by_name(names[1:], "other") is None
    assert parts_by_name([None] * 20, "other") is None
    assert parts_by_name([], "other") is None
