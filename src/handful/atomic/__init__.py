"""Writing whole or not at all: a folder or file appears under its name only when it is complete."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from handful.atomic.locks import turn
from handful.atomic.swaps import exchange
from handful.atomic.workplaces import NEW, OLD, READY, record, tidy, workplace
from handful.errors import MachineError, OptionError

__all__ = [
    "NEW", "added_folder", "alone", "check_replaceable", "exchange", "keep", "replaced_file", "replaced_folder", "tidy",
    "workplace",
]  # fmt: skip

logger = logging.getLogger(__name__)

_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def replaced_folder(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Give a hidden folder to write into; put it in place in one step when the body ends without an error.

    Whatever else a replaced folder held is moved into the new one: it belongs to the user. Wherever a kill comes, the
    next command that looks into the folder above puts things right.

    Args:
        folder: where the result shall lie; a link is followed.
        parts: the names that the result may have in it, first the one by which an earlier result is known.

    Raises:
        OptionError: ``folder`` exists and is not ours to replace.
        MachineError: it cannot be written, or the disk is full.
    """
    check_replaceable(folder, parts[0])
    place = Path(os.path.realpath(folder))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with workplace(place.parent) as shop:
            fresh = shop / NEW
            fresh.mkdir()
            yield fresh
            _put(fresh, place, parts)
    except OSError as error:
        raise _explained(error, folder) from error


@contextlib.contextmanager
def added_folder(folder: Path, beside: Path) -> Iterator[Path]:
    """Give a hidden folder to write into; put it in place when the body ends without an error.

    Args:
        folder: where the result shall lie; nothing may be there.
        beside: the folder on the same disk in which it is made: the next command that looks there puts things right.

    Raises:
        MachineError: it cannot be written, or the disk is full.
    """
    try:
        with workplace(beside) as shop:
            fresh = shop / NEW
            fresh.mkdir()
            yield fresh
            folder.parent.mkdir(parents=True, exist_ok=True)
            fresh.rename(folder)
    except OSError as error:
        raise _explained(error, folder) from error


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """Of all commands that write to one place in this way, let one at a time do so; the others wait for it.

    Args:
        place: a file or folder, which need not exist.

    Raises:
        MachineError: another command did not end in time, or nothing can be written beside it.
    """
    above = Path(os.path.realpath(place)).parent
    with contextlib.ExitStack() as held:
        try:
            above.mkdir(parents=True, exist_ok=True)
            mine = held.enter_context(turn(above))
        except OSError as error:
            raise _explained(error, place) from error
        if not mine:
            raise MachineError(
                f"{place} was not written: another command that writes there did not end in time. Try again after it."
            )
        yield


@contextlib.contextmanager
def replaced_file(file: Path) -> Iterator[Path]:
    """Give a name in a hidden folder to write to; rename it into place when the body ends without an error.

    A link is followed. A pipe or device, such as ``/dev/stdout``, cannot be replaced and is written to directly.

    Raises:
        OptionError: ``file`` is a folder.
        MachineError: it cannot be written, or the disk is full.
    """
    try:
        if file.is_dir():
            raise OptionError(f"output {file} must be a file, got a folder. Name a file in it, such as answers.csv.")
        if file.exists() and not file.is_file():
            yield file
            return
        place = Path(os.path.realpath(file))
        place.parent.mkdir(parents=True, exist_ok=True)
        with workplace(place.parent) as shop:
            fresh = shop / NEW
            yield fresh
            fresh.replace(place)
    except OSError as error:
        raise _explained(error, file) from error


def linked(source: str | Path, target: str | Path) -> None:
    """One more name for a file, or a copy where the disk has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


# Folders of which was said that a file cannot be kept in them.
_told: set[Path] = set()


def keep(file: Path, content: bytes) -> None:
    """Write a file that only helps to go on later: where it cannot be written, that is said once, and no work is lost.

    Args:
        file: where; one that is there already is replaced, and stays where the new one cannot be written.
        content: what it shall hold.
    """
    try:
        with replaced_file(file) as target:
            target.write_bytes(content)
    except MachineError as error:
        if file.parent not in _told:
            _told.add(file.parent)
            logger.warning("%s The work goes on; if it is interrupted, --resume begins further back", error)


def check_replaceable(folder: Path, marker: str, own: Collection[Path] = ()) -> None:
    """Refuse a folder that holds something else or cannot be written, before any work is done.

    What commands that were killed left beside it is put right first.

    Args:
        folder: where a result shall lie.
        marker: the name in it by which an earlier result is known.
        own: what may lie in it beside that, since it is of the work that makes the result.

    Raises:
        OptionError: ``folder`` exists, holds something else and has no ``marker``, or cannot be replaced.
        MachineError: nothing can be written beside it.
    """
    place = Path(os.path.realpath(folder))
    tidy(place.parent)
    try:
        if place.is_dir():
            if {path.name for path in place.iterdir()} - {path.name for path in own} and not (place / marker).exists():
                raise OptionError(
                    f"output folder {folder} must be new, empty or an earlier result, got a folder with other files. "
                    "Choose another folder."
                )
            if os.path.ismount(place) or place == Path.cwd() or place in Path.cwd().parents:
                kind = "a disk of its own" if os.path.ismount(place) else "the folder you are in"
                raise OptionError(
                    f"output folder {folder} must be one that can be replaced, got {kind}. "
                    f"Choose a folder inside it, such as {folder / 'run'}."
                )
        elif place.exists():
            raise OptionError(f"output folder {folder} must be a folder, got a file. Choose another name.")
        above = next(parent for parent in place.parents if parent.exists())
    except OSError as error:
        raise _explained(error, folder) from error
    if not above.is_dir():
        raise OptionError(f"output folder {folder} must lie in a folder, but {above} is a file. Choose another name.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise MachineError(f"{folder} cannot be written: no permission in {above}. Choose another folder.")


def _put(fresh: Path, place: Path, parts: Sequence[str]) -> None:
    """Put a complete folder in its place; what was there is then in the workplace, whose end gives back from it."""
    try:
        if not place.exists():
            fresh.rename(place)
            return
    except OSError:
        if not place.exists():  # another command was faster: what it made is replaced
            raise
    shop = fresh.parent
    record(shop, place, [*parts, *(path.name for path in fresh.iterdir())])
    ready = fresh.rename(shop / READY)
    if not exchange(ready, place):
        place.rename(shop / OLD)
        ready.rename(place)


def _explained(error: OSError, place: Path) -> MachineError:
    if error.errno in _SPACE:
        return MachineError(f"{place} was not written: the disk is full. Free some space or choose another place.")
    return MachineError(f"{place} cannot be written: {error.strerror or error}. Choose another place.")
