"""Wherever a kill comes: the old result or the new one, whole; every file of the user's; and nothing left over."""

import errno
import itertools
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deaths import Death
from handful.atomic import check_replaceable, locks, replaced_file, replaced_folder, tidy, workplace
from handful.atomic import swaps as swapping
from handful.atomic.workplaces import PREFIX
from handful.run_folder import model_folder

PARTS = ("done.json", "data.bin", "model")

OWN = {"answers.csv": "mine", "notes/a.txt": "mine too", ".hidden": "and mine", "model.txt": "not the model"}


def write(folder: Path, text: str) -> None:
    with replaced_folder(folder, PARTS) as target:
        (target / "done.json").write_text(text)
        (target / "model").mkdir()
        (target / "model" / "weights").write_text(text)
        (target / "unlisted.json").write_text(text)  # a name that the caller did not foresee


def own(folder: Path) -> None:
    for name, text in OWN.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def result(text: str) -> dict[str, str]:
    return {"done.json": text, "model/weights": text, "unlisted.json": text}


def whole(folder: Path) -> dict[str, str]:
    """What of a result is in a folder, which must be all of the old one or all of the new one."""
    found = {name: text for name, text in contents(folder).items() if name not in OWN}
    assert found in (result("old"), result("new")), found
    return found


# Killed between any two file operations -----------------------------------------------------------------------------

NEXT = {
    "a check": lambda out: check_replaceable(out, PARTS[0]),
    "a reader": model_folder,
    "a reader of the model": lambda out: model_folder(out / "model"),
    "another result": lambda out: write(out.parent / "other", "new"),
    "a file": lambda out: answers(out.parent / "answers.csv", "new"),
}


def answers(file: Path, text: str) -> None:
    with replaced_file(file) as target, target.open("w") as stream:
        stream.write(text)


@pytest.mark.parametrize("following", NEXT)
@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("before", ["nothing", "an empty folder", "a result", "a result and the user's files"])
def test_a_folder_wherever_the_kill_comes(tmp_path, monkeypatch, before, swaps, following):
    death = Death(monkeypatch, swaps)
    for fatal in itertools.count(1):
        base = tmp_path / str(fatal)
        out = base / "out"
        base.mkdir()
        if before == "an empty folder":
            out.mkdir()
        elif before != "nothing":
            write(out, "old")
        if before.endswith("files"):
            own(out)
        kept = OWN if before.endswith("files") else {}
        died = death.at(fatal, lambda out=out: write(out, "new"))

        if swaps and "result" in before:
            whole(out)  # at once, before any other command
        everything = [text for path in base.rglob("*") if path.is_file() for text in [path.read_text()]]
        assert all(text in everything for text in kept.values())

        NEXT[following](out)
        hidden = [name for name in names(base) if name.startswith(".")]
        assert hidden == []
        if "result" in before:
            whole(out)
            assert {name: text for name, text in contents(out).items() if name in OWN} == kept
        elif out.exists() and names(out):
            assert whole(out) == result("new")
        if not died:
            break
    assert fatal > 10
    assert contents(out) == result("new") | kept


@pytest.mark.parametrize("swaps", [True, False])
def test_a_kill_while_things_are_put_right(tmp_path, monkeypatch, swaps):
    death, told = Death(monkeypatch, swaps), 0
    for first in itertools.count(1):
        died = False
        for second in itertools.count(1):
            base = tmp_path / f"{first} {second}"
            out = base / "out"
            write(out, "old")
            own(out)
            died = death.at(first, lambda out=out: write(out, "new"))
            again = death.at(second, lambda base=base: tidy(base))
            told += again
            tidy(base)
            assert names(base) == ["out"]
            whole(out)
            assert {name: text for name, text in contents(out).items() if name in OWN} == OWN
            if not again:
                break
        if not died:
            break
    assert told > 30


@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_wherever_the_kill_comes(tmp_path, monkeypatch, before):
    death = Death(monkeypatch)
    for fatal in itertools.count(1):
        base = tmp_path / str(fatal)
        base.mkdir()
        if before:
            (base / "out.csv").write_text(before)
        died = death.at(fatal, lambda base=base: answers(base / "out.csv", "new"))
        assert {text for name, text in contents(base).items() if name == "out.csv"} <= {before, "new"}
        answers(base / "other.csv", "next")
        assert set(names(base)) <= {"out.csv", "other.csv"}
        assert not before or (base / "out.csv").read_text() in (before, "new")
        if not died:
            break
    assert fatal > 5
    assert (base / "out.csv").read_text() == "new"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    theirs=st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20).filter(
            lambda name: name not in (".", "..") and not name.startswith(PREFIX)
        ),
        st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=5),
        max_size=4,
    ),
    fatal=st.integers(1, 40),
    swaps=st.booleans(),
)
def test_files_of_any_name_are_kept(tmp_path_factory, theirs, fatal, swaps):
    base = tmp_path_factory.mktemp("any")
    write(base / "out", "old")
    theirs = {name: text for name, text in theirs.items() if name not in result("") and name not in PARTS}
    for name, text in theirs.items():
        (base / "out" / name).write_text(text)
    with pytest.MonkeyPatch.context() as patched:
        Death(patched, swaps).at(fatal, lambda: write(base / "out", "new"))
    tidy(base)
    assert names(base) == ["out"]
    assert {name: text for name, text in contents(base / "out").items() if name in theirs} == theirs


# What is said -------------------------------------------------------------------------------------------------------


def left(base: Path, place: str = "out", **held: dict[str, str]) -> Path:
    """A workplace as a kill leaves it: held under a name in it → file → text."""
    folder = base / f"{PREFIX}12345678"
    for name, files in held.items():
        (folder / name).mkdir(parents=True)
        for file, text in files.items():
            (folder / name / file).write_text(text)
    (folder / "record.json").write_text(json.dumps({"place": place, "names": ["done.json"]}))
    return folder


def said(caplog, base: Path) -> list[str]:
    with caplog.at_level(logging.WARNING):
        tidy(base)
    return [record.getMessage() for record in caplog.records]


def test_what_comes_back_is_said(tmp_path, caplog):
    (tmp_path / "out").mkdir()
    left(tmp_path, ready={"done.json": "old", "b.txt": "mine", "a.txt": "mine"})
    assert said(caplog, tmp_path) == [
        f"{tmp_path}/out: back from where a command that was interrupted had left them: a.txt, b.txt"
    ]
    assert names(tmp_path / "out") == ["a.txt", "b.txt"]


@pytest.mark.parametrize("held", [{"old": {"done.json": "old"}}, {"ready": {"done.json": "old", "a.txt": "mine"}}])
def test_a_folder_that_is_put_back_is_said(tmp_path, caplog, held):
    left(tmp_path, **held)
    assert said(caplog, tmp_path) == [f"{tmp_path}/out is again as it was before a command that was interrupted"]
    assert contents(tmp_path / "out") == next(iter(held.values()))
    assert names(tmp_path) == ["out"]


def test_what_is_merely_removed_is_not(tmp_path, caplog):
    left(tmp_path, new={"done.json": "half"}, ready={"done.json": "new"})
    assert said(caplog, tmp_path) == []
    assert names(tmp_path) == []


def test_two_files_of_one_name_are_both_kept(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.txt").write_text("later")
    (tmp_path / "out/a (2).txt").write_text("later still")
    left(tmp_path, ready={"a.txt": "earlier"})
    tidy(tmp_path)
    assert contents(tmp_path / "out") == {"a.txt": "later", "a (2).txt": "later still", "a (3).txt": "earlier"}


def test_what_cannot_be_moved_is_said_and_stays(tmp_path, caplog, monkeypatch):
    (tmp_path / "out").mkdir()
    held = left(tmp_path, ready={"done.json": "old", "a.txt": "mine", "b.txt": "mine"})
    rename = Path.rename

    def not_a(self, target):
        if self.name == "a.txt":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", not_a)
    assert said(caplog, tmp_path) == [
        f"{held}/ready/a.txt, which is yours, cannot be moved to {tmp_path}/out: Permission denied. "
        "Move it there yourself",
        f"{tmp_path}/out: back from where a command that was interrupted had left them: b.txt",
    ]
    assert contents(tmp_path / "out") == {"b.txt": "mine"}
    assert contents(held / "ready") == {"a.txt": "mine"}
    monkeypatch.undo()
    tidy(tmp_path)
    assert contents(tmp_path) == {"out/a.txt": "mine", "out/b.txt": "mine"}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("cut o", "Expecting value: line 1 column 1 (char 0)"),
        ('{"place": "out"}', "'names'"),
        ('{"place": "..", "names": []}', "it points to another place"),
        ('{"place": "out", "names": ["../thesis"]}', "it points to another place"),
        ('{"place": "/etc", "names": []}', "it points to another place"),
    ],
)
def test_what_nobody_can_understand_is_left_alone(tmp_path, caplog, record, why):
    (tmp_path / "thesis").write_text("mine")
    held = left(tmp_path, ready={"a.txt": "mine"})
    (held / "record.json").write_text(record)
    assert said(caplog, tmp_path) == [
        f"{held} holds what cannot be put in its place: {why}. Take from it what is yours, then delete it"
    ]
    assert (held / "ready/a.txt").read_text() == "mine"
    assert (tmp_path / "thesis").read_text() == "mine"


def test_a_link_in_a_workplace_is_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/done.json").write_text("mine")
    held = left(tmp_path, old={})
    (held / "old").rmdir()
    for name in ("ready", "new"):
        (held / name).symlink_to(tmp_path / "papers")
    tidy(tmp_path)
    assert contents(tmp_path / "papers") == {"done.json": "mine"}


# Whose workplace it is ----------------------------------------------------------------------------------------------


def test_a_folder_of_the_users_with_such_a_name_is_left_alone(tmp_path):
    folder = tmp_path / f"{PREFIX}business"
    (folder / "new").mkdir(parents=True)
    (folder / "diary.txt").write_text("mine")
    tidy(tmp_path)
    assert names(folder) == ["diary.txt", "new"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system does not tell whose a folder is")
def test_a_workplace_of_another_user_is_left_alone(tmp_path, monkeypatch):
    left(tmp_path, new={})
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    tidy(tmp_path)
    assert names(tmp_path) == [f"{PREFIX}12345678"]


def test_two_results_may_be_made_at_one_time(tmp_path):
    with replaced_folder(tmp_path / "one", PARTS) as one, replaced_folder(tmp_path / "two", PARTS) as two:
        tidy(tmp_path)
        (one / "done.json").write_text("one")
        (two / "done.json").write_text("two")
    assert contents(tmp_path) == {"one/done.json": "one", "two/done.json": "two"}


def test_the_slower_of_two_commands_replaces_what_the_faster_one_made(tmp_path):
    out = tmp_path / "out"
    with replaced_folder(out, PARTS) as slow:
        (slow / "done.json").write_text("slow")
        with replaced_folder(out, PARTS) as fast:
            (fast / "done.json").write_text("fast")
        (out / "a.txt").write_text("mine")
    assert contents(tmp_path) == {"out/done.json": "slow", "out/a.txt": "mine"}


def test_a_place_that_is_taken_in_the_very_last_moment(tmp_path, monkeypatch):
    rename = Path.rename

    def late(self, target):
        if self.name == "new":
            monkeypatch.undo()
            write(target, "old")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    write(tmp_path / "out", "new")
    assert contents(tmp_path / "out") == result("new")
    assert names(tmp_path) == ["out"]


HOLDS = """
import sys
from pathlib import Path
from handful.atomic import replaced_folder
with replaced_folder(Path(sys.argv[1]), ["done.json"]) as target:
    (target / "done.json").write_text("theirs")
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_workplace_is_in_use_as_long_as_its_process_lives(tmp_path):
    words = [sys.executable, "-c", HOLDS, str(tmp_path / "theirs")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        write(tmp_path / "ours", "new")
        assert len(names(tmp_path)) == 2
        process.kill()
        process.wait()
        assert len(names(tmp_path)) == 2
        tidy(tmp_path)
        assert names(tmp_path) == ["ours"]


def test_a_workplace_that_is_taken_for_a_leftover_before_it_is_locked(tmp_path, monkeypatch):
    take, missed = locks.Lock.take.__func__, []

    def late(cls, file):
        if not missed:
            missed.append(file.parent)
            file.parent.rmdir()
        return take(cls, file)

    monkeypatch.setattr(locks.Lock, "take", classmethod(late))
    with workplace(tmp_path) as shop:
        assert shop != missed[0]
        assert names(tmp_path) == [shop.name]
    assert names(tmp_path) == []


def no_locks(handle: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_where_the_disk_knows_no_locks_age_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_lock", no_locks)
    held = left(tmp_path, new={})
    tidy(tmp_path)
    assert names(tmp_path) == [held.name]
    now = time.time() + 25 * 3600
    monkeypatch.setattr(time, "time", lambda: now)
    tidy(tmp_path)
    assert names(tmp_path) == []
    write(tmp_path / "out", "new")
    assert names(tmp_path) == ["out"]


def test_a_lock_of_a_file_that_was_deleted_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_lock", lambda handle: (tmp_path / "lock").unlink())
    assert locks.Lock.take(tmp_path / "lock") is None


# Where folders cannot change places ---------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM])
def test_a_disk_that_cannot_exchange_is_no_error(tmp_path, monkeypatch, code):
    monkeypatch.setattr(swapping, "_call", lambda: lambda one, other: -1)
    monkeypatch.setattr("ctypes.get_errno", lambda: code)
    write(tmp_path / "out", "old")
    write(tmp_path / "out", "new")
    assert contents(tmp_path / "out") == result("new")
