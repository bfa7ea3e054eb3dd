"""A lock on a file that goes with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What a system says of a file that another process has locked.
_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)

PATIENCE = 120.0
"""Seconds to wait for another command that writes to the same place: writing a large model takes some."""

# Seconds between two looks whether that command has ended.
_OFTEN = 0.05


@dataclass
class Lock:
    """A lock that is held."""

    file: Path
    """What is locked."""
    sure: bool
    """Whether the disk knows locks; where it does not, others cannot tell that this one is held."""
    _handle: int

    @classmethod
    def take(cls, file: Path) -> Lock | None:
        """Lock a file, made if need be; None where it is locked already, or was deleted meanwhile.

        Raises:
            OSError: the file cannot be opened.
        """
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        sure = True
        try:
            _lock(handle)
        except OSError as error:
            if error.errno in _TAKEN:
                os.close(handle)
                return None
            sure = False
        lock = cls(file, sure, handle)
        if not lock._is_there():
            lock.release()
            return None
        return lock

    def release(self) -> None:
        """Let go of it; the file stays."""
        os.close(self._handle)

    def _is_there(self) -> bool:
        """Whether the file that is locked still has its name: who held the lock before may have deleted it."""
        try:
            return os.path.samestat(os.fstat(self._handle), self.file.stat())
        except FileNotFoundError:
            return False


if sys.platform == "win32":
    import msvcrt

    @contextlib.contextmanager
    def turn(folder: Path) -> Iterator[bool]:
        """Folders cannot be locked here: nobody waits."""
        yield True

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    @contextlib.contextmanager
    def turn(folder: Path) -> Iterator[bool]:
        """Wait until no other process has its turn in a folder, and hold it; whether it came in time.

        The folder itself is locked, so nothing of it is left over. Where the disk knows no locks, nobody waits.

        Raises:
            OSError: the folder cannot be opened.
        """
        handle = os.open(folder, os.O_RDONLY)
        try:
            yield _waited(handle)
        finally:
            with contextlib.suppress(OSError):  # also where a process that was forked meanwhile holds it too
                fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)

    def _waited(handle: int) -> bool:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                _lock(handle)
            except OSError as error:
                if error.errno not in _TAKEN:
                    return True
            else:
                return True
            if time.monotonic() > end:
                return False
            time.sleep(_OFTEN)

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
