"""Events from a folder to answers: scores with intervals, a saved model, predict on long recordings, the page."""

import json

import numpy as np
import pytest
import soundfile

from handful.api import tune
from handful.data.readers import load
from handful.errors import OptionError
from handful.export.bundle import Bundle
from handful.features import moments
from handful.monitoring.check import check

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
