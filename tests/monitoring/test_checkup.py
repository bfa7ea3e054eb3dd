"""Checkups: every verdict with its sentence, and what a job reads."""

import json

import pytest

from handful.evaluation.intervals import Estimate, wilson
from handful.monitoring.checkup import Checkup
from handful.monitoring.drift import Drift

PROMISED = Estimate(0.88, 0.81, 0.93)


def checkup(**changes):
    return Checkup(rows=200, unreadable=0, answered={"ants": 150, "bees": 50}, **changes)


def test_a_score_that_fell_says_retrain():
    found = checkup(promised=PROMISED, measured=wilson(0.74, 200))
    assert found.verdict == "retrain"
    assert found.needs_attention
    assert found.sentence == "promised 81% to 93%, measured 74% (68% to 80%) on 200 rows: retrain."


def test_a_score_within_the_promise():
    found = checkup(promised=PROMISED, measured=wilson(0.86, 200))
    assert (found.verdict, found.needs_attention) == ("as promised", False)
    assert found.sentence == "promised 81% to 93%, measured 86% (81% to 90%) on 200 rows: as promised."


def test_a_low_score_on_few_rows_is_unsure():
    found = checkup(promised=PROMISED, measured=wilson(0.7, 10))
    assert (found.verdict, found.needs_attention) == ("unsure", False)
    assert found.sentence.endswith("on 200 rows: worse, but too few rows to be sure; label more and check again.")


def test_how_far_it_fell_by_hand():
    measured = Estimate(0.7, 0.6, 0.78)
    expected = 0.18 - (0.07**2 + 0.08**2) ** 0.5
    assert checkup(promised=PROMISED, measured=measured).fallen == pytest.approx(expected)


def test_classes_never_seen_are_named():
    found = checkup(promised=PROMISED, measured=wilson(0.86, 200), unknown={"wasps": 4, "<b>": 1})
    assert found.verdict == "retrain"
    assert found.sentence.endswith(
        'retrain. 5 rows are of classes that the run has never seen: "wasps" and "<b>". Add such rows to those it '
        "learns from, and tune again."
    )


def test_drift_without_labels():
    found = checkup(drift=Drift(0.001, (3, 1)), strange=0.35, promised=PROMISED)
    assert (found.verdict, found.needs_attention) == ("drifted", True)
    assert found.sentence == (
        "The new rows differ from the training rows (p = 0.001; 35% are stranger than 95% of them): drifted. Label "
        "some of those that differ most and check again with their labels."
    )


def test_no_drift_without_labels():
    found = checkup(drift=Drift(0.4, ()), promised=PROMISED)
    assert (found.verdict, found.needs_attention) == ("not measured", False)
    assert found.sentence == (
        "The new rows look like the training rows (p = 0.400, below 0.01 would be drift). No label says how many "
        "answers are right: whether the promise is kept was not measured. Name the column of labels with --label, or "
        "label some rows."
    )


def test_nothing_to_compare_is_said():
    assert checkup().verdict == "not measured"
    assert ": none are answered alike. No label says how many answers are right: " in checkup().sentence


@pytest.mark.parametrize("drift", [None, Drift(0.4, ()), Drift(0.001, (3,))])
@pytest.mark.parametrize("promised", [None, PROMISED])
@pytest.mark.parametrize("measured", [None, wilson(0.9, 200)])
def test_what_was_not_measured_against_a_promise_is_never_called_kept(drift, promised, measured):
    found = checkup(drift=drift, promised=promised, measured=measured)
    kept = promised is not None and measured is not None
    assert (found.verdict == "as promised") == kept
    assert ("as promised" in found.sentence) == kept


def test_a_score_without_a_promise_is_told_as_that():
    found = checkup(measured=wilson(0.86, 200), drift=Drift(0.4, ()))
    assert (found.verdict, found.needs_attention) == ("no promise", False)
    assert found.sentence == (
        "measured 86% (81% to 90%) on 200 rows: what the run promised is not known, so that nothing says "
        "whether it is kept."
    )
    found = checkup(measured=wilson(0.86, 200), drift=Drift(0.001, (3,)))
    assert (found.verdict, found.needs_attention) == ("drifted", True)
    assert found.sentence.endswith(
        "what the run promised is not known, and the rows differ from the training rows: drifted."
    )


def test_labels_outweigh_drift():
    found = checkup(drift=Drift(0.001, ()), promised=PROMISED, measured=wilson(0.9, 200))
    assert found.verdict == "as promised"


def test_rows_in_another_language_are_told():
    found = checkup(drift=Drift(0.4, ()), languages=("German", "English"))
    assert found.sentence.endswith("or label some rows. New rows look German, the training rows English.")
    assert found.as_dict()["languages"] == ["German", "English"]
    assert checkup(drift=Drift(0.4, ())).as_dict()["languages"] is None


def test_what_a_job_reads():
    found = checkup(drift=Drift(0.00123, (3,)), furthest=tuple(range(50)), promised=PROMISED)
    told = json.loads(json.dumps(found.as_dict()))
    assert told["verdict"] == "drifted"
    assert told["drift"] == {"p": 0.0012, "found": True}
    assert told["furthest"] == list(range(10))
    assert told["promised"] == {"value": 0.88, "low": 0.81, "high": 0.93}
    assert told["measured"] is None
