"""Adapted bases: a backbone whose upper blocks learned from items without labels, saved as what moved alone."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from handful.backbones import entries, manifest
from handful.backbones.adapted_record import ADVICE, ORIGINAL, RECORD, WEIGHTS, Record, is_base, read
from handful.backbones.base import Backbone
from handful.backbones.weights import memory
from handful.errors import OptionError, WeightsError
from handful.files import read_ordinary
from handful.readback import FAILURES, damage_is, reason

Load = Callable[..., Backbone]
"""``catalog.load``: name, modality and perhaps a place → backbone."""

_FAILURES: tuple[type[Exception], ...] = (WeightsError, *FAILURES)

# Bytes: more than all weights of any model that is tuned here.
_LARGEST = 64 << 30


def write(folder: Path, record: Record, delta: Mapping[str, Tensor]) -> None:
    """Write the files of a base into a folder that is there.

    Args:
        folder: where they go.
        record: what the base says of itself; the hash of what moved is filled in.
        delta: the weights that moved, by number of the block above ``first`` and name within it.

    Raises:
        OSError: they cannot be written.
    """
    content = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in delta.items()})
    (folder / WEIGHTS).write_bytes(content)
    signed = replace(record, weights=hashlib.sha256(content).hexdigest())
    (folder / RECORD).write_text(signed.text(), encoding="utf-8")


def load(folder: Path, name: str, modality: str, load_original: Load) -> Backbone:
    """Load an adapted base: its original, with what moved in its place.

    No hub is asked for the original: a base may come from anybody, and what it names is its maker's choice.

    Args:
        folder: the base.
        name: how the backbone is called from then on.
        modality: what the items are.
        load_original: loads a backbone by name.

    Raises:
        OptionError: it is for another modality.
        WeightsError: it is damaged, or its original is gone or another one.
    """
    record = read(folder)
    if record.modality != modality:
        raise OptionError(f"backbone {name!r} is for {record.modality}, but the items are {modality}: choose another.")
    delta = _moved(folder, record)
    original = _original(folder, record, load_original)
    if original.fingerprint != record.fingerprint:
        raise WeightsError(
            f"base {folder} must have the original that it began from, {record.original!r} ({record.fingerprint}), got "
            f"{original.fingerprint}. Get the weights used then, or make it again with `handful adapt`."
        )
    return installed(original, record.first, delta, name, folder)


def installed(backbone: Backbone, first: int, delta: Mapping[str, Tensor], name: str, folder: Path) -> Backbone:
    """A backbone with other weights in its upper blocks; the one it was made from stays as it was.

    Args:
        backbone: the original.
        first: how many blocks stayed frozen.
        delta: every weight of the others.
        name: how the result is called.
        folder: where this lies, for the message.

    Raises:
        WeightsError: what moved does not fit.
    """
    top = nn.ModuleList(copy.deepcopy(list(backbone.blocks[first:])))
    wanted = {key: tuple(weight.shape) for key, weight in top.named_parameters()}
    if not wanted or wanted != {key: tuple(tensor.shape) for key, tensor in delta.items()}:
        raise WeightsError(f"{folder / WEIGHTS} must hold the weights of {backbone.name} above block {first}. {ADVICE}")
    for key, weight in top.named_parameters():
        weight.data.copy_(delta[key])
        weight.requires_grad_(False)
    made = backbone.with_top(list(top.eval()), "adapted", first)
    made.name = name
    return made


def _moved(folder: Path, record: Record) -> dict[str, Tensor]:
    """The weights that moved, by name, as they were written."""
    file = folder / WEIGHTS
    with damage_is(lambda why: WeightsError(f"{file} cannot be read ({why}). {ADVICE}"), SafetensorError):
        content = read_ordinary(file, _LARGEST, OSError)
        if hashlib.sha256(content).hexdigest() != record.weights:
            raise WeightsError(f"{file} was changed after it was written: its hash differs. {ADVICE}")
        delta: dict[str, Tensor] = load_tensors(content)
    for name, tensor in delta.items():
        if tensor.dtype != torch.float32 or not bool(tensor.isfinite().all()):
            raise WeightsError(f"{file}: {name} must be finite float32 numbers. {ADVICE}")
    return delta


def _original(folder: Path, record: Record, load_original: Load) -> Backbone:
    """The backbone that a base began from: the copy that travels with it, otherwise the one of this machine."""
    name = record.original
    try:
        if entries.known(name) is None and is_base(
            Path(name).expanduser()
        ):  # two that name each other would be looked up for ever
            raise WeightsError("it is a base itself")
        return load_original(name, record.modality, place=_copy(folder, name))
    except _FAILURES as error:
        raise WeightsError(
            f"base {folder} must find its original {name!r}, which cannot be loaded: {reason(error)}. Get it back, or "
            "make the base again with `handful adapt`."
        ) from error


def _copy(folder: Path, name: str) -> Path | None:
    """The files of the original that are to be used in place of the ones of this machine.

    Raises:
        WeightsError: a copy is not what the catalogue knows by this name, or a model of a hub was never fetched.
    """
    place, entry = folder / ORIGINAL, entries.known(name)
    if place.is_dir():
        problem = None if entry is None else manifest.problem(place, entries.find(entry.weights), memory().digest)
        if problem:
            raise WeightsError(f"the copy beside it must be what the catalogue knows, but {problem}")
        return place
    if entry is not None or name.count("/") != 1 or Path(name).is_dir():
        return None
    from handful.backbones.hub import fetched

    before = fetched(name)
    if before is None:
        raise WeightsError(f"it must have been fetched before; if you trust it: hf download {name}")
    return before
