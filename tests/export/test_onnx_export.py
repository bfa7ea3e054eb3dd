"""A model that was exported to ONNX answers as the model, with handful and without it; what would change is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from PIL import Image

from exportable import KINDS, RATE, TEXTS, clips, image, model, pictures, run, speech, text
from handful.backbones.graph_items import ItemReader
from handful.cli import serving
from handful.cli.given import check_model
from handful.data.pairs import Pair
from handful.errors import BundleError, MachineError, OptionError
from handful.evaluation.intervals import interval
from handful.evaluation.metrics import share
from handful.export.kept_parts import Moved
from handful.export.onnx import exporting
from handful.export.onnx.exporting import ExportOptions, KnownRows, export_onnx
from handful.export.onnx.model import load_onnx
from handful.export.onnx.parity import Parity
from handful.export.onnx.sessions import answering
from handful.features.view import MOVED, View
from handful.run_folder import is_onnx
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.regression import Regression
from handful.training.apply_delta import arrays_of
from handful.training.body import Body
from handful.training.tuners import tuner
from handful.web.admission import Admission
from handful.web.item_answers import answered

READABLE = [item for item in TEXTS if item]
ROWS = KnownRows(TEXTS[:5], ["late", "money", "other", "money", "late"])
PAIRS = [Pair("the parcel is late", "money back"), Pair("refund", "card lost please"), Pair("a", "")]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A small model of texts, and its export."""
    folder = tmp_path_factory.mktemp("texts") / "onnx"
    made = model([text()], 2)
    exported = export_onnx(made, folder, ROWS, ExportOptions())
    return made, folder, exported


def test_the_folder_answers_as_the_model(texts):
    made, folder, exported = texts
    assert is_onnx(folder)
    assert exported.parity.close
    assert exported.parity.cost is not None
    copy = load_onnx(folder)
    np.testing.assert_allclose(copy.answer(TEXTS)[0], made.answer(TEXTS)[0], atol=1e-5)
    np.testing.assert_allclose(copy.predict_proba(READABLE), made.predict_proba(READABLE), atol=1e-5)
    assert copy.predict(READABLE) == made.predict(READABLE)
    assert copy.reads == made.reads


def test_the_runner_needs_neither_handful_nor_torch(texts):
    made, folder, _ = texts
    said = run(folder, *READABLE)
    assert [line["answer"] for line in said] == made.predict(READABLE)
    behind = np.array([list(line["outputs"].values()) for line in said])
    np.testing.assert_allclose(behind, made.predict_proba(READABLE), atol=1e-5)


def test_nothing_and_far_too_much_are_answered_by_the_runner_as_by_the_model(texts):
    made, folder, _ = texts
    odd = ["", " ", "parcel " * 10_000, "\u2200x. \U0001f600"]
    behind = np.array([list(line["outputs"].values()) for line in run(folder, *odd)])
    np.testing.assert_allclose(behind, made.answer(odd)[0], atol=1e-5)


def test_the_card_says_how_it_is_used_and_how_it_compares(texts):
    _, folder, exported = texts
    card = (folder / "README.md").read_text("utf-8")
    assert "pip install onnxruntime numpy tokenizers" in card
    assert exported.parity.sentence in card


def test_pictures_go_from_files_to_answers(tmp_path):
    made = model([image()], 8)
    export_onnx(made, tmp_path / "onnx", KnownRows(), ExportOptions())
    files = []
    for i, pixels in enumerate(pictures()):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(files[-1])
    Image.fromarray(pictures()[2]).rotate(90, expand=True).save(tmp_path / "a.jpg", exif=turned(6))
    Image.fromarray(np.full((40, 30, 4), 90, np.uint8), "RGBA").save(tmp_path / "clear.png")
    files += [tmp_path / "a.jpg", tmp_path / "clear.png"]
    said = run(tmp_path / "onnx", *files)
    behind = np.array([list(line["outputs"].values()) for line in said])
    np.testing.assert_allclose(behind, made.predict_proba(files), atol=1e-5)


def turned(way):
    notes = Image.Exif()
    notes[0x0112] = way
    return notes


def test_sounds_go_from_files_to_answers(tmp_path):
    made = model([speech()], 6)
    export_onnx(made, tmp_path / "onnx", KnownRows(), ExportOptions())
    files = []
    for i, (samples, rate) in enumerate(clips()[1:4]):
        files.append(tmp_path / f"{i}.wav")
        stereo = np.stack([samples, samples / 2], 1) if i else samples
        soundfile.write(files[-1], stereo, (rate, 44_100, rate)[i])
    said = run(tmp_path / "onnx", *files)
    behind = np.array([list(line["outputs"].values()) for line in said])
    np.testing.assert_allclose(behind, made.predict_proba(files), atol=1e-4)
    (alone,) = run(tmp_path / "onnx", files[0], without=["soxr"])
    assert list(alone["outputs"].values()) == pytest.approx(list(said[0]["outputs"].values()), abs=1e-4)
    assert run(tmp_path / "onnx", files[1], without=["soxr"]) == (
        "a recording must be at 16000 Hz, got 44100 Hz. Convert it, or: pip install soxr"
    )


def test_pairs_numbers_and_several_backbones_in_one_graph(tmp_path):
    task = Regression(centre=3.0, scale=2.0, low=0.0, high=9.0, digits=2)
    made = model([text(), text("other", 4)], 2, task, (), pairs=True)
    export_onnx(made, tmp_path / "onnx", KnownRows(PAIRS), ExportOptions())
    copy = load_onnx(tmp_path / "onnx")
    np.testing.assert_allclose(copy.answer(PAIRS)[0], made.answer(PAIRS)[0], atol=1e-4)
    said = run(tmp_path / "onnx", *(part for pair in PAIRS[:2] for part in (pair.first, pair.second)))
    np.testing.assert_allclose([line["answer"] for line in said], np.round(made.predict(PAIRS[:2]), 2), atol=0.011)


@pytest.mark.parametrize("name", ["lora", "bias", "ia3", "adapter", "prefix"])
def test_weights_that_moved_are_merged(tmp_path, name):
    base = text()
    body = Body(base, 1)
    body.measure(base.run(base.prepare(TEXTS[:2]), 1))
    tuner(name).prepare(body)
    for weight in body.parameters():
        if weight.requires_grad:
            weight.data += 0.3
    delta = arrays_of(tuner(name).delta(body))
    view = View((("tiny-text" + MOVED, 2), ("tiny-text", 1)))
    plain = model([base], 2)
    rng = np.random.default_rng(2)
    made = replace(
        plain, view=view, moved=Moved(tuner(name).name, 1, delta), loaded={"tiny-text": base},
        coef=rng.normal(size=(32, 3)).astype(np.float32) * 5,
    )  # fmt: skip
    export_onnx(made, tmp_path / "onnx", ROWS, ExportOptions())
    np.testing.assert_allclose(
        load_onnx(tmp_path / "onnx").predict_proba(READABLE), made.predict_proba(READABLE), atol=1e-5
    )


def test_eight_bits_are_written_where_answers_stay_and_said(tmp_path):
    made = model([text()], 2)
    exported = export_onnx(made, tmp_path / "onnx", ROWS, ExportOptions(int8=True))
    assert set(exported.sizes) == {"float32", "int8"}
    assert json.loads((tmp_path / "onnx" / "manifest.json").read_text())["int8"] is True


def test_an_export_that_changes_answers_is_refused_with_the_figure(tmp_path, monkeypatch):
    def spoilt(graph):
        made = type(graph)()
        made.CopyFrom(graph)
        for one in made.graph.initializer:
            if one.name == "head.constant2":  # the intercept
                values = np.frombuffer(one.raw_data, np.float32) + 50 * np.array(wrong, np.float32)
                one.raw_data = values.tobytes()
        return made

    monkeypatch.setattr(exporting, "eight_bits", spoilt)
    made = model([text()], 2)
    rare = min(made.labels, key=made.predict(READABLE).count)
    wrong = [label == rare for label in made.labels]
    with pytest.raises(OptionError) as error:
        export_onnx(made, tmp_path / "onnx", ROWS, ExportOptions(int8=True))
    told = str(error.value)
    assert told.startswith("weights of eight bits must leave 99% of the answers as they are, got less: ")
    assert " answers are the same (" in told
    assert "and the loss changes by +" in told
    assert told.endswith(". Then export without --int8, or add --even-if-answers-change.")
    assert not (tmp_path / "onnx").exists()
    export_onnx(made, tmp_path / "onnx", ROWS, ExportOptions(int8=True, even_if_answers_change=True))
    assert set(load_onnx(tmp_path / "onnx").predict(READABLE)) == {rare}


def test_a_graph_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    made = model([text()], 2)
    real = exporting.with_head
    monkeypatch.setattr(exporting, "with_head", lambda f, coef, b, link: real(f, 1.1 * coef, b, link))
    with pytest.raises(BundleError) as error:
        export_onnx(made, tmp_path / "onnx", ROWS, ExportOptions())
    assert str(error.value).startswith("the graph must answer as the model up to 0.0001, got up to ")


def test_without_rows_the_public_items_judge_and_that_is_said(tmp_path):
    exported = export_onnx(model([text()], 2), tmp_path / "onnx", KnownRows(), ExportOptions())
    assert exported.parity.items == 6
    assert exported.notes == (
        "the rows that the model learned from were not at hand, so that only public test items were compared; name "
        "them with --rows",
    )


def test_a_processor_without_instructions_for_eight_bits_is_told(monkeypatch):
    monkeypatch.setattr(exporting, "_processor_flags", lambda: frozenset({"avx2"}))
    (note,) = exporting._notes(ROWS, ExportOptions(int8=True))
    assert note.startswith("this processor multiplies numbers of eight bits no faster than others (no VNNI)")
    monkeypatch.setattr(exporting, "_processor_flags", lambda: frozenset({"avx_vnni"}))
    assert exporting._notes(ROWS, ExportOptions(int8=True)) == []


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "labels.json", "preprocessing.json"])
def test_a_file_that_was_changed_or_is_missing_is_refused_by_reader_and_runner(texts, name):
    _, folder, _ = texts
    file = folder / name
    before = file.read_bytes()
    try:
        file.write_bytes(before + b" ")
        with pytest.raises(BundleError) as error:
            load_onnx(folder)
        assert str(error.value) == (
            f"{file} was changed after it was written: its hash differs. Export the model again."
        )
        assert run(folder, "hello") == (
            f"{name} is missing or was changed after it was written. Export the model again."
        )
        file.unlink()
        with pytest.raises(BundleError) as error:
            load_onnx(folder)
        assert str(error.value) == f"{file} is missing. Export the model again."
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "must have format 1, got 2. Update handful, or export the model again."),
        ({"task": "ordinal"}, "was changed after it was written: its hash differs. Export the model again."),
    ],
)
def test_a_changed_manifest_is_refused(texts, changes, said):
    _, folder, _ = texts
    file = folder / "manifest.json"
    before = file.read_text("utf-8")
    try:
        file.write_text(json.dumps({**json.loads(before), **changes}), "utf-8")
        with pytest.raises(BundleError) as error:
            load_onnx(folder)
        assert str(error.value) == f"{file} {said}"
    finally:
        file.write_text(before, "utf-8")


def test_parity_is_told_with_its_interval():
    before = np.eye(2)[[0, 1] * 10] * 0.8 + 0.1
    after = before.copy()
    after[0] = after[0, ::-1]
    parity = Parity.of(CLASSIFICATION, ("a", "b"), before, after, ["a", "b"] * 10)
    assert not parity.keeps
    assert parity.furthest == pytest.approx(0.8)
    assert parity.sentence.startswith("95% of 20 answers are the same (")
    assert parity.cost is not None
    assert parity.cost.value > 0


def test_what_rounding_explains_is_let_pass_up_to_a_hundredth_where_answers_stay():
    same = interval(share(np.ones(200)))
    assert Parity(200, 0.005, same).within(0.02)
    assert not Parity(200, 0.005, same).within(0.004)
    assert not Parity(200, 0.02, same).within(100)
    assert not Parity(200, 0.005, interval(share(np.repeat([1.0, 0.0], [195, 5])))).within(0.02)


def test_every_kind_has_items_to_be_judged_by():
    for name in KINDS:
        assert exporting.odd_items(KINDS[name][0]().modality, False)
    assert all(isinstance(item, Pair) for item in exporting.odd_items("text", True))
    assert RATE == 16_000


def test_a_folder_is_served_as_a_run_is(texts):
    made, folder, _ = texts
    check_model(str(folder), "serve")
    (served,) = serving.load_served([str(folder)])
    (one,) = answered(served.now, READABLE[:1])
    assert one.row["answer"] == made.predict(READABLE[:1])[0]
    assert one.features.shape == (0,)
    with pytest.raises(BundleError, match="holds a copy of a model in ONNX, which answers by itself"):
        check_model(str(folder), "predict")


def test_a_graph_that_the_runtime_refuses_is_said():
    with pytest.raises(BundleError) as error:
        answering(b"no graph", "x/model.onnx")
    assert str(error.value).startswith("x/model.onnx cannot be run by onnxruntime (")
    assert str(error.value).endswith("). Update onnxruntime, or export it again.")


def test_without_a_runtime_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MachineError) as error:
        answering(b"", "x")
    assert str(error.value) == (
        "models in ONNX need the package onnxruntime, which is not installed. Run: pip install 'handful[onnx]'"
    )


def test_a_model_in_onnx_has_no_backbone(texts):
    _, folder, _ = texts
    with pytest.raises(BundleError) as error:
        load_onnx(folder).backbone("tiny-text")
    assert str(error.value) == (
        "a model in ONNX has no backbone 'tiny-text' of its own. Use the run that it was exported from."
    )


def test_a_preparation_that_is_none_is_refused(texts):
    _, folder, _ = texts
    for entry in ({}, {"pixels": "x", "side": 10**6}, {"pixels": "x", "side": True}):
        with pytest.raises(ValueError, match="a preparation must have"):
            ItemReader("image", [entry], {})


def test_a_folder_cannot_learn(texts):
    with pytest.raises(OptionError) as error:
        serving._items([str(texts[1])], Admission(), (True, False), "here")
    assert str(error.value) == (
        "--learn and --retrain are for runs, got a folder in ONNX, which keeps nothing of its training rows. Serve the "
        "run that it was exported from, or leave them out."
    )
    app, said = serving._items([str(texts[1])], Admission(), (False, False), "here")
    assert said.endswith("answers at here, where there is a page to try")
    assert app is not None
