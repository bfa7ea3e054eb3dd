"""The digest of what a file says: tensors by name, kind, shape and numbers, other files by their bytes; remembered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from handful.atomic import replaced_file
from handful.errors import MachineError, OptionError
from handful.files import open_ordinary
from handful.readback import FAILURES, parsed, plain_json

Digest = Callable[[Path], str]
"""What tells the content of a file: the file → its digest."""

TENSORS = ".safetensors"
"""How the names of files of tensors end."""

# A file that was changed less than so many nanoseconds ago may change once more without a new time of change, since
# file systems count time in steps of up to two seconds.
_SETTLED = 2_000_000_000

# The longest header of a file of tensors that its own library reads, in bytes.
_HEADER = 100_000_000

_PIECE = 1 << 20

# Bytes: more than all weights of any model that is run here.
_LARGEST = 256 << 30


def content_digest(file: Path) -> str:
    """The digest of what a file says, the same whatever library wrote it.

    Of a file of tensors the order, the padding and the remarks of its header do not count: only what is read from it.

    Args:
        file: an ordinary file.

    Returns:
        A SHA-256 as 64 hexadecimal digits; with words before it where a file of tensors cannot be read as one.

    Raises:
        OSError: the file cannot be read, or is no ordinary one.
    """
    with open_ordinary(file, _LARGEST, OSError) as stream:
        if file.suffix != TENSORS:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        spans = _spans(stream)
        if spans is not None:
            return _tensor_digest(stream, *spans)
        stream.seek(0)
        return f"no tensors, {hashlib.file_digest(stream, 'sha256').hexdigest()}"


def joint_digest(folder: Path, names: Iterable[str], digest: Digest) -> str:
    """One digest of several files of a folder.

    Args:
        folder: where they lie.
        names: which files, in any order.
        digest: what tells the content of each.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: a file is missing or cannot be read.
    """
    told = [(name, digest(folder / name)) for name in sorted(names)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


class Memory:
    """Which files were hashed, and what came out, in a small JSON file; losing it costs time, never a result.

    A file counts as known while its size, its times of change and its place on the disk are what they were. Several
    processes may write at once: the file is replaced as a whole, and what one forgets of another is hashed again.
    """

    def __init__(self, file: Path) -> None:
        """Args: file: where it lies; it need not exist."""
        self.file = file

    def digest(self, file: Path) -> str:
        """The digest of a file, hashed only where it is not known; raises as ``content_digest``."""
        kept = self._read().get(_key(file))
        return kept[1] if kept is not None and kept[0] == _stamp(file) else self.anew(file)

    def anew(self, file: Path) -> str:
        """The digest of a file, hashed whatever is known of it; raises as ``content_digest``."""
        before = _stamp(file)
        found = content_digest(file)
        if _stamp(file) == before and time.time_ns() - max(before[1:3]) >= _SETTLED:
            self._keep(_key(file), before, found)
        return found

    def _read(self) -> dict[str, tuple[list[int], str]]:
        try:
            told = parsed(self.file).items()
            return {name: (list(stamp), digest) for name, (stamp, digest) in told if isinstance(digest, str)}
        except FAILURES:  # none yet, or damaged: all is hashed again
            return {}

    def _keep(self, name: str, stamp: list[int], digest: str) -> None:
        kept = {other: told for other, told in self._read().items() if _is_there(other)}
        # In a folder that only reads, files are hashed again in every run.
        with contextlib.suppress(MachineError, OptionError), replaced_file(self.file) as fresh:
            fresh.write_text(json.dumps({**kept, name: (stamp, digest)}, indent=1), "utf-8")


def _is_there(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # a name that no file can have, in a memory that is damaged
        return False


def _key(file: Path) -> str:
    return str(file.resolve())


def _stamp(file: Path) -> list[int]:
    """What changes when a file does: size, times of change in nanoseconds, place on the disk."""
    found = file.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _spans(stream: BinaryIO) -> tuple[int, dict[str, tuple[str, list[int], int, int]]] | None:
    """Where the numbers of a file of tensors begin, and name → kind, shape, begin, end; None where it is no such file.

    As the library that reads them wants it, the tensors lie one after the other and fill the file.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > min(size - 8, _HEADER):
        return None
    try:
        header = plain_json(stream.read(length))
        header.pop("__metadata__", None)
        spans = {}
        for name, about in header.items():
            begin, end = _whole(about["data_offsets"])
            spans[name] = str(about["dtype"]), _whole(about["shape"]), begin, end
        at = 0
        for begin, end in sorted((begin, end) for _, _, begin, end in spans.values()):
            if begin != at or end < begin:
                return None
            at = end
    except FAILURES:
        return None
    return (8 + length, spans) if at == size - 8 - length else None


def _whole(numbers: list[Any]) -> list[int]:
    if any(type(number) is not int for number in numbers):
        raise TypeError("no whole number")
    return numbers


def _tensor_digest(stream: BinaryIO, start: int, spans: dict[str, tuple[str, list[int], int, int]]) -> str:
    digest = hashlib.sha256()
    for name, (kind, shape, begin, end) in sorted(spans.items()):
        digest.update(f"{json.dumps([name, kind, shape, end - begin])}\n".encode())
        stream.seek(start + begin)
        for at in range(begin, end, _PIECE):
            digest.update(stream.read(min(_PIECE, end - at)))
    return digest.hexdigest()
