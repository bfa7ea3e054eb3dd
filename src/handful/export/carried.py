"""Backbones that travel with a bundle: their files copied beside it, so that nothing else is needed to use it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from handful.backbones import catalog
from handful.backbones.wheels import file_hash
from handful.errors import BundleError

FOLDER = "backbones"


def carry(names: list[str], modality: str, folder: Path) -> dict[str, dict[str, str]]:
    """Copy the files of backbones into a bundle.

    Args:
        names: the backbones of the bundle.
        modality: text, image or sound.
        folder: the bundle; each backbone gets a folder with a number in ``backbones``.

    Returns:
        Name → file within the bundle → its SHA-256.

    Raises:
        OptionError: a backbone has no files here that could be copied.
        WeightsError: its weights cannot be had.
    """
    found = {}
    for number, name in enumerate(names):
        target = folder / FOLDER / str(number)
        shutil.copytree(catalog.files_of(name, modality), target)
        files = sorted(path for path in target.rglob("*") if path.is_file())
        found[name] = {path.relative_to(folder).as_posix(): file_hash(path) for path in files}
    return found


def place_of(folder: Path, carried: Mapping[str, str]) -> Path:
    """The folder of a carried backbone, after its files were compared with their hashes.

    Raises:
        BundleError: a file is missing or was changed.
    """
    for name, expected in carried.items():
        file = folder / name
        if ".." in Path(name).parts or not file.is_file() or file_hash(file) != expected:
            raise BundleError(f"{file} is missing or was changed after it was written. Restore it or export again.")
    return folder.joinpath(*Path(next(iter(carried))).parts[:2])
