"""Runs and models in programs: made of lists and tables, asked, kept by pickle and joblib, written where one says."""

from __future__ import annotations

import copy
import logging

import numpy as np
import pandas as pd
import pytest

import handful
from handful.data.dataset import Dataset
from handful.errors import BundleError, DataError, OptionError
from handful.plan import Plan
from kept import SENT, pickled

QUICK = dict(backbone="toy-text", budget=0, strategies="centroid,ridge")
TEXTS = [f"{'ants hill march' if i % 2 else 'bees hive buzz'} number {i}" for i in range(12)]
TOPICS = ["ants" if i % 2 else "bees" for i in range(12)]
NUMBERS = [float(i % 2) * 10 + i / 7 for i in range(12)]
BOTH = ["six" if i % 2 else "six|wings" for i in range(12)]
STARS = [str(1 + 2 * (i % 2)) for i in range(12)]


@pytest.fixture(scope="module")
def run():
    return handful.tune(TEXTS, TOPICS, **QUICK)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    return run.save(tmp_path_factory.mktemp("runs") / "insects")


# Rows that a program has -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [list, np.array, pd.Series, lambda x: pd.DataFrame({"x": x})],
    ids=["list", "array", "series", "frame"],
)
def test_items_and_labels_are_learned_from_in_any_form(run, kind):
    same = handful.tune(kind(TEXTS), kind(TOPICS), **QUICK)
    assert same.scores.estimate == run.scores.estimate
    assert same.predict(TEXTS) == run.predict(TEXTS)


def test_what_was_read_before_is_not_said_anything_more_of():
    data = handful.load(TEXTS, TOPICS)
    for verb, given in ((handful.tune, dict(label="topic", group="who")), (handful.inspect, dict(labels=TOPICS))):
        with pytest.raises(OptionError) as error:
            verb(data, **given)
        said = ", ".join(given)
        assert str(error.value) == f"{said} say how a source is read, got a Dataset. Give them to load."


def test_a_plan_and_options_beside_it_are_refused_together():
    plan = Plan.resolve({"backbone": "toy-text", "budget": 0})
    given = dict(label="x", trials=3, engine="inline", budget=5, metric="macro_f1", out="run", unlabelled=["a"])
    with pytest.raises(OptionError) as error:
        handful.tune(TEXTS, TOPICS, plan=plan, **given)
    first, _, rest = str(error.value).partition(" must be given in the plan, got both. Leave them out, or the plan.")
    assert set(first.split(", ")) == set(given)
    assert rest == ""


def test_columns_that_a_plan_names_are_read():
    frame = pd.DataFrame({"a": TEXTS, "b": TOPICS, "c": range(12)})
    plan = Plan.resolve({**QUICK, "label": "b", "input": "a"})
    assert handful.tune(frame, plan=plan).data.target == "b"


def test_options_of_the_command_line_are_options_of_the_plan(run):
    engine = handful.tune(TEXTS, TOPICS, engine="inline", trials=0, carry_items=True, seed=3, **QUICK)
    assert {name for name, _, origin in engine.plan.items() if origin == "argument"} == {
        "backbone", "budget", "strategies", "engine", "trials", "carry_items", "seed",
    }  # fmt: skip
    with pytest.raises(OptionError, match="engine must be one of inline, processes, ray, got 'threads'"):
        handful.tune(TEXTS, TOPICS, engine="threads", **QUICK)


# Answers -----------------------------------------------------------------------------------------------------------


def test_a_run_answers_new_items(run):
    new = ["ants march", "bees buzz"]
    assert run.predict(new) == run.model.predict(new) == ["ants", "bees"]
    np.testing.assert_array_equal(run.predict_proba(new), run.model.predict_proba(new))
    assert run.model.classes_.tolist() == ["ants", "bees"]


def test_numbers_have_no_probabilities_and_no_classes():
    model = handful.tune(TEXTS, NUMBERS, task="regression", backbone="toy-text", budget=0)
    with pytest.raises(OptionError, match="predict_proba is for names, got a model of regression"):
        model.predict_proba(TEXTS)
    assert not hasattr(model.model, "classes_")
    with pytest.raises(AttributeError, match="classes_ are names, got a model of regression"):
        _ = model.model.classes_


@pytest.mark.parametrize(
    ("task", "labels"),
    [("classification", TOPICS), ("multilabel", BOTH), ("ordinal", STARS), ("regression", NUMBERS)],
)
def test_every_task_has_a_score_of_which_more_is_better(task, labels):
    model = handful.tune(TEXTS, labels, task=task, backbone="toy-text", budget=0).model
    own, turned = model.score(TEXTS, labels), model.score(TEXTS, labels[1:] + labels[:1])
    assert turned <= own <= 1
    assert turned < own or task == "multilabel"


def test_the_score_of_classes_is_their_accuracy(run):
    assert run.model.score(TEXTS, TOPICS) == 1.0
    assert run.model.score(TEXTS[:4], ["ants"] * 4) == 0.5
    assert run.model.score(TEXTS[:4], ["ants", "wasps", "wasps", "wasps"]) == 0.0


@pytest.mark.parametrize("labels", [TOPICS[:3], [*TOPICS[:11], ""], [*TOPICS[:11], None]], ids=str)
def test_a_score_needs_a_label_for_each_item(run, labels):
    with pytest.raises(DataError) as error:
        run.model.score(TEXTS, labels)
    has = sum(bool(label) for label in labels)
    assert str(error.value) == f"labels must be one per item (12), got {has}. Correct them."


def test_runs_models_and_folders_answer_alike(run, folder):
    new = ["ants march", "bees buzz"]
    for who in (run, run.model, folder, str(folder), folder / "model"):
        assert handful.predict(who, new) == ["ants", "bees"]


def test_a_file_is_answered_row_by_row(run, tmp_path):
    steps = []
    (tmp_path / "new.csv").write_text("id,what\n1,ants march\n2,bees buzz\n")
    found = handful.predict(run, tmp_path / "new.csv", input="what", progress=lambda *step: steps.append(step))
    assert found == ["ants", "bees"]
    assert steps == [("answering", 2, 0)]
    (tmp_path / "new.txt").write_text("bees buzz\n")
    assert handful.predict(run, str(tmp_path / "new.txt")) == ["bees"]


def test_a_row_that_cannot_be_read_is_named(run, tmp_path):
    (tmp_path / "new.csv").write_text("what,n\nants march,1\n ,2\n")
    with pytest.raises(DataError, match=r"^line 3 cannot be read: the text is empty\.$"):
        handful.predict(run, tmp_path / "new.csv")


def test_a_column_of_a_list_is_an_error(run):
    with pytest.raises(OptionError) as error:
        handful.predict(run, ["a"], input="what")
    assert str(error.value) == "input= names a column of a file, got a list of items. Leave it out."


def test_no_model_is_an_error(tmp_path):
    with pytest.raises(BundleError, match="there is no bundle.json in it"):
        handful.predict(tmp_path, ["a"])


def test_a_model_that_is_no_better_than_a_guess_is_told(caplog):
    coin = handful.tune(TEXTS, ["x", "y", "y", "x"] * 3, **QUICK)
    with caplog.at_level(logging.WARNING):
        handful.predict(coin, TEXTS[:1])
    assert caplog.messages == [coin.model.warning]
    assert "is not shown to be better than always answering the same class" in coin.model.warning


def test_a_language_model_answers_alike(tmp_path):
    rows = [{"prompt": f"say {word}", "response": word.upper()} for word in ("cat", "dog", "sun", "sea", "car", "tree")]
    run = handful.tune(rows, backbone="toy-language", budget=0)
    saved = run.save(tmp_path / "run")
    answers = run.predict(["say cat", "say dog"])
    assert handful.predict(saved, ["say cat", "say dog"]) == answers
    (tmp_path / "new.txt").write_text("say cat\nsay dog\n")
    assert handful.predict(run, tmp_path / "new.txt") == answers
    back = pickled(run)
    assert back.predict(["say cat", "say dog"]) == answers
    assert repr(back.model).startswith("LanguageModel(")
    assert len(repr(back)) < 700
    with pytest.raises(OptionError, match="this is for models of labelled items"):
        run.predict_proba(["say cat"])


# Where it goes -----------------------------------------------------------------------------------------------------


def test_a_run_is_written_where_it_is_said(tmp_path):
    run = handful.tune(TEXTS, TOPICS, out=tmp_path / "run", **QUICK)
    assert handful.Bundle.load(tmp_path / "run").predict(TEXTS) == run.predict(TEXTS)
    handful.tune(TEXTS, TOPICS, out=str(tmp_path / "run"), **QUICK)  # an earlier run is replaced


def test_a_place_that_cannot_be_had_is_told_before_anything_is_read(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(OptionError, match="must be new, empty or an earlier result"):
        handful.tune("nowhere.csv", out=tmp_path, **QUICK)


@pytest.mark.parametrize("way", SENT)
def test_runs_and_models_come_back_the_same(run, way):
    back = SENT[way](run)
    np.testing.assert_array_equal(back.predict_proba(TEXTS), run.predict_proba(TEXTS))
    assert back.scores == run.scores
    assert back.findings == run.findings
    assert back.data == run.data
    model = SENT[way](run.model)
    assert model.predict(TEXTS) == run.predict(TEXTS)
    assert SENT[way](run.data) == run.data


def test_backbones_stay_behind_and_are_loaded_again(run):
    run.predict(TEXTS[:1])
    assert run.model.loaded
    assert pickled(run.model).loaded == copy.deepcopy(run.model).loaded == {}
    assert run.model.loaded


def test_runs_and_models_are_keys(run, folder):
    again = handful.Bundle.load(folder)
    assert {run: 1, run.model: 2, again: 3}[run.model] == 2
    assert run.model != again
    assert {tuple(run.findings): 1}


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert handful.__version__ == version("handful")
    assert "__version__" in dir(handful)


def test_a_dataset_is_what_load_gives():
    assert isinstance(handful.load(TEXTS, TOPICS), Dataset)
