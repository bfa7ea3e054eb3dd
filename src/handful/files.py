"""The one way to open a file that somebody else wrote: an ordinary one, no larger than it may be, and never a wait."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

from handful.errors import DataError

TABLE_BYTES = 16 << 30
"""The largest table or text file that is read."""

MEDIA_BYTES = 4 << 30
"""The largest picture or sound that is read: more than a whole day of speech."""

Refusal = Callable[[str], Exception]
"""Makes an error from a message."""

_BUFFER = 1 << 16

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
