"""Labelled items from rows to a run: what is told of held-out rows and test rows, and which sizes are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import handful
from handful.errors import BundleError, DataError, OptionError
from handful.plan import Plan

QUICK = {"backbone": "toy-text", "budget": 0}
TEXTS = [f"{'ants ' * (i % 4)}{'late' if i % 2 else 'soon'} row {i}" for i in range(40)]


def test_rows_that_always_have_a_label_are_never_answered_with_none():
    tags = [["ants"] if i % 4 else ["late"] for i in range(40)]
    run = handful.tune(handful.load(TEXTS, labels=tags, task="multilabel"), **QUICK)
    assert all(answer.predicted in ("ants", "late", "ants|late") for answer in run.held_out)


def test_small_numbers_are_told_with_all_the_digits_that_they_need(tmp_path):
    prices = [f"{(1 + i % 4) * 1.1e-5:.7f}" for i in range(40)]
    run = handful.tune(handful.load(TEXTS, labels=prices, task="regression"), **QUICK)
    assert len({answer.predicted for answer in run.held_out}) > 2
    assert all(float(answer.predicted) > 0 for answer in run.held_out)
    assert 0 < np.mean([answer.confidence for answer in run.held_out]) < 1
    assert "<svg" in (run.save(tmp_path / "run") / "report.html").read_text()


def test_numbers_too_large_to_be_squared_are_refused():
    with pytest.raises(DataError, match=r"must be of a size that can be squared, got 1e\+300"):
        handful.tune(handful.load(TEXTS[:4], labels=[1.5, 2.5, 1e300, 4.0], task="regression"), **QUICK)


def test_test_rows_of_a_group_count_as_what_they_are_worth():
    parts = ["train"] * 24 + ["test"] * 16
    labels = ["ants" if i % 4 else "late" for i in range(40)]
    groups = [str(i) for i in range(24)] + [str(i // 4) for i in range(24, 40)]
    alone = handful.load(TEXTS, labels=labels, split=parts)
    grouped = replace(alone, groups=tuple(groups))
    few, many = (handful.tune(data, **QUICK).scores.test for data in (grouped, alone))
    assert few.value == many.value
    assert few.high - few.low > many.high - many.low


@pytest.mark.parametrize(("count", "said"), [(1, "The 1 test row is too few"), (2, "The 2 test rows are too few")])
def test_one_or_two_test_rows_of_numbers_are_not_told_as_a_score(count, said, tmp_path):
    parts = ["test" if i < count else "train" for i in range(40)]
    run = handful.tune(
        handful.load(TEXTS, labels=[i % 4 + 0.5 for i in range(40)], split=parts, task="regression"), **QUICK
    )
    assert run.scores.test is None
    assert any(note.startswith(said) for note in run.notes)
    json.loads((run.save(tmp_path / "run") / "scores.json").read_text(), parse_constant=pytest.fail)


def test_the_interval_of_one_metric_is_never_moved_by_the_curve_of_another():
    data = handful.load(TEXTS, labels=[10.0 * (i % 4) + i / 100 for i in range(40)], task="regression")
    run = handful.tune(data, **QUICK, metric="r2")
    own = run.scores.details["metrics"]["r2"]
    assert (run.scores.estimate.low, run.scores.estimate.high) == pytest.approx((own["low"], own["high"]), abs=0.02)


def test_more_labels_never_promise_an_error_below_nothing():
    data = handful.load(TEXTS[:8], labels=[float(i % 4) * 100 + 0.5 for i in range(8)], task="regression")
    curve = handful.tune(data, **QUICK).scores.curve
    assert curve is not None
    assert curve.gain(curve.n).high <= curve.points[-1].score.value


def test_what_is_given_beside_a_plan_is_refused():
    plan = Plan.resolve({"backbone": "toy-text", "budget": 0}, "test")
    data = handful.load(TEXTS, labels=["a", "b"] * 20)
    with pytest.raises(OptionError, match="seed, strategies must be given in the plan, got both"):
        handful.tune(data, plan=plan, seed=5, strategies="ridge")


def test_one_text_is_no_item_for_a_model_of_pairs(tmp_path):
    pairs = [(text, text.upper() if i % 2 else "other") for i, text in enumerate(TEXTS)]
    run = handful.tune(handful.load(pairs, labels=["same", "not"] * 20), **QUICK)
    (tmp_path / "new.csv").write_text("text\nants\nbees\n")
    with pytest.raises(DataError, match=r"item 0 must be two texts, as \(first, second\), got one"):
        handful.check(run, tmp_path / "new.csv")


def test_scores_in_a_metric_of_another_task_are_refused_by_a_check(tmp_path):
    folder = handful.tune(handful.load(TEXTS, labels=["a", "b"] * 20), **QUICK).save(tmp_path / "run")
    raw = json.loads((folder / "scores.json").read_text())
    (folder / "scores.json").write_text(json.dumps({**raw, "metric": "loss"}))
    with pytest.raises(BundleError, match=r"must be in a metric of classification \(accuracy, .*\), got 'loss'"):
        handful.check(folder, [f"{text} anew" for text in TEXTS])


def test_advice_for_pairs_names_nothing_that_they_refuse():
    from handful.inspection.advice import advice

    pairs = handful.load([(text, "other") for text in TEXTS], labels=["same", "not"] * 20)
    assert not {name for one in advice(pairs) for name in one.strategies} & {"contrastive", "lora", "full"}


def test_rows_of_language_are_looked_at_without_a_backbone():
    rows = [{"prompt": f"say {i}", "response": str(i)} for i in range(6)]
    with pytest.raises(OptionError, match="backbone nonsense must look at texts, images or sounds"):
        handful.inspect(rows, backbone="nonsense")
