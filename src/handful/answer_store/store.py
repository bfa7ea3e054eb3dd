"""The answer store: what people said of items, in one SQLite file that no kill breaks and several may write at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import TypeVar

from handful.answer_store import layout
from handful.answer_store.answers import UNDO, Answer, StoredItem, agreed_labels, check_answer, not_undone
from handful.data.media_names import media_kind
from handful.errors import DataError, HandfulError, MachineError
from handful.files import kind_of_file, not_ordinary

PATIENCE = 10.0
"""How many seconds a process waits for another that is writing."""

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

Result = TypeVar("Result")

_COLUMNS = ", ".join(each.name for each in fields(Answer))
_MARKS = ", ".join("?" * len(fields(Answer)))


class AnswerStore:
    """Answers in one SQLite file; an answer that was accepted is on the disk.

    Several threads and several processes may use one file at once. What was sent as bytes lies in a folder beside it,
    named by content.
    """

    def __init__(self, file: str | Path, patience: float = PATIENCE) -> None:
        """Open a store, or make one.

        Args:
            file: where it lies; the folder above it is made if need be.
            patience: how many seconds to wait for another process that is writing.

        Raises:
            DataError: there is something else, it is damaged, or a newer version of handful wrote it.
            MachineError: it cannot be written.
        """
        self.file = Path(file)
        self.kept = self.file.with_name(f"{self.file.stem}.items")
        """The folder of what was sent as bytes."""
        self._lock = threading.RLock()
        with self._explained():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            if self.file.exists() and (kind := kind_of_file(self.file)):
                raise DataError(not_ordinary(self.file, kind))
            self._connection = sqlite3.connect(
                self.file, timeout=patience, isolation_level=None, check_same_thread=False
            )
        try:
            with self._explained():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> AnswerStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # What is kept --------------------------------------------------------------------------------------------------

    def keep(self, items: Sequence[StoredItem]) -> None:
        """Remember items; those that are known stay as they were, but for files, which may have moved."""
        rows = [astuple(item) for item in items]
        self._write(
            lambda connection: connection.executemany(
                "INSERT INTO items VALUES (?, ?, ?, ?, ?) ON CONFLICT (item) DO UPDATE SET file = excluded.file "
                "WHERE excluded.file IS NOT NULL AND excluded.file IS NOT file",
                rows,
            )
        )

    def keep_bytes(self, content: bytes, name: str, modality: str) -> StoredItem:
        """Keep the file of a picture or sound that was sent; nothing of its name but the ending is used.

        Args:
            content: the bytes of the file, which were decoded before and found to be such an item.
            name: what it was called; the ending says how to read it.
            modality: image or sound.

        Raises:
            DataError: its name has no ending that is known.
            MachineError: it cannot be written.
        """
        suffix = Path(name).suffix.lower()
        if media_kind(f"a{suffix}") != modality:
            raise DataError(f"a {modality} must have a name with an ending that is known, got {suffix!r}. Rename it.")
        digest = _digest(content)
        place = self.kept / f"{digest}{suffix}"
        with self._explained():
            if not place.exists():
                _write_durably(place, content)
        kept = StoredItem(digest, modality, file=str(place.absolute()))
        self.keep([kept])
        return kept

    def add(self, answers: Sequence[Answer], items: Sequence[StoredItem] = ()) -> list[bool]:
        """Accept answers, all or none; they are on the disk when this returns.

        Args:
            answers: what was done, in this order.
            items: what it was done about, where the store does not know them yet.

        Returns:
            Of each answer whether it is new: one whose id is known was accepted before, and is not changed.

        Raises:
            DataError: an answer is none.
            MachineError: they cannot be written; nothing was accepted.
        """
        for answer in answers:
            check_answer(answer)

        def write(connection: sqlite3.Connection) -> list[bool]:
            if items:
                self.keep(items)
            put = f"INSERT INTO answers ({_COLUMNS}) VALUES ({_MARKS}) ON CONFLICT (id) DO NOTHING"
            return [connection.execute(put, astuple(answer)).rowcount == 1 for answer in answers]

        return self._write(write)

    def undo(self, person: str, id: str | None = None) -> list[Answer]:  # noqa: A002 - as the field is called
        """Take back the last answer of a person that still stands.

        Args:
            person: who.
            id: of the taking back, made by whoever asks for it: sent twice, it is done once.

        Returns:
            The answer that was taken back; nothing where there is none.
        """

        def write(connection: sqlite3.Connection) -> list[Answer]:
            log = self.log()
            if (done := next((one for one in log if one.id == id), None)) is not None:
                return [one for one in log if one.id == done.undoes]
            back = [answer for answer in not_undone(log) if answer.person == person][-1:]
            taking = [Answer(one.item, UNDO, person=person, asked=one.asked, undoes=one.id) for one in back]
            self.add([one if id is None else replace(one, id=id) for one in taking])
            return back

        return self._write(write)

    def add_class(self, name: str) -> bool:
        """Remember a class, after those that are known; whether it is new."""
        put = "INSERT INTO classes (name) VALUES (?) ON CONFLICT (name) DO NOTHING"
        return self._write(lambda connection: connection.execute(put, (name,)).rowcount == 1)

    def set_fact(self, name: str, value: str) -> None:
        """Remember something about the whole, such as the task."""
        put = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
        self._write(lambda connection: connection.execute(put, (name, value)))

    # What there is -------------------------------------------------------------------------------------------------

    def log(self) -> list[Answer]:
        """Everything that was ever done, in order."""
        query = f"SELECT {_COLUMNS} FROM answers ORDER BY number"
        return self._read(lambda connection: [Answer(*row) for row in connection.execute(query)])

    def standing(self) -> list[Answer]:
        """The last thing that each person did about each item, of what was not taken back; in order."""
        last = {(answer.item, answer.person): answer for answer in not_undone(self.log())}
        return sorted(last.values(), key=lambda answer: answer.time)

    def labels(self) -> dict[str, str]:
        """Item → its label: what most people say; where as many say different things, what was said last."""
        return agreed_labels(self.standing())

    def items(self) -> dict[str, StoredItem]:
        """What people were asked about, by its content."""
        return self._read(
            lambda connection: {row[0]: StoredItem(*row) for row in connection.execute("SELECT * FROM items")}
        )

    def classes(self) -> list[str]:
        """The classes, in the order in which they became known."""
        return self._read(
            lambda connection: [row[0] for row in connection.execute("SELECT name FROM classes ORDER BY number")]
        )

    def fact(self, name: str) -> str | None:
        """What is remembered under a name."""
        query = "SELECT value FROM facts WHERE name = ?"
        row = self._read(lambda connection: connection.execute(query, (name,)).fetchone())
        return None if row is None else str(row[0])

    def facts(self, start: str) -> list[str]:
        """The names of what is remembered that begin with a text."""
        query = "SELECT name FROM facts WHERE substr(name, 1, ?) = ?"
        return self._read(lambda connection: [row[0] for row in connection.execute(query, (len(start), start))])

    # The file ------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Check that the file is ours and whole, and bring an older layout to the newest."""
        connection = self._connection
        connection.execute("PRAGMA trusted_schema = OFF")
        ours, version, empty = layout.state(connection)
        if not (ours or empty) or version > layout.VERSION:
            what = f"version {version} of one" if ours else "another kind of file"
            raise DataError(
                f"{self.file} must be a store of answers of version {layout.VERSION} or older, got {what}. "
                + ("Update handful." if ours else "Choose another place.")
            )
        # Another process that makes this switch right now locks it out, without waiting; one of the two is enough.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise self._damaged(found)
        if version < layout.VERSION:
            self._write(layout.migrate)
        if not layout.is_layout(connection):
            raise self._damaged("its tables are not those that handful makes")

    def _write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do all of something or nothing; within another such call, as a part of it."""
        with self._lock, self._explained():
            if self._connection.in_transaction:
                return work(self._connection)
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                done = work(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            return done

    def _read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._lock, self._explained():
            return work(self._connection)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in a sentence what is wrong with the file or the disk."""
        try:
            yield
        except HandfulError:
            raise
        except UnicodeDecodeError as error:  # SQLite quotes damaged texts
            raise self._damaged("a text in it is none") from error
        except (sqlite3.Error, OSError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the other bits say more than is asked here
            if code in _DAMAGED:
                raise self._damaged(str(error)) from error
            if code in _BUSY:
                why = "another program is writing to it and does not end. Stop that program."
            elif code in _FULL or isinstance(error, OSError):
                why = f"{getattr(error, 'strerror', None) or error}. Free some space, or choose another place."
            else:
                why = f"{error}. Choose another place."
            raise MachineError(f"{self.file} cannot be written: {why}") from error

    def _damaged(self, why: str) -> DataError:
        return DataError(
            f"{self.file} must be a whole store of answers, got a damaged one ({why}). Put a copy of it in its place; "
            "the CSV file that was written beside it holds the labels."
        )


def _digest(content: bytes) -> str:
    """The name of a file with this content, as ``item_hash`` gives it."""
    return hashlib.sha256(content).hexdigest()


def _write_durably(place: Path, content: bytes) -> None:
    """Write a file that is there whole, on the disk, or not at all."""
    place.parent.mkdir(exist_ok=True)
    fresh = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    try:
        with fresh.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
