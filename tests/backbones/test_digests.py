"""The digest of what a file says, and the memory of files that were hashed before."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from handful.backbones import digests
from handful.backbones.digests import Memory, content_digest, joint_digest
from junk import HARD, JSON, junk

TENSORS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(2, np.int8), "none": np.ones((0, 2))}


def written(folder: Path, content: bytes, name: str = "model.safetensors") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def of_tensors(folder: Path, tensors: dict[str, np.ndarray], **remarks: str) -> str:
    return content_digest(written(folder, save(tensors, remarks or None)))


def laid_out(names: str, tensors: dict[str, np.ndarray], spaces: int = 0, **header: object) -> bytes:
    """A file of tensors as another library might write it: in this order, with blanks at the end of the header."""
    at, body = 0, b""
    for name in names.split():
        x = tensors[name]
        kind = {"float32": "F32", "int8": "I8", "float64": "F64"}[x.dtype.name]
        header[name] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [at, at + x.nbytes]}
        at, body = at + x.nbytes, body + x.tobytes()
    told = json.dumps(header).encode() + b" " * spaces
    return len(told).to_bytes(8, "little") + told + body


def test_remarks_order_and_blanks_of_the_header_do_not_count(tmp_path):
    first = of_tensors(tmp_path, TENSORS)
    assert first == of_tensors(tmp_path, TENSORS, format="pt", by="somebody")
    for content in (laid_out("a none b", TENSORS), laid_out("b a none", TENSORS, 7, __metadata__={"x": "y"})):
        assert content_digest(written(tmp_path, content)) == first


@pytest.mark.parametrize(
    "change",
    [
        {"a": np.array([1, 2], np.int8)},
        {"a": np.ones(2, np.uint8)},
        {"a": np.ones((1, 2), np.int8)},
        {"b": TENSORS["b"].T},
        {"c": np.ones(2, np.int8)},
        {"none": np.ones((0, 3))},
    ],
)
def test_numbers_kinds_shapes_and_names_count(tmp_path, change):
    assert of_tensors(tmp_path, TENSORS | change) != of_tensors(tmp_path, TENSORS)


def test_a_tensor_of_another_name_counts(tmp_path):
    renamed = {"c" if name == "a" else name: x for name, x in TENSORS.items()}
    assert of_tensors(tmp_path, renamed) != of_tensors(tmp_path, TENSORS)


@given(at=st.integers(0), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_changes_the_digest_or_nothing_that_is_read(tmp_path, at, bit):
    from safetensors import SafetensorError
    from safetensors.numpy import load

    sound = save(TENSORS)
    content = bytearray(sound)
    content[at % len(content)] ^= 1 << bit
    if content_digest(written(tmp_path, bytes(content))) == of_tensors(tmp_path, TENSORS):
        try:
            found = load(bytes(content))
        except SafetensorError:  # then it cannot be loaded, and no other numbers are
            return
        assert {name: (x.dtype, x.tolist()) for name, x in found.items()} == {
            name: (x.dtype, x.tolist()) for name, x in TENSORS.items()
        }


@pytest.mark.parametrize(
    "content",
    [
        *HARD,
        (1 << 63).to_bytes(8, "little"),
        (2).to_bytes(8, "little") + b"[]",
        laid_out("a", TENSORS)[:-1],
        laid_out("a", TENSORS) + b"x",
        laid_out("a", TENSORS).replace(b"[2]", b"2.5"),
        laid_out("a", TENSORS).replace(b"[2]", b"[true]"),
        laid_out("a", TENSORS).replace(b'"a"', b'"b": 3, "a"'),
        laid_out("a", TENSORS).replace(b"[0, 2]", b"[0, 9]"),
        laid_out("a", TENSORS).replace(b"[0, 2]", b"[1, 2]"),
        laid_out("a", TENSORS).replace(b"[0, 2]", b"[2, 0]"),
    ],
)
def test_what_is_no_file_of_tensors_has_a_digest_that_no_file_of_tensors_has(tmp_path, content):
    assert content_digest(written(tmp_path, content)).startswith("no tensors, ")


def test_a_tensor_that_is_named_twice_is_none(tmp_path):
    """Readers differ in which of the two they take."""
    twice = laid_out("a", TENSORS)
    length = int.from_bytes(twice[:8], "little")
    header = twice[8 : 8 + length].replace(b"}}", b'}, "a": {"dtype": "I8", "shape": [2], "data_offsets": [0, 2]}}')
    content = len(header).to_bytes(8, "little") + header + twice[8 + length :]
    assert content_digest(written(tmp_path, content)).startswith("no tensors, ")


@given(content=junk)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_has_a_digest(tmp_path, content):
    header = len(content).to_bytes(8, "little") + content
    for name, what in (("x.safetensors", content), ("x.safetensors", header), ("x.json", content)):
        assert content_digest(written(tmp_path, what, name))


def test_other_files_are_known_by_their_bytes(tmp_path):
    assert content_digest(written(tmp_path, b"{}", "x.json")) != content_digest(written(tmp_path, b"{ }", "x.json"))


def test_several_files_have_one_digest_of_names_and_contents(tmp_path):
    for name in "abc":
        written(tmp_path, name.encode(), name)
    first = joint_digest(tmp_path, "ab", content_digest)
    assert joint_digest(tmp_path, "ba", content_digest) == first
    assert joint_digest(tmp_path, "ac", content_digest) != first
    written(tmp_path, b"c", "b")
    assert joint_digest(tmp_path, "ab", content_digest) not in (first, joint_digest(tmp_path, "ac", content_digest))


# The memory


@pytest.fixture
def file(tmp_path):
    return written(tmp_path, b"what it says", "file.json")


@pytest.fixture
def memory(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "_SETTLED", 0)
    return Memory(tmp_path / "new folder" / "verified.json")


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that were hashed."""
    found = []

    def counted(file: Path) -> str:
        found.append(file.name)
        return content_digest(file)

    monkeypatch.setattr(digests, "content_digest", counted)
    return found


def test_a_file_is_hashed_once(file, memory, hashed):
    assert memory.digest(file) == content_digest(file)
    assert Memory(memory.file).digest(file) == content_digest(file)
    assert hashed == ["file.json"]
    memory.anew(file)
    assert hashed == ["file.json"] * 2


def test_a_file_that_changed_is_hashed_again(file, memory, hashed):
    before = memory.digest(file)
    file.write_bytes(b"something longer")
    assert memory.digest(file) == content_digest(file) != before
    other = written(file.parent, b"something shorter", "other")
    other.replace(file)
    assert memory.digest(file) == content_digest(file)
    assert len(hashed) == 3


def test_a_file_that_may_change_once_more_at_the_same_time_is_not_remembered(file, memory, hashed, monkeypatch):
    monkeypatch.setattr(digests, "_SETTLED", 3600 * 10**9)
    memory.digest(file)
    memory.digest(file)
    assert len(hashed) == 2
    assert not memory.file.exists()


def test_a_file_that_changes_while_it_is_hashed_is_not_remembered(file, memory, monkeypatch):
    def slow(file: Path) -> str:
        found = content_digest(file)
        file.write_bytes(b"written meanwhile")
        return found

    monkeypatch.setattr(digests, "content_digest", slow)
    memory.digest(file)
    assert not memory.file.exists()


def test_files_that_are_gone_are_forgotten(file, memory):
    other = written(file.parent, b"x", "other")
    memory.digest(other)
    other.unlink()
    memory.digest(file)
    assert list(json.loads(memory.file.read_text())) == [str(file)]


def test_several_write_at_once(tmp_path, memory):
    files = [written(tmp_path, bytes([i]), f"{i}.json") for i in range(20)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(Memory(memory.file).digest, files))
    assert found == [content_digest(file) for file in files]
    kept = json.loads(memory.file.read_text())
    assert kept
    assert all(digest == content_digest(Path(name)) for name, (_, digest) in kept.items())


def test_a_folder_that_only_reads_is_done_without(file, memory, hashed, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    assert memory.digest(file) == memory.digest(file) == content_digest(file)
    assert len(hashed) == 2


def test_nothing_half_written_is_left(file, memory, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    memory.digest(file)
    assert list(memory.file.parent.iterdir()) == []


def test_a_folder_in_its_place_is_done_without(file, memory):
    memory.file.mkdir(parents=True)
    assert memory.digest(file) == content_digest(file)


@given(content=junk | st.dictionaries(st.text(max_size=5), JSON).map(lambda told: json.dumps(told).encode()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_in_place_of_the_memory_costs_time_only(file, memory, content):
    memory.file.parent.mkdir(exist_ok=True)
    memory.file.write_bytes(content)
    assert memory.digest(file) == content_digest(file)
    assert memory.digest(file) == content_digest(file)


@pytest.mark.parametrize("digest", [3, None, ["x"]])
def test_a_digest_that_is_no_text_is_not_believed(file, memory, digest):
    memory.file.parent.mkdir()
    memory.file.write_text(json.dumps({str(file): [digests._stamp(file), digest]}))
    assert memory.digest(file) == content_digest(file)
