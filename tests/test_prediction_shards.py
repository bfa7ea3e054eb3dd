"""Answers in shards are those of one process, and what is done is done, whoever is killed."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handful import prediction, prediction_shards
from handful.answer_files import Form, write_answers
from handful.backbones.toy import ToyText
from handful.engines import Inline, engine
from handful.errors import OptionError
from handful.prediction import answers
from handful.prediction_shards import (
    Shard,
    ShardRecord,
    judging_in_shards,
    model_digest,
    shard_digest,
)
from shard_models import toy_model

TEXTS = [f"word{number % 7} and {number}" for number in range(50)]


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "new.txt"
    file.write_text("\n".join([*TEXTS, " "]) + "\n")
    return file


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK", 8)


def written(model, source, out, judging=None):
    found = answers(model, source, judging=judging)
    return write_answers(found, "label", Form(out), lambda note: None)


def in_shards(model, source, out, with_engine=None, said=None):
    record = ShardRecord(out.with_name(f"{out.name}.shards"))
    say = (lambda note: None) if said is None else said.append
    with with_engine or Inline() as made, judging_in_shards(model, made, record, say) as judging:
        return written(model, source, out, judging)


def test_answers_are_those_of_one_process(tmp_path, source):
    model = toy_model()
    plain = written(model, source, tmp_path / "plain.csv")
    assert in_shards(model, source, tmp_path / "shards.csv") == plain
    assert (tmp_path / "shards.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert not (tmp_path / "shards.csv.shards").exists(), "nothing is left of what helped to go on"


def stopped(monkeypatch, after):
    """Let answering end after some shards, as a kill does."""
    real, done = prediction_shards.judgement, []

    def judgement(model, items):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(len(items))
        return real(model, items)

    monkeypatch.setattr(prediction_shards, "judgement", judgement)
    return done


def test_a_command_that_ended_goes_on_where_it_was(tmp_path, source, monkeypatch):
    model, out, said = toy_model(), tmp_path / "a.csv", []
    with monkeypatch.context() as patch:
        stopped(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            in_shards(model, source, out)
    assert not out.exists()
    done = stopped(monkeypatch, 100)
    in_shards(model, source, out, said=said)
    assert len(done) == 7 - 3
    assert said == [f"3 shards were answered before, as {out}.shards says"]
    written(model, source, tmp_path / "plain.csv")
    assert out.read_bytes() == (tmp_path / "plain.csv").read_bytes()


@pytest.mark.parametrize("what", ["model", "rows", "damage"])
def test_what_was_answered_otherwise_is_answered_anew(tmp_path, source, monkeypatch, what):
    model, out = toy_model(), tmp_path / "a.csv"
    with monkeypatch.context() as patch:
        stopped(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            in_shards(model, source, out)
    if what == "model":
        model = replace(model, intercept=model.intercept + np.float32([1, 0]))
    elif what == "rows":
        source.write_text(source.read_text().replace("and 9\n", "and 99\n"))
    else:
        for file in (tmp_path / "a.csv.shards").glob("*.npz"):
            file.write_bytes(file.read_bytes()[:-40])
    done = stopped(monkeypatch, 100)
    in_shards(model, source, out)
    assert len(done) == {"model": 7, "rows": 5, "damage": 7}[what]
    written(model, source, tmp_path / "plain.csv")
    assert out.read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_a_few_rows_are_answered_here_and_that_is_said(tmp_path):
    class Never(Inline):
        def workers(self, fn, shared):
            raise AssertionError("no worker is started")

    few, said = tmp_path / "few.txt", []
    few.write_text("one\ntwo\n")
    in_shards(toy_model(), few, tmp_path / "a.csv", Never(), said)
    assert said == ["2 rows are one shard: inline is faster, so they are answered here"]


def test_a_folder_that_is_no_record_is_left_alone(tmp_path):
    place = tmp_path / "a.csv.shards"
    place.mkdir()
    (place / "mine.txt").write_text("x")
    with pytest.raises(OptionError) as error:
        ShardRecord(place)
    assert str(error.value) == (
        f"{place} must be a record of answered shards or not be there, got something else. Remove it, or choose "
        "another --out."
    )


def test_the_name_of_a_shard_hangs_on_what_its_files_hold(tmp_path):
    file = tmp_path / "a.png"
    named = model_digest(toy_model())
    missing = shard_digest(named, (file,))
    file.write_bytes(b"one")
    first = shard_digest(named, (file,))
    file.write_bytes(b"two")
    assert len({missing, first, shard_digest(named, (file,)), shard_digest("other", (file,))}) == 4
    assert repr(Shard(3, "x", ("a", "b"))) == "shard 3 (2 items)"


def test_a_shard_remembers_what_could_not_be_read(tmp_path):
    record, shard = ShardRecord(tmp_path / "record"), Shard(0, "abc", ("a", "b"))
    made = prediction.Judgement(np.array([[0.2, 0.8], [1, 1]]), np.array([0.5, 1.0]), {1: "it is no picture"})
    assert record.read(shard) is None
    record.keep(shard, made)
    back = record.read(shard)
    np.testing.assert_array_equal(back.outputs, made.outputs)
    np.testing.assert_array_equal(back.rarity, made.rarity)
    assert back.failed == made.failed


# On a cluster -------------------------------------------------------------------------------------------------------

_DRIVER = """
import sys
from pathlib import Path
from handful import prediction
from handful.answer_files import Form, write_answers
from handful.engines import engine
from handful.prediction import answers
from handful.prediction_shards import ShardRecord, judging_in_shards
from shard_models import Marked, toy_model
prediction.CHUNK = 100
source, out = map(Path, sys.argv[1:3])
model = toy_model(Marked, marks=out.parent)
record = ShardRecord(out.with_name(out.name + ".shards"))
with engine("ray") as made, judging_in_shards(model, made, record, print) as judging:
    write_answers(answers(model, source, judging=judging), "label", Form(out), print)
"""


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of two nodes with one core each; what runs as its driver is a process of its own."""
    pytest.importorskip("ray", reason="ray is an extra: pip install 'handful[ray]'")
    from ray.cluster_utils import Cluster

    small = dict(num_cpus=1, object_store_memory=80 * 2**20, include_dashboard=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # by default they step back behind all others
        nodes = Cluster(initialize_head=True, head_node_args=small)
        nodes.add_node(**small)
        patch.setenv("RAY_ADDRESS", nodes.address)
        yield nodes
        nodes.shutdown()


def driver(source, out):
    words = [sys.executable, "-c", _DRIVER, str(source), str(out)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answered_rows(out):
    with out.open(newline="") as file:
        return list(csv.reader(file))[1:]


def until(what, patience=300.0):
    end, pause = time.monotonic() + patience, threading.Event()
    while not what():
        assert time.monotonic() < end, "it never came"
        pause.wait(0.02)


@pytest.mark.slow
def test_two_thousand_texts_on_two_nodes_whose_worker_and_driver_are_killed(cluster, tmp_path):
    """A driver that is killed costs what was under way, for the rest is written down; a worker its shard."""
    texts = [f"word{number % 7} and {number}" for number in range(2000)]
    texts[950], texts[1550] = "wait", "die"
    source, out, record = tmp_path / "new.txt", tmp_path / "a.csv", tmp_path / "a.csv.shards"
    source.write_text("\n".join(texts) + "\n")

    first = driver(source, out)  # its tenth shard waits, and the others go on as far ahead as they may
    until(lambda: len(list(record.glob("*.npz"))) == 12 or first.poll() is not None)
    assert first.poll() is None, first.communicate()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert not out.exists()
    assert len((tmp_path / "answered").read_text().splitlines()) == 12

    (tmp_path / "go").touch()
    second = driver(source, out)
    said, errors = second.communicate(timeout=300)
    assert second.returncode == 0, errors
    assert said.endswith(f"12 shards were answered before, as {record} says\n"), "Ray tells of the worker before"
    assert (tmp_path / "died").exists()
    assert len((tmp_path / "answered").read_text().splitlines()) == 20, "nothing that was done is done again"
    rows = answered_rows(out)
    assert [row[1] for row in rows] == texts
    assert [row[2] for row in rows] == toy_model().predict(texts)
    assert not record.exists()


def test_the_toy_model_answers_with_both_labels():
    assert set(toy_model().predict(TEXTS)) == {"ants", "bees"}
    assert isinstance(toy_model().backbone("toy-text"), ToyText)
    assert engine("inline").here
