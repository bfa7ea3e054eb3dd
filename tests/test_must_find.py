"""``--must-find bad=99%`` of two classes: a threshold with its interval, told wherever answers are."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from exportable import TEXTS, model, run, text
from handful.api import tune
from handful.cli.serving import load_served
from handful.errors import BundleError, OptionError
from handful.evaluation.intervals import Estimate
from handful.export.bundle import Bundle
from handful.export.distilling import distil
from handful.export.learned import known_rows
from handful.export.onnx.exporting import ExportOptions, KnownRows, export_onnx
from handful.export.onnx.model import load_onnx
from handful.export.onnx.parity import Parity
from handful.export.onnx.static import export_static
from handful.export.onnx.web import write_page
from handful.regimes.corrections import prior
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.classification.cut import Cut, cut_for, needed
from handful.tasks.defects.promise import Asked, Promise
from handful.web.admission import Admission
from handful.web.asked_items import BODIES
from handful.web.feedback import Correction, RefusedError, label_of
from handful.web.item_service import application

QUICK = {"backbone": "toy-text", "budget": 0}


def rows(names=("good", "bad"), count=24):
    """Texts of two classes that share words, so that none is certain."""
    rng = np.random.default_rng(0)
    own = {names[0]: ["clean", "smooth", "even", "bright"], names[1]: ["scratch", "dent", "torn", "dull"]}
    both = ["part", "plate", "edge", "side", "top", "front", "back", "screw"]
    texts, labels = [], []
    for i in range(count):
        name, other = names[int(i % 3 == 0)], names[1 - int(i % 3 == 0)]
        word = own[other if rng.random() < 0.2 else name][int(rng.integers(4))]
        texts.append(f"{word} {' '.join(rng.choice(both, 3))}")
        labels.append(name)
    return texts, labels


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run that must find most bad ones, the plain one beside it, and where the first is saved."""
    texts, labels = rows()
    place = tmp_path_factory.mktemp("must")
    return (
        tune(texts, labels=labels, must_find="bad=80%", out=place / "run", **QUICK),
        tune(texts, labels=labels, **QUICK),
        place / "run",
    )


def test_the_threshold_answers_by_the_probability_of_the_class_that_must_be_found(made):
    run, plain, _ = made
    cut = run.model.task.cut
    assert cut.promise.kept
    assert cut.promise.found.value >= 0.8
    proba = run.predict_proba(run.data.items)[:, 0]
    assert run.model.labels == ("bad", "good")
    said = run.predict(run.data.items)
    assert said == ["bad" if p > cut.promise.threshold else "good" for p in proba]
    assert np.allclose(run.predict_proba(run.data.items), plain.predict_proba(plain.data.items))
    held = [one.predicted for one in run.held_out if one.label == "bad"]
    assert held.count("bad") == cut.promise.caught


def test_the_score_stays_that_of_the_more_probable_class_and_the_table_is_by_the_threshold(made):
    run, plain, place = made
    assert run.scores.estimate == plain.scores.estimate
    saved = json.loads((place / "scores.json").read_text())
    assert saved["cut"]["promise"]["asked"]["must_find"] == 0.8
    # The table is a mean over repeats, the threshold is chosen by the mean of these.
    assert saved["confusion"][0][0] == pytest.approx(run.model.task.cut.promise.caught, abs=1)
    assert saved["confusion"][0][0] > plain.scores.as_dict()["confusion"][0][0]


def test_what_slips_through_and_what_is_thrown_away_is_said_everywhere(made, tmp_path, handful):
    run, _, place = made
    page = (place / "report.html").read_text()
    assert "slip through (between" in page
    assert "are thrown away (between" in page
    assert "The score above is that of the more probable class, without this threshold." in page
    (tmp_path / "new.txt").write_text("scratch plate edge dull\n")
    answer = handful("predict", str(place), str(tmp_path / "new.txt"))
    assert "“bad” is answered where it is more probable than" in answer.err
    (row,) = csv.DictReader(io.StringIO(answer.out))
    refused = handful("predict", str(place), str(tmp_path / "new.txt"), "--together")
    assert "--together moves probabilities, got a model that answers by a threshold of theirs" in refused.err
    assert row["label"] in ("good", "bad")
    source = tmp_path / "rows.csv"
    with source.open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *zip(*rows(), strict=True)])
    told = handful("tune", str(source), "--must-find", "bad=80%", "--backbone", "toy-text", "--budget", "0", "--out",
                   str(tmp_path / "run"))  # fmt: skip
    assert told.code == 0
    assert "of 100 “good” about" in told.out


def test_a_saved_model_answers_by_the_same_threshold(made):
    run, _, place = made
    loaded = Bundle.load(place)
    assert loaded.task == run.model.task
    assert loaded.predict(run.data.items) == run.predict(run.data.items)


def test_the_class_may_be_left_out_where_one_is_called_good(made):
    run, *_ = made
    texts, labels = rows()
    assert tune(texts, labels=labels, must_find="80%", **QUICK).model.task == run.model.task
    texts, labels = rows(("ok", "scratched"))
    assert tune(texts, labels=labels, must_find="bad=80%", **QUICK).model.task.cut.label == 1


@pytest.mark.parametrize(
    ("names", "asked", "why"),
    [
        (("ham", "spam"), "90%", r'--must-find must name one of the classes "ham" and "spam", got no class. Write it '),
        (("ham", "spam"), "bad=90%", "got 'bad'. Write it like ham=90%"),
        (("good", "bad"), "worse=90%", "got 'worse'"),
    ],
)
def test_a_class_that_is_not_there_is_refused(names, asked, why):
    texts, labels = rows(names)
    with pytest.raises(OptionError, match=why):
        tune(texts, labels=labels, must_find=asked, **QUICK)


def test_other_tasks_and_more_classes_are_refused():
    texts, labels = rows()
    three = ["c" if i % 5 == 0 else label for i, label in enumerate(labels)]
    with pytest.raises(OptionError, match="--must-find is for two classes, got 3. Leave it out, or put all that must"):
        tune(texts, labels=three, must_find="bad=90%", **QUICK)
    with pytest.raises(OptionError, match="--must-find is for defects and for two classes, got regression. Leave it"):
        tune(texts, labels=list(range(len(texts))), task="regression", must_find="90%", **QUICK)
    with pytest.raises(OptionError, match="--false-alarms is for defects, got classification. Leave it out."):
        tune(texts, labels=labels, false_alarms="5%", **QUICK)


def test_what_cannot_be_promised_is_said():
    texts, labels = rows()
    run = tune(texts, labels=labels, must_find="bad=99%", **QUICK)
    cut = run.model.task.cut
    assert not cut.promise.kept
    told = cut.told(run.model.labels)
    assert "That 99% are found cannot be promised by 8 rows of “bad”: it takes 99, and the lowest threshold" in told


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A small model of a class that ONNX can express, with a threshold, and its export."""
    place = tmp_path_factory.mktemp("strict")
    texts = [f"{item} {more}" for item in TEXTS[:5] for more in ("parcel", "money late", "hello a b")]
    plain = model([text()], 2, CLASSIFICATION, ("bad", "good"))
    outputs = plain.predict_proba(texts)
    low, high = np.sort(outputs[:, 0])[7:9]  # no row lies on the threshold itself, where rounding would decide
    found = Estimate(0.9, 0.8, 1.0)
    cut = Cut(0, Promise(float(low + high) / 2, 9, found, 9, 9, found, Asked(must_find=0.9)))
    strict = replace(plain, task=replace(CLASSIFICATION, cut=cut))
    exported = export_onnx(strict, place / "onnx", KnownRows(texts, ["bad", "good", "good"] * 5), ExportOptions())
    return strict, plain, texts, place / "onnx", exported


def test_a_copy_in_onnx_answers_by_the_same_threshold_with_handful_and_without(strict):
    made, plain, texts, folder, exported = strict
    assert exported.parity.close
    assert exported.parity.same.value == 1
    assert made.predict(texts) != plain.predict(texts)
    assert [line["answer"] for line in run(folder, *texts)] == made.predict(texts)
    assert made.task.decided(made.labels) in (folder / "README.md").read_text("utf-8")
    page = {"library.js": b"", "glue": b"", "code": b""}
    write_page(folder, folder.parent / "page", page)
    about = (folder.parent / "page" / "model.js").read_text("utf-8")
    assert json.dumps(made.task.decided(made.labels)) in about
    copy = load_onnx(folder)
    assert copy.task == made.task
    assert copy.predict(texts) == made.predict(texts)
    (served,) = load_served([str(folder)])
    with TestClient(application([served], Admission(kinds=BODIES)), "http://127.0.0.1") as client:
        said = client.post("/predict", json={"items": texts}).json()
    assert [row["answer"] for row in said["answers"]] == made.predict(texts)


def test_an_answer_beyond_the_threshold_counts_as_another_answer(strict):
    made, _, texts, *_ = strict
    outputs = made.predict_proba(texts)
    moved = outputs.copy()
    moved[:, 0] = made.task.cut.promise.threshold * 0.5
    assert Parity.of(made.task, made.labels, outputs, moved).same.value < 1


@pytest.mark.parametrize("flag", ["--format static", "--distil"])
def test_a_student_of_a_model_with_a_threshold_is_refused(strict, tmp_path, flag):
    made, _, texts, *_ = strict
    with pytest.raises(OptionError) as error:
        if flag == "--distil":
            distil(made, "toy-text", (texts, ["bad"] * len(texts)), [True] * len(texts))
        else:
            export_static(made, tmp_path / "x", KnownRows(texts), [True] * len(texts), ExportOptions())
    assert str(error.value) == (
        f"{flag} must have a model that answers the more probable class, got one with a threshold (--must-find): a "
        "copy with probabilities of its own would not find as much. Use --format onnx alone, or tune without "
        "--must-find."
    )


def test_a_third_class_is_refused_where_a_threshold_divides_two(made):
    run, *_ = made
    with pytest.raises(RefusedError, match="got 'torn': the model chooses between these two by a threshold"):
        label_of(Correction(label="torn", new_class=True), run.model)
    known = known_rows(run.model)
    with pytest.raises(OptionError, match="got 'torn': the model chooses between these two by a threshold"):
        prior(run.model.task, run.model.labels, known, ["torn"])


def test_the_cut_by_hand():
    """Four bad and four good ones; 80 % of bad ones: one of five may slip, so just below the lowest of four."""
    proba = np.array([0.9, 0.7, 0.4, 0.2, 0.6, 0.3, 0.1, 0.1])
    outputs = np.stack([proba, 1 - proba], 1)[None]
    targets = CLASSIFICATION.coded(["bad"] * 4 + ["good"] * 4, ("bad", "good"))
    cut = cut_for(outputs, targets, 0, 0.8, None)
    assert cut.promise.threshold == pytest.approx(0.2)
    assert (cut.promise.caught, cut.promise.bad, cut.promise.normal) == (4, 4, 4)
    assert cut.promise.found.value == pytest.approx(0.8)
    assert cut.promise.false_alarms.value == pytest.approx(0.5)
    assert cut.answers(outputs)[0].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    grouped = cut_for(outputs, targets, 0, 0.6, np.array([0, 0, 1, 1, 2, 2, 3, 3]))
    assert (grouped.promise.bad, grouped.promise.normal) == (2, 2)
    assert Cut.of_entry(json.loads(json.dumps(cut.entry()))) == cut
    assert (needed(0.95), needed(0.99), needed(0.5)) == (19, 99, 1)


@pytest.mark.parametrize("change", [{"label": 2}, {"label": True}, {"more": 1}])
def test_a_damaged_cut_is_refused(made, tmp_path, change):
    run, *_ = made
    with pytest.raises(ValueError, match="cut"):
        CLASSIFICATION.restored({"cut": {**run.model.task.cut.entry(), **change}})
    with pytest.raises(ValueError, match="cut"):
        CLASSIFICATION.restored({"cut": {}})
    with pytest.raises(ValueError, match="must be a cut or none"):
        CLASSIFICATION.restored({"other": 1})
    with pytest.raises(ValueError, match="a cut is between two classes"):
        run.model.task.width(("a", "b", "c"))
    with pytest.raises(BundleError):
        Bundle.load(tmp_path)
