"""Spans from a file to answers: scores with intervals, the run folder, a saved model, predict and what is refused."""

import csv
import json

import numpy as np
import pytest

from handful.api import predict, tune
from handful.data.readers import load
from handful.errors import OptionError
from handful.evaluation.decision import Prior
from handful.explanation import explain
from handful.export.bundle import Bundle
from handful.monitoring.check import check
from handful.prediction import answers
from handful.strategies.tuned import cost

PEOPLE, PLACES = ["Ada Lovelace", "Grace", "Alan Turing", "Mary", "Tim"], ["Paris", "Oslo", "Rome", "Lima", "Bonn"]
FORMS = ["{n} lives in {c}.", "In {c} we met {n}.", "The train to {c} was late.", "Nothing happened.", "{n} wrote."]


def rows(count=40, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        name, place = PEOPLE[rng.integers(5)], PLACES[rng.integers(5)]
        text = FORMS[i % 5].format(n=name, c=place) + f" {i}"
        spans = [
            {"start": text.index(one), "end": text.index(one) + len(one), "label": label}
            for one, label in ((name, "person"), (place, "place"))
            if one in text
        ]
        found.append({"text": text, "spans": sorted(spans, key=lambda span: span["start"])})
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("spans") / "sentences.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), "utf-8")
    return path


@pytest.fixture(scope="module")
def run(source, tmp_path_factory):
    return tune(source, backbone="toy-text", budget=0, out=tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    target = tmp_path_factory.mktemp("saved") / "run"
    run.save(target)
    return target


def test_the_gazetteer_is_an_arm_and_every_score_has_its_interval(run):
    arms = {arm.name: arm for arm in run.scores.arms}
    assert set(arms) == {"gazetteer", "centroid", "logistic", "ensemble", "ensemble + gazetteer"}
    assert run.scores.metric == "span_f1"
    assert run.scores.estimate.value > 0.8
    assert run.scores.estimate.low < run.scores.estimate.value < run.scores.estimate.high
    assert {entry["name"] for entry in run.scores.details["per_label"]} == {"person", "place"}


def test_a_saved_model_answers_as_the_run_does(run, folder):
    texts = ["Ada Lovelace lives in Rome.", "Nothing happened.", ""]
    assert Bundle.load(folder).predict(texts[:2]) == run.predict(texts[:2])
    (found, none) = run.predict(texts[:2])
    assert [texts[0][one["start"] : one["end"]] for one in found] == ["Ada Lovelace", "Rome"]
    assert none == []


def test_predictions_and_the_page_are_written(folder):
    told = list(csv.DictReader((folder / "predictions.csv").read_text("utf-8").splitlines()))
    assert len(told) == 40
    assert json.loads(told[0]["label"]) == [[s["start"], s["end"], s["label"]] for s in rows(1)[0]["spans"]]
    page = (folder / "report.html").read_text("utf-8")
    assert "Spans found and right" in page
    assert "predict(" in page and "predict_proba" not in page  # which raises here
    # a row is a grid of two: the text, all of its marks in one element, and where it stands
    assert page.count('<p class="plain spans"><span class="item" dir="auto">') == page.count('class="plain spans"')


def test_answers_of_a_file_are_lists_of_spans_one_row_each(run, source, tmp_path):
    from handful.answer_files import Form, write_answers

    out = tmp_path / "answers.jsonl"
    write_answers(answers(run.model, source), run.model.columns[1], Form(out), lambda note: None)
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(lines) == 40
    assert lines[0]["text"] == rows(1)[0]["text"]
    assert {"start", "end", "label", "confidence"} == set(lines[0]["predicted spans"][0])
    assert predict(run, source)[0] == lines[0]["predicted spans"]


def test_the_command_writes_spans_under_their_name(handful, folder, source, tmp_path):
    (tmp_path / "new.txt").write_text("Ada Lovelace lives in Rome.\n", "utf-8")
    for file, name in (("new.txt", "spans"), (source, "predicted spans")):
        ended = handful("predict", folder, file, "--out", "answers.jsonl")
        assert ended.code == 0, ended.err
        first = json.loads((tmp_path / "answers.jsonl").read_text("utf-8").splitlines()[0])
        assert "label" not in first
        assert {"start", "end", "label", "confidence"} == set(first[name][0])


def test_a_list_of_texts_has_its_spans_in_a_column_of_that_name(run, tmp_path):
    from handful.answer_files import Form, write_answers

    (tmp_path / "new.txt").write_text("Ada Lovelace lives in Rome.\nNothing.\n", "utf-8")
    out = tmp_path / "answers.jsonl"
    write_answers(answers(run.model, tmp_path / "new.txt"), run.model.columns[1], Form(out), lambda note: None)
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [one["label"] for one in lines[0]["spans"]] == ["person", "place"]
    assert lines[1]["spans"] == []


def test_a_check_measures_new_sentences_against_the_promise(run, folder, tmp_path):
    path = tmp_path / "new.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(20, seed=1)), "utf-8")
    found = check(folder, path)
    assert found.metric == "span_f1"
    assert found.measured.value > 0.8


def test_a_text_of_5000_words_is_seen_to_its_end(run):
    long = "word " * 5000 + "Ada Lovelace lives in Rome."
    (found,) = run.predict([long])
    assert [long[one["start"] : one["end"]] for one in found][-2:] == ["Ada Lovelace", "Rome"]


def test_a_test_split_is_scored_once(source):
    data = load(source)
    from dataclasses import replace

    data = replace(data, split=tuple("test" if i >= 32 else "train" for i in range(40)))
    found = tune(data, backbone="toy-text", budget=0)
    assert found.scores.test_n == 8
    assert found.scores.test.value > 0.5


@pytest.fixture(scope="module")
def moved(source, tmp_path_factory):
    """A run in which moving weights was worth it, as other sets are made to say."""
    folder = tmp_path_factory.mktemp("moved") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "known", lambda *what: Prior(0.9, 0.01, better=9, of=10))
        return tune(source, backbone="toy-text", strategies=["logistic", "partial"], out=folder), folder


def test_where_weights_move_for_words_they_ship_and_answer_the_same_everywhere(moved, tmp_path):
    run, _ = moved
    run.save(tmp_path / "run")
    texts = ["Ada Lovelace lives in Rome.", "In Oslo we met Tim."]
    assert run.scores.chosen == "partial"
    assert run.model.moved is not None
    assert ("toy-text#moved", 2) in run.model.view.parts
    copy = Bundle.load(tmp_path / "run")
    assert copy.predict(texts) == run.predict(texts)
    assert [[texts[i][one["start"] : one["end"]] for one in own] for i, own in enumerate(copy.predict(texts))] == [
        ["Ada Lovelace", "Rome"], ["Oslo", "Tim"],
    ]  # fmt: skip
    assert "toy-text, tuned, read after block 2" in (tmp_path / "run" / "model" / "README.md").read_text("utf-8")
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "and by other data sets, where it was better in 9 of 10 draws" in page


def test_the_same_seed_moves_the_same_weights(moved, source):
    run, _ = moved
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "known", lambda *what: Prior(0.9, 0.01, better=9, of=10))
        again = tune(source, backbone="toy-text", strategies=["logistic", "partial"])
    for name, weight in run.model.moved.delta.items():
        np.testing.assert_array_equal(again.model.moved.delta[name], weight)
    np.testing.assert_array_equal(again.model.coef, run.model.coef)


def test_what_makes_no_sense_of_spans_is_refused_by_name(run, source):
    with pytest.raises(OptionError) as caught:
        explain(run.model, "Ada left.")
    assert str(caught.value) == (
        "explain hides parts of an item and sees how one answer to all of it changes, got tagging, which answers each "
        "part. Look at the spans and their confidence instead."
    )
    with pytest.raises(OptionError, match="unlabelled items teach models of whole items, got tagging"):
        tune(source, backbone="toy-text", budget=0, unlabelled=["a text"])
    with pytest.raises(OptionError, match="backbone char-ngrams must tell of the parts of text items"):
        tune(source, backbone="char-ngrams", budget=0)


def test_what_compares_items_as_wholes_is_left_out_and_that_is_said(source):
    found = tune(source, backbone="toy-text", budget=20, strategies=["logistic", "contrastive"])
    assert "contrastive was left out: it compares items as wholes." in found.notes


# What looks strings up ships as well -----------------------------------------------------------------------------

CODES = ["qv", "zk", "wj", "xh", "pf"]


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """Sentences of one form whose words say nothing but which they are, so that a list is all there is."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("codes") / "codes.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for _ in range(30):
            code, other = rng.choice(CODES), rng.choice(["ty", "gl", "rb", "mn", "sd"])
            text = " ".join(rng.permutation([code, other]))
            file.write(json.dumps({"text": text, "spans": [[text.index(code), text.index(code) + 2, "code"]]}) + "\n")
    return path


def only_what_is_listed(monkeypatch):
    """A toy model that sees nothing in words, so that the list has to answer."""
    from handful.features import words

    monkeypatch.setattr(words, "joined", lambda vectors, place, bounds: np.ones((len(bounds), 1), np.float32))
    monkeypatch.setattr(words.Cut, "written", lambda cut, text, count: np.ones((count, 2), np.float32))


def test_where_looking_up_costs_least_it_ships_and_answers_everywhere(listed, tmp_path, monkeypatch):
    only_what_is_listed(monkeypatch)
    found = tune(listed, backbone="toy-text", budget=0)
    assert "gazetteer" in found.scores.chosen
    assert found.scores.estimate.value > 0.9
    found.save(tmp_path / "run")
    text = "ty qv zk"
    wanted = [(3, 5, "code"), (6, 8, "code")]
    for model in (found.model, Bundle.load(tmp_path / "run")):
        (spans,) = model.predict([text])
        assert [(one["start"], one["end"], one["label"]) for one in spans] == wanted
    assert "looking up the strings that were marked" in (tmp_path / "run" / "report.html").read_text("utf-8")
    new = tmp_path / "new.jsonl"
    new.write_text(listed.read_text("utf-8").replace('", "spans"', ' or so", "spans"'), encoding="utf-8")
    assert check(tmp_path / "run", new).measured.value > 0.9


def test_a_model_keeps_no_marked_string_that_could_be_read(listed, tmp_path, monkeypatch):
    only_what_is_listed(monkeypatch)
    tune(listed, backbone="toy-text", budget=0).model.save(tmp_path / "model")
    record = json.loads((tmp_path / "model" / "bundle.json").read_text("utf-8"))
    strings = dict(record["settings"]["listed"]["strings"])
    assert len(strings) == 5
    assert not set(CODES) & set(strings)
