"""Agreement of people, by numbers that were worked out by hand."""

from __future__ import annotations

import pytest

from handful.evaluation.agreement import agreements, cohens_kappa


def test_cohens_kappa_by_hand():
    # 50 items: 20 both yes, 5 and 10 apart, 15 both no: p_o 0.7, p_e 0.5 · 0.6 + 0.5 · 0.4 = 0.5.
    first = ["yes"] * 20 + ["yes"] * 5 + ["no"] * 10 + ["no"] * 15
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohens_kappa(first, second) == pytest.approx(0.4)
    assert cohens_kappa(["a"], ["a"]) is None
    assert cohens_kappa(["a", "b"], ["b", "a"]) == pytest.approx(-1)


def test_each_two_people_are_compared_on_what_both_labelled():
    labels = {"Ada": {"1": "a", "2": "b", "3": "a"}, "Bo": {"1": "a", "2": "a"}, "Cy": {"9": "a"}}
    [found] = agreements(labels)
    assert (found.people, found.n, found.share.value, found.apart) == (("Ada", "Bo"), 2, 0.5, ("2",))
    assert found.share.low < 0.2 < 0.8 < found.share.high
    assert agreements({"Ada": {}}) == []
