"""The manifest of a weights folder: which files belong to it, their sizes and hashes, and what they came from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from handful.backbones.catalog import Entry
from handful.backbones.wheels import file_hash

MANIFEST = "manifest.json"

# Raised whenever weights that an older handful converted can no longer be loaded: they are then fetched again.
FORMAT = 1


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
    files: dict[str, tuple[int, str]]
    """File name → size in bytes and SHA-256."""
    format: int = FORMAT
    """Version of the layout."""

    def fits(self, entry: Entry) -> bool:
        """Whether it describes what this version of handful would make of this entry."""
        return (self.name, self.wheel_sha256, self.format) == (entry.name, entry.sha256, FORMAT)

    def text(self) -> str:
        """The manifest as JSON."""
        return json.dumps(asdict(self), indent=1)


def describe(folder: Path, entry: Entry) -> Manifest:
    """Hash the files of a folder and write its manifest.

    Args:
        folder: complete but for the manifest.
        entry: what the files were made from.
    """
    files = {file.name: (file.stat().st_size, file_hash(file)) for file in sorted(folder.iterdir())}
    manifest = Manifest(entry.name, f"{entry.wheel}=={entry.version}", str(entry.sha256), entry.licence, files)
    (folder / MANIFEST).write_text(manifest.text(), "utf-8")
    return manifest


def parse(text: str | bytes) -> Manifest | None:
    """Read a manifest; None where it is none, or names a file outside its own folder."""
    try:
        found = json.loads(text)
        files = {str(name): (int(size), str(sha)) for name, (size, sha) in found.pop("files").items()}
        manifest = Manifest(files=files, **found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return manifest if all(_plain(name) for name in files) else None


def read(folder: Path) -> Manifest | None:
    """The manifest of a weights folder; None where there is none that can be read."""
    file = folder / MANIFEST
    return parse(file.read_bytes()) if file.is_file() else None


def problem(folder: Path, manifest: Manifest, *, hashes: bool = False) -> str | None:
    """What is wrong with the files of a weights folder, as the end of a sentence; None where nothing is.

    Args:
        folder: where the files lie.
        manifest: what they must be.
        hashes: read and hash every file (about 0.2 s per 100 MB) rather than compare sizes only.
    """
    for name, (size, sha) in manifest.files.items():
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        found = file.stat().st_size
        if found != size:
            return f"{name} has {found} bytes instead of {size}"
        if hashes and file_hash(file) != sha:
            return f"{name} was changed (wrong SHA-256)"
    return None


def _plain(name: str) -> bool:
    """Whether a file name stays in its folder, on every system."""
    return name not in ("", ".", "..", MANIFEST) and not set(name) & set("/\\:\0")
