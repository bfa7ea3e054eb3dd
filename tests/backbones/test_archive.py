"""Weights in one file: packed, unpacked, and refused in one sentence whatever is wrong with the file."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_wheel import CHANGED, SHOUTED, use_entries

from handful.backbones import archive, entries, manifest, weights, wheels
from handful.errors import MachineError, OptionError, WeightsError
from junk import HARD, junk, like

CONTENT = "model.bin was changed or damaged (its content has another digest)"


@pytest.fixture
def packed(here, tmp_path):
    """An archive, and nothing on this machine any more."""
    file = tmp_path / "weights.zip"
    assert archive.bundle(file) == ("tiny",)
    weights.remove("tiny")
    return file


def members_of(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def write(file: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", method) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)


def refused(file: Path, problem: str) -> None:
    with pytest.raises(WeightsError) as error:
        archive.unbundle(file)
    assert str(error.value) == (
        f"bundle {file} must be a file written by `handful models bundle` of this version of handful, but {problem}. "
        "Write it again and copy it anew."
    )
    assert not weights.place_of(entries.find("tiny")).exists()


def test_it_holds_the_files_of_the_catalogue_and_nothing_else(here, tmp_path):
    (here / ".DS_Store").write_bytes(b"x")
    archive.bundle(tmp_path / "weights.zip")
    assert sorted(members_of(tmp_path / "weights.zip")) == ["tiny/LICENSE", "tiny/manifest.json", "tiny/model.bin"]


def test_it_brings_the_weights_to_another_machine(packed, monkeypatch):
    monkeypatch.setattr(wheels, "download", lambda *args: pytest.fail("there is no network"))
    assert archive.unbundle(packed) == ("tiny",)
    assert (weights.weights_folder("tiny") / "model.bin").read_bytes() == SHOUTED
    assert manifest.read(weights.weights_folder("tiny")) == manifest.of(entries.find("tiny"))
    assert archive.unbundle(packed) == ("tiny",)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_one_that_was_unpacked_and_packed_again_is_read(packed, method):
    write(packed, {"tiny/": b"", **members_of(packed)}, method)
    assert archive.unbundle(packed) == ("tiny",)


def test_it_replaces_what_is_damaged(packed):
    folder = weights.fetch("tiny")
    (folder / "model.bin").write_bytes(CHANGED)
    archive.unbundle(packed)
    assert weights.problems() == {}


def test_damaged_weights_are_not_packed(here, tmp_path):
    (here / "model.bin").write_bytes(CHANGED)
    with pytest.raises(WeightsError, match="Run `handful models repair tiny`"):
        archive.bundle(tmp_path / "weights.zip")
    assert not (tmp_path / "weights.zip").exists()


def test_an_archive_that_cannot_be_written_is_said(here, tmp_path):
    (tmp_path / "no").touch()
    expected = r"w\.zip cannot be written: File exists\. Choose another place\.$"
    with pytest.raises(MachineError, match=expected):
        archive.bundle(tmp_path / "no" / "w.zip")


def test_weights_of_another_version_are_refused(packed, monkeypatch):
    use_entries(monkeypatch, replace(entries.find("tiny"), sha256="0" * 64))
    refused(packed, "its 'tiny' belongs to another version of handful")


def test_without_weights_there_is_nothing_to_pack(shelf, tmp_path):
    with pytest.raises(WeightsError, match="^weights to bundle must be on this machine, but none are"):
        archive.bundle(tmp_path / "weights.zip")


def test_a_path_where_nothing_is_is_refused(tmp_path):
    with pytest.raises(OptionError, match="must be a file, got a path where none is"):
        archive.unbundle(tmp_path / "weights.zip")


# What is refused


def test_other_weights_under_a_known_name(packed):
    write(packed, members_of(packed) | {"tiny/model.bin": CHANGED})
    refused(packed, f"its 'tiny' is not what the catalogue knows: {CONTENT}")


def test_other_weights_with_a_manifest_that_vouches_for_them(packed):
    """The catalogue has the word, not the archive."""
    members = members_of(packed)
    told = json.loads(members["tiny/manifest.json"])
    told["files"]["model.bin"] = entries.find("tiny").files["LICENSE"]
    write(packed, members | {"tiny/model.bin": CHANGED, "tiny/manifest.json": json.dumps(told).encode()})
    refused(packed, "its 'tiny' belongs to another version of handful")


@pytest.mark.parametrize("gone", ["tiny/model.bin", "tiny/LICENSE", "tiny/manifest.json"])
def test_a_missing_file(packed, gone):
    members = members_of(packed)
    del members[gone]
    write(packed, members)
    refused(packed, f"{gone} must be in it once, got 0 times")


def test_a_file_that_is_in_it_twice(packed):
    with zipfile.ZipFile(packed, "a") as zipped, pytest.warns(UserWarning, match="Duplicate name"):
        zipped.writestr("tiny/model.bin", CHANGED)
    refused(packed, "tiny/model.bin must be in it once, got 2 times")


def test_nothing_in_it(packed):
    write(packed, {})
    refused(packed, "it holds no weights")
    write(packed, {"tiny/": b""})
    refused(packed, "it holds no weights")


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "tiny/../evil", "tiny/..\\evil", "/evil", "tiny//evil", "C:evil", "tiny/C:evil", "tiny/evil.py",
        "tiny/model.bin/", "tiny/model.pkl", "other/model.bin", "evil", "tiny", "user/model.bin",
    ],
)  # fmt: skip
def test_a_name_that_no_such_file_has(packed, tmp_path, name):
    write(packed, members_of(packed) | {name: b"bad"})
    with pytest.raises(WeightsError, match="in it is none of the files of such a bundle"):
        archive.unbundle(packed)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("text", [*HARD, b'{"files": {}}', b'{"files": {"a": 1e400}, "format": 1e400}'])
def test_a_manifest_that_is_none(packed, text):
    write(packed, members_of(packed) | {"tiny/manifest.json": text})
    refused(packed, "tiny/manifest.json cannot be read")


@pytest.mark.parametrize(
    "change", [{"files": {}}, {"format": 1}, {"format": 99}, {"name": "other"}, {"wheel_sha256": "0" * 64}]
)
def test_a_manifest_of_another_version(packed, change):
    members = members_of(packed)
    told = json.loads(members["tiny/manifest.json"]) | change
    write(packed, members | {"tiny/manifest.json": json.dumps(told).encode()})
    refused(packed, "its 'tiny' belongs to another version of handful")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_junk_in_place_of_the_manifest(packed, data):
    members = members_of(packed)
    text = data.draw(junk | like(json.loads(members["tiny/manifest.json"])))
    with tempfile.TemporaryDirectory() as place:
        other = Path(place) / "weights.zip"
        write(other, members | {"tiny/manifest.json": text})
        with contextlib.suppress(WeightsError):
            archive.unbundle(other)


def test_more_than_such_weights_can_take(packed):
    write(packed, members_of(packed) | {"tiny/LICENSE": bytes(17 << 20)}, zipfile.ZIP_DEFLATED)
    size = sum(map(len, members_of(packed).values()))
    refused(packed, f"its 'tiny' would take {size} bytes, more than such weights can")


def patched(file: Path, at_local: int, at_central: int, value: bytes) -> None:
    """Write over a field of every member, in its own header and in the list at the end."""
    content = bytearray(file.read_bytes())
    for mark, at in ((b"PK\3\4", at_local), (b"PK\1\2", at_central)):
        start = content.find(mark)
        while start >= 0:
            content[start + at : start + at + len(value)] = value
            start = content.find(mark, start + 4)
    file.write_bytes(content)


FIELDS = {
    "encrypted": (6, 8, struct.pack("<H", 1)),
    "strongly encrypted": (6, 8, struct.pack("<H", 0x41)),
    "packed by bzip2": (8, 10, struct.pack("<H", zipfile.ZIP_BZIP2)),
    "packed by lzma": (8, 10, struct.pack("<H", zipfile.ZIP_LZMA)),
    "packed in no known way": (8, 10, struct.pack("<H", 77)),
    "deflated, as it says": (8, 10, struct.pack("<H", zipfile.ZIP_DEFLATED)),
    "a patch": (6, 8, struct.pack("<H", 0x20)),
    "of a later version": (4, 6, struct.pack("<H", 999)),
    "of another check sum": (14, 16, b"\1\2\3\4"),
    "of no size": (22, 24, bytes(4)),
    "of the largest size": (22, 24, b"\xff\xff\xff\x7f"),
    "with a name of the greatest length": (26, 28, b"\xff\xff"),
    "with much beside it": (28, 30, b"\xff\xff"),
}


@pytest.mark.parametrize("field", FIELDS)
def test_members_that_are_not_as_they_say(packed, field):
    patched(packed, *FIELDS[field])
    with pytest.raises(WeightsError, match="must be a file written by `handful models bundle`"):
        archive.unbundle(packed)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_way_of_packing_that_is_not_read(packed, method):
    write(packed, members_of(packed), method)
    refused(packed, "tiny/manifest.json is encrypted or packed in a way that is not read")


@pytest.mark.parametrize("content", HARD)
def test_a_file_that_is_no_archive(packed, content):
    packed.write_bytes(content)
    refused(packed, "it is cut off or no zip file (File is not a zip file)")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), deflated=st.booleans())
def test_no_damage_is_more_than_one_sentence_and_none_brings_other_weights(packed, data, deflated):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as zipped:
        for name, content in members_of(packed).items():
            zipped.writestr(name, content)
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    content = content[: data.draw(st.just(len(content)) | st.integers(1, len(content)))]
    with tempfile.TemporaryDirectory() as place:
        other = Path(place) / "weights.zip"
        other.write_bytes(content)
        with contextlib.suppress(WeightsError):
            archive.unbundle(other)
            assert weights.problem("tiny") is None


def test_a_full_disk_is_not_taken_for_a_damaged_archive(packed, monkeypatch):
    usual = Path.open

    def full(path, mode="r", *more, **options):
        if path.name == "model.bin" and "w" in mode:
            raise OSError(28, "No space left on device")
        return usual(path, mode, *more, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(MachineError, match="No space left on device"):
        archive.unbundle(packed)
