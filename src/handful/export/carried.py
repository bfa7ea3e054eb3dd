"""Backbones that travel with a bundle: their files copied beside it, so that nothing else is needed to use it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from handful.backbones import catalog, entries, manifest
from handful.backbones.adapted_record import ORIGINAL, PARTS, is_base, original_of
from handful.backbones.base import Backbone
from handful.backbones.digests import TENSORS, content_digest
from handful.backbones.weights import memory
from handful.data.vectors import VECTORS
from handful.errors import BundleError, OptionError
from handful.export.record import is_carried_file

FOLDER = "backbones"

# What a backbone can be loaded from: numbers, settings, vocabularies, templates, and the licence. No code, no pickles.
_SUFFIXES = (TENSORS, ".jinja", ".json", ".model", ".txt")
_LICENCES = ("COPYING", "LICENCE", "LICENSE", "NOTICE")


def carry(
    names: list[str], modality: str, folder: Path, backbone: Callable[[str], Backbone], merge: bool
) -> dict[str, dict[str, str]]:
    """Put the files of backbones into a bundle.

    Args:
        names: the backbones of the bundle.
        modality: text, image, sound or vectors.
        folder: the bundle; each backbone gets a folder with a number in ``backbones``.
        backbone: gives one by its name: what it learned of the rows of a run is nowhere else, and always goes along.
        merge: whether the files of the others are copied too.

    Returns:
        Name → file within the bundle → the digest of what it says; one without weights has no files, and is left out.

    Raises:
        OptionError: a backbone has no files here that could be copied, or its weights are in no file of tensors.
        WeightsError: its weights cannot be had.
    """
    found = {}
    states = {name: backbone(name).state_files() for name in names if modality == VECTORS}
    asked = [name for name in names if states.get(name) or (merge and not catalog.is_weightless(name))]
    for number, name in enumerate(asked):
        target, state = folder / FOLDER / str(number), states.get(name, {})
        parts = {} if state else _sources(name, modality)
        for part, source in parts.items():
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / part)
        for part, content in state.items():
            target.mkdir(parents=True, exist_ok=True)
            (target / part).write_bytes(content)
        found[name] = {f"{FOLDER}/{number}/{part}": content_digest(target / part) for part in (*parts, *state)}
    return found


def place_of(folder: Path, name: str, carried: Mapping[str, str]) -> Path:
    """The folder of a carried backbone, after its files were compared with the record and with the catalogue.

    Args:
        folder: the bundle.
        name: the backbone.
        carried: what the record says: file within the bundle → the digest of what it says.

    Raises:
        BundleError: a file is missing, was changed, or is none that a backbone is loaded from; or the files are not
            those of the backbone that the catalogue knows by this name.
    """
    place = folder.joinpath(*PurePosixPath(next(iter(carried))).parts[:2])
    for file in carried:
        if not _may_be_carried(file) or folder.joinpath(*PurePosixPath(file).parts[:2]) != place:
            raise BundleError(
                f"{folder} must carry settings, vocabularies and {TENSORS} files of a backbone in a folder of its own, "
                f"got {file!r}. Restore it or export again."
            )
    for file, expected in carried.items():
        if not (folder / file).is_file() or memory().digest(folder / file) != expected:
            raise BundleError(
                f"{folder / file} is missing or was changed after it was written. Restore it or export again."
            )
    for path in sorted(place.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in carried:
            raise BundleError(f"{path} was put there after the model was written. Delete it or export again.")
    entry = entries.known(name)
    problem = (
        None
        if entry is None or entry.weightless
        else manifest.problem(place, entries.find(entry.weights), memory().digest)
    )
    if problem:
        raise BundleError(
            f"{place} must hold the weights that the catalogue knows as {name!r}, but {problem}. Export again."
        )
    return place


def _sources(name: str, modality: str) -> dict[str, Path]:
    """File in the folder of a carried backbone → what it is copied from; of an adapted base the original's as well."""
    place = catalog.files_of(name, modality)
    if not is_base(place):
        return {part: place / part for part in _parts(name, place)}
    original = original_of(str(place))
    below = catalog.files_of(original, modality)
    copies = {f"{ORIGINAL}/{part}": below / part for part in _parts(original, below)}
    return {part: place / part for part in PARTS} | copies


def _parts(name: str, source: Path) -> list[str]:
    """The files of a backbone that go with a bundle, in its folder."""
    entry = entries.known(name)
    if entry is not None:
        return sorted(entries.find(entry.weights).files)
    paths = [path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()]
    parts = [path.as_posix() for path in paths if _is_read(path) and not any(p.startswith(".") for p in path.parts)]
    if not any(part.endswith(TENSORS) for part in parts):
        raise OptionError(
            f"backbone {name!r} must hold its weights in {TENSORS} files to be carried along, got none of these. "
            "Save it anew with save_pretrained, and tune with that folder as --backbone."
        )
    return parts


def _is_read(path: Path | PurePosixPath) -> bool:
    return path.suffix in _SUFFIXES or path.stem.upper() in _LICENCES


def _may_be_carried(file: str) -> bool:
    return is_carried_file(file) and _is_read(PurePosixPath(file))
