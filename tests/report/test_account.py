"""The account on a terminal: the verdict first, mistakes by kind, next steps; everything else only where asked for."""

from dataclasses import replace

import pytest

from handful.energy import Energy
from handful.evaluation.curves import Curve, Point
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale
from handful.evaluation.scores import Scores
from handful.inspection.findings import Finding
from handful.report.account import account, details
from handful.report.mistakes import mistakes

TEXTS = [f"text number {i}" for i in range(60)]
LABELS = ["billing", "login", "delivery"] * 20


def told(run, findings=()):
    return account(run.scores, run.model.task, findings, run.held_out, False)


def test_the_verdict_comes_first_and_in_few_lines(make_run):
    run = make_run(TEXTS, LABELS, estimate=Estimate(0.852, 0.731, 0.934))
    lines = told(run)
    assert lines[:3] == [
        "Right on about 85 of 100 new items.",
        "Accuracy 85%, between 73% and 93% (95 % interval, 60 rows held out).",
        "Clearly better than always answering “billing”, which scores 33 of 100.",
    ]
    assert len(lines) <= 5
    assert "logistic" not in " ".join(lines)


def test_test_rows_are_the_measure_where_there_are_any(make_run):
    lines = told(make_run(TEXTS, LABELS, test=Estimate(0.7, 0.5, 0.85), test_n=20))
    assert lines[1] == "Accuracy 70%, between 50% and 85% (95 % interval, 20 test rows)."
    assert any(line.startswith("Cross-validation on the 60 training rows says ") for line in lines)


def test_the_largest_kinds_of_mistakes_are_counted(make_run):
    run = make_run(TEXTS, LABELS, skill=0.6)
    found = mistakes(run.held_out, "classification")
    first = ", ".join(f"{one.sentence} ({len(one.answers)})" for one in found[:3])
    wrong = sum(answer.label != answer.predicted for answer in run.held_out)
    more = len(found) - 3
    assert more == 0 or f"{more} more kind" in " ".join(told(run))
    assert any(line.startswith(f"Wrong on {wrong} rows: {first}") for line in told(run))
    assert not any(line.startswith("Wrong on") for line in told(make_run(TEXTS, LABELS, skill=9.0)))


def test_next_steps_are_findings_and_what_more_labels_are_worth(make_run):
    curve = Curve(60, (Point(60, Estimate(0.75, 0.6, 0.8)),), 0.06, 0.02, 0.02, ("login",), None)
    run = make_run(TEXTS, LABELS, curve=curve)
    lines = told(run, [Finding("outlier", (i,), f"line {i} is odd", "Look at it.") for i in range(5)])
    assert "! line 0 is odd. Look at it." in lines
    assert "! and 2 more things in the data to look at: see the report" in lines
    assert lines[-1] == curve.sentence


def test_details_have_every_arm_and_the_reason_of_those_that_moved_weights(make_run):
    run = make_run(TEXTS, LABELS)
    *arms, last = run.scores.arms
    moved = replace(last, name="lora", rung=1, reason="Worse. The chance that it does better is 3%.")
    lines = details(replace(run.scores, arms=(*arms, moved)))
    assert "lora: Worse. The chance that it does better is 3%." in lines
    assert all(any(line.startswith(arm.name) for line in lines[0].splitlines()) for arm in arms)


@pytest.mark.parametrize(
    ("scale", "shown"), [(Scale("token F1"), "16%"), (Scale("loss", percent=False, unit="nats"), "0.155")]
)
def test_further_metrics_are_rounded_as_wherever_they_are_told(make_run, scale, shown):
    scores = make_run(TEXTS, LABELS).scores
    arms = tuple(replace(arm, metrics={"other": Estimate(0.15509, 0.1, 0.3)}) for arm in scores.arms)
    scores = replace(scores, arms=arms, scales={"other": scale})
    assert scores.table.splitlines()[1].split()[-2] == shown
    assert Scores._from_dict(scores.as_dict()).table == scores.table
    assert replace(scores, scales={}).table.splitlines()[1].split()[-2] == "0.155"


def test_details_tell_the_energy_of_each_right_answer(make_run):
    run = make_run(TEXTS, LABELS)
    known = replace(run.scores, energy=Energy(60.0, 600.0, "a test"), seconds={"extract": 1.0})
    (line,) = [line for line in details(known) if "answered right" in line]
    assert line.startswith("energy for each held-out row answered right: ")
    assert line.endswith(" J frozen")
