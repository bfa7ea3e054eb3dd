"""The parts of a bundle beside its head, read back: what it reads, what moved, what it keeps of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from handful.errors import BundleError
from handful.export import own_items, reference
from handful.export.record import MOVED_WEIGHTS, moved_of, tensors_of, unreadable
from handful.export.reference import Reference
from handful.features.view import MOVED, View
from handful.readback import damage_is
from handful.run_folder import RECORD
from handful.tasks.base import HeadTask


@dataclass(frozen=True)
class Moved:
    """The weights that moved."""

    tuner: str
    """Which tuner puts them in their place."""
    first: int
    """How many blocks at the bottom stayed as they were."""
    delta: dict[str, NDArray[np.float32]]
    """The weights by name."""

    @property
    def entry(self) -> dict[str, Any]:
        """What the record of a model says of them."""
        return {"tuner": self.tuner, "first": self.first}

    def write(self, folder: Path) -> str:
        """Write them into the folder of a model, and give the name of the file."""
        content = save({name: np.ascontiguousarray(values) for name, values in self.delta.items()})
        (folder / MOVED_WEIGHTS).write_bytes(content)
        return MOVED_WEIGHTS

    @classmethod
    def read(cls, place: Path, record: dict[str, Any]) -> Moved | None:
        """Those that a record names; None where it names none.

        Raises:
            BundleError: they are damaged.
        """
        if record["moved"] is None:
            return None
        return cls(record["moved"]["tuner"], record["moved"]["first"], moved_of(place, record))


def view_of(parts: Sequence[dict[str, Any]]) -> View:
    """What is read, as the entries of a record say it."""
    return View(tuple((b["name"] + MOVED * b["moved"], b["depth"]) for b in parts))


def reference_of(place: Path, record: dict[str, Any], task: HeadTask) -> Reference | None:
    """What is kept of the training rows; None where nothing is.

    Raises:
        BundleError: it is damaged.
    """
    if record["reference"] is None:
        return None
    view, file = view_of(record["reference"]), reference.FILE
    tensors = tensors_of(place, file, record)
    return Reference.from_tensors(view, tensors, task, tuple(record["labels"]), str(place / file))


def items_of(place: Path, record: dict[str, Any]) -> tuple[Any, ...]:
    """The training items that travel with the bundle; empty where none do."""
    if own_items.FILE not in record["files"]:
        return ()
    with damage_is(unreadable(place / own_items.FILE)):
        return own_items.unpacked(tensors_of(place, own_items.FILE, record), record["modality"])


def moved_part(place: Path, record: dict[str, Any]) -> Moved | None:
    """The weights that moved; None where none did.

    Raises:
        BundleError: the record contradicts itself, or they are damaged.
    """
    reads, moved = any(part["moved"] for part in record["backbones"]), Moved.read(place, record)
    if moved is None and reads:
        raise BundleError(f"{place / RECORD} reads weights that moved, but names none. Restore it or tune again.")
    if moved is not None and not reads:
        raise BundleError(f"{place / RECORD} names weights that moved, but reads none. Restore it or tune again.")
    return moved
