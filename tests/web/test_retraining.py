"""Tuning again in the background: when, one at a time, whatever becomes of it, and what is swapped in."""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from handful import api
from handful.export.bundle import Bundle
from handful.web import improving
from handful.web.admission import Admission
from handful.web.asked_items import BODIES
from handful.web.improving import Improvement, Improver
from handful.web.item_answers import ServedModel
from handful.web.item_service import application
from handful.web.retraining import Retrainer, State, command, due


@pytest.mark.parametrize(
    ("fresh", "rows", "drifted", "worth"),
    [
        (9, 40, False, False), (10, 40, False, True), (29, 300, False, False), (30, 300, False, True),
        (4, 300, True, False), (5, 300, True, True), (0, 0, True, False),
    ],
)  # fmt: skip
def test_when_it_is_worth_it(fresh, rows, drifted, worth):
    assert due(fresh, rows, drifted) is worth


def test_the_command_is_one_that_a_user_can_type():
    assert command(Path("runs/a"), Path("runs/a/corrections/corrections.csv")) == [
        "handful", "update", "runs/a", "runs/a/corrections/corrections.csv",
    ]  # fmt: skip


def ended(retrainer):
    retrainer._thread.join(60)
    return retrainer.state


def test_what_is_tuned_is_swapped_in_and_told():
    retrainer = Retrainer([sys.executable, "-c", ""], lambda: "version 2 answers now")
    assert retrainer.state == State("nothing", "")
    assert retrainer.start()
    assert ended(retrainer) == State("done", "version 2 answers now")


def test_one_at_a_time_and_none_once_the_server_ends():
    retrainer = Retrainer([sys.executable, "-c", "input()"], lambda: "done")
    wait = Retrainer([sys.executable, "-c", "import signal; signal.pause()"], lambda: "done")
    assert wait.start()
    assert not wait.start()
    wait.end()
    assert wait.state == State("nothing", "tuning again was stopped with the server")
    assert not wait.start()
    assert retrainer.start()  # nobody types anything: it fails, and is told
    assert ended(retrainer) == State("failed", "tuning again failed with code 1: EOFError: EOF when reading a line")


def test_a_program_that_is_not_there_and_a_swap_that_fails():
    missing = Retrainer(["no-such-program"], lambda: "done")
    assert missing.start()
    assert ended(missing).doing == "failed"

    def fail():
        raise RuntimeError("the folder is gone")

    broken = Retrainer([sys.executable, "-c", ""], fail)
    assert broken.start()
    assert ended(broken) == State("failed", "tuning again failed: the folder is gone")


@pytest.fixture
def folder(tmp_path):
    texts = [f"{word} {i}" for word in ("hill", "hive") for i in range(6)]
    (tmp_path / "rows.csv").write_text(
        "text,label\n" + "".join(f"{text},{'ants' if 'hill' in text else 'bees'}\n" for text in texts), "utf-8"
    )
    run = api.tune(tmp_path / "rows.csv", backbone="toy-text", budget=0)
    run.save(tmp_path / "insects")
    return tmp_path / "insects"


def client_of(folder, **how):
    served = ServedModel(folder.name, Bundle.load(folder))
    improver = Improver(served, folder, Improvement(**how))
    made = application([served], Admission(kinds=BODIES), improvers=[improver])
    made.state.improver = improver
    return TestClient(made, "http://127.0.0.1", raise_server_exceptions=False)


@pytest.mark.slow
def test_enough_corrections_are_tuned_with_while_answers_go_on_and_none_is_lost(folder, monkeypatch):
    """`tune` of old rows and corrections stands in for `update`: what is tested is what the server makes of it."""
    both = folder.parent / "both.csv"
    script = (
        "import sys; from pathlib import Path; from handful import api\n"
        "old, new, both, out = map(Path, sys.argv[1:])\n"
        "rows = new.read_text('utf-8').splitlines()[1:]\n"
        "both.write_text(old.read_text('utf-8') + '\\n'.join(rows) + '\\n', 'utf-8')\n"
        "api.tune(both, backbone='toy-text', budget=0).save(out)\n"
    )
    monkeypatch.setattr(
        improving, "command",
        lambda run, table: [sys.executable, "-c", script, *map(str, (run.parent / "rows.csv", table, both, run))],
    )  # fmt: skip
    with client_of(folder, learn=True, retrain=True) as client:
        improver = client.app.state.improver
        for i in range(40):  # those that are held back do not count
            if improver._retrainer.state.doing != "nothing":
                break
            sent = client.post("/feedback", json={"item": f"sting {i}", "label": "wasps", "new_class": True})
            assert sent.status_code == 200, sent.text
        statuses = []
        while improver._retrainer._thread.is_alive():
            statuses.append(client.post("/predict", json={"items": ["hill 1", "hive 1"]}).status_code)
        assert set(statuses) == {200}
        told = client.get("/drift").json()
        assert told["retraining"] == {"state": "done", "why": "version 2 of the run answers now"}
        assert told["corrections"] == 0
        answered = client.post("/predict", json={"items": ["sting 3"]}).json()
        assert (answered["version"], answered["answers"][0]["answer"]) == ("2", "wasps")
        assert (folder / "corrections" / "corrections.sqlite").is_file()
        # What comes next is learned on top of it, and the run that was there can be brought back.
        again = client.post("/feedback", json={"item": "buzz", "label": "bees"}).json()
        assert (again["learned"], again["version"]) == (True, "2.1")
        assert client.post("/rollback", json={"version": "1"}).json()["version"].startswith("3")
        runs = client.get("/versions").json()["runs"]
        assert [one["version"] for one in runs] == ["1", "2", "3"]


def test_a_run_that_disappears_while_it_is_tuned_is_told(folder, monkeypatch):
    monkeypatch.setattr(improving, "command", lambda run, table: [sys.executable, "-c", ""])
    with client_of(folder, retrain=True) as client:
        improver = client.app.state.improver
        shutil.rmtree(folder)
        assert improver._retrainer.start()
        assert ended(improver._retrainer).doing == "failed"
        assert client.post("/predict", json={"items": ["hill 1"]}).status_code == 200
    assert not [one for one in threading.enumerate() if one.name == "tuning again"]
