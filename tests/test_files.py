"""The one way to open a file: what is refused at once, and that nothing is read beyond the limit."""

import io
import os
import socket

import pytest

from handful import files
from handful.errors import BundleError, DataError, WeightsError
from handful.files import kind_of_file, open_ordinary, read_ordinary, sizes_below, too_large

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and devices have names on POSIX systems only")
ADVICE = "Write what it gives into a file, and name that."


def said(path, limit=100, **options):
    with pytest.raises(DataError) as error:
        open_ordinary(path, limit, **options)
    return str(error.value).replace(str(path), "it")


def test_an_ordinary_file_is_read_and_searched(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with open_ordinary(path, 10) as file:
        assert file.read(3) == b"012"
        file.seek(8)
        assert file.read() == b"89"
        assert (file.readable(), file.seekable(), file.tell()) == (True, True, 10)
    assert file.closed
    assert read_ordinary(path, 10) == b"0123456789"
    assert kind_of_file(path) == ""


def test_a_link_to_an_ordinary_file_is_followed(tmp_path):
    (tmp_path / "a").write_bytes(b"text")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_ordinary(tmp_path / "b", 4) == b"text"


def test_an_empty_file(tmp_path):
    (tmp_path / "a").touch()
    assert read_ordinary(tmp_path / "a", 4) == b""


@posix
def test_a_pipe_without_a_writer_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a")
    assert said(tmp_path / "a") == f"it must be an ordinary file, got a pipe. {ADVICE}"


@posix
def test_a_link_to_a_device_that_never_ends(tmp_path):
    (tmp_path / "a").symlink_to("/dev/zero")
    assert said(tmp_path / "a") == f"it must be an ordinary file, got a device. {ADVICE}"


@posix
def test_a_socket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("a")
        assert said(tmp_path / "a") == f"it must be an ordinary file, got a socket. {ADVICE}"


def test_a_folder(tmp_path):
    assert said(tmp_path) == "it must be an ordinary file, got a folder. Name a file in it."


def test_a_sparse_file_of_200_gigabytes_is_refused_unread(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(200 * 10**9)
    assert said(tmp_path / "a", 16 << 30) == (
        "it must have at most 17.2 GB, got 200.0 GB. Make it smaller, or cut it into several files."
    )


@posix
def test_what_becomes_a_pipe_between_a_look_and_the_opening_is_refused_too(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"text")
    os.mkfifo(tmp_path / "b")
    really = os.open
    monkeypatch.setattr(files.os, "open", lambda path, flags: really(tmp_path / "b", flags))
    closed = []
    monkeypatch.setattr(files.os, "close", lambda handle: closed.append(handle))
    assert said(tmp_path / "a") == f"it must be an ordinary file, got a pipe. {ADVICE}"
    monkeypatch.undo()
    os.close(*closed)


@pytest.mark.parametrize(
    "read", [lambda file: file.read(), lambda file: file.read(200), lambda file: list(iter(lambda: file.read(7), b""))]
)
def test_a_file_that_grows_is_not_read_beyond_the_limit(tmp_path, read):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 90)
    with open_ordinary(path, 100) as file:
        path.write_bytes(b"x" * 101)
        with pytest.raises(DataError) as error:
            read(file)
    assert str(error.value) == (
        f"{path} must have at most 100 bytes, got more than 100 bytes. Make it smaller, or cut it into several files."
    )


def test_text_can_be_read_through_it(tmp_path):
    (tmp_path / "a").write_bytes("süß\nsauer\n".encode())
    with io.TextIOWrapper(open_ordinary(tmp_path / "a", 100), "utf-8") as file:
        assert list(file) == ["süß\n", "sauer\n"]


@pytest.mark.parametrize("kind", [BundleError, WeightsError])
def test_whoever_asks_says_which_error_it_is(tmp_path, kind):
    (tmp_path / "a").write_bytes(b"text")
    with pytest.raises(kind):
        read_ordinary(tmp_path, 4, kind)
    with pytest.raises(kind):
        read_ordinary(tmp_path / "a", 3, kind)


def test_a_file_that_is_not_there_is_left_to_whoever_asks(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_ordinary(tmp_path / "a", 3)


def test_sizes_in_words():
    assert too_large(3, 3) == ""
    assert too_large(5, 3) == "must have at most 3 bytes, got 5 bytes"
    assert too_large(5 << 30, 50 << 20) == "must have at most 52 MB, got 5.4 GB"


def test_a_folder_that_goes_away_while_sizes_are_taken_is_passed_over(tmp_path, monkeypatch):
    """As pip's temporary ones do while their size is told as progress."""
    for name, size in (("kept/a.whl", 3), ("kept/b.part", 5), ("pip-1/c.whl", 7)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    assert sorted(sizes_below(tmp_path)) == [3, 5, 7]
    assert sorted(sizes_below(tmp_path, ".whl")) == [3, 7]
    scan = os.scandir

    def gone(path):
        if str(path).endswith("pip-1"):
            raise FileNotFoundError(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", gone)
    assert sizes_below(tmp_path, ".whl") == [3]
