"""Decisions of an interrupted run: read back as they were, and made anew where their file is damaged."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handful.strategies.language.memory import ModelShape
from handful.strategies.language.planning import _earlier
from handful.strategies.language.stage import LanguageTerms
from handful.strategies.resume import Decisions

JUNK = [b"", b"{", b"[]", b"3", b"null", b'{"lora": 1}', b'["lo"]', b"\xff\xfe", b"[" * 100_000, b"9" * 5000]
DECIDED = {"used": 2, "updates": {"lora": 40}, "counts": [1, 2], "choosing": 5, "notes": ["lora: 40 updates."]}
SETTINGS = {
    "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 32, "vocab_size": 99,
}  # fmt: skip


def test_what_was_decided_is_decided_again(tmp_path):
    first = Decisions.read(tmp_path)
    assert (first.go("lora", True), first.go("full", False)) == (True, False)
    again = Decisions.read(tmp_path)
    assert (again.go("lora", False), again.go("full", True)) == (True, False)


@pytest.mark.parametrize("content", JUNK)
def test_damaged_decisions_are_made_anew(tmp_path, content):
    (tmp_path / "decisions.json").write_bytes(content)
    assert Decisions.read(tmp_path).go("lora", True)
    assert not Decisions.read(tmp_path).go("full", False)


def earlier(folder):
    return _earlier(Decisions.read(folder), terms(folder), 4)


def terms(folder) -> LanguageTerms:
    return LanguageTerms(checkpoints=folder, recipes={"lora": SimpleNamespace()})


def test_what_a_language_run_decided_is_read_back(tmp_path):
    (tmp_path / "decisions.json").write_text(json.dumps({"language": DECIDED}))
    found = earlier(tmp_path)
    assert (found.used, found.updates, found.counts, found.choosing) == (2, {"lora": 40}, (1, 2), 5)
    assert earlier(tmp_path / "nowhere") is None
    assert earlier(None) is None


@pytest.mark.parametrize("content", JUNK)
def test_a_damaged_language_run_decides_anew(tmp_path, content):
    (tmp_path / "decisions.json").write_bytes(content)
    assert earlier(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("used", 0), ("used", 5), ("used", True), ("used", "2"), ("updates", {"lora": -1}), ("updates", {"other": 40}),
        ("updates", {"lora": 1.5}), ("updates", []), ("counts", []), ("counts", [-1]), ("counts", ["1"]), ("counts", 3),
        ("choosing", -1), ("choosing", None),
    ],
)  # fmt: skip
def test_what_nobody_can_have_decided_is_decided_anew(tmp_path, name, value):
    (tmp_path / "decisions.json").write_text(json.dumps({"language": {**DECIDED, name: value}}))
    assert earlier(tmp_path) is None


@given(st.binary(max_size=40))
@example(b'{"":{"":""}}')  # well-formed, and nothing that anyone decided
@example(b'{"bias":1}')
def test_any_bytes_are_decided_anew(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("junk")
    for name in ("decisions.json", "config.json"):
        (folder / name).write_bytes(content)
    assert (earlier(folder), Decisions.read(folder).go("bias", True), ModelShape.of(folder)) == (None, True, None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_in_place_of_decisions_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "decisions.json")
    assert Decisions.read(tmp_path).made == {}


@pytest.mark.parametrize("change", [{"num_attention_heads": 0}, {"hidden_size": 1e999}, {"vocab_size": "x"}])
def test_settings_that_no_model_has_are_no_shape(tmp_path, change):
    assert ModelShape.of(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    assert ModelShape.of(tmp_path).width == 16
    (tmp_path / "config.json").write_text(json.dumps({**SETTINGS, **change}))
    assert ModelShape.of(tmp_path) is None


def test_without_a_folder_nothing_is_kept():
    assert Decisions.read(None).go("bias", True)


def test_a_full_disk_is_no_reason_to_stop(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    made = Decisions.read(tmp_path / "state")
    assert made.go("bias", True)
    assert made.go("bias", False)
