"""The record of a bundle and its files of tensors: read and checked before anything is built from them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from handful.atomic import tidy
from handful.data.dataset import CLASSIFIED
from handful.errors import BundleError

FORMAT = 3
"""Version of the files of a bundle; a reader refuses what is newer than itself."""

RECORD = "bundle.json"
WEIGHTS = "head.safetensors"
MOVED_WEIGHTS = "moved.safetensors"

LANGUAGE = "language"
"""The task of a record that is of a language model."""


def model_folder(folder: str | Path) -> Path:
    """The folder of a model: the one given, or ``model/`` in a run folder.

    What commands that were killed left beside the model or its run is put right first.
    """
    place = Path(folder)
    for above in list(Path(os.path.realpath(place)).parents)[:2]:
        tidy(above)
    return place / "model" if (place / "model" / RECORD).exists() else place


def is_speaker(folder: str | Path) -> bool:
    """Whether a run or model folder holds a language model; False where nothing can be read."""
    try:
        record = json.loads((model_folder(folder) / RECORD).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.get("task") == LANGUAGE


def read_record(place: Path) -> dict[str, Any]:
    """The entries of a bundle's record, each of the kind it must be.

    Args:
        place: the folder of the bundle.

    Raises:
        BundleError: it is missing, damaged, changed, or of another format.
    """
    record = entries(place, FORMAT)
    wrong = [name for name, holds in _ENTRIES.items() if not holds(record.get(name))]
    if wrong:
        file = place / RECORD
        raise BundleError(f"{file} has a missing or wrong entry ({', '.join(wrong)}). Restore it or tune again.")
    return {"input": None, "moved": None, "reference": None, **record}


def entries(place: Path, wanted: int, language: bool = False) -> dict[str, Any]:
    """What a record says, unchanged since it was written.

    Args:
        place: the folder of the model.
        wanted: the format that it must have.
        language: whether it must be of a language model.

    Raises:
        BundleError: it is missing, damaged, changed, of another format, or not of a language model.
    """
    file = place / RECORD
    if not file.is_file():
        raise BundleError(
            f"{place} must be a run folder or its model folder, but there is no {RECORD} in it. "
            "Name the folder that `handful tune` wrote."
        )
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        version, task = record["format"], record["task"] if language else LANGUAGE
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{file} cannot be read ({error}). Restore it or tune again.") from error
    if task != LANGUAGE:
        raise BundleError(f"{file} must hold a language model, got {task}. Use `handful predict` with it.")
    if version != wanted:
        raise BundleError(
            f"{file} must have format {wanted}, got {version} ({record.get('written_by', 'unknown writer')}). "
            "Update handful, or tune again with this version."
        )
    if record.pop("sha256", None) != digest(record):
        raise BundleError(f"{file} was changed after it was written: its hash differs. Restore it or tune again.")
    return record


def digest(record: dict[str, Any]) -> str:
    """The hash of all entries, in any order."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _holds(value: Any, **kinds: type) -> bool:
    """Whether a value is a dictionary with entries of just these kinds."""
    return isinstance(value, dict) and all(type(value.get(name)) is kind for name, kind in kinds.items())


def _is_part(value: Any) -> bool:
    return _holds(value, name=str, depth=int, fingerprint=str, moved=bool)


# Entry of the record → whether its value can be what it must be.
_ENTRIES: dict[str, Callable[[Any], bool]] = {
    "modality": lambda value: value in CLASSIFIED,
    "labels": lambda value: isinstance(value, list) and len(value) > 1 and all(isinstance(x, str) for x in value),
    "input": lambda value: value is None or isinstance(value, str),
    "backbones": lambda value: isinstance(value, list) and len(value) > 0 and all(map(_is_part, value)),
    "head": lambda value: isinstance(value, str),
    "files": lambda value: isinstance(value, dict),
    "moved": lambda value: value is None or _holds(value, tuner=str, first=int),
    "reference": lambda value: (
        value is None
        or (isinstance(value, list) and len(value) > 0 and all(_is_part(part) and not part["moved"] for part in value))
    ),
    "carried": lambda value: isinstance(value, dict) and all(isinstance(v, dict) and v for v in value.values()),
}


def tensors_of(place: Path, name: str, record: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The tensors of a file whose hash is the one in the record.

    Raises:
        BundleError: it is missing, damaged or changed.
    """
    file = place / name
    if not file.is_file():
        raise BundleError(f"{file} is missing. Restore it or tune again.")
    try:
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != record["files"].get(name):
            raise BundleError(f"{file} was changed after it was written: its hash differs. Restore it or tune again.")
        tensors: dict[str, NDArray[np.float32]] = load(content)
    except (OSError, SafetensorError, KeyError) as error:  # KeyError: a kind of number that NumPy lacks
        raise BundleError(f"{file} cannot be read ({error}). Restore it or tune again.") from error
    return tensors


def moved_of(place: Path, record: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The weights that moved, by name.

    Raises:
        BundleError: the file is missing, damaged or changed, or holds what is no weight.
    """
    delta = tensors_of(place, MOVED_WEIGHTS, record)
    for name, found in delta.items():
        if found.dtype != np.float32 or not np.isfinite(found).all():
            raise BundleError(
                f"{place / MOVED_WEIGHTS}: {name} must be finite float32 numbers. Restore it or tune again."
            )
    return delta


def head_of(place: Path, record: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The linear map and what it said of its witnesses.

    Raises:
        BundleError: it is missing, damaged or changed, or a tensor cannot be what it must be.
    """
    file, tensors = place / WEIGHTS, tensors_of(place, WEIGHTS, record)
    classes = len(record["labels"])
    width, rows = (len(tensors[name]) if name in tensors and tensors[name].ndim else 0 for name in ("coef", "witness"))
    shapes = {
        "coef": (width, classes), "intercept": (classes,), "witness": (rows, width), "witness_proba": (rows, classes),
    }  # fmt: skip
    for name, shape in shapes.items():
        found = tensors.get(name)
        if found is None or found.shape != shape or found.dtype != np.float32 or not np.isfinite(found).all():
            raise BundleError(
                f"{file}: {name} must be finite float32 numbers of shape {shape}. Restore it or tune again."
            )
    return tensors
