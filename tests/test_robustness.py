"""Robustness of whole runs: slices of every kind, slight changes, and what a model forgot whose weights moved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import handful
from handful.data.dataset import Dataset
from handful.evaluation.scores import Scores, most_doubtful
from handful.explanation import explain_doubtful
from handful.robustness import kinds_of, unsettled
from small_backbones import Muted


def test_a_run_tells_how_its_parts_fare_even_without_a_budget(table):
    run = handful.tune(table(), backbone="toy-text", budget=0)
    assert {(part.kind, part.name) for part in run.scores.slices} >= {("class", "ants"), ("class", "bees")}
    assert all(part.score.low < part.score.value < part.score.high + 1e-9 for part in run.scores.slices)
    assert run.scores.stability == ()
    assert run.scores.kept is None


def test_a_run_tells_how_slight_changes_unsettle_it(table, tmp_path):
    run = handful.tune(table(), backbone="toy-text", budget=5, strategies="ridge")
    names = [change.name for change in run.scores.stability]
    assert names == ["typos", "other case", "a dropped word"]
    assert all(0 < change.rows <= 20 and change.frozen is None for change in run.scores.stability)
    run.save(tmp_path / "run")
    back = Scores.read(tmp_path / "run/scores.json")
    assert [change.name for change in back.stability] == names
    told, known = back.as_dict(), run.scores.as_dict()
    assert {**told, "energy": None} == {**known, "energy": None}  # which is told anew from what the file rounded
    assert told["energy"]["joules"] == known["energy"]["joules"]


@pytest.mark.parametrize(
    ("kind", "names"), [("image", ["blur", "noise", "other light"]), ("sound", ["noise", "half as loud"])]
)
def test_pictures_and_sounds_are_changed_too(pictures, clips, kind, names):
    folder = pictures() if kind == "image" else clips()
    run = handful.tune(folder, backbone=f"toy-{kind}", budget=5, strategies="ridge")
    assert [(change.name, change.rows) for change in run.scores.stability] == [(name, 12) for name in names]


def test_test_rows_have_an_accuracy_under_change():
    texts = [f"{'ants march' if i % 2 else 'bees hover'} over hill number {i}" for i in range(40)]
    labels = tuple("ants" if i % 2 else "bees" for i in range(40))
    data = Dataset(texts, "text", labels, split=("train",) * 25 + ("test",) * 15)
    (typos, *_) = handful.tune(data, backbone="toy-text", budget=5, strategies="ridge").scores.stability
    assert (typos.rows, typos.test_rows) == (25, 15)
    assert typos.plain.value == 1
    assert typos.accuracy.value <= 1
    assert typos.loss.value == pytest.approx(1 - typos.accuracy.value)


def test_where_weights_moved_the_frozen_model_and_the_neighbours_are_compared(monkeypatch):
    from handful.backbones import catalog

    load = catalog.load
    monkeypatch.setattr(catalog, "load", lambda name, *a, **k: Muted() if name == "muted" else load(name, *a, **k))
    texts = [f"{'ants' if i % 2 else 'bees'} {i}" for i in range(32)]
    run = handful.tune(
        texts, labels=[t.split()[0] for t in texts], backbone="muted", strategies="contrastive", budget=60
    )
    assert run.model.moved is not None
    assert all(change.frozen is not None and change.difference is not None for change in run.scores.stability)
    assert (run.scores.kept.about, run.scores.kept.items) == ("general sentences", 60)


def test_what_was_found_is_told_under_the_table(table):
    scores = handful.tune(table(), backbone="toy-text", budget=0).scores
    assert scores.cautions == []
    (part, *_) = scores.slices
    told = replace(scores, slices=(replace(part, p=0.01),))
    assert str(told).splitlines()[-1] == told.cautions[0] == replace(part, p=0.01).sentence


def test_rows_are_parted_by_length_group_class_and_folder():
    texts = ["word " * (i % 3 + 1) + str(i % 10) for i in range(30)]
    data = Dataset(texts, "text", ("a", "b") * 15, groups=("x", "y", "z") * 10)
    kinds = kinds_of(data)
    assert list(kinds) == ["length", "group", "class"]
    assert len(set(kinds["length"])) == 3
    files = [Path(f"photos/{c}/{cam}/{i}.png") for c in "ab" for cam in ("one", "two") for i in range(3)]
    kinds = kinds_of(Dataset(files, "image", ("a",) * 6 + ("b",) * 6, source="photos"))
    assert kinds["source"] == (["one"] * 3 + ["two"] * 3) * 2
    flat = [Path(f"photos/{c}/{i}.png") for c in "ab" for i in range(3)]
    assert "source" not in kinds_of(Dataset(flat, "image", ("a",) * 3 + ("b",) * 3, source="photos"))


def test_rows_are_parted_by_language_where_two_have_enough_rows():
    english = [f"The courier did not bring parcel number {i}, where is it now?" for i in range(8)]
    german = [f"Der Bote hat das Paket Nummer {i} nicht gebracht, wo ist es jetzt?" for i in range(8)]
    labels = ("a", "b") * 8
    kinds = kinds_of(Dataset([*english, *german, "1234"], "text", (*labels, "a")))
    assert kinds["language"] == ["English"] * 8 + ["German"] * 8 + ["unclear or rare"]
    assert "language" not in kinds_of(Dataset([*english, *german[1:], "1234"], "text", labels))
    assert "language" not in kinds_of(Dataset(english * 2, "text", labels))


def test_pictures_are_parted_by_size_and_sounds_by_duration():
    rng = np.random.default_rng(0)
    shapes = [rng.integers(0, 255, (8 + i, 8, 3)).astype(np.uint8) for i in range(24)]
    assert len(set(kinds_of(Dataset(shapes, "image", ("a", "b") * 12))["size"])) == 3
    waves = [(np.zeros(1600 * (1 + i), np.float32), 16000) for i in range(24)]
    assert kinds_of(Dataset(waves, "sound", ("a", "b") * 12))["duration"][0] == "up to 0.8 s"


def test_a_file_that_has_gone_costs_no_run(pictures):
    run = handful.tune(pictures(), backbone="toy-image", budget=0, strategies="ridge")
    for answer in most_doubtful(run.held_out, 2):
        run.data.items[run.data.rows.index(answer.row)].unlink()
    changes = unsettled(run.model, None, run.data, run.data.take([]), None, 0)
    assert [change.rows for change in changes] == [10, 10, 10]
    assert explain_doubtful(run.model, run.data, run.held_out) == {}


def test_sounds_that_are_all_too_long_are_left_alone(clips):
    run = handful.tune(clips(), backbone="toy-sound", budget=0, strategies="ridge")
    long = replace(run.data, items=[(np.zeros(8000 * 300, np.int16), 8000)] * len(run.data))
    assert unsettled(run.model, None, long, run.data.take([]), None, 0) == ()
    assert explain_doubtful(run.model, long, run.held_out) == {}
