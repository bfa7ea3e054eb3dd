"""The hidden folder that a result is made in: put right and removed by the next command where one was killed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from handful.atomic.locks import Lock

logger = logging.getLogger(__name__)

PREFIX = ".handful-unfinished-"
"""How the name of a workplace begins."""

NEW, READY, OLD = "new", "ready", "old"
"""What is being made; the complete new folder, or the former one once the two have changed places; the former one where
they cannot change places in one step."""

_RECORD, _LOCK = "record.json", "lock"

_KNOWN = {NEW, READY, OLD, _RECORD, _LOCK}

# Where the disk knows no locks, a workplace older than this many seconds was left behind.
_ABANDONED = 24 * 3600


@contextlib.contextmanager
def workplace(parent: Path) -> Iterator[Path]:
    """Give a new hidden folder, known to others as in use until the body has ended or this process is gone.

    Args:
        parent: the folder that the result shall lie in.

    Raises:
        OSError: nothing can be written there.
    """
    tidy(parent)
    folder, lock = _opened(parent)
    try:
        yield folder
    finally:
        _settle(folder, lock)


def record(folder: Path, place: Path, names: Iterable[str]) -> None:
    """Write down what a workplace is for, before anything of the user's comes into it.

    Args:
        folder: the workplace.
        place: the folder beside it that is replaced.
        names: what a result may hold; anything else in the former one is the user's.
    """
    about = {"place": place.name, "names": sorted(set(names))}
    (folder / _RECORD).write_text(json.dumps(about), "utf-8")


def tidy(parent: Path) -> None:
    """Put right and remove what commands that were killed have left in a folder; what comes back is said in the log.

    Workplaces of commands that still run are left alone, and so are those of other users.

    Args:
        parent: where results lie; it need not exist.
    """
    try:
        with os.scandir(parent) as entries:
            folders = sorted(parent / entry.name for entry in entries if entry.name.startswith(PREFIX))
    except OSError:  # who cannot look into it has left nothing there
        return
    for folder in folders:
        with contextlib.suppress(OSError):  # somebody else is removing it, or the disk only reads
            lock = Lock.take(folder / _LOCK) if _is_workplace(folder) else None
            if lock is None:
                continue
            if lock.sure or time.time() - folder.stat().st_mtime > _ABANDONED:
                _settle(folder, lock, interrupted=True)
            else:
                lock.release()


def _opened(parent: Path) -> tuple[Path, Lock]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with contextlib.suppress(FileNotFoundError):  # taken for a leftover in the moment before it was locked
            lock = Lock.take(folder / _LOCK)
            if lock is not None:
                return folder, lock


def _is_workplace(folder: Path) -> bool:
    """Whether a folder is one of ours: of this user, and with nothing in it that we do not know."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        return False
    return {path.name for path in folder.iterdir()} <= _KNOWN


@dataclass
class _Former:
    """A folder in a workplace that may hold files of the user's."""

    folder: Path
    place: Path
    names: frozenset[str]

    def own(self) -> list[Path]:
        """What is the user's in it."""
        return sorted(path for path in self.folder.iterdir() if path.name not in self.names)

    def give_back(self, interrupted: bool) -> None:
        """Put it back where nothing is in its place, otherwise move what is the user's into what is there.

        Raises:
            OSError: it cannot be put back.
        """
        own = self.own()
        if not os.path.lexists(self.place):
            if own or self.folder.name == OLD:
                self.folder.rename(self.place)
                logger.warning("%s is again as it was before a command that was interrupted", self.place)
            return
        moved = [path.name for path in own if self._moved(path)]
        if moved and interrupted:
            logger.warning(
                "%s: back from where a command that was interrupted had left them: %s", self.place, ", ".join(moved)
            )

    def _moved(self, path: Path) -> bool:
        try:
            path.rename(_free(self.place / path.name))
        except OSError as error:
            logger.warning(
                "%s, which is yours, cannot be moved to %s: %s. Move it there yourself",
                path, self.place, error.strerror or error,
            )  # fmt: skip
            return False
        return True

    def clear(self) -> None:
        """Remove what is not the user's, and the folder where that leaves it empty."""
        for name in self.names:
            _remove(self.folder / name)
        with contextlib.suppress(OSError):  # something of the user's could not be moved out of it
            self.folder.rmdir()


def _settle(folder: Path, lock: Lock, interrupted: bool = False) -> None:
    """Give back what is the user's and remove the rest: at the end of a command, or after it was killed anywhere."""
    try:
        for former in _formers(folder):
            former.give_back(interrupted)
            former.clear()
        _remove(folder / NEW)
        if not any(os.path.lexists(folder / name) for name in (READY, OLD)):
            (folder / _RECORD).unlink(missing_ok=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning(
            "%s holds what cannot be put in its place: %s. Take from it what is yours, then delete it", folder, error
        )
    finally:
        lock.release()
    with contextlib.suppress(OSError):  # not empty where something could not be put right
        if {path.name for path in folder.iterdir()} <= {_LOCK}:
            (folder / _LOCK).unlink(missing_ok=True)
            folder.rmdir()


def _formers(folder: Path) -> list[_Former]:
    """What may be the user's in a workplace.

    Raises:
        OSError: what it is for cannot be read.
        ValueError: what it is for cannot be understood, or names what lies elsewhere.
    """
    there = [folder / name for name in (OLD, READY) if os.path.lexists(folder / name)]
    if not there:
        return []
    about = json.loads((folder / _RECORD).read_text("utf-8"))
    names = [about["place"], *about["names"]]
    if any(path.is_symlink() for path in there) or any(map(_leads_away, names)):
        raise ValueError("it points to another place")
    return [_Former(path, folder.parent / names[0], frozenset(names[1:])) for path in there]


def _leads_away(name: str) -> bool:
    return name in ("", "..") or Path(name).name != name


def _free(place: Path) -> Path:
    """A name that nothing has yet: this one, or one like it."""
    number, candidate = 1, place
    while os.path.lexists(candidate):
        number += 1
        candidate = place.with_name(f"{place.stem} ({number}){place.suffix}")
    return candidate


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
