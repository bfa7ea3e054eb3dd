"""The feature cache: vectors of items and of parts by (backbone fingerprint, depth, item hash), for all processes."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import MOVED
from handful.files import cache_folder

logger = logging.getLogger(__name__)

Vector = NDArray[np.float32]
Half = NDArray[np.float16]
Places = NDArray[np.float64]
Result = TypeVar("Result")

_TABLE = """CREATE TABLE IF NOT EXISTS features (
    backbone TEXT, depth INTEGER, item TEXT, vector BLOB, PRIMARY KEY (backbone, depth, item)
) WITHOUT ROWID"""

_PARTS_TABLE = """CREATE TABLE IF NOT EXISTS parts (
    backbone TEXT, depth INTEGER, item TEXT, width INTEGER, vectors BLOB, PRIMARY KEY (backbone, depth, item)
) WITHOUT ROWID"""

# Stands in place of a depth where the places of parts lie.
_PLACES = -1

# SQLite's own limit on variables in one statement is at least 999 in every build.
_BATCH = 500

# Bytes of the checksum at the end of every vector.
_CHECK = 4


# What SQLite says of a file that is damaged, is none of its own, or was laid out by another version of handful.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


class FeatureCache:
    """A SQLite file of feature vectors; losing it costs time, never a result.

    Every vector carries a checksum, since a damaged file may still be a valid one: what does not fit is not there.
    A damaged file is started anew; a file that cannot be opened, or stays locked for longer than ``patience``, is
    done without, and the log says so.
    """

    def __init__(self, file: Path | None, patience: float = 5.0) -> None:
        """Args: file: where the vectors lie, None for no cache; patience: seconds to wait for a lock."""
        self.file = file
        self.patience = patience
        self._connection: sqlite3.Connection | None = None

    def get(self, backbone: str, depth: int, items: Sequence[str]) -> dict[str, Vector]:
        """The vectors that are there: item hash → (D,)."""

        def read(connection: sqlite3.Connection) -> dict[str, Vector]:
            found = {}
            for start in range(0, len(items), _BATCH):
                some = items[start : start + _BATCH]
                marks = ",".join("?" * len(some))
                query = f"SELECT item, vector FROM features WHERE backbone = ? AND depth = ? AND item IN ({marks})"
                rows = connection.execute(query, (backbone, depth, *some))
                for item, blob in rows:
                    vector = _unpacked(blob, _key(backbone, depth, item))
                    if vector is not None:
                        found[item] = vector
            return found

        return self._attempt(read) or {}

    def put(self, backbone: str, depth: int, vectors: Mapping[str, Vector]) -> None:
        """Keep vectors: item hash → (D,)."""
        rows = [
            (backbone, depth, item, _packed(vector, _key(backbone, depth, item))) for item, vector in vectors.items()
        ]

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", rows)

        self._attempt(write)

    def get_parts(self, backbone: str, depths: Sequence[int], item: str) -> tuple[dict[int, Half], Places] | None:
        """The parts of one item: depth → (P, D) and places (P, 2) or (P, 4); None where any of it is missing."""

        def read(connection: sqlite3.Connection) -> dict[int, tuple[int, bytes]]:
            query = "SELECT depth, width, vectors FROM parts WHERE backbone = ? AND item = ?"
            rows = connection.execute(query, (backbone, item))
            return {
                depth: (width, body)
                for depth, width, blob in rows
                if (body := _checked(blob, _key(backbone, depth, item))) is not None
            }

        stored = self._attempt(read) or {}
        if any(depth not in stored for depth in (_PLACES, *depths)):
            return None
        width, body = stored[_PLACES]
        place = np.frombuffer(body, np.float64).reshape(-1, width)
        vectors = {d: np.frombuffer(stored[d][1], np.float16).reshape(-1, stored[d][0]) for d in depths}
        return (vectors, place) if all(len(part) == len(place) for part in vectors.values()) else None

    def put_parts(self, backbone: str, item: str, vectors: Mapping[int, Half], place: Places) -> None:
        """Keep the parts of one item: depth → (P, D) in half precision, and their places."""
        arrays: dict[int, NDArray[np.floating]] = {**vectors, _PLACES: place}
        rows = [
            (backbone, depth, item, array.shape[1], _sealed(array.tobytes(), _key(backbone, depth, item)))
            for depth, array in arrays.items()
        ]

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)", rows)

        self._attempt(write)

    def forget(self, backbone: str) -> int:
        """Drop all vectors of a backbone, those with other weights on top of it among them.

        Args:
            backbone: its fingerprint.

        Returns:
            How many there were.
        """

        def drop(connection: sqlite3.Connection) -> int:
            with connection:
                told = (backbone, f"{backbone}{MOVED}*")
                connection.execute("DELETE FROM parts WHERE backbone GLOB ?", (f"{backbone}[{MOVED}#]*",))
                return connection.execute("DELETE FROM features WHERE backbone = ? OR backbone GLOB ?", told).rowcount

        return self._attempt(drop) or 0

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """Do something with the file, again where a damaged one had to be started anew; None where there is no file."""
        for again in (True, False):
            if self.file is None:
                return None
            try:
                return work(self._open(self.file))
            except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
                self.close()
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the other bits say more than is asked here
                # SQLite quotes damaged names in its messages, which may then be no text.
                damaged = code in _DAMAGED or isinstance(error, UnicodeDecodeError)
                if again and damaged and self._start_anew(self.file, error):
                    continue
                logger.warning("feature cache %s is not used: %s", self.file, error)
                self.file = None
        return None

    def _open(self, file: Path) -> sqlite3.Connection:
        if self._connection is None:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(file, timeout=self.patience)
            # Another process that makes this switch right now locks it out, without waiting; one of the two is enough.
            with contextlib.suppress(sqlite3.OperationalError):
                self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(_TABLE)
            self._connection.execute(_PARTS_TABLE)
        return self._connection

    def _start_anew(self, file: Path, error: Exception) -> bool:
        try:
            for end in ("", "-wal", "-shm"):
                file.with_name(file.name + end).unlink(missing_ok=True)
        except OSError:  # then the file is not used, and the log says so
            return False
        logger.warning("feature cache %s was damaged (%s) and is started anew", file, error)
        return True


class MemoryCache(FeatureCache):
    """The same in memory: what several models see in the same items, for as long as these are looked at."""

    def __init__(self, most: int = 0) -> None:
        """Args: most: after so many vectors of one depth all of them are forgotten; 0: nothing is."""
        super().__init__(None)
        self._most = most
        self._vectors: dict[tuple[str, int], dict[str, Vector]] = {}
        self._parts: dict[tuple[str, str], tuple[dict[int, Half], Places]] = {}

    def get(self, backbone: str, depth: int, items: Sequence[str]) -> dict[str, Vector]:
        """As in the file."""
        there = self._vectors.get((backbone, depth), {})
        return {item: there[item] for item in items if item in there}

    def put(self, backbone: str, depth: int, vectors: Mapping[str, Vector]) -> None:
        """As in the file."""
        there = self._vectors.get((backbone, depth), {})
        forget = self._most and len(there) + len(vectors) > self._most
        # A dictionary that is read elsewhere is never changed: threads of several models share this.
        self._vectors[backbone, depth] = dict(vectors) if forget else {**there, **vectors}

    def get_parts(self, backbone: str, depths: Sequence[int], item: str) -> tuple[dict[int, Half], Places] | None:
        """As in the file."""
        vectors, place = self._parts.get((backbone, item), ({}, None))
        if place is None or any(depth not in vectors for depth in depths):
            return None
        return {depth: vectors[depth] for depth in depths}, place

    def put_parts(self, backbone: str, item: str, vectors: Mapping[int, Half], place: Places) -> None:
        """As in the file."""
        known = self._parts.get((backbone, item))
        self._parts[backbone, item] = ({**(known[0] if known else {}), **vectors}, place)


def _key(backbone: str, depth: int, item: object) -> int:
    """What the checksum of a vector starts from, so that a vector cannot turn up under another name."""
    return zlib.crc32(f"{backbone} {depth} {item}".encode())


def _packed(vector: Vector, key: int) -> bytes:
    return _sealed(np.ascontiguousarray(vector, np.float32).tobytes(), key)


def _unpacked(blob: object, key: int) -> Vector | None:
    """The vector, or None where its bytes are not those that were written under this key."""
    body = _checked(blob, key)
    return None if body is None else np.frombuffer(body, np.float32)


def _sealed(body: bytes, key: int) -> bytes:
    return body + zlib.crc32(body, key).to_bytes(_CHECK, "little")


def _checked(blob: object, key: int) -> bytes | None:
    """What was sealed, or None where it is not what was written under this key."""
    if not isinstance(blob, bytes) or zlib.crc32(blob[:-_CHECK], key).to_bytes(_CHECK, "little") != blob[-_CHECK:]:
        return None
    return blob[:-_CHECK]


def user_cache() -> FeatureCache:
    """The feature cache of this user."""
    return FeatureCache(cache_folder() / "features.sqlite")
