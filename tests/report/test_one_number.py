"""One score is one number: terminal, sentence, page, card, file and promise tell the same, rounded in the same way."""

import re

import numpy as np
import pytest

import handful
from handful.evaluation.curves import Curve, Point
from handful.evaluation.intervals import Estimate, wilson
from handful.evaluation.metrics import Scale
from handful.evaluation.verdicts import Held, Rows, assemble
from handful.monitoring.checkup import Checkup
from handful.report.page import render
from handful.tasks.classification import CLASSIFICATION


@pytest.fixture
def run():
    """Forty rows that are told apart well: the claimed interval reaches further up than any arm by itself."""
    names = {"ants": ["hill", "march", "leaf", "crumb"], "bees": ["hive", "buzz", "wing", "hill"]}
    rows = [(f"{words[i % 4]} {words[(i * 3) % 4]} {i}", name) for i in range(20) for name, words in names.items()]
    rows[7], rows[20] = (rows[7][0], "ants"), (rows[20][0], "bees")  # two labels are wrong
    texts, labels = zip(*rows, strict=True)
    return handful.tune(list(texts), labels=list(labels), backbone="toy-text", budget=0)


def test_one_score_is_told_with_one_interval_everywhere(run, tmp_path):
    estimate, scale = run.scores.estimate, run.scores.scale
    chosen = next(arm for arm in run.scores.arms if arm.name == run.scores.chosen)
    assert chosen.estimate == estimate
    value, low, high = (scale.told(number) for number in (estimate.value, estimate.low, estimate.high))
    row = next(line.split() for line in str(run.scores).splitlines() if line.endswith("chosen"))
    assert row[1:] == [value, low, "to", high, "chosen"]
    assert f"accuracy {value}, between {low} and {high} (95 % interval" in run.scores.sentence
    assert f"- accuracy: **{value} (95% interval {low} to {high})**" in run.card()
    page = render(run, tmp_path)
    shown = f'<b>{value}</b> <span class="range">{low[:-1]}\N{EN DASH}{high}</span>'
    assert len(re.findall(re.escape(shown), page)) >= 1
    assert f"between {low[:-1]} and {high[:-1]} of 100" in page
    kept = run.scores.as_dict()
    own = next(arm for arm in kept["arms"] if arm["name"] == kept["chosen"])
    assert {key: own[key] for key in ("value", "low", "high")} == kept["estimate"]


def test_an_end_just_below_certainty_is_called_so_by_all():
    """Nineteen of twenty right, and what a fold leaves out moves the end on: 0.9964 is not 100 %."""
    truth = [0] * 10 + [1] * 10
    targets = CLASSIFICATION.read(["a"] * 10 + ["b"] * 10)
    proba = np.eye(2)[[[1, *truth[1:]]]] * 0.8 + 0.1
    constant = np.full((1, 20, 2), [0.6, 0.4])
    curve = Curve(20, (Point(16, wilson(0.95, 20)),), 0.01, 0.02, 0.05, (), None)
    rows = Rows(targets, None, tuple(range(20)))
    scores = assemble(
        [Held("majority", constant), Held("ridge", proba)], proba, "ridge", rows,
        metric=CLASSIFICATION.metrics["accuracy"], protocol="nested 1x5", rng=np.random.default_rng(0), curve=curve,
    )  # fmt: skip
    high = scores.scale.told(scores.estimate.high)
    assert 0.985 < scores.estimate.high < 1
    assert f"and {high} (" in scores.sentence
    assert f"to {high} " in str(scores)
    promise = Checkup(20, 0, {}, promised=scores.estimate, measured=wilson(0.95, 20), scale=scores.scale).sentence
    assert f"to {high}, measured 95%" in promise


def test_a_promise_of_nearly_everything_is_not_told_as_everything():
    found = Checkup(rows=40, unreadable=0, answered={}, promised=Estimate(0.96, 0.9, 0.996), measured=wilson(0.95, 40))
    assert found.sentence.startswith("promised 90% to 99.6%, measured 95% (")
    assert Scale().told(0.996) == "99.6%"
