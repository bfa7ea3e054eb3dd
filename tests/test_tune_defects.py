"""Defects from rows to a run and to answers: what is promised, kept in files, drawn, and refused."""

from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pytest

import handful
from handful.errors import BundleError, DataError, OptionError
from handful.monitoring.alarms import check_alarms

QUICK = {"backbone": "toy-image"}


@pytest.fixture
def parts(tmp_path):
    """Make a folder of striped pictures: good ones, and bad ones with a bright mark."""
    from PIL import Image

    def make(good=8, bad=3, folder="parts", label="good"):
        rng = np.random.default_rng(0)
        for kind, count in ((label, good), ("bad", bad)):
            if count:
                (tmp_path / folder / kind).mkdir(parents=True)
            for i in range(count):
                pixels = rng.normal(120, 6, (32, 40, 3))
                pixels[::8] += 20
                if kind == "bad":
                    pixels[8:16, 16:24] = 250
                picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                picture.save(tmp_path / folder / kind / f"{i}.png")
        return tmp_path / folder

    return make


def test_marks_are_found_and_the_run_says_what_is_promised(parts, tmp_path):
    run = handful.tune(parts(), out=tmp_path / "run", **QUICK)
    assert run.scores.metric == "found"
    assert run.scores.estimate.value == 1
    assert run.scores.details["promise"]["false_alarms"]["value"] == pytest.approx(1 / 9)
    assert "Of 100 good pictures, about 11 will be thrown away as a false alarm" in run.scores.sentence
    saved = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert saved["promise"]["names"] == {"normal": "good", "bad": "bad"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "None of 3 bad pictures slips through" in page
    assert page.count("data:image/jpeg") == 9  # three bad ones, six of the good ones
    rows = list(csv.DictReader(io.StringIO((tmp_path / "run" / "predictions.csv").read_text())))
    assert len(rows) == 11
    assert {row["label"] for row in rows} == {"good", "bad"}


def test_a_saved_model_says_the_same(parts, tmp_path):
    run = handful.tune(parts(), out=tmp_path / "run", **QUICK)
    items = run.data.items
    loaded = handful.Detector.load(tmp_path / "run")
    assert np.array_equal(loaded.scores(items), run.model.scores(items))
    assert handful.predict(tmp_path / "run", tmp_path / "parts" / "bad") == ["bad"] * 3
    assert handful.predict(run, tmp_path / "parts" / "good") == ["good"] * 8


def test_good_pictures_alone_promise_nothing_of_what_is_found(parts, tmp_path):
    run = handful.tune(parts(bad=0), out=tmp_path / "run", **QUICK)
    assert run.scores.metric == "false_alarms"
    assert run.scores.beats_reference("chance") is False
    assert "How many bad pictures slip through is not known" in run.scores.sentence
    assert "what slips through is not known" in (tmp_path / "run" / "report.html").read_text()


def test_what_must_be_found_chooses_the_threshold(parts):
    run = handful.tune(parts(), must_find="95%", **QUICK)
    assert run.scores.details["promise"]["asked"]["must_find"] == 0.95
    assert "That 95% are found cannot be promised by 3: it takes 19 bad pictures." in run.scores.sentence


def test_copies_count_once(parts):
    folder = parts(good=6, bad=0)
    for i in range(3):
        shutil.copy(folder / "good" / "0.png", folder / "good" / f"copy{i}.png")
    run = handful.tune(folder, **QUICK)
    assert run.model.promise.normal == 6
    assert [finding.kind for finding in run.findings] == ["duplicate"]
    for i in range(1, 6):
        (folder / "good" / f"{i}.png").unlink()
    with pytest.raises(DataError, match="has 4 normal items to learn from, of which 1 is different"):
        handful.tune(folder, **QUICK)


def test_rows_of_a_test_are_measured_and_not_learned_from(parts, tmp_path):
    folder = parts(good=8, bad=2)
    for part, kind, names in (("train", "good", "012345"), ("test", "good", "67"), ("test", "bad", "01")):
        (folder / part / kind).mkdir(parents=True)
        for name in names:
            (folder / kind / f"{name}.png").rename(folder / part / kind / f"{name}.png")
    shutil.rmtree(folder / "good"), shutil.rmtree(folder / "bad")
    run = handful.tune(folder, **QUICK)
    assert run.model.promise.normal == 6
    assert run.model.promise.bad == 2
    assert any(note.startswith("Of 2 good test pictures, ") for note in run.notes)
    told = []
    found = check_alarms(run.model, folder, tell=told.append)
    assert found.rows == 4
    assert told == ["learned from already, so that they prove nothing, and left out: 6 of 10 items"]
    with pytest.raises(DataError, match="must hold items that the run has not seen, got nothing but items"):
        check_alarms(run.model, folder / "train")


def test_bad_items_that_chose_the_threshold_prove_nothing_either(parts):
    folder = parts(bad=3)
    assert len(handful.tune(folder, **QUICK).model.learned) == 8
    assert len(handful.tune(folder, must_find="60%", **QUICK).model.learned) == 11


def test_the_commands_write_labels_scores_and_maps(handful, parts, tmp_path):
    folder = parts()
    ended = handful("tune", folder, "--backbone", "toy-image", "--out", "run")
    assert ended.code == 0
    assert "task: defects, because beside 8 of" in ended.err
    assert "None of 3 bad pictures slips through, about 11 of 100 good pictures thrown away." in ended.out
    answered = handful("predict", "run", folder / "bad", "--maps", "maps")
    rows = list(csv.DictReader(io.StringIO(answered.out)))
    assert list(rows[0]) == ["input", "label", "score"]
    assert [row["label"] for row in rows] == ["bad"] * 3
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [f"00000{i}_{i}.png" for i in range(3)]
    again = handful("report", "run")
    assert "None of 3 bad pictures slips through" in again.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tune", "parts", "--strategies", "lora"), "--strategies is for labelled items, got normal items to learn"),
        (("tune", "parts", "--false-alarms", "5%", "--must-find", "9%"), "each choose the threshold, got both"),
        (("tune", "parts", "--false-alarms", "x"), "--false-alarms must be a share between 0 and 1, such as 5%"),
        (("tune", "parts", "--must-find", "=9%"), "--must-find must be a share such as 95%, or bad=95%"),
        (("tune", "parts", "--must-find", "worse=9%"), "--must-find names 'worse', but the bad items are not called"),
    ],
)
def test_options_that_a_detector_cannot_follow_are_refused(handful, parts, words, said):
    parts()
    ended = handful(*words, "--backbone", "toy-image", "--out", "run")
    assert ended.code == 1
    assert said in ended.err


def test_classifiers_follow_no_options_of_detectors(pictures):
    with pytest.raises(OptionError, match="--false-alarms is for defects, got classification"):
        handful.tune(pictures(), false_alarms="5%", budget=0, **QUICK)


def test_a_detector_refuses_what_is_for_classifiers(handful, parts, tmp_path):
    import handful as library

    library.tune(parts(), out=tmp_path / "run", **QUICK)
    assert "--probabilities, --reject" in handful("predict", "run", "parts/bad", "--reject", "5%").err
    assert "--label chooses a class, got a model of defects" in handful("explain", "run", "x", "--label", "bad").err
    assert "--label names a column of classes" in handful("check", "run", "parts", "--label", "bad").err


def test_explain_says_where_an_item_is_unusual(handful, parts, tmp_path):
    import handful as library

    library.tune(parts(), out=tmp_path / "run", **QUICK)
    said = handful("explain", "run", "parts/bad/0.png").out.splitlines()
    assert said[0].startswith("bad: a score of ")
    assert "times as far as usual: 16 to 24 across, 8 to 16 down" in said[1]
    found = json.loads(handful("explain", "run", "parts/good/0.png", "--json").out)
    assert found["label"] == "good"
    assert found["score"] <= found["threshold"]
    assert [one["times"] for one in found["places"]] == sorted((one["times"] for one in found["places"]), reverse=True)
    (tmp_path / "torn.png").write_bytes(b"nothing")
    assert "torn.png cannot be read" in handful("explain", "run", "torn.png").err


def test_check_sets_alarms_against_the_promise(handful, parts, tmp_path):
    import handful as library

    library.tune(parts(), out=tmp_path / "run", **QUICK)
    both = handful("check", "run", parts(12, 4, "new"))
    assert "a bad one scores above a good one 100% (51 to 100) of the time" in both.out
    assert "of the bad ones 100% (51 to 100)" in both.out
    assert both.code == 0
    alone = handful("check", "run", "new/bad")
    assert "100% (51 to 100) of 4 items raise an alarm; promised were 11 of 100 good ones" in alone.out
    assert "There are bad ones among them, or what good ones look like has changed" in alone.out
    assert alone.code == 3
    assert json.loads(handful("check", "run", "new", "--json").out)["auroc"]["value"] == 1


def test_a_changed_model_is_refused(parts, tmp_path):
    handful.tune(parts(), out=tmp_path / "run", **QUICK)
    file = tmp_path / "run" / "model" / "normal.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match="was changed after it was written"):
        handful.Detector.load(tmp_path / "run")


def test_sounds_and_texts_have_normal_ones_too(clips, tmp_path):
    run = handful.tune(clips({"ok": 6, "high": 2}), backbone="toy-sound", out=tmp_path / "run")
    assert run.scores.estimate.value == 1
    assert "most unusual from" in (tmp_path / "run" / "report.html").read_text()
    texts = [f"ants march on hill {i % 4} leaf {i}" for i in range(12)]
    told = handful.tune(handful.load(texts, task="defects"), backbone="toy-text")
    assert told.model.scores(["bees buzz and sting"])[0] > told.model.promise.threshold


def test_an_unreadable_picture_is_left_out(parts):
    folder = parts(good=12, bad=0)
    (folder / "good" / "3.png").write_bytes(b"no picture at all")
    run = handful.tune(folder, **QUICK)
    assert run.model.promise.normal == 11
    assert len(run.data.unreadable) == 1
