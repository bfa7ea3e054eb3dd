"""The parts of a bundle beside its head, read back: what it reads, what moved, what it keeps of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import BundleError
from handful.export import own_items, reference
from handful.export.record import RECORD, moved_of, tensors_of, unreadable
from handful.export.reference import Reference
from handful.features.view import MOVED, View
from handful.readback import damage_is
from handful.tasks.base import Task


@dataclass(frozen=True)
class Moved:
    """The weights that moved."""

    tuner: str
    """Which tuner puts them in their place."""
    first: int
    """How many blocks at the bottom stayed as they were."""
    delta: dict[str, NDArray[np.float32]]
    """The weights by name."""


def view_of(parts: Sequence[dict[str, Any]]) -> View:
    """What is read, as the entries of a record say it."""
    return View(tuple((b["name"] + MOVED * b["moved"], b["depth"]) for b in parts))


def reference_of(place: Path, record: dict[str, Any], task: Task) -> Reference | None:
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
    reads = any(part["moved"] for part in record["backbones"])
    if record["moved"] is None:
        if reads:
            raise BundleError(f"{place / RECORD} reads weights that moved, but names none. Restore it or tune again.")
        return None
    delta = moved_of(place, record)
    if not reads:
        raise BundleError(f"{place / RECORD} names weights that moved, but reads none. Restore it or tune again.")
    return Moved(record["moved"]["tuner"], record["moved"]["first"], delta)
