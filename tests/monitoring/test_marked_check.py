"""The check of models of masks and boxes: what they are worth on new pictures, beside what their run promised."""

from __future__ import annotations

import json
import shutil

import pytest

from handful import check as handful_check
from handful.errors import BundleError, DataError
from handful.export.finder import Finder
from handful.export.record import write_record
from handful.export.segmenter import Segmenter
from handful.marked_items import outputs_to
from handful.monitoring.marked_check import check_marked
from handful.run import opened
from handful.tasks.masks import MASKS
from test_tune_boxes import laid as laid_boxes
from test_tune_masks import laid as laid_masks


def test_masks_are_measured_as_their_metric_has_it(part_runs, tmp_path, handful):
    laid_masks(tmp_path / "new", 4, first=10)
    ended = handful("check", str(part_runs / "run_masks"), str(tmp_path / "new"), "--json")
    told = json.loads(ended.out)
    model = Segmenter.load(part_runs / "run_masks")
    checkup = check_marked(model, None, tmp_path / "new")
    assert checkup.verdict == "no promise"
    assert handful_check(part_runs / "run_masks", tmp_path / "new").measured == checkup.measured
    assert told["metric"] == checkup.metric == "dice"
    assert told["measured"]["value"] == pytest.approx(checkup.measured.value)
    assert told["rows"] == 4
    assert told["promised"] is not None
    assert ended.code == (3 if told["verdict"] == "retrain" else 0)


@pytest.mark.parametrize(("kind", "laid"), [("masks", laid_masks), ("boxes", laid_boxes)])
def test_pictures_that_were_learned_from_are_left_out(part_runs, tmp_path, kind, laid):
    run, old = part_runs / f"run_{kind}", part_runs / kind
    with pytest.raises(DataError) as caught:
        handful_check(run, old)
    assert str(caught.value) == (
        f"{old} must hold pictures that the run has not seen, got nothing but pictures that it learned from, which "
        "prove nothing. Give new ones."
    )
    told = []
    found = handful_check(run, laid(tmp_path / "new", 5), tell=told.append)
    assert found.rows == 2
    assert "learned from already, so that they prove nothing, and left out: 3 of 5 pictures" in told


def test_a_model_of_before_knows_no_picture_that_it_learned_from(part_runs, tmp_path):
    place = shutil.copytree(part_runs / "run_masks", tmp_path / "run")
    file = place / "model" / "bundle.json"
    record = json.loads(file.read_text())
    for name in ("learned", "context", "sha256"):
        del record[name]
    write_record(file.parent, "segmenter", MASKS, record, ["pixels.safetensors"])
    assert Segmenter.load(place).learned == frozenset()
    assert handful_check(place, part_runs / "masks").rows == 3
    write_record(file.parent, "segmenter", MASKS, {**record, "learned": ["../x"]}, ["pixels.safetensors"])
    with pytest.raises(BundleError, match="learned"):
        Segmenter.load(place)


def test_a_picture_that_is_gone_is_named(part_runs, tmp_path, monkeypatch):
    from handful.monitoring import marked_check

    new = laid_masks(tmp_path / "new", 2, first=10)
    read = marked_check.load_part

    def and_lost(*words):
        data = read(*words)
        (new / "images" / "1.png").unlink()
        return data

    monkeypatch.setattr(marked_check, "load_part", and_lost)
    with pytest.raises(DataError, match=r"1\.png can no longer be read: No such file or directory\. Put it back"):
        handful_check(part_runs / "run_masks", new)


def test_boxes_of_a_label_that_was_never_learned_ask_for_tuning_again(part_runs, tmp_path):
    place = laid_boxes(tmp_path / "new", 3, first=10)
    file = place / "annotations.json"
    told = json.loads(file.read_text())
    known = check_marked(Finder.load(part_runs / "run_boxes"), None, place)
    assert known.unknown == {}
    assert 0 <= known.measured.value <= 1
    told["categories"][0]["name"] = "green"
    file.write_text(json.dumps(told))
    checkup = check_marked(Finder.load(part_runs / "run_boxes"), None, place)
    assert checkup.verdict == "retrain"
    assert list(checkup.unknown) == ["green"]
    assert 'rows are of classes that the run has never seen: "green"' in checkup.sentence
    assert checkup.measured.value < known.measured.value


def test_the_whole_of_a_mask_is_right_where_the_model_answers_it(part_runs):
    model = opened(part_runs / "run_masks")
    from handful.data.readers import load

    data = load(part_runs / "masks", task="masks")
    outputs, targets = outputs_to(model, data)
    assert outputs.shape == (1, 3, 3 * len(model.names))
    accuracy = model.task.metrics["pixel_accuracy"].of(outputs, targets).value
    said = model.predict(data.items)
    from handful.data.mask_files import mask_of

    by_hand = [
        (own == mask_of(cell, model.names, item)).mean()
        for own, cell, item in zip(said, data.labels, data.items, strict=True)
    ]
    assert accuracy == pytest.approx(sum(by_hand) / 3)


def test_a_picture_that_cannot_be_read_is_named(part_runs, tmp_path):
    from handful.data.readers import load

    place = shutil.copytree(part_runs / "boxes", tmp_path / "boxes")
    data = load(place, task="boxes")
    (place / "images" / "1.png").write_bytes(b"\x89PNG\r\n nothing")
    with pytest.raises(DataError, match=r"1\.png cannot be read: .*\. Leave it out, or put it right\."):
        outputs_to(Finder.load(part_runs / "run_boxes"), data)


def test_scores_of_another_task_are_refused(part_runs):
    from handful.evaluation.scores import Scores

    scores = Scores.read(part_runs / "run_masks" / "scores.json")
    model = Finder.load(part_runs / "run_boxes")
    with pytest.raises(BundleError, match="the scores of the run must be in a metric of boxes"):
        check_marked(model, scores, part_runs / "boxes")
