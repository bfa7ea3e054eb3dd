"""Files that somebody else wrote, opened in one way: ordinary ones, with a limit, never a wait; and our own cache."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from handful.errors import DataError

if TYPE_CHECKING:
    import zipfile

TABLE_BYTES = 16 << 30
"""The largest table or text file that is read."""

MEDIA_BYTES = 4 << 30
"""The largest picture or sound that is read: more than a whole day of speech."""

UNPACKED_BYTES = 16 << 30
"""The most bytes that an archive may hold, unpacked."""

Refusal = Callable[[str], Exception]
"""Makes an error from a message."""

_BUFFER = 1 << 16

# Files of an archive: a disk of millions of files is slow for ever after.
_MOST_FILES = 1_000_000

# An archive that grows by this much is a trap; sound and pictures hardly shrink when they are packed, texts tenfold.
_GROWTH = 200
# A small archive may grow as it likes.
_SMALL = 100_000_000

# What is no ordinary file → what it is called.
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

# A pipe without a writer is opened at once (and then refused), and no terminal becomes that of the program. Windows
# has neither, but would otherwise change line ends and hand the file to other programs that are started.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT"))


def cache_folder() -> Path:
    """Where handful keeps weights, features and what was unpacked: ``HANDFUL_CACHE``, else the user's cache folder.

    It may not exist.
    """
    named = os.environ.get("HANDFUL_CACHE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("handful", appauthor=False))


def sizes_below(folder: Path, ending: str = "") -> list[int]:
    """The bytes of each file below a folder, or of those with an ending; others may be deleting them, and folders."""
    sizes = []
    for place, _, names in os.walk(folder):  # which passes over a folder that is gone, as Path.rglob does not
        for name in names:
            if name.endswith(ending):
                with contextlib.suppress(FileNotFoundError):
                    sizes.append((Path(place) / name).stat().st_size)
    return sizes


def kind_of_file(path: Path) -> str:
    """What is there instead of an ordinary file, such as ``a pipe``; empty for an ordinary file.

    Raises:
        OSError: there is nothing, or it may not be looked at.
    """
    return _kind(path.stat())


def open_ordinary(path: Path, limit: int, refused: Refusal = DataError) -> io.BufferedReader:
    """Open a file to read its bytes.

    A link is followed. Pipes, devices, sockets and folders are refused without being read: some of them never end, and
    others wait for ever.

    Args:
        path: the file.
        limit: how many bytes it may have; of a file that grows while it is read, no more are given either.
        refused: makes the error that says that it is no such file.

    Returns:
        The open file, at its start; it can be read, searched and closed like any other.

    Raises:
        Exception: what ``refused`` makes, where it is no ordinary file or too large.
        OSError: it does not exist or may not be read.
    """
    # Some devices act when they are opened, so one looks before; what is there may change until then, so after too.
    _check(path, path.stat(), limit, refused)
    handle = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        _check(path, os.fstat(handle), limit, refused)
        return io.BufferedReader(_Limited(handle, path, limit, refused), _BUFFER)
    except BaseException:
        os.close(handle)
        raise


def read_ordinary(path: Path, limit: int, refused: Refusal = DataError) -> bytes:
    """Read all bytes of a file, of which there may be ``limit``; everything else is as for ``open_ordinary``."""
    with open_ordinary(path, limit, refused) as file:
        return file.read()


def check_growth(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse an archive that would take far more room than it has itself.

    Raises:
        DataError: it would.
    """
    count = len(archive.infolist())
    if count > _MOST_FILES:
        raise DataError(f"{path} must hold at most {_MOST_FILES:,} files, got {count:,}. Cut it into several archives.")
    size = sum(member.file_size for member in archive.infolist())
    if why := too_large(size, UNPACKED_BYTES):
        raise DataError(f"{path}, unpacked, {why}. Cut it into several archives.")
    packed = max(1, sum(member.compress_size for member in archive.infolist()))
    if size > _SMALL and size > _GROWTH * packed:
        raise DataError(
            f"{path} must grow at most {_GROWTH} times when it is unpacked, got {size / packed:,.0f} times. "
            "Unpack it yourself if you trust it, and give the folder."
        )


def unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write one file of an archive; no more bytes than the archive says that it has.

    Raises:
        zipfile.BadZipFile: it is not what the archive says.
        OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, target.open("xb") as file:
        shutil.copyfileobj(packed, file, _BUFFER)


def write_stream(pieces: Iterable[bytes], file: Path, limit: int, name: str) -> None:
    """Write what comes in piece by piece, as by standard input, into a file of our own.

    Args:
        pieces: the bytes.
        file: where to.
        limit: how many bytes there may be.
        name: what the source is called in messages.

    Raises:
        DataError: there are more.
    """
    size = 0
    with file.open("wb") as out:
        for piece in pieces:
            size += len(piece)
            if size > limit:
                raise DataError(
                    f"{name} must have at most {_size(limit)}, got more. Give less of it, or write it into files."
                )
            out.write(piece)


class _Limited(io.FileIO):
    """An open file that gives no byte beyond a limit."""

    def __init__(self, handle: int, path: Path, limit: int, refused: Refusal) -> None:
        super().__init__(handle)
        self._path, self._limit, self._refused = path, limit, refused

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        count = super().readinto(buffer)
        self._check()
        return count

    def readall(self) -> bytes:
        pieces = []
        size = max(os.fstat(self.fileno()).st_size - self.tell(), _BUFFER)
        while piece := super().read(size):
            pieces.append(piece)
            self._check()
            size = _BUFFER
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _check(self) -> None:
        if self.tell() > self._limit:
            raise self._refused(_too_large(self._path, f"more than {_size(self._limit)}", self._limit))


def _check(path: Path, status: os.stat_result, limit: int, refused: Refusal) -> None:
    if kind := _kind(status):
        raise refused(not_ordinary(path, kind))
    if status.st_size > limit:
        raise refused(_too_large(path, _size(status.st_size), limit))


def not_ordinary(path: Path, kind: str) -> str:
    """The message for what is no ordinary file."""
    advice = "Name a file in it." if kind == "a folder" else "Write what it gives into a file, and name that."
    return f"{path} must be an ordinary file, got {kind}. {advice}"


def too_large(size: int, limit: int) -> str:
    """Why a file is too large, to go on from its name; empty where it is not."""
    return f"must have at most {_size(limit)}, got {_size(size)}" if size > limit else ""


def _too_large(path: Path, size: str, limit: int) -> str:
    return f"{path} must have at most {_size(limit)}, got {size}. Make it smaller, or cut it into several files."


def _kind(found: os.stat_result) -> str:
    if stat.S_ISREG(found.st_mode):
        return ""
    return next((name for holds, name in _KINDS if holds(found.st_mode)), "something else")


def _size(count: int) -> str:
    """A number of bytes for people."""
    if count < 10_000_000:
        return f"{count:,} bytes"
    return f"{count / 1e6:,.0f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"
