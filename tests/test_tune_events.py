"""Events from a folder to answers: scores with intervals, a saved model, predict on long recordings, the page."""

import json

import numpy as np
import pytest
import soundfile

from handful.api import tune
from handful.data.readers import load
from handful.errors import OptionError
from handful.evaluation.decision import Prior
from handful.export.bundle import Bundle
from handful.features import moments
from handful.monitoring.check import check
from handful.strategies.tuned import cost

RATE = 16_000


def recording(rng, seconds=4.0):
    """Noise with tones, high ones and low ones, and when."""
    sound, events = 0.02 * rng.normal(size=int(RATE * seconds)), []
    for start in np.arange(0.4, seconds - 1, 1.4):
        label, pitch = [("high", 3000), ("low", 300)][rng.integers(2)]
        time = np.arange(int(0.8 * RATE)) / RATE
        first = int(round(start * RATE))
        sound[first : first + len(time)] += 0.5 * np.sin(2 * np.pi * pitch * time)
        events.append((round(float(start), 1), round(float(start) + 0.8, 1), label))
    return sound, events


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    for number in range(10):
        sound, events = recording(rng)
        if number == 9:  # one is marked wrongly, so that there is something to show
            events = [(first, end, {"high": "low", "low": "high"}[label]) for first, end, label in events]
        soundfile.write(folder / f"r{number}.wav", sound, RATE)
        lines = [f"{first},{end},{label}\n" for first, end, label in events]
        (folder / f"r{number}.csv").write_text("".join(["start,end,label\n", *lines]), "utf-8")
    return folder


@pytest.fixture(scope="module")
def run(source):
    return tune(source, task="events", backbone="toy-sound", budget=0)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    target = tmp_path_factory.mktemp("saved") / "run"
    run.save(target)
    return target


def test_events_are_scored_by_recording_against_what_goes_on_most_often(run):
    scores = run.scores
    assert scores.metric == "segment_f1"
    assert {"majority", "centroid", "logistic", "ensemble"} == {arm.name for arm in scores.arms}
    assert scores.n == 10
    assert scores.estimate.low < scores.estimate.value < scores.estimate.high
    assert scores.estimate.value > 0.6
    assert {entry["name"] for entry in scores.details["per_label"]} == {"high", "low"}


def test_a_saved_model_answers_as_the_run_does(run, folder, source):
    items = list(load(source, task="events").items)[:3]
    assert Bundle.load(folder).predict(items) == run.predict(items)


def test_the_command_writes_events_one_row_per_recording(handful, folder, source, tmp_path):
    ended = handful("predict", folder, source, "--out", "answers.jsonl")
    assert ended.code == 0, ended.err
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 10
    events = [event for line in lines for event in line["events"]]
    assert {"start", "end", "label", "confidence"} == set(events[0])
    assert all(0 <= event["start"] < event["end"] <= 4.0 for event in events)


def test_the_page_draws_tracks(folder):
    page = (folder / "report.html").read_text("utf-8")
    assert page.count('<p class="lane">') == 2
    assert 'title="high, 0.4 to 1.2 s"' in page or 'title="low, 0.4 to 1.2 s"' in page
    assert '<mark class="against"' in page


def test_a_long_recording_is_answered_piece_by_piece(run, tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    sound, _ = recording(rng, 10.0)
    soundfile.write(tmp_path / "long.wav", sound, RATE)
    longest = []
    prepare = type(run.model.backbone("toy-sound")).prepare_parts

    def watched(self, items):
        longest.extend(moments.length_of(item) for item in items)
        return prepare(self, items)

    monkeypatch.setattr(type(run.model.backbone("toy-sound")), "prepare_parts", watched)
    monkeypatch.setattr(moments, "LONGEST", 4.0)
    outputs, failed = run.model.answer([tmp_path / "long.wav"])
    assert not failed
    assert longest == [4.0, 4.0, 2.0]
    rest = run.model.task.values(outputs, run.model.labels)[0]
    assert rest[-1]["end"] <= 10.0
    assert outputs.shape[1] == 50 * (3 + 3)


def test_what_cannot_be_heard_is_told_and_the_others_are_answered(run, source, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    good = load(source, task="events").items[0]
    outputs, failed = run.model.answer([tmp_path / "bad.wav", good])
    assert list(failed) == [0]
    alone, _ = run.model.answer([good])
    names = run.model.labels
    assert run.model.task.values(outputs, names)[1] == run.model.task.values(alone, names)[0]


def test_labels_of_new_recordings_are_not_compared_and_that_is_said(folder, source):
    table = source.parent / "new.csv"
    names = [path.name for path in sorted(source.glob("*.wav"))]
    table.write_text("file,label\n" + "".join(f"{source.name}/{name},high\n" for name in names), "utf-8")
    with pytest.raises(OptionError) as caught:
        check(folder, table)
    assert "labels of new rows are not compared with events, got column 'label'" in str(caught.value)
    assert "Leave them out with --label ''." in str(caught.value)


# Weights that move ---------------------------------------------------------------------------------------------------

NAMED = {"task": "events", "backbone": "toy-sound", "strategies": ["logistic", "partial"], "budget": 60}


@pytest.fixture(scope="module")
def worth_it():
    """Other sets are made to say that moving weights is worth it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "known", lambda *what: Prior(0.9, 0.01, better=9, of=10))
        yield


@pytest.fixture(scope="module")
def moved(source, worth_it):
    return tune(source, **NAMED)


def test_where_weights_move_for_moments_they_ship_and_answer_the_same_everywhere(moved, source, tmp_path):
    assert moved.scores.chosen == "partial", moved.notes
    assert ("toy-sound#moved", 2) in moved.model.view.parts
    moved.save(tmp_path / "run")
    items = list(load(source, task="events").items)[:3]
    copy = Bundle.load(tmp_path / "run")
    assert copy.predict(items) == moved.predict(items)
    assert any(copy.predict(items))
    assert "toy-sound, tuned, read after block 2" in (tmp_path / "run" / "model" / "README.md").read_text("utf-8")


def test_a_model_whose_weights_moved_answers_a_long_recording_piece_by_piece(moved, tmp_path, monkeypatch):
    sound, _ = recording(np.random.default_rng(5), 10.0)
    soundfile.write(tmp_path / "long.wav", sound, RATE)
    monkeypatch.setattr(moments, "LONGEST", 4.0)
    outputs, failed = moved.model.answer([tmp_path / "long.wav"])
    assert not failed
    assert outputs.shape[1] == 50 * (3 + 3)
    assert moved.model.task.values(outputs, moved.model.labels)[0]


def test_a_run_of_events_that_was_killed_goes_on_with_the_trainings_that_are_over(moved, source, tmp_path, worth_it):
    def killed(*what):
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handful.strategies.tuned.ladder._refit", killed)
        with pytest.raises(KeyboardInterrupt):
            tune(source, **NAMED, out=out)
    trained = []
    again = tune(source, **NAMED, out=out, resume=True, progress=lambda stage, done, total: trained.append(stage))
    assert [stage for stage in trained if stage.startswith("partial")] == ["partial on all rows"] * 20
    for name, weight in moved.model.moved.delta.items():
        np.testing.assert_array_equal(again.model.moved.delta[name], weight)


def test_no_time_for_an_update_leaves_the_weights_of_events_as_they_are_and_that_is_said(source):
    found = tune(source, **{**NAMED, "budget": 0})
    assert "Weights stay as they are: the budget leaves no time to move them." in found.notes


def test_what_compares_recordings_as_wholes_is_left_out_and_that_is_said(source):
    found = tune(source, **{**NAMED, "strategies": ["logistic", "contrastive"]})
    assert "contrastive was left out: it compares items as wholes." in found.notes
