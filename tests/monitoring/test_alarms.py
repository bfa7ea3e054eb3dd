"""Alarms of new items: by hand, and by folders that say which are bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handful.evaluation.intervals import Estimate
from handful.monitoring.alarms import AlarmCheck, area_under, bad_by_folder


def test_the_area_is_how_often_a_bad_item_scores_higher_and_ties_count_half():
    found = area_under(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0]))
    assert found.value == pytest.approx((1.5 + 3) / 6)
    assert found.low < found.value < found.high <= 1


def test_folders_say_which_are_bad(tmp_path):
    names = [str(tmp_path / part) for part in ("good/a.png", "scratch/b.png", "test/ok/c.png")]
    assert bad_by_folder(tmp_path, names, "good").tolist() == [False, True, False]
    assert bad_by_folder(tmp_path, [*names, str(tmp_path / "d.png")], "good") is None
    assert bad_by_folder(tmp_path, names[1:2], "good") is None
    assert bad_by_folder(Path("new.csv"), ["a"], "good") is None


@pytest.mark.parametrize(
    ("alarms", "verdict"),
    [((0.0, 0.0, 0.2), "as promised"), ((0.4, 0.2, 0.6), "unsure"), ((0.9, 0.5, 1.0), "more alarms")],
)
def test_the_verdict_is_by_the_upper_end_of_what_was_promised(alarms, verdict):
    found = AlarmCheck(10, 0, Estimate(*alarms), Estimate(0.1, 0.01, 0.3))
    assert (found.verdict, found.needs_attention) == (verdict, verdict == "more alarms")
    assert found.as_dict()["verdict"] == verdict
