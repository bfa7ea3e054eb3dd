"""The feature cache gives back what was put in, or nothing: damage, locks and missing rights cost time only."""

import multiprocessing
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handful.features.cache import FeatureCache, user_cache

VECTORS = {f"item {i}": np.random.default_rng(i).normal(size=24).astype(np.float32) for i in range(60)}


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "below" / "features.sqlite"


def filled(file: Path) -> Path:
    cache = FeatureCache(file)
    cache.put("toy", 1, VECTORS)
    cache.close()
    return file


def found(cache: FeatureCache) -> dict[str, np.ndarray]:
    return cache.get("toy", 1, list(VECTORS))


def same(got: dict[str, np.ndarray]) -> bool:
    return got.keys() == VECTORS.keys() and all(np.array_equal(got[name], VECTORS[name]) for name in VECTORS)


def test_what_was_put_in_comes_out_bit_for_bit_in_another_process_too(file):
    cache = FeatureCache(file)
    cache.put("toy", 1, VECTORS)
    assert same(found(cache))
    cache.close()
    assert same(found(FeatureCache(file)))
    assert {vector.dtype for vector in found(FeatureCache(file)).values()} == {np.dtype(np.float32)}


def test_backbone_and_depth_are_part_of_the_key(file):
    cache = FeatureCache(filled(file))
    assert cache.get("toy", 2, list(VECTORS)) == {}
    assert cache.get("other", 1, list(VECTORS)) == {}
    assert list(cache.get("toy", 1, ["item 3", "unknown"])) == ["item 3"]


def test_more_items_than_one_statement_can_name(file):
    many = {f"{i}": np.full(2, i, np.float32) for i in range(1201)}
    cache = FeatureCache(file)
    cache.put("toy", 0, many)
    assert len(cache.get("toy", 0, list(many))) == 1201


def test_a_vector_that_is_put_again_replaces_the_first(file):
    cache = FeatureCache(filled(file))
    cache.put("toy", 1, {"item 3": np.ones(24, np.float32)})
    assert found(cache)["item 3"].tolist() == [1.0] * 24


def test_what_is_forgotten_is_of_one_backbone_and_of_what_stands_on_it(file):
    cache = FeatureCache(filled(file))
    for name in ("toy+moved", "toy2", "to", "TOY", "toy%"):
        cache.put(name, 1, {"item": np.ones(3, np.float32)})
    assert cache.forget("toy") == len(VECTORS) + 1
    assert found(cache) == {}
    assert cache.get("toy+moved", 1, ["item"]) == {}
    assert all(cache.get(name, 1, ["item"]) for name in ("toy2", "to", "TOY", "toy%"))
    assert cache.forget("toy") == 0
    assert FeatureCache(None).forget("toy") == 0


def test_without_a_file_nothing_is_kept():
    cache = FeatureCache(None)
    cache.put("toy", 1, VECTORS)
    assert found(cache) == {}
    cache.close()


def test_the_file_of_the_user_lies_in_the_cache_folder(own_cache):
    cache = user_cache()
    cache.put("toy", 1, VECTORS)
    cache.close()
    assert (own_cache / "features.sqlite").is_file()


# Damage ------------------------------------------------------------------------------------------------------------


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def foreign(data: bytes) -> bytes:
    return b"this is no database at all " * 200


def empty(data: bytes) -> bytes:
    return b""


def beaten(data: bytes) -> bytes:
    return data[:100] + bytes(200) + data[300:]


@pytest.mark.parametrize("damage", [cut, foreign, beaten])
def test_a_damaged_file_is_started_anew_and_said(file, caplog, damage):
    filled(file).write_bytes(damage(file.read_bytes()))
    cache = FeatureCache(file)
    assert found(cache) == {}
    assert caplog.messages[0].startswith(f"feature cache {file} was damaged (")
    assert caplog.messages[0].endswith(") and is started anew")
    cache.put("toy", 1, VECTORS)
    cache.close()
    assert same(found(FeatureCache(file)))
    assert len(caplog.messages) == 1


def test_a_damaged_file_is_started_anew_for_writing_too(file):
    filled(file).write_bytes(foreign(b""))
    cache = FeatureCache(file)
    cache.put("toy", 1, VECTORS)
    assert same(found(cache))


def test_an_empty_file_is_filled(file, caplog):
    filled(file).write_bytes(b"")
    cache = FeatureCache(file)
    cache.put("toy", 1, VECTORS)
    assert same(found(cache))
    assert not caplog.messages


def test_a_file_laid_out_by_another_version_is_started_anew(file):
    file.parent.mkdir()
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE features (name TEXT, vector BLOB)")
    connection.close()
    cache = FeatureCache(file)
    cache.put("toy", 1, VECTORS)
    assert same(found(cache))


@pytest.mark.parametrize("blob", [b"", b"abc", b"abcd" * 24, None, "text", 1.5])
def test_a_vector_with_other_bytes_is_not_there(file, blob):
    connection = sqlite3.connect(filled(file))
    connection.execute("UPDATE features SET vector = ? WHERE item = 'item 3'", (blob,))
    connection.commit()
    connection.close()
    assert found(FeatureCache(file)).keys() == VECTORS.keys() - {"item 3"}


def test_a_vector_under_another_name_is_not_there(file):
    connection = sqlite3.connect(filled(file))
    connection.execute("DELETE FROM features WHERE item = 'item 4'")
    connection.execute("UPDATE features SET item = 'item 4' WHERE item = 'item 3'")
    connection.commit()
    connection.close()
    assert found(FeatureCache(file)).keys() == VECTORS.keys() - {"item 3", "item 4"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_ever_changes_a_vector(tmp_path, data):
    file = tmp_path / "fuzzed.sqlite"
    file.unlink(missing_ok=True)
    raw = bytearray(filled(file).read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= data.draw(st.integers(1, 255))
    file.write_bytes(raw)
    cache = FeatureCache(file, patience=0.1)
    for name, vector in found(cache).items():
        np.testing.assert_array_equal(vector, VECTORS[name])
    cache.put("toy", 1, VECTORS)
    cache.close()


@pytest.mark.parametrize("at", range(0, 60, 3))
def test_a_schema_that_is_no_text_is_started_anew(file, at):
    """SQLite quotes it in its message, which Python cannot read then."""
    raw = bytearray(filled(file).read_bytes())
    raw[raw.index(b"CREATE TABLE") + at] ^= 0x80
    file.write_bytes(raw)
    cache = FeatureCache(file)
    kept = found(cache)
    assert not kept or same(kept)  # a letter of a remark harms nothing
    cache.put("toy", 1, VECTORS)
    cache.close()
    assert same(found(FeatureCache(file)))


# What is in the way ------------------------------------------------------------------------------------------------


def test_a_locked_file_is_done_without_and_said_once(file, caplog):
    other = sqlite3.connect(filled(file), isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("DELETE FROM features WHERE item = 'item 3'")
    cache = FeatureCache(file, patience=0.05)
    assert found(cache) == {}
    cache.put("toy", 1, VECTORS)
    assert caplog.messages == [f"feature cache {file} is not used: database is locked"]
    other.execute("ROLLBACK")
    other.close()
    assert same(found(FeatureCache(file)))  # and nothing of it was deleted


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path, caplog):
    (tmp_path / "file").touch()
    cache = FeatureCache(tmp_path / "file" / "features.sqlite")
    cache.put("toy", 1, VECTORS)
    assert found(cache) == {}
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"feature cache {tmp_path}/file/features.sqlite is not used: ")


def test_a_folder_in_place_of_the_file_is_done_without(file, caplog):
    file.mkdir(parents=True)
    cache = FeatureCache(file)
    assert found(cache) == {}
    assert caplog.messages == [f"feature cache {file} is not used: unable to open database file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_in_a_folder_without_rights_is_done_without(file, caplog):
    filled(file).chmod(0o444)
    file.parent.chmod(0o555)
    cache = FeatureCache(file)
    cache.put("toy", 1, {"new": np.ones(24, np.float32)})
    assert "is not used" in caplog.text
    file.parent.chmod(0o755)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR])
def test_a_disk_that_is_full_or_only_reads_is_done_without_and_nothing_is_deleted(file, monkeypatch, caplog, code):
    def refuse(*_, **__):
        error = sqlite3.OperationalError("it cannot be done")
        error.sqlite_errorcode = code
        raise error

    filled(file)
    monkeypatch.setattr(sqlite3, "connect", refuse)
    cache = FeatureCache(file)
    assert found(cache) == {}
    assert caplog.messages == [f"feature cache {file} is not used: it cannot be done"]
    monkeypatch.undo()
    assert same(found(FeatureCache(file)))


def test_a_damaged_file_that_cannot_be_deleted_is_done_without(file, monkeypatch, caplog):
    filled(file).write_bytes(foreign(b""))

    def refuse(*_, **__):
        raise PermissionError("not allowed")

    monkeypatch.setattr(Path, "unlink", refuse)
    cache = FeatureCache(file)
    assert found(cache) == {}
    assert caplog.messages == [f"feature cache {file} is not used: file is not a database"]


def _write_and_read(path: str, number: int) -> bool:
    cache = FeatureCache(Path(path), patience=20)
    for depth in range(5):
        cache.put("toy", depth, VECTORS)
        cache.put(f"own {number}", depth, {"x": np.full(3, number, np.float32)})
    good = same(cache.get("toy", 1, list(VECTORS))) and cache.get(f"own {number}", 4, ["x"])["x"][0] == number
    cache.close()
    return bool(good)


@pytest.mark.slow
def test_several_processes_share_a_new_file(file):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.starmap(_write_and_read, [(str(file), i) for i in range(3)]) == [True] * 3
    cache = FeatureCache(file)
    assert [cache.get(f"own {i}", 0, ["x"])["x"].tolist() for i in range(3)] == [[i] * 3 for i in range(3)]
