"""Zip archives of a folder: looked through before anything is written, and unpacked once, into the cache folder."""

from __future__ import annotations

import hashlib
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from handful.atomic import NEW, workplace
from handful.data.cells import shown
from handful.data.folders import CLUTTER
from handful.data.media_names import media_kind
from handful.data.tables import TABLE_SUFFIXES
from handful.errors import DataError, MachineError
from handful.files import (
    MEDIA_BYTES,
    UNPACKED_BYTES,
    cache_folder,
    check_growth,
    open_ordinary,
    too_large,
    unpack_member,
)

_ENCRYPTED = 0x1
_UTF_8 = 0x800

# What a damaged archive makes the library raise.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def unpacked(path: Path) -> Path:
    """The folder or table that an archive holds, unpacked below the cache folder where that was not done before.

    Pictures, sounds and tables are unpacked, nothing else. Where all of it lies in one folder of folders, it is that
    one; where it is one table alone, it is that table.

    Args:
        path: a zip file.

    Raises:
        DataError: it is damaged, encrypted, too large, holds nothing to learn from, or names files outside of it.
        MachineError: the cache folder cannot be written, or has no room.
    """
    try:
        with _opened(path) as archive:
            members = _members(path, archive)
            place = cache_folder() / "unpacked" / f"{path.stem}-{_digest(path)[:12]}"
            if not _is_whole(place, members):
                _unpack(path, archive, members, place)
    except OSError as error:
        raise MachineError(
            f"{path} cannot be unpacked into {cache_folder()}: {error.strerror or error}. See to the rights of both, "
            "or name another folder in the environment variable HANDFUL_CACHE."
        ) from error
    return _inner(place)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with open_ordinary(path, UNPACKED_BYTES) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except DataError:  # one of ours, of an archive that can be read
            raise
        except _DAMAGE as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise DataError(f"{path} is no zip file, or a damaged one ({reason}). Copy or pack it again.") from error


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Place in the folder → what is unpacked to it, once nothing speaks against the archive as a whole."""
    check_growth(path, archive)
    members: dict[str, zipfile.ZipInfo] = {}
    others: Counter[str] = Counter()
    for member in archive.infolist():
        name = _name(member)
        place = PurePosixPath(name.replace("\\", "/"))
        if member.is_dir() or any(
            part.startswith(".") or part.lower() in CLUTTER for part in place.parts if part != ".."
        ):
            continue
        if place.is_absolute() or ".." in place.parts or ":" in place.parts[0] or "\0" in name:
            raise DataError(f"{path} names a file outside of itself ({shown(name)}). Pack it again, from a folder.")
        if stat.S_ISLNK(member.external_attr >> 16):
            others["a link"] += 1
        elif media_kind(place.name) or place.suffix.lower() in TABLE_SUFFIXES:
            _check_member(path, name, member)
            members[str(place)] = member
        else:
            others[place.suffix.lower() or "without suffix"] += 1
    if not members:
        kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common(3)) or "nothing"
        raise DataError(f"{path} must hold pictures, sounds or a table, got {kinds}. Choose another archive.")
    return members


def _check_member(path: Path, name: str, member: zipfile.ZipInfo) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise DataError(f"{path} is protected by a password. Unpack it yourself, and give the folder.")
    if why := too_large(member.file_size, MEDIA_BYTES):
        raise DataError(f"{shown(name)} in {path} {why}. Take it out of the archive.")


def _name(member: zipfile.ZipInfo) -> str:
    """The name of a file; programs that write UTF-8 without saying so are taken for code page 437 by the library."""
    if member.flag_bits & _UTF_8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open_ordinary(path, UNPACKED_BYTES) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _is_whole(place: Path, members: dict[str, zipfile.ZipInfo]) -> bool:
    """Whether every file is still there: whoever tidies caches may have taken some."""
    try:
        return all((place / name).stat().st_size == member.file_size for name, member in members.items())
    except OSError:
        return False


def _unpack(path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], place: Path) -> None:
    size = sum(member.file_size for member in members.values())
    place.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place.parent).free
    if size > free:
        raise MachineError(
            f"{path} needs {size / 1e6:,.0f} MB to be unpacked, but {place.parent} has {free / 1e6:,.0f} MB left. Free "
            "some space there, or name another folder in the environment variable HANDFUL_CACHE."
        )
    with workplace(place.parent) as shop:
        for name, member in members.items():
            unpack_member(archive, member, shop / NEW / name)
        if place.exists():
            shutil.rmtree(place)
        (shop / NEW).rename(place)


def _inner(place: Path) -> Path:
    """Where the classes or the table of an unpacked archive begin."""
    while True:
        (*others, first) = sorted(place.iterdir())[-2:]
        if others:
            return place
        if first.is_file():
            return first if first.suffix.lower() in TABLE_SUFFIXES else place
        if not any(entry.is_dir() or entry.suffix.lower() in TABLE_SUFFIXES for entry in first.iterdir()):
            return place
        place = first
