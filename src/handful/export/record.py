"""The record of a model and its files of tensors: read and checked before anything is built from them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from handful.data.cells import is_blank
from handful.data.dataset import CLASSIFIED
from handful.data.image_text import IMAGE_TEXT
from handful.data.label_types import LABEL_TYPES, TEXT, is_written
from handful.data.vectors import VECTORS
from handful.errors import BundleError
from handful.files import read_ordinary
from handful.readback import damage_is, read_json, shortened
from handful.run_folder import DETECTOR, FINDER, HEAD, LANGUAGE, RECORD, SEGMENTER, no_run
from handful.tasks.base import HeadTask, Task
from handful.tasks.registry import TASKS, head_task

FORMAT = 6
"""Version of the files of a model; a reader refuses every other."""

# Bytes: more than all weights of any model that is tuned here.
_MOST = 64 << 30

WEIGHTS = "head.safetensors"
MOVED_WEIGHTS = "moved.safetensors"

# More blocks than any model has, and longer than any path.
_DEEPEST, _LONGEST = 10_000, 1_024

# A file of a backbone within the bundle, what no name has, the code of a language, and a SHA-256.
_CARRIED = re.compile(r"backbones/[0-9]{1,4}(/[^/\\:\x00-\x1f]{1,255})+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CODE = re.compile(r"[a-z]{2,3}")
_SHA = re.compile(r"[0-9a-f]{64}")

SPECIMEN = "specimen."
"""How the tensors of what is seen in the specimens begin; the number of the part of the view follows."""


def wrong_entry(place: Path) -> Callable[[str], BundleError]:
    """Makes the error for the record in the folder of a model from the entries that are wrong."""
    return lambda why: BundleError(f"{place / RECORD} has a missing or wrong entry ({why}). Restore it or tune again.")


def write_record(folder: Path, kind: str, task: Task, entries: Mapping[str, Any], files: Sequence[str]) -> None:
    """Write the record of a model, signed, when its other files are there.

    Args:
        folder: the folder of the model.
        kind: one of the kinds of models.
        task: what is answered.
        entries: what is said beside.
        files: the names of its files of tensors, whose hashes go into the record.
    """
    record = {
        "format": FORMAT,
        "written_by": f"handful {version('handful')}",
        "kind": kind,
        "task": task.name,
        **entries,
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }
    record["sha256"] = digest(record)
    (folder / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_record(place: Path) -> dict[str, Any]:
    """The entries of the record of a head, each of the kind it must be.

    Args:
        place: the folder of the model.

    Raises:
        BundleError: it is missing, damaged, changed, of another format or of another kind of model.
    """
    record = entries(place, HEAD)
    wrong = [name for name, holds in _ENTRIES.items() if not holds(record.get(name))]
    wrong = wrong or _misfits(record)
    if wrong:
        raise wrong_entry(place)(", ".join(wrong))
    return {
        **dict.fromkeys(_MAY_BE_MISSING),
        **record,
    }


def _misfits(record: dict[str, Any]) -> list[str]:
    """The entries that are none of the task of a record."""
    try:
        task = head_task(record["task"]).restored(record["settings"])
    except (TypeError, ValueError):
        return ["settings"]
    try:
        task.width(record["labels"])
    except ValueError:
        return ["labels"]
    label_type = record.get("label_type") or TEXT
    return [] if all(is_written(name, label_type) for name in record["labels"]) else ["label_type"]


def entries(place: Path, kind: str) -> dict[str, Any]:
    """What a record says, unchanged since it was written.

    Args:
        place: the folder of the model.
        kind: the kind of model that it must be.

    Raises:
        BundleError: it is missing, damaged, changed, of another format, or of another kind of model.
    """
    file = place / RECORD
    if not file.is_file():
        raise no_run(place, "a run folder or its model folder", RECORD)

    def unchanged(record: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        if record["format"] != FORMAT:
            raise BundleError(
                f"{file} must have format {FORMAT}, got {_plain(record['format'])} "
                f"({_plain(record.get('written_by'))}). Update handful, or tune again with this version."
            )
        if record["kind"] != kind:
            raise BundleError(_wrong_kind(file, kind, record))
        return record, record.pop("sha256", None) == digest(record)

    record, same = read_json(file, unchanged, unreadable(file))
    if not same:
        raise BundleError(f"{file} was changed after it was written: its hash differs. Restore it or tune again.")
    return record


def _wrong_kind(file: Path, wanted: str, record: dict[str, Any]) -> str:
    """What is said of a model of another kind, and what it is for."""
    got = _plain(record["task"])
    if wanted == LANGUAGE:
        return f"{file} must hold a language model, got {got}. Use `handful predict` with it."
    if wanted == DETECTOR:
        return f"{file} must hold a detector of defects, got a model of {got}. Use `handful predict` with it."
    if wanted == SEGMENTER:
        return f"{file} must hold a model of masks, got a model of {got}. Use `handful predict` with it."
    if wanted == FINDER:
        return f"{file} must hold a model of boxes, got a model of {got}. Use `handful predict` with it."
    use = "`handful chat` or `handful predict`" if record["kind"] == LANGUAGE else "`handful predict`"
    return f"{file} must hold a model of labelled items, got one of {got}. Use {use}."


def digest(record: dict[str, Any]) -> str:
    """The hash of all entries, in any order."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _holds(value: Any, **kinds: type) -> bool:
    """Whether a value is a dictionary with entries of just these kinds."""
    return isinstance(value, dict) and all(type(value.get(name)) is kind for name, kind in kinds.items())


def _is_name(value: Any) -> bool:
    """Whether it can name a backbone: it is printed, and may be looked up as a folder."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and not _CONTROL.search(value)


def is_backbone(value: Any, **kinds: type) -> bool:
    """Whether a value names a backbone and its fingerprint, with further entries of just these kinds."""
    return _holds(value, name=str, fingerprint=str, **kinds) and _is_name(value["name"])


def _is_part(value: Any) -> bool:
    return is_backbone(value, depth=int, moved=bool) and is_number_of_blocks(value["depth"])


def check_tensor(file: Path, name: str, found: NDArray[np.float32] | None, shape: tuple[int, ...]) -> None:
    """Refuse what is no array of finite float32 numbers of a shape.

    Raises:
        BundleError: it is none, or missing.
    """
    if found is None or found.shape != shape or found.dtype != np.float32 or not np.isfinite(found).all():
        raise BundleError(f"{file}: {name} must be finite float32 numbers of shape {shape}. Restore it or tune again.")


def is_number_of_blocks(value: Any) -> bool:
    """Whether a model may have so many blocks."""
    return type(value) is int and 0 <= value <= _DEEPEST


def is_moved(value: Any) -> bool:
    """Whether a value says how weights moved, or that none did."""
    return value is None or (_holds(value, tuner=str, first=int) and is_number_of_blocks(value["first"]))


def _are_labels(value: Any) -> bool:
    """Whether they are names of answers: texts, none empty."""
    return isinstance(value, list) and all(isinstance(x, str) and not is_blank(x) for x in value)


def is_carried_file(name: str) -> bool:
    """Whether it is the path of a file of a carried backbone within the bundle, which stays there on every system."""
    return _CARRIED.fullmatch(name) is not None and not {".", ".."} & set(name.split("/"))


def _are_files(value: Any) -> bool:
    """Whether they are the files of one backbone in the bundle, with their hashes: all in one folder of their own."""
    if not isinstance(value, dict) or not value:
        return False
    plain = all(map(is_carried_file, value))
    hashes = all(isinstance(sha, str) and _SHA.fullmatch(sha) for sha in value.values())
    return plain and hashes and len({name.split("/")[1] for name in value}) == 1


# Entry of the record → whether its value can be what it must be.
_ENTRIES: dict[str, Callable[[Any], bool]] = {
    "task": lambda value: isinstance(value, str) and isinstance(TASKS.get(value), HeadTask),
    "settings": lambda value: isinstance(value, dict),
    "modality": lambda value: value in (*CLASSIFIED, VECTORS, IMAGE_TEXT),
    "labels": _are_labels,
    "input": lambda value: value is None or isinstance(value, str),
    "target": lambda value: value is None or isinstance(value, str),
    # Models that were written before they were recorded have none of these five.
    "label_type": lambda value: value is None or value in LABEL_TYPES,
    "beats_reference": lambda value: value is None or isinstance(value, bool),
    "targets": lambda value: value is None or (isinstance(value, list) and all(isinstance(x, str) for x in value)),
    "group": lambda value: value is None or isinstance(value, str),
    "language": lambda value: value is None or (isinstance(value, str) and _CODE.fullmatch(value) is not None),
    "pairs": lambda value: isinstance(value, bool),
    "backbones": lambda value: isinstance(value, list) and len(value) > 0 and all(map(_is_part, value)),
    "head": lambda value: isinstance(value, str),
    "files": lambda value: isinstance(value, dict) and all(isinstance(sha, str) for sha in value.values()),
    "moved": is_moved,
    "reference": lambda value: (
        value is None
        or (isinstance(value, list) and len(value) > 0 and all(_is_part(part) and not part["moved"] for part in value))
    ),
    "carried": lambda value: isinstance(value, dict) and all(map(_are_files, value.values())),
}


_MAY_BE_MISSING = (
    "input", "target", "group", "beats_reference", "label_type", "moved", "reference", "language", "targets",
)  # fmt: skip


def tensors_of(place: Path, name: str, record: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The tensors of a file whose hash is the one in the record.

    Raises:
        BundleError: it is missing, damaged or changed.
    """
    file = place / name
    if not file.is_file():
        raise BundleError(f"{file} is missing. Restore it or tune again.")
    with damage_is(unreadable(file), SafetensorError):
        content = read_ordinary(file, _MOST, OSError)
        if hashlib.sha256(content).hexdigest() != record["files"].get(name):
            raise BundleError(f"{file} was changed after it was written: its hash differs. Restore it or tune again.")
        tensors: dict[str, NDArray[np.float32]] = load(content)
        return tensors


def unreadable(file: Path) -> Callable[[str], BundleError]:
    """Makes the error for a file of a bundle from what is wrong with it."""
    return lambda why: BundleError(f"{file} cannot be read ({why}). Restore it or tune again.")


def _plain(value: Any) -> str:
    """What a record says of itself, as it is shown before it is known to be unchanged."""
    return value if isinstance(value, str) and value.isprintable() and len(value) < _LONGEST else shortened(value)


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
    """The linear map, what it said of its witnesses, and what each part of the view saw in the specimens.

    Raises:
        BundleError: it is missing, damaged or changed, or a tensor cannot be what it must be.
    """
    file, tensors = place / WEIGHTS, tensors_of(place, WEIGHTS, record)
    numbers = head_task(record["task"]).width(record["labels"])
    width, rows = (len(tensors[name]) if name in tensors and tensors[name].ndim else 0 for name in ("coef", "witness"))
    shapes = {
        "coef": (width, numbers), "intercept": (numbers,), "witness": (rows, width), "witness_proba": (rows, numbers),
    }  # fmt: skip
    for name, shape in shapes.items():
        check_tensor(file, name, tensors.get(name), shape)
    seen = [f"{SPECIMEN}{i}" for i in range(len(record["backbones"]))]
    if any(name in tensors for name in seen):
        for name in seen:
            found = tensors.get(name)
            check_tensor(file, name, found, found.shape if found is not None and found.ndim == 2 else (1, width))
    return tensors
