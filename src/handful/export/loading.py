"""Loading the backbone of a saved model: from this machine alone, and compared with the one that it was made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handful.backbones import catalog
from handful.backbones.base import Backbone
from handful.backbones.hub import fetched
from handful.backbones.wheels import Progress
from handful.data.vectors import VECTORS
from handful.errors import BundleError
from handful.features.view import View
from handful.readback import FAILURES, reason

if TYPE_CHECKING:
    from handful.export.bundle import Bundle

# How the names of shared folders of other machines begin on Windows.
_SHARES = ("//", "\\\\", "/\\", "\\/")


def untouched(
    name: str, modality: str, fingerprint: str, copy: Path | None = None, progress: Progress | None = None
) -> Backbone:
    """A backbone as it was before weights moved.

    No hub and no other machine is asked: a saved model may come from anybody, and what it names is its maker's choice.
    Weights of the catalogue are the exception; their source and their hashes are in handful itself.

    Args:
        name: as the model names it.
        modality: text, image, sound or language.
        fingerprint: of the one that the model was made with.
        copy: a copy of its files to use, where the model carries one.
        progress: told how many bytes of missing weights have arrived and how many there are.

    Raises:
        BundleError: it is not on this machine, or another one.
        WeightsError: its files are damaged.
    """
    try:
        place = _fetched(name) if copy is None else copy
        backbone = catalog.load(name, modality, place=place, progress=progress)
    except FAILURES as error:  # a name may also be no path at all
        raise BundleError(
            f"backbone {name!r}, which the model was made with, cannot be loaded: {reason(error)}. Tune again, or get "
            "the weights used then."
        ) from error
    if backbone.fingerprint != fingerprint:
        raise BundleError(
            f"backbone {name!r} must be the one that the model was made with ({fingerprint}), got "
            f"{backbone.fingerprint}. Tune again, or get the weights used then."
        )
    return backbone


def _fetched(name: str) -> Path | None:
    """The folder of a model of the hub, as it was fetched before; None for what is no model of a hub."""
    if name.startswith(_SHARES):
        raise ValueError("it lies on another machine, and a saved model asks none on its own")
    if not catalog.is_hub_id(name):
        return None
    place = fetched(name)
    if place is None:
        raise BundleError(
            f"backbone {name!r} must have been fetched before, since a saved model asks no hub on its own. If you "
            f"trust it, get it with `hf download {name}`."
        )
    return place


def with_moved(backbone: Backbone, tuner: str, first: int, delta: Mapping[str, NDArray[np.float32]]) -> Backbone:
    """A backbone with what moved in its place.

    Raises:
        BundleError: it does not fit.
    """
    from handful.training.apply_delta import installed  # a frozen model does without the training code

    try:
        return installed(backbone, tuner, first, delta)
    except FAILURES as error:
        raise BundleError(
            f"the weights that moved do not fit into {backbone.name} ({error}). Restore the model or tune again."
        ) from error


def columns_read(model: Bundle) -> tuple[str, ...] | None:
    """The columns of numbers that a model learned from, which may have no names; None where it reads no vectors."""
    if model.modality != VECTORS:
        return None
    names: tuple[str, ...] = getattr(model.backbone(model.view.backbones[0]), "columns", ())
    return names


def check_depths(backbone: Backbone, view: str, wanted: Sequence[int]) -> None:
    """Refuse a backbone that cannot be read where the model reads it.

    Args:
        backbone: the one in memory.
        view: what the model reads, in words.
        wanted: after how many blocks it is read.

    Raises:
        BundleError: it has no such depth.
    """
    depths = range(len(backbone.blocks) + 1) if backbone.blocks else backbone.search_depths
    if any(depth not in depths for depth in wanted):
        raise BundleError(
            f"the model reads {view}, but backbone {backbone.name!r} has no such depth. Restore the model or tune "
            "again."
        )


def check_width(matrix: NDArray[np.float32], width: int, what: str, view: View) -> None:
    """Refuse (N, D) features of another width than was learned from.

    Raises:
        BundleError: they are wider or narrower.
    """
    if matrix.shape[1] != width:
        raise BundleError(
            f"{what} {width} wide, but {view.name} gives {matrix.shape[1]}. Restore the model or tune again."
        )
