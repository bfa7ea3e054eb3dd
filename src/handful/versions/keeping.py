"""Keeping versions: what is in a run folder becomes one when a newer run takes its place, and can be brought back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handful.atomic import added_folder, alone, linked, replaced_folder
from handful.data.cells import shown
from handful.errors import BundleError, OptionError
from handful.run_folder import SCORES
from handful.versions.record import (
    MADE_BY,
    PARTS,
    RECORD,
    VERSIONS,
    Record,
    Version,
    check_versions,
    current,
    made_at,
    named,
    next_number,
    number_of,
    run_of,
    version,
)  # fmt: skip


@contextmanager
def keep(folder: Path, reason: str = MADE_BY[0]) -> Iterator[Path]:
    """Give a hidden folder to write a run into; in one step it takes the place of the one that was there.

    What is in the folder now becomes ``versions/NNNN`` of the new one, beside all earlier versions, by links to the
    same files where the disk has them. A kill leaves the old run with its versions or the new one with one more.

    Args:
        folder: where the run shall lie.
        reason: how it came about, see ``MADE_BY``.

    Raises:
        OptionError: the folder exists and is not a run.
        BundleError: the versions there are not what handful wrote.
        MachineError: it cannot be written, or the disk is full.
    """
    check_versions(folder)
    with alone(folder), replaced_folder(folder, (*PARTS, VERSIONS)) as target:
        yield target
        Record.now(_carry(folder, target), reason).write(target)


@contextmanager
def keep_beside(folder: Path, reason: str) -> Iterator[Path]:
    """Give a hidden folder to write a run into; it becomes a version of the run that is there, which stays in use.

    Args:
        folder: the run folder.
        reason: how it came about.

    Raises:
        BundleError: there is no run, or its versions are not what handful wrote.
        MachineError: it cannot be written, or the disk is full.
    """
    place = run_of(folder)
    with alone(place):
        in_use = number_of(place)
        if not (place / RECORD).is_file():  # of a run of old; a later version must not take its number
            Record(in_use, made_at(place), MADE_BY[0]).write(place)
        number = next_number(place)
        with added_folder(place / VERSIONS / named(number), place.parent) as target:
            yield target
            Record.now(number, reason).write(target)


def roll_back(folder: str | Path, number: int) -> Version:
    """Put an earlier version in use again; the one that is in use now is kept as a version, and so are all others.

    Args:
        folder: the run folder.
        number: of the version.

    Returns:
        The version that is in use now: with a number of its own, so that history stays a line.

    Raises:
        BundleError: it is no run folder, or a record is damaged.
        OptionError: there is no such version, or it is in use already.
        MachineError: it cannot be written, or the disk is full.
    """
    place = run_of(folder)
    wanted = version(place, number)
    if wanted.current:
        raise OptionError(f"version {number} of {shown(str(folder))} is in use already. Choose an earlier one.")
    if wanted.damage:
        raise BundleError(f"version {number} of {shown(str(folder))} cannot be used: {wanted.damage}. Choose another.")
    with keep(place, f"rolled back to {number}") as target:
        for part in PARTS[:-1]:  # copies: whoever changes a file of the run changes no version
            _bring(wanted.path / part, target / part, shutil.copy2)
    return current(place)


def _carry(place: Path, target: Path) -> int:
    """Put the run that is there, and its versions, into the folder that takes its place; the number of the new one."""
    number = next_number(place)
    if not (place / SCORES).is_file():
        return number
    (target / VERSIONS).mkdir()
    for path in sorted((place / VERSIONS).iterdir()) if (place / VERSIONS).is_dir() else ():
        _bring(path, target / VERSIONS / path.name, linked)
    own = target / VERSIONS / named(number_of(place))
    own.mkdir()
    for part in PARTS:
        _bring(place / part, own / part, linked)
    if not (own / RECORD).is_file():  # of a run of old
        Record(int(own.name), made_at(place), MADE_BY[0]).write(own)
    return number


def _bring(source: Path, target: Path, one: Callable[[Any, Any], object]) -> None:
    """A file or folder to another place, file by file; links stay links, what is not there is left out."""
    if source.is_symlink():
        target.symlink_to(source.parent.absolute() / source.readlink())
    elif source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=one)
    elif source.exists():
        one(source, target)
