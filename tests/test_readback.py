"""Reading back: whatever a file holds, one error of the reader's choice comes out of it, in time and in few words."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from handful import readback
from handful.errors import BundleError, OptionError
from handful.readback import checked, damage_is, parsed, read_json, shortened
from junk import JSON, junk


def said(file, build=lambda value: value) -> str:
    with pytest.raises(BundleError) as error:
        read_json(file, build, lambda why: BundleError(f"got {why}."))
    return str(error.value)


def test_what_was_written_is_what_is_built(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1, "Köln"]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json", lambda raw: raw["a"][1], BundleError) == "Köln"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Expecting value"), (b"{", "Expecting property name"), (b"\xff\xfe", "'utf-8' codec can't decode"),
        (b"[" * 100_000, "it is nested too deeply"), (b"[" * 40 + b"]" * 40, "it is nested too deeply"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "it is nested too deeply"), (b"9" * 5000, "Exceeds the limit"),
        (b"\xef\xbb\xbf{}", "Unexpected UTF-8 BOM"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_json_of_ours(tmp_path, content, why):
    (tmp_path / "a.json").write_bytes(content)
    assert said(tmp_path / "a.json").startswith(f"got {why}")


def test_neither_a_folder_nor_a_pipe_nor_nothing_is_waited_for(tmp_path):
    (tmp_path / "folder").mkdir()
    assert said(tmp_path / "folder").startswith(f"got {tmp_path}/folder must be an ordinary file, got a folder.")
    assert "No such file" in said(tmp_path / "nowhere")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert said(tmp_path / "pipe").startswith(f"got {tmp_path}/pipe must be an ordinary file, got a pipe.")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(readback, "_LARGEST", 2 << 20)
    with (tmp_path / "a.json").open("wb") as stream:
        stream.truncate(3 << 20)
    assert said(tmp_path / "a.json").startswith(
        f"got {tmp_path}/a.json must have at most 2,097,152 bytes, got 3,145,728"
    )


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (KeyError("labels"), "there is no 'labels'"), (IndexError("of 3"), "of 3"),
        (AssertionError(), "AssertionError"),
        (RecursionError("maximum"), "it is nested too deeply"), (OverflowError("too large."), "too large"),
        (ZeroDivisionError("by zero"), "by zero"), (AttributeError("no x"), "no x"), (TypeError("a\nb"), "a"),
        (csv.Error("line contains NUL"), "line contains NUL"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), "'utf-8"),
        (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied"),
    ],
)  # fmt: skip
def test_whatever_goes_wrong_becomes_one_error(failure, why):
    with pytest.raises(BundleError) as error, damage_is(lambda reason: BundleError(f"got {reason}.")):
        raise failure
    assert str(error.value).startswith(f"got {why}")


@pytest.mark.parametrize("failure", [OptionError("Choose another."), KeyboardInterrupt(), MemoryError()])
def test_what_is_no_damage_stays_what_it_is(failure):
    with pytest.raises(type(failure)) as error, damage_is(BundleError):
        raise failure
    assert error.value is failure


@given(st.binary(max_size=60) | JSON.map(lambda value: repr(value).encode()))
def test_any_bytes_at_all(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("junk") / "a.json"
    file.write_bytes(content)
    try:
        read_json(file, lambda raw: raw["a"]["b"], BundleError)
    except BundleError as error:
        assert str(error)


@dataclass(frozen=True)
class _Inner:
    x: float


@dataclass(frozen=True)
class _Outer:
    name: str
    count: int
    on: bool
    inner: _Inner | None
    many: tuple[_Inner, ...]
    pair: tuple[str, str] | None
    by_name: dict[str, float]
    table: NDArray[np.float64]
    free: Any = None


GOOD = dict(
    name="a", count=3, on=True, inner=_Inner(1), many=(_Inner(2.5),), pair=("a", "b"), by_name={"a": 1.0},
    table=np.zeros(2),
)  # fmt: skip


def test_fields_of_the_right_kind_are_fine():
    assert checked(_Outer(**GOOD)).name == "a"
    assert checked(_Outer(**{**GOOD, "inner": None, "pair": None, "free": object()})).inner is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 3), ("name", None), ("count", 3.0), ("count", True), ("count", "3"), ("on", 1), ("inner", 3),
        ("inner", _Inner("x")), ("many", [_Inner(1)]), ("many", (3,)), ("many", (_Inner(None),)), ("many", 3),
        ("pair", ("a",)), ("pair", ("a", 3)), ("pair", ("a", "b", "c")), ("pair", 3), ("by_name", {"a": "b"}),
        ("by_name", {1: 1.0}), ("by_name", []), ("table", [1.0]),
    ],
)  # fmt: skip
def test_a_field_of_another_kind_is_named(field, value):
    with pytest.raises(ValueError, match="cannot be"):
        checked(_Outer(**{**GOOD, field: value}))


@given(JSON)
def test_fields_of_any_kind_are_either_fine_or_refused(value):
    for field in GOOD:
        try:
            checked(_Outer(**{**GOOD, field: value}))
        except ValueError as error:
            assert "cannot be" in str(error)


def test_a_long_value_is_shown_short():
    assert shortened("x" * 100) == "'" + "x" * 38 + "…"
    assert shortened(3) == "3"


def test_parsed_gives_any_kind_of_value(tmp_path):
    for text, value in {"3": 3, "null": None, '"a"': "a", "[]": []}.items():
        (tmp_path / "a.json").write_text(text)
        assert parsed(tmp_path / "a.json") == value


@given(text=junk)
def test_json_of_anybody_is_read_or_one_error(text):
    try:
        readback.plain_json(text)
    except readback.FAILURES as error:
        assert readback.reason(error)


def test_an_entry_that_is_named_twice_is_refused():
    with pytest.raises(ValueError, match="an entry is named twice"):
        readback.plain_json('{"a": 1, "b": {"c": 1, "c": 2}}')
