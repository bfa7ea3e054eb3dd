"""Archives: unpacked once and whole, and never outside of the cache, however they are made."""

import os
import shutil
import stat
import zipfile

import pytest

from handful import files
from handful.data.archives import unpacked
from handful.data.readers import load
from handful.data.streams import stream
from handful.errors import DataError, MachineError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def packed(path, *names, content=b"x"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def classes(prefix="", each=2):
    return [f"{prefix}{name}/{i}.jpg" for name in ("ants", "bees") for i in range(each)]


def refusal(path, kind=DataError):
    with pytest.raises(kind) as error:
        unpacked(path)
    return str(error.value).replace(str(path), "a.zip")


def test_class_folders_in_an_archive(tmp_path, cache):
    path = packed(tmp_path / "my photos.zip", *classes())
    data = load(path)
    assert (data.labels, data.source) == (("ants", "ants", "bees", "bees"), str(path))
    assert all(item.is_file() and cache in item.parents for item in data.items)
    assert data.notes == (f"my photos.zip is unpacked into {data.items[0].parent.parent}",)
    assert len(next(stream(path, modality="image")).items) == 4


@pytest.mark.parametrize("prefix", ["photos/", "a/b/"])
def test_a_folder_around_everything_means_nothing(tmp_path, prefix):
    assert load(packed(tmp_path / "a.zip", *classes(prefix))).classes == ("ants", "bees")


def test_parts_of_a_split_in_an_archive(tmp_path):
    data = load(packed(tmp_path / "a.zip", *classes("set/train/"), *classes("set/test/", 1)))
    assert (data.classes, data.split.count("test")) == (("ants", "bees"), 2)


def test_one_table_in_an_archive(tmp_path):
    rows = "text,label\n" + "".join(f"number {i},{'ab'[i % 2]}\n" for i in range(8))
    assert load(packed(tmp_path / "a.zip", "data/rows.csv", content=rows)).classes == ("a", "b")


def test_metadata_in_an_archive(tmp_path):
    path = packed(tmp_path / "a.zip", *[f"set/{i}.jpg" for i in range(4)])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("set/metadata.csv", "file_name,label\n0.jpg,a\n1.jpg,b\n2.jpg,a\n3.jpg,b\n")
    assert load(path).labels == ("a", "b", "a", "b")


def test_clutter_is_not_unpacked(tmp_path):
    names = ["__MACOSX/ants/._0.jpg", "ants/.DS_Store", "ants/Thumbs.db", "ants/notes.pdf"]
    place = unpacked(packed(tmp_path / "a.zip", *classes(), *names))
    assert sorted(path.name for path in place.rglob("*") if path.is_file()) == ["0.jpg", "0.jpg", "1.jpg", "1.jpg"]


def test_it_is_unpacked_once_and_mended_where_files_are_missing(tmp_path):
    path = packed(tmp_path / "a.zip", *classes())
    place = unpacked(path)
    before = place.stat().st_mtime_ns, (place / "ants").stat().st_ino
    assert unpacked(path) == place
    assert (place.stat().st_mtime_ns, (place / "ants").stat().st_ino) == before
    (place / "ants" / "0.jpg").unlink()
    assert (unpacked(path) / "ants" / "0.jpg").is_file()


def test_another_content_under_one_name_is_another_folder(tmp_path):
    first = unpacked(packed(tmp_path / "a.zip", *classes()))
    assert unpacked(packed(tmp_path / "a.zip", *classes(), content=b"y")) != first


def test_nothing_half_unpacked_stays(tmp_path, cache, monkeypatch):
    path = packed(tmp_path / "a.zip", *classes())

    def full(source, target, length):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.shutil, "copyfileobj", full)
    assert "cannot be unpacked into" in refusal(path, MachineError)
    assert list((cache / "unpacked").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../ants/1.jpg", "ants/../../1.jpg", "/ants/1.jpg", "C:/ants/1.jpg", "..\\ants\\1.jpg"]
)
def test_a_file_outside_of_the_archive_is_refused(tmp_path, cache, name):
    path = packed(tmp_path / "a.zip", *classes(), name)
    assert refusal(path) == f"a.zip names a file outside of itself ({name}). Pack it again, from a folder."
    assert not (cache / "unpacked").exists()


def test_separators_of_windows(tmp_path):
    place = unpacked(packed(tmp_path / "a.zip", "ants\\1.jpg", "bees\\1.jpg"))
    assert sorted(path.name for path in place.iterdir()) == ["ants", "bees"]


@pytest.mark.skipif(os.name != "posix", reason="links in archives come from POSIX systems")
def test_links_are_not_made(tmp_path):
    path = packed(tmp_path / "a.zip", *classes())
    link = zipfile.ZipInfo("ants/link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert not os.path.lexists(unpacked(path) / "ants" / "link.jpg")


def test_names_in_utf_8_that_do_not_say_so(tmp_path):
    path = packed(tmp_path / "a.zip", "KAEFER/1.jpg", "bees/1.jpg")
    content = path.read_bytes().replace(b"KAEFER", "Käfer".encode())
    path.write_bytes(content)
    assert sorted(entry.name for entry in unpacked(path).iterdir()) == ["Käfer", "bees"]


def test_an_archive_that_grows_without_end_is_refused_unopened(tmp_path, cache):
    path = packed(tmp_path / "a.zip", "ants/1.bmp", content=bytes(150_000_000))
    assert refusal(path).startswith("a.zip must grow at most 200 times when it is unpacked, got 1,0")
    assert not cache.exists()


def test_a_size_that_is_a_lie_is_noticed(tmp_path, cache):
    path = packed(tmp_path / "a.zip", "ants/1.jpg", content=b"y" * 5000)
    content = path.read_bytes().replace((5000).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    path.write_bytes(content)
    assert refusal(path).startswith("a.zip is no zip file, or a damaged one (Bad CRC-32")
    assert list((cache / "unpacked").iterdir()) == []


def test_limits_of_size_and_number(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.zip", *classes())
    monkeypatch.setattr(files, "UNPACKED_BYTES", 3)
    assert refusal(path) == "a.zip, unpacked, must have at most 3 bytes, got 4 bytes. Cut it into several archives."
    monkeypatch.setattr(files, "_MOST_FILES", 3)
    assert refusal(path) == "a.zip must hold at most 3 files, got 4. Cut it into several archives."


def test_no_room_on_the_disk(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.zip", *classes(), content=bytes(1_000_000))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=2_000_000))
    assert "needs 4 MB to be unpacked, but " in refusal(path, MachineError)


def test_a_password(tmp_path):
    path = packed(tmp_path / "a.zip", "ants/1.jpg")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))
    assert refusal(path) == "a.zip is protected by a password. Unpack it yourself, and give the folder."


def test_what_is_no_archive(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"text")
    assert refusal(path) == ("a.zip is no zip file, or a damaged one (File is not a zip file). Copy or pack it again.")


def test_nothing_to_learn_from(tmp_path):
    assert refusal(packed(tmp_path / "a.zip", "a.pdf", "b.pdf", "c.doc")) == (
        "a.zip must hold pictures, sounds or a table, got 2 .pdf, 1 .doc. Choose another archive."
    )
