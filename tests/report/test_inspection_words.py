"""Good and bad parts learned as classes: what slips through and what is thrown away is said, and what to try."""

from __future__ import annotations

import handful
from handful.report.inspection_words import sorted_parts, told_sorting


def test_classes_called_good_and_bad_are_told_in_the_words_of_who_sorts(pictures, tmp_path):
    run = handful.tune(pictures({"bad": 12, "good": 12}), backbone="toy-image", budget=0, out=tmp_path / "run")
    good, bad = sorted_parts(run.scores)
    assert (good.name, bad.name) == ("good", "bad")
    (said,) = told_sorting(run.scores)
    assert said.startswith("Of 100 “bad” about 0 slip through (between 0 and ")
    assert "of 100 “good” about 0 are thrown away" in said
    assert said in (tmp_path / "run" / "report.html").read_text()
    assert not any("--task defects" in finding.advice for finding in run.findings)


def test_where_they_are_near_a_coin_toss_the_good_ones_alone_are_proposed():
    texts = [f"part {i} {'ants' if i % 2 else 'bees'}" for i in range(40)]
    labels = ["good" if (i // 2) % 2 else "bad" for i in range(40)]
    run = handful.tune(texts, labels, backbone="toy-text", budget=0)
    assert "Not good enough yet to sort by" in told_sorting(run.scores)[1]
    assert run.findings[0].advice.startswith("Learn from the good ones alone, which needs no bad ones: ")
    assert "task='defects'" in run.findings[0].advice


def test_other_classes_are_told_as_ever(pictures):
    run = handful.tune(pictures(), backbone="toy-image", budget=0)
    assert sorted_parts(run.scores) is None
    assert told_sorting(run.scores) == []
