"""Boxes from a folder to a run, to files and to answers: what is found, held out, kept, drawn, and refused."""

from __future__ import annotations

import csv
import io
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from exportable import image
from handful import moved_boxes as moved_boxes_module
from handful.api import predict, tune
from handful.data.boxes import Box, Boxed
from handful.data.readers import load
from handful.errors import BundleError, DataError, OptionError, TrainingError
from handful.export.finder import Finder
from handful.export.segmenter import Segmenter
from handful.moved_boxes import chosen_arm
from handful.run import opened
from handful.tasks.boxes import BOXES, overlaps

QUICK = {"backbone": "toy-image"}
KINDS = {"red": (220, 40, 40), "blue": (40, 40, 220)}


def scene(seed, size=(96, 80), side=12, count=6):
    """Coloured squares on grey that do not touch, and the boxes around them."""
    rng = np.random.default_rng(seed)
    width, height = size
    pixels = np.clip(rng.normal(128, 6, (height, width, 3)), 0, 255)
    places = [(x, y) for x in range(2, width - side, side + 6) for y in range(2, height - side, side + 6)]
    boxes = []
    for k in rng.permutation(len(places))[:count]:
        x, y = (int(v) for v in np.array(places[k]) + rng.integers(0, 3, 2))
        label = sorted(KINDS)[int(rng.integers(2))]
        pixels[y : y + side, x : x + side] = KINDS[label]
        boxes.append((x, y, side, side, label))
    return Image.fromarray(pixels.astype(np.uint8)), boxes


def coco(names, scenes, split=None):
    """COCO JSON of these pictures."""
    labels = sorted(KINDS)
    return {
        "images": [
            {"id": i, "file_name": name, "width": one.width, "height": one.height}
            | ({} if split is None else {"split": split[i]})
            for i, (name, (one, _)) in enumerate(zip(names, scenes, strict=True))
        ],
        "categories": [{"id": k, "name": name} for k, name in enumerate(labels)],
        "annotations": [
            {"id": 0, "image_id": i, "category_id": labels.index(label), "bbox": corners}
            for i, (_, boxes) in enumerate(scenes)
            for *corners, label in boxes
        ],
    }


def laid(root, count=6, split=None, first=0, **how):
    """A folder of pictures and of COCO JSON."""
    (root / "images").mkdir(parents=True)
    scenes = [scene(i, **how) for i in range(first, first + count)]
    names = [f"images/{i}.png" for i in range(count)]
    for name, (picture, _) in zip(names, scenes, strict=True):
        picture.save(root / name)
    (root / "annotations.json").write_text(json.dumps(coco(names, scenes, split)))
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run and its folder, which no test changes."""
    place = tmp_path_factory.mktemp("boxes")
    return tune(laid(place / "scenes"), task="boxes", out=place / "run", **QUICK), place


@pytest.fixture
def run(made):
    return made[0]


@pytest.fixture
def place(made):
    return made[1]


def test_squares_are_found_counted_and_told_apart(run, place):
    assert run.scores.metric == "ap50"
    assert run.scores.estimate.value > 0.9
    assert {arm.name for arm in run.scores.arms} == {"brightness", "maps"}
    saved = json.loads((place / "run" / "scores.json").read_text())
    assert [one["name"] for one in saved["boxes"]] == ["blue", "red"]
    assert saved["count_error"]["value"] < 1
    rows = list(csv.DictReader(io.StringIO((place / "run" / "predictions.csv").read_text())))
    assert len(rows) == 6
    assert set(rows[0]) == {"row", "input", "boxes", "predicted boxes", "box_f1", "right", "count_error"}


def test_boxes_lie_over_the_things_they_name(run):
    picture, wanted = scene(77)
    (said,) = run.predict([picture])
    assert len(said) == len(wanted)
    assert set(said[0]) == {"left", "top", "width", "height", "label", "confidence"}
    for x, y, width, height, label in wanted:
        own = np.array([[x, y, x + width, y + height]], float)
        best = max(
            (one for one in said if one["label"] == label),
            key=lambda one: overlaps(own, corners(one))[0, 0],
        )
        assert overlaps(own, corners(best))[0, 0] > 0.5
    assert all(0 < one["confidence"] <= 1 for one in said)
    assert [one["confidence"] for one in said] == sorted((one["confidence"] for one in said), reverse=True)


def in_order(boxes):
    return sorted(boxes, key=lambda one: (one["label"], one["left"], one["top"]))


def corners(one):
    return np.array([[one["left"], one["top"], one["left"] + one["width"], one["top"] + one["height"]]])


def test_the_page_shows_pictures_with_their_boxes(run, place):
    page = (place / "run" / "report.html").read_text()
    assert page.count('<figure class="boxed">') == 6
    marked = sum(len(Boxed.of_cell(cell).boxes) for cell in run.data.labels)
    assert page.count('<rect class="marked"') == marked
    assert page.count('<rect class="right"') + page.count('<rect class="wrong"') >= marked - 6
    assert "Finds things with an average precision of about" in page


def test_a_saved_model_says_the_same(run, place):
    items = run.data.items
    assert Finder.load(place / "run").predict(items) == run.model.predict(items)
    assert predict(run, items[:1]) == run.model.predict(items[:1])
    assert isinstance(opened(place / "run"), Finder)


def test_a_copy_of_boxes_says_the_same_and_none_is_in_onnx_that_counts_by_toys(place, tmp_path, handful):
    copied = handful("export", str(place / "run"), "--out", str(tmp_path / "copy"))
    assert (copied.code, copied.out) == (0, f"use it: handful predict {tmp_path / 'copy'} NEW\n")
    copy = Finder.load(tmp_path / "copy")
    assert copy.predict([scene(5)[0]]) == Finder.load(place / "run").predict([scene(5)[0]])
    card = (tmp_path / "copy" / "README.md").read_text()
    assert card == (place / "run" / "model" / "README.md").read_text()
    refused = handful("export", str(place / "run"), "--format", "onnx", "--out", str(tmp_path / "onnx"))
    assert refused.code == 1
    assert "backbone 'toy-image' must be one that ONNX can express" in refused.err


def test_predict_writes_lines_with_boxes_and_a_count(place, tmp_path, handful):
    picture, wanted = scene(5)
    (tmp_path / "new").mkdir()
    picture.save(tmp_path / "new" / "one.png")
    out = tmp_path / "found.jsonl"
    assert handful("predict", str(place / "run"), str(tmp_path / "new"), "--out", str(out)).code == 0
    (row,) = map(json.loads, out.read_text().splitlines())
    assert row["count"] == len(row["boxes"]) == len(wanted)
    assert isinstance(row["count"], int)
    assert row["count red"] + row["count blue"] == row["count"]
    assert set(row["boxes"][0]) == {"left", "top", "width", "height", "label", "confidence"}


def test_predict_writes_the_same_boxes_as_text_into_a_table(place, tmp_path, handful):
    scene(5)[0].save(tmp_path / "one.png")
    out = tmp_path / "found.csv"
    assert handful("predict", str(place / "run"), str(tmp_path / "one.png"), "--out", str(out)).code == 0
    (row,) = csv.DictReader(io.StringIO(out.read_text()))
    assert len(json.loads(row["boxes"])) == int(row["count"])


def test_boxes_are_drawn_where_that_is_asked_for(place, tmp_path, handful):
    picture, _ = scene(5)
    picture.save(tmp_path / "one.png")
    maps = tmp_path / "maps"
    answer = handful("predict", str(place / "run"), str(tmp_path / "one.png"), "--maps", str(maps))
    assert answer.code == 0
    (drawn,) = maps.iterdir()
    assert drawn.name == "000000_one.png"
    with Image.open(drawn) as found:
        assert found.size == picture.size
        assert (np.asarray(found) != np.asarray(picture.convert("RGB"))).any()


def test_a_broken_picture_is_said_and_the_others_are_answered(place, tmp_path, handful):
    scene(5)[0].save(tmp_path / "fine.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n nothing")
    answer = handful("predict", str(place / "run"), str(tmp_path), "--out", str(tmp_path / "found.jsonl"))
    assert "not answered" in answer.err
    assert "broken.png" in answer.err
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert [row["boxes"] is None for row in rows] == [True, False]


def test_options_of_others_are_refused(place, tmp_path, handful):
    answer = handful("predict", str(place / "run"), str(place / "scenes" / "images"), "--probabilities")
    assert answer.code == 1
    assert "got a model of boxes, which says of every box how sure it is. Leave them out." in answer.err
    answer = handful(
        "predict", str(place / "run"), str(place / "scenes" / "images"), "--engine", "processes", "--out",
        str(tmp_path / "o.csv"),
    )  # fmt: skip
    assert "--engine is for models of labelled items, got a model of boxes. Leave it out." in answer.err
    asked = {"task": "boxes", **QUICK}
    with pytest.raises(OptionError, match="--strategies is for other tasks, got pictures with boxes. Leave it out."):
        tune(place / "scenes", strategies="ridge", **asked)
    with pytest.raises(OptionError) as caught:
        tune(place / "scenes", task="boxes", strategies="partial", **QUICK)
    assert str(caught.value) == (
        "--strategies partial of pictures with boxes must have a backbone whose maps come of blocks that can move, got "
        "toy-image. Leave it out, or name another --backbone."
    )
    with pytest.raises(OptionError) as caught:
        tune(place / "scenes", task="boxes", strategies="logistic,lora", **QUICK)
    assert str(caught.value) == (
        "--strategies of pictures with boxes must be logistic,partial or left out, got lora. Choose one."
    )
    with pytest.raises(OptionError, match="metric of boxes must be one of ap50, box_f1, count_error, got 'accuracy'"):
        tune(place / "scenes", metric="accuracy", **asked)
    with pytest.raises(OptionError, match="unlabelled= is for labelled items, got pictures with boxes. Leave it out."):
        tune(place / "scenes", unlabelled=["a"], **asked)
    with pytest.raises(OptionError, match="backbone for boxes must be one model, got several. Choose one."):
        tune(place / "scenes", task="boxes", backbone="toy-image,efficientnet-lite0")


def test_another_metric_is_what_arms_are_compared_by(tmp_path):
    run = tune(laid(tmp_path / "scenes", 4), task="boxes", metric="count_error", **QUICK)
    assert run.scores.metric == "count_error"
    assert not run.scores.scale.higher_is_better


def test_copies_are_one_picture(tmp_path):
    root = laid(tmp_path / "scenes", 3)
    for i in (1, 2):
        shutil.copy(root / "images" / "0.png", root / "images" / f"{i}.png")
    with pytest.raises(DataError, match=r"has 1 different picture with boxes to learn from \(copies, and pictures of"):
        tune(root, task="boxes", **QUICK)


def test_test_pictures_are_scored_once(tmp_path):
    split = ["train"] * 5 + ["test"] * 2
    run = tune(laid(tmp_path / "scenes", 7, split), task="boxes", **QUICK)
    assert (run.scores.n, run.scores.test_n) == (5, 2)
    assert run.scores.test.value > 0.7


def test_things_that_are_too_small_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("handful.features.cells.MOST", 96 * 80 // 4)
    with pytest.raises(DataError, match="the things in .* are typically 12 pixels wide in pictures of up to 0 million"):
        tune(laid(tmp_path / "scenes", 4), task="boxes", **QUICK)


def test_labels_that_are_found_badly_are_said_to_be_out_of_reach(tmp_path):
    """Boxes at random places: nothing in the picture says where they are."""
    root = laid(tmp_path / "scenes", 8)
    raw = json.loads((root / "annotations.json").read_text())
    rng = np.random.default_rng(0)
    for one in raw["annotations"]:
        one["bbox"] = [float(rng.integers(0, 80)), float(rng.integers(0, 60)), 12, 12]
    (root / "annotations.json").write_text(json.dumps(raw))
    run = tune(root, task="boxes", **QUICK)
    assert any("found badly, beyond doubt" in note and "out of reach here" in note for note in run.notes)


def test_a_picture_larger_than_a_block_is_answered_like_a_small_one(run, monkeypatch):
    picture, _ = scene(9, size=(192, 160), count=20)
    whole = in_order(run.model.predict([picture])[0])
    monkeypatch.setattr("handful.features.cells._BLOCK", 16)
    monkeypatch.setattr("handful.features.cells._HALO", 4)
    assert in_order(run.model.predict([picture])[0]) == whole


def test_a_damaged_model_is_refused(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    file = tmp_path / "run" / "model" / "boxes.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(BundleError, match="hash"):
        Finder.load(tmp_path / "run")


def test_a_model_of_boxes_is_no_other(run, place):
    with pytest.raises(BundleError, match="must hold a model of masks, got a model of boxes"):
        Segmenter.load(place / "run")
    with pytest.raises(OptionError, match="this is for models of labelled items, got a run of boxes"):
        _ = run.bundle


def test_the_same_seed_gives_the_same_numbers(run, place):
    again = tune(place / "scenes", task="boxes", **QUICK)
    assert again.scores.estimate == run.scores.estimate
    assert again.predict(run.data.items[:2]) == run.predict(run.data.items[:2])


def test_the_command_says_what_was_read(tmp_path, handful):
    answer = handful(
        "tune", str(laid(tmp_path / "scenes", 4)), "--task", "boxes", "--backbone", "toy-image", "--out",
        str(tmp_path / "run"),
    )  # fmt: skip
    assert answer.code == 0
    assert "24 boxes in 4 pictures are read from COCO JSON" in answer.out + answer.err


def test_labels_of_lists_are_refused(tmp_path):
    with pytest.raises((DataError, OptionError)):
        load([scene(0)[0], scene(1)[0]], labels=["a", "b"], task="boxes")
    assert Boxed.of_cell(Boxed((Box(1, 2, 3, 4, "a"),)).cell).boxes[0].corners == (1, 2, 3, 4)


@pytest.fixture
def tiny(monkeypatch):
    """A network with drawn weights whose blocks can move."""
    backbone = image("tiny", 64)
    monkeypatch.setattr("handful.features.bases.cheapest", lambda *words: {"tiny": backbone})
    monkeypatch.setattr("handful.export.finder.untouched", lambda *words, **more: image("tiny", 64))
    return backbone


def test_weights_that_moved_are_kept_and_put_in_their_place(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("handful.training.cell_net.UPDATES", 5)
    monkeypatch.setattr("handful.training.cell_net._SIDE", 64)
    monkeypatch.setattr("handful.tune_boxes.chosen_arm", lambda held, targets, folds: ("partial", held["partial"]))
    run = tune(laid(tmp_path / "scenes"), task="boxes", strategies="partial", budget=600, out=tmp_path / "run")
    assert {arm.name for arm in run.scores.arms} == {"brightness", "maps", "partial"}
    assert (run.scores.chosen, run.scores.protocol) == ("partial", "nested 1x3 stratified")
    loaded = Finder.load(tmp_path / "run")
    assert loaded.reads == (("tiny", (), True),)
    again = loaded.predict(run.data.items)
    assert again == run.model.predict(run.data.items)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert np.array_equal(loaded.loaded.cell_maps(pixels), run.model.loaded.cell_maps(pixels))
    assert not np.array_equal(loaded.loaded.cell_maps(pixels), tiny.cell_maps(pixels))
    assert loaded.loaded.fingerprint == run.model.loaded.fingerprint != tiny.fingerprint
    assert "sees, whose weights moved, learned from" in (tmp_path / "run" / "model" / "README.md").read_text()
    (tmp_path / "run" / "model" / "moved.safetensors").unlink()
    with pytest.raises(BundleError, match="moved"):
        Finder.load(tmp_path / "run")


def test_weights_that_would_take_too_long_are_said(tiny, tmp_path):
    run = tune(laid(tmp_path / "scenes"), task="boxes", strategies="logistic,partial", budget=0)
    assert any(note.startswith("partial was given up: it would have taken about ") for note in run.notes)
    assert run.model.moved is None
    assert run.scores.chosen == "maps"


def test_a_training_that_runs_away_leaves_the_frozen_maps(tiny, tmp_path, monkeypatch):
    def runaway(*words):
        raise TrainingError("the loss must stay a finite number.")

    monkeypatch.setattr("handful.moved_boxes.moved_cells", runaway)
    run = tune(laid(tmp_path / "scenes"), task="boxes", strategies="logistic,partial", budget=600)
    assert "partial was given up: the loss must stay a finite number." in run.notes


def test_what_other_folds_prefer_answers_each(monkeypatch):
    """Three folds of one picture: the second arm is best on the last two, so that the first is answered by it alone."""
    values = {"maps": [0.9, 0.1, 0.2], "partial": [0.1, 0.5, 0.5]}

    class Sums:
        def take(self, among):
            return self

    class Mean:
        @staticmethod
        def of(outputs, targets):
            return SimpleNamespace(value=float(outputs.mean()))

    monkeypatch.setattr(moved_boxes_module, "BOXES", SimpleNamespace(reference=BOXES.reference, headline=Mean))
    held = {name: np.array(own).reshape(1, 3, 1) for name, own in values.items()}
    chosen, whole = chosen_arm({"brightness": held["maps"], **held}, Sums(), np.arange(3))
    assert chosen == "maps"
    assert whole.ravel().tolist() == [0.1, 0.1, 0.2]
