"""Weights in one file for a machine without a network: packed, and checked against the catalogue when unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from handful.atomic import replaced_file
from handful.backbones import manifest as manifests
from handful.backbones.digests import content_digest
from handful.backbones.entries import Entry, find
from handful.backbones.manifest import MANIFEST
from handful.backbones.weights import damaged, install, owners, place_of, present, problems, workshop
from handful.errors import OptionError, WeightsError

# Bytes that tokenizers, settings and licences take beside the numbers of the network, at the most.
_BESIDE = 16 << 20

# How much is read at once, in bytes.
_PIECE = 1 << 20

# The ways of packing a member that are read; `bundle` uses the first, and who packs an archive again mostly the second.
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# Bit of a member's flags: it can be read with a password only.
_ENCRYPTED = 1


def bundle(file: Path) -> tuple[str, ...]:
    """Pack all weights on this machine into one file, for a machine without a network.

    Args:
        file: where the zip file goes; written beside it first, then renamed.

    Returns:
        The names of what was packed.

    Raises:
        WeightsError: there are none, or some are damaged.
        MachineError: the file cannot be written.
    """
    here = [find(name) for name in present()]
    if not here:
        raise WeightsError("weights to bundle must be on this machine, but none are. Run `handful models get NAME`.")
    for name, problem in problems(anew=True).items():
        raise damaged(name, place_of(find(name)), problem)
    with replaced_file(file) as fresh, zipfile.ZipFile(fresh, "w", zipfile.ZIP_STORED) as archive:
        for entry in here:
            archive.writestr(f"{entry.name}/{MANIFEST}", manifests.of(entry).text())
            for name in entry.files:
                archive.write(place_of(entry) / name, f"{entry.name}/{name}")
    return tuple(entry.name for entry in here)


def unbundle(file: Path) -> tuple[str, ...]:
    """Unpack weights that ``bundle`` packed.

    Names and sizes are checked before anything is written, and what every file says is compared with the catalogue
    before any of it takes its place: an archive cannot bring other weights under a known name.

    Args:
        file: the zip file.

    Returns:
        The names of the weights it holds, all of them now on this machine.

    Raises:
        OptionError: there is no such file.
        WeightsError: it is no such archive, is damaged, or holds what this version does not know.
        MachineError: the cache folder cannot be written.
    """
    if not file.is_file():
        raise OptionError(f"bundle {file} must be a file, got a path where none is.")
    with _opened(file) as archive:
        entries = _checked(archive, file)
        with workshop() as shop:
            for entry in entries:
                _unpack(archive, file, entry, shop / entry.name)
            for entry in entries:
                install(entry, shop / entry.name, shop)
    return tuple(entry.name for entry in entries)


def _opened(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except Exception as error:  # a damaged zip file makes the library raise almost anything
        raise _unusable(file, f"it is cut off or no zip file ({_reason(error)})") from error


def _checked(archive: zipfile.ZipFile, file: Path) -> list[Entry]:
    """What an archive holds, by the names and sizes of its members alone."""
    known = {entry.name: entry for entry in owners()}
    members_of: dict[str, list[zipfile.ZipInfo]] = {}
    for member in archive.infolist():
        name, _, part = member.filename.partition("/")
        if name in known and not part and member.is_dir():  # tools that pack folders name them too
            continue
        if name not in known or part not in (*known[name].files, MANIFEST):
            raise _unusable(file, f"{member.filename!r} in it is none of the files of such a bundle")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _PACKED:
            raise _unusable(file, f"{member.filename} is encrypted or packed in a way that is not read")
        members_of.setdefault(name, []).append(member)
    if not members_of:
        raise _unusable(file, "it holds no weights")
    for name, members in members_of.items():
        _check_entry(archive, file, known[name], members)
    return [known[name] for name in members_of]


def _check_entry(archive: zipfile.ZipFile, file: Path, entry: Entry, members: list[zipfile.ZipInfo]) -> None:
    parts = [member.filename.partition("/")[2] for member in members]
    for part in (MANIFEST, *entry.files):
        if parts.count(part) != 1:
            raise _unusable(file, f"{entry.name}/{part} must be in it once, got {parts.count(part)} times")
    size = sum(member.file_size for member in members)
    most = 4 * entry.parameters + _BESIDE  # single precision is the widest that is kept
    small = next(member for member in members if member.filename.endswith(f"/{MANIFEST}"))
    if size > most or small.file_size > manifests.LARGEST:
        raise _unusable(file, f"its {entry.name!r} would take {size} bytes, more than such weights can")
    told = manifests.parse(b"".join(_pieces(archive, file, small.filename)))
    if told is None:
        raise _unusable(file, f"{small.filename} cannot be read")
    if told != manifests.of(entry):
        raise _unusable(file, f"its {entry.name!r} belongs to another version of handful")


def _unpack(archive: zipfile.ZipFile, file: Path, entry: Entry, folder: Path) -> None:
    """Write the files of an entry and compare what they say with the catalogue."""
    folder.mkdir()
    for part in entry.files:
        with (folder / part).open("wb") as target:
            for piece in _pieces(archive, file, f"{entry.name}/{part}"):
                target.write(piece)
    problem = manifests.problem(folder, entry, content_digest)
    if problem:
        raise _unusable(file, f"its {entry.name!r} is not what the catalogue knows: {problem}")


def _pieces(archive: zipfile.ZipFile, file: Path, member: str) -> Iterator[bytes]:
    try:
        with archive.open(member) as stream:
            while piece := stream.read(_PIECE):
                yield piece
    except Exception as error:  # a damaged member makes the library raise almost anything
        raise _unusable(file, f"{member} in it is damaged ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _unusable(file: Path, problem: str) -> WeightsError:
    return WeightsError(
        f"bundle {file} must be a file written by `handful models bundle` of this version of handful, but {problem}. "
        "Write it again and copy it anew."
    )
