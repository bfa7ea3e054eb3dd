"""The tables of a store of answers: every layout that there was, and the way from each to the next."""

from __future__ import annotations

import contextlib
import sqlite3

# Marks the file as ours ("hfas"), so that no other program's file is taken for one.
_OURS = 0x68666173

# Every layout that there was, each as the statements that lead to it from the one before; the last one is ours.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE items (
            item TEXT PRIMARY KEY, modality TEXT NOT NULL, text TEXT, second TEXT, file TEXT
        ) WITHOUT ROWID""",
        """CREATE TABLE answers (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, item TEXT NOT NULL REFERENCES items,
            act TEXT NOT NULL, label TEXT, person TEXT NOT NULL, asked TEXT NOT NULL, guess TEXT, confidence REAL,
            model TEXT, undoes TEXT, time REAL NOT NULL
        )""",
        "CREATE INDEX answers_of_item ON answers (item)",
        "CREATE TABLE classes (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)",
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
)

VERSION = len(_MIGRATIONS)
"""The newest layout."""


def state(connection: sqlite3.Connection) -> tuple[bool, int, bool]:
    """Whether a file is a store of answers, of which version, and whether there is nothing in it yet."""
    connection.execute("BEGIN")  # all three at one moment: another process may be making the file
    ours, version, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    connection.execute("COMMIT")
    return ours == _OURS, version, not (ours or version or tables)


def is_layout(connection: sqlite3.Connection) -> bool:
    """Whether a file declares what handful declares and nothing else; a stranger's may declare what acts by itself."""
    with contextlib.closing(sqlite3.connect(":memory:")) as wanted:
        for statement in (statement for step in _MIGRATIONS for statement in step):
            wanted.execute(statement)
        return _declared(connection) == _declared(wanted)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables of an older layout, or of an empty file, to the newest; a step at a time."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()  # another process may have been faster
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    connection.execute(f"PRAGMA application_id = {_OURS}")


def _declared(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """Kind, name and definition of all that a file declares."""
    return {
        (kind, name, " ".join(str(sql).split()))
        for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master")
    }
