"""Decisions: kept for a run that is resumed, and no run is lost over them."""

import errno
import os
from pathlib import Path

import pytest

from handful.errors import MachineError
from handful.strategies.decisions import Decisions
from handful.strategies.stage import _decided


def test_a_resumed_run_decides_as_the_interrupted_one_did(tmp_path):
    first = Decisions.read(tmp_path / "state")
    assert (first.go("bias", True), first.go("lora", False)) == (True, False)
    again = Decisions.read(tmp_path / "state")
    assert (again.go("bias", False), again.go("lora", True)) == (True, False)


def test_without_a_folder_nothing_is_kept():
    assert Decisions.read(None).go("bias", True)


def test_what_was_cut_off_is_decided_anew(tmp_path):
    Decisions.read(tmp_path).go("bias", True)
    (tmp_path / "decisions.json").write_text('{"bi')
    assert not Decisions.read(tmp_path).go("bias", False)


def test_a_full_disk_is_no_reason_to_stop(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    made = Decisions.read(tmp_path / "state")
    assert made.go("bias", True)
    assert made.go("bias", False)


def test_what_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    Decisions.read(tmp_path).go("bias", True)
    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(MachineError) as error:
        Decisions.read(tmp_path)
    assert str(error.value) == (
        f"folder {tmp_path}, where the trainings keep their state, cannot be used (Permission denied). "
        "Name another run folder."
    )


@pytest.mark.parametrize(("text", "found"), [('{"used": 3}', {"used": 3}), ('{"us', None), ("", None)])
def test_what_a_language_run_decided_is_read_or_decided_anew(tmp_path, text, found):
    (tmp_path / "decided.json").write_text(text)
    assert _decided(tmp_path) == found
