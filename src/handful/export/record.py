"""The record of a bundle and its files of tensors: read and checked before anything is built from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from handful.data.dataset import CLASSIFIED
from handful.errors import BundleError

FORMAT = 3
"""Version of the files of a bundle; a reader refuses what is newer than itself."""

RECORD = "bundle.json"
WEIGHTS = "head.safetensors"


def is_speaker(folder: str | Path) -> bool:
    """Whether a run or model folder holds a language model; False where nothing can be read."""
    place = Path(folder)
    file = place / "model" / RECORD if (place / "model" / RECORD).exists() else place / RECORD
    try:
        record = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.get("task") == "language"


def read_record(place: Path) -> dict[str, Any]:
    """The entries of a bundle's record.

    Args:
        place: the folder of the bundle.

    Raises:
        BundleError: it is missing, damaged, changed, or of another format.
    """
    file = place / RECORD
    if not file.is_file():
        raise BundleError(
            f"{place} must be a run folder or its model folder, but there is no {RECORD} in it. "
            "Name the folder that `handful tune` wrote."
        )
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        version = record["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{file} cannot be read ({error}). Restore it or tune again.") from error
    if version != FORMAT:
        raise BundleError(
            f"{file} must have format {FORMAT}, got {version} ({record.get('written_by', 'unknown writer')}). "
            "Update handful, or tune again with this version."
        )
    if record.pop("sha256", None) != digest(record):
        raise BundleError(f"{file} was changed after it was written: its hash differs. Restore it or tune again.")
    wrong = [name for name, holds in _ENTRIES.items() if not holds(record.get(name))]
    if wrong:
        raise BundleError(f"{file} has a missing or wrong entry ({', '.join(wrong)}). Restore it or tune again.")
    return {"input": None, "moved": None, "reference": None, **record}


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
