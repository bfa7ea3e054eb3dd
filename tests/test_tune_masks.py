"""Masks from a folder to a run, to files and to answers: what is read, held out, kept, drawn, and refused."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from handful.api import predict, tune
from handful.data.mask_files import mask_of
from handful.data.readers import load
from handful.errors import BundleError, DataError, OptionError
from handful.export.detector import Detector
from handful.export.record import write_record
from handful.export.segmenter import Segmenter
from handful.features.pixels import FILTERS, MAPS, heard_columns
from handful.run import opened
from handful.strategies.frozen.context import ContextMap
from handful.strategies.frozen.pixels import PixelMap
from handful.tasks.masks import MASKS

QUICK = {"backbone": "toy-image", "budget": 0}  # no networks


def scene(seed, height=40, width=48):
    """A noisy picture with a striped square on it that is as bright as the rest, and the mask of the square."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((height, width))
    top, left = rng.integers(4, height - 20), rng.integers(4, width - 20)
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + 16, left : left + 16] = 255
    stripes = np.where(mask > 0, rows % 2 < 1, columns % 12 < 6)
    grey = 120 + np.where(stripes, 40, -40) + rng.normal(0, 4, (height, width))
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)), Image.fromarray(mask)


def laid(root, count=5, beside=False, first=0):
    """A folder of pictures and masks."""
    pictures, masks = (root, root) if beside else (root / "images", root / "masks")
    for place in (pictures, masks):
        place.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        picture, mask = scene(first + i)
        picture.save(pictures / f"{i}.png")
        mask.save(masks / (f"{i}_mask.png" if beside else f"{i}.png"))
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run and its folder, which no test changes."""
    place = tmp_path_factory.mktemp("masks")
    return tune(laid(place / "scenes"), out=place / "run", backbone="toy-image"), place


@pytest.fixture
def run(made):
    return made[0]


@pytest.fixture
def place(made):
    return made[1]


def test_squares_are_found_that_brightness_cannot_tell(run, place):
    assert run.scores.metric == "dice"
    assert run.scores.estimate.value > 0.85
    assert run.scores.beats("brightness")
    assert {arm.name for arm in run.scores.arms} == {"brightness", "filters", "maps", "joined", "context"}
    saved = json.loads((place / "run" / "scores.json").read_text())
    assert [one["name"] for one in saved["masks"]] == ["0", "255"]
    rows = list(csv.DictReader(io.StringIO((place / "run" / "predictions.csv").read_text())))
    assert len(rows) == 5
    assert re.fullmatch(r"0 \d+%, 255 \d+%", rows[0]["predicted areas"])
    assert float(rows[0]["dice"]) > 0.8


def test_the_headline_is_that_of_the_masks_in_full(run):
    """Dice of the run is that of the shares of the pictures, by hand, of what was answered to each while held out."""
    joint = np.zeros(2)
    for answer in run.held_out:
        shares = [dict(re.findall(r"(\d+) (\d+)%", text)) for text in (answer.label, answer.predicted)]
        joint += [sum(float(one.get(name, 0)) for one in shares) for name in ("0", "255")]
    assert joint.sum() == pytest.approx(200 * len(run.held_out), abs=10)
    value = run.scores.details["masks"]
    assert np.mean([one["dice"]["value"] for one in value]) == pytest.approx(run.scores.estimate.value, abs=1e-6)


def test_the_page_shows_picture_truth_and_answer(place):
    page = (place / "run" / "report.html").read_text()
    assert page.count('<figure class="masked">') == 5
    assert page.count("data:image/png") >= 15
    assert "Areas overlap the true ones by about" in page


def test_the_task_is_guessed_and_said(tmp_path):
    data = load(laid(tmp_path / "scenes"))
    assert data.task == "masks"
    assert any(note.startswith("task: masks, because masks/0.png lies beside images/0.png") for note in data.notes)
    assert load(laid(tmp_path / "classes"), task="classification").classes == ("images", "masks")


def test_masks_beside_their_pictures_are_read(tmp_path):
    data = load(laid(tmp_path / "scenes", beside=True))
    assert (data.task, len(data)) == ("masks", 5)
    assert any('with "_mask" behind the name' in note for note in data.notes)


def test_a_saved_model_says_the_same(run, place):
    loaded = Segmenter.load(place / "run")
    items = run.data.items
    for own, again in zip(run.model.predict(items), loaded.predict(items), strict=True):
        assert np.array_equal(own, again)
    assert predict(run, items)[0].shape == (40, 48)
    assert isinstance(opened(place / "run"), Segmenter)


def test_predict_writes_masks_that_can_be_learned_from(place, tmp_path, handful):
    new = laid(tmp_path / "new", 2)
    shutil.rmtree(new / "masks")
    assert handful("predict", str(place / "run"), str(new), "--out", str(tmp_path / "found.csv")).code == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "found.csv").read_text())))
    assert [row["mask"] for row in rows] == ["000000_0.png", "000001_1.png"]
    with Image.open(tmp_path / "found_masks" / "000000_0.png") as picture:
        mask = np.asarray(picture)
    assert mask.shape == (40, 48)
    assert set(np.unique(mask)) == {0, 255}


def test_a_broken_picture_is_said_and_the_others_are_answered(place, tmp_path, handful):
    new = laid(tmp_path / "new", 1)
    (new / "images" / "broken.png").write_bytes(b"\x89PNG\r\n nothing")
    answer = handful("predict", str(place / "run"), str(new / "images"), "--maps", str(tmp_path / "maps"))
    assert "not answered" in answer.err
    assert "broken.png" in answer.err
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["000000_0.png"]


def test_options_of_classifiers_are_refused(place, tmp_path, handful):
    answer = handful("predict", str(place / "run"), str(place / "scenes" / "images"), "--probabilities")
    assert answer.code == 1
    assert "are for classifiers, got a model of masks, which answers every pixel. Leave them out." in answer.err
    with pytest.raises(OptionError, match="--strategies is for other tasks, got pictures with masks. Leave it out."):
        tune(place / "scenes", strategies="ridge", **QUICK)
    with pytest.raises(OptionError) as caught:
        tune(place / "scenes", strategies="partial", **QUICK)
    assert str(caught.value) == (
        "--strategies partial moves weights, which is done for whole items, words of texts and moments of recordings, "
        "got pictures with masks. Leave it out: these are learned from frozen maps."
    )
    with pytest.raises(OptionError, match="metric of masks must be one of dice, iou, pixel_accuracy, got 'accuracy'"):
        tune(place / "scenes", metric="accuracy", **QUICK)
    with pytest.raises(OptionError, match="unlabelled= is for labelled items, got pictures with masks. Leave it out."):
        tune(place / "scenes", unlabelled=["a"], **QUICK)


def test_another_metric_is_what_arms_are_compared_by(tmp_path):
    run = tune(laid(tmp_path / "scenes", 3), metric="iou", **QUICK)
    assert run.scores.metric == "iou"
    assert run.scores.estimate.value < run.scores.details["dice"]["value"]


def test_copies_are_one_picture(tmp_path):
    root = laid(tmp_path / "scenes", 1)
    for kind in ("images", "masks"):
        for i in (1, 2, 3):
            shutil.copy(root / kind / "0.png", root / kind / f"{i}.png")
    with pytest.raises(DataError, match=r"has 1 different picture with a mask to learn from \(copies, and pictures of"):
        tune(root, **QUICK)


def test_test_pictures_are_scored_once(tmp_path):
    laid(tmp_path / "parts" / "train", 4)
    laid(tmp_path / "parts" / "test", 2)
    run = tune(tmp_path / "parts", **QUICK)
    assert (run.scores.n, run.scores.test_n) == (4, 2)
    assert run.scores.test.value > 0.8


def test_a_large_picture_is_answered_at_its_size(run, monkeypatch):
    monkeypatch.setattr("handful.features.pixels.MOST", 32)
    picture, mask = scene(9, 320, 384)
    large = Image.fromarray(np.asarray(picture))
    assert run.model.predict([large])[0].shape == np.asarray(mask).shape


def test_a_damaged_model_is_refused(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    file = tmp_path / "run" / "model" / "pixels.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(BundleError, match="hash"):
        Segmenter.load(tmp_path / "run")
    record = json.loads((tmp_path / "run" / "model" / "bundle.json").read_text())
    assert record["kind"] == "segmenter"


@pytest.fixture
def hearing(run, tmp_path):
    """A model that hears first answers, in a folder."""
    rng, first = np.random.default_rng(0), PixelMap((FILTERS, MAPS), *linear(42 + 8))
    width = 50 + heard_columns(2)
    layers = [linear(width, 4)[2:], linear(4, 2)[2:]]
    centre, scale = rng.normal(size=width).astype(np.float32), np.ones(width, np.float32)
    model = replace(run.model, pixels=ContextMap(first, centre, scale, tuple(layers)), backbone_name="toy-image",
                    fingerprint="f")  # fmt: skip
    model.save(tmp_path / "hearing")
    return model, tmp_path / "hearing"


def linear(width, out=2):
    """Centre, scale, weights and intercept, drawn at random."""
    rng = np.random.default_rng(width)
    sides = ((width,), (width,), (width, out), (out,))
    return [np.abs(rng.normal(size=shape)).astype(np.float32) for shape in sides]


def test_a_network_comes_back_as_it_was_written(hearing):
    model, folder = hearing
    again = Segmenter.load(folder)
    x = np.random.default_rng(1).normal(size=(7, len(model.pixels.centre))).astype(np.float32)
    assert np.array_equal(again.pixels.scores(x), model.pixels.scores(x))
    assert again.pixels.sharpened(2.0).scores(x) == pytest.approx(2 * again.pixels.scores(x), rel=1e-5)
    assert "network on what a first answer says around each pixel" in model.card(SimpleScores(), "photos")


class SimpleScores:
    sentence, n = "It holds.", 5


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("context.centre", lambda x: x[:-1], "context.centre must be finite float32 numbers of shape"),
        ("context.scale", lambda x: -x, "scale must be above 0. Restore it or tune again."),
        ("context.0.coef", lambda x: x[:, :1], r"context.0.coef must be finite float32 numbers of shape \(\d+, 4\)"),
        ("context.1.coef", lambda x: x.T.copy(), r"context.1.coef must be finite float32 numbers of shape \(4, 2\)"),
        ("context.1.coef", lambda x: None, r"context.0.coef must be finite float32 numbers of shape \(\d+, 2\)"),
        ("context.1.intercept", lambda x: x * np.nan, "context.1.intercept must be finite float32 numbers of shape"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(hearing, name, changed, message):
    _, folder = hearing
    file = next(folder.rglob("pixels.safetensors"))
    tensors = load_file(file)
    value = changed(tensors.pop(name))
    rewritten(file, tensors if value is None else {**tensors, name: value})
    with pytest.raises(BundleError, match=message):
        Segmenter.load(folder)


def rewritten(file, tensors, **entries):
    """Other tensors and entries, signed as if they had been written so."""
    save_file(tensors, file)
    record = json.loads((file.parent / "bundle.json").read_text())
    del record["sha256"]
    write_record(file.parent, "segmenter", MASKS, {**record, **entries}, [file.name])


def test_a_record_that_says_neither_is_refused(hearing):
    file = next(hearing[1].rglob("pixels.safetensors"))
    rewritten(file, load_file(file), context="yes")
    with pytest.raises(BundleError, match="context"):
        Segmenter.load(hearing[1])


def test_networks_that_would_take_too_long_are_said(tmp_path):
    run = tune(laid(tmp_path / "scenes", 3), backbone="toy-image", budget=0.05)
    assert any(note.startswith("context was given up: it would have taken about") for note in run.notes)
    assert "context" not in {arm.name for arm in run.scores.arms}


def test_a_model_of_masks_is_no_other(run, place):
    with pytest.raises(BundleError, match="must hold a detector of defects, got a model of masks"):
        Detector.load(place / "run")
    with pytest.raises(OptionError, match="this is for models of labelled items, got a run of masks"):
        _ = run.bundle


def test_the_same_seed_gives_the_same_numbers(run, place):
    again = tune(place / "scenes", backbone="toy-image")
    assert again.scores.as_dict()["estimate"] == run.scores.as_dict()["estimate"]


def test_a_mask_read_from_a_label_is_that_of_the_file(tmp_path):
    data = load(laid(tmp_path / "scenes", 3))
    found = mask_of(data.labels[0], data.classes, data.items[0])
    assert np.array_equal(found * 255, np.asarray(scene(0)[1]))
