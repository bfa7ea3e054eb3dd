"""The feature cache: vectors on disk by (backbone fingerprint, depth, item hash), shared by all processes."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.backbones.weights import cache_folder

logger = logging.getLogger(__name__)

Vector = NDArray[np.float32]

_TABLE = """CREATE TABLE IF NOT EXISTS features (
    backbone TEXT, depth INTEGER, item TEXT, vector BLOB, PRIMARY KEY (backbone, depth, item)
) WITHOUT ROWID"""

# SQLite's own limit on variables in one statement is at least 999 in every build.
_BATCH = 500


class FeatureCache:
    """A SQLite file of feature vectors; losing it costs time, never a result.

    A damaged file is set aside and started anew; a file that cannot be opened, or stays locked for longer
    than ``patience``, is done without, and the log says so.
    """

    def __init__(self, file: Path | None, patience: float = 5.0) -> None:
        """Args: file: where the vectors lie, None for no cache; patience: seconds to wait for a lock."""
        self.file = file
        self.patience = patience
        self._connection: sqlite3.Connection | None = None

    def get(self, backbone: str, depth: int, items: Sequence[str]) -> dict[str, Vector]:
        """The vectors that are there: item hash → (D,)."""
        found: dict[str, Vector] = {}
        with self._guarded() as connection:
            if connection is None:
                return found
            for start in range(0, len(items), _BATCH):
                some = items[start : start + _BATCH]
                marks = ",".join("?" * len(some))
                query = f"SELECT item, vector FROM features WHERE backbone = ? AND depth = ? AND item IN ({marks})"
                for item, blob in connection.execute(query, (backbone, depth, *some)):
                    found[item] = np.frombuffer(blob, np.float32)
        return found

    def put(self, backbone: str, depth: int, vectors: Mapping[str, Vector]) -> None:
        """Keep vectors: item hash → (D,)."""
        rows: Iterable[tuple[str, int, str, bytes]] = [
            (backbone, depth, item, np.ascontiguousarray(vector, np.float32).tobytes())
            for item, vector in vectors.items()
        ]
        with self._guarded() as connection:
            if connection is not None:
                with connection:
                    connection.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection | None]:
        try:
            yield self._open()
        except sqlite3.OperationalError as error:  # locked, full disk, read-only: go on without
            logger.warning("feature cache %s is not used: %s", self.file, error)
            self.close()
            self.file = None
        except sqlite3.DatabaseError as error:
            logger.warning("feature cache %s was damaged (%s) and is started anew", self.file, error)
            self.close()
            self._set_aside()

    def _open(self) -> sqlite3.Connection | None:
        if self._connection is None and self.file is not None:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise sqlite3.OperationalError(str(error)) from error
            self._connection = sqlite3.connect(self.file, timeout=self.patience)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(_TABLE)
        return self._connection

    def _set_aside(self) -> None:
        assert self.file is not None
        for name in (self.file, *(self.file.with_name(self.file.name + end) for end in ("-wal", "-shm"))):
            name.unlink(missing_ok=True)


def user_cache() -> FeatureCache:
    """The feature cache of this user."""
    return FeatureCache(cache_folder() / "features.sqlite")
