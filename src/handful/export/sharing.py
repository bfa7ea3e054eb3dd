"""Backbones that several models read, held in memory once, and the weights that moved for several, on disk once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from handful.atomic import linked, replaced_file
from handful.backbones.base import Backbone
from handful.export.bundle import Bundle
from handful.export.part_model import PartModel
from handful.export.record import MOVED_WEIGHTS
from handful.features.view import MOVED
from handful.run_folder import model_folder


def share_backbones(models: Sequence[Bundle | PartModel]) -> None:
    """Load the backbones of several models, and keep those that several read in memory once.

    Args:
        models: all of them; what each has loaded changes.

    Raises:
        WeightsError: a backbone is not there and cannot be fetched.
        BundleError: a backbone is not the one that a head was fitted on.
    """
    frozen: dict[tuple[str, str], Backbone] = {}
    for model in models:
        if isinstance(model, PartModel):
            if model.is_frozen:
                model.loaded = frozen.get((model.backbone_name, model.fingerprint), model.loaded)
            backbone = model.ready()
            if backbone is not None and model.is_frozen:
                frozen[model.backbone_name, model.fingerprint] = backbone
            continue
        for name, fingerprint in model.fingerprints.items():
            if (name, fingerprint) in frozen:
                model.loaded[name] = frozen[name, fingerprint]
        for name in model.view.backbones if model.fingerprints else ():  # a graph holds its own
            model.backbone(name)
        frozen |= {
            (name, model.fingerprints[name]): model.loaded[name] for name in model.fingerprints if name in model.loaded
        }
        for name in model.view.backbones:
            if name.endswith(MOVED):  # what it is called says nothing of how it moved
                own = model.loaded[name]
                model.loaded[name] = frozen.setdefault((name, own.fingerprint), own)


def store_once(runs: Sequence[Path]) -> None:
    """Let the weights that moved for several models lie on disk once, under a name in each of their folders.

    A folder that is copied elsewhere has them all the same; where the disk knows no second names, each keeps its own.

    Args:
        runs: folders of runs, just written.

    Raises:
        MachineError: a name cannot be put in the place of another.
    """
    first: dict[bytes, Path] = {}
    for file in (model_folder(run) / MOVED_WEIGHTS for run in runs):
        if not file.is_file():
            continue
        same = first.setdefault(file.read_bytes(), file)
        if same != file and not same.samefile(file):
            with replaced_file(file) as fresh:
                linked(same, fresh)


def shared_memory(models: Sequence[Bundle | PartModel]) -> list[str]:
    """What several models hold in memory once, one sentence for each backbone."""
    readers: dict[int, list[tuple[str, Backbone]]] = {}
    for model in models:
        if isinstance(model, PartModel):
            loaded = {} if model.loaded is None else {model.backbone_name: model.loaded}
        else:
            loaded = model.loaded
        for name, backbone in loaded.items():
            readers.setdefault(id(backbone), []).append((name, backbone))
    told = []
    for same in readers.values():
        name, backbone = same[0]
        if len(same) > 1:
            weights = [one for module in backbone.modules() for one in module.state_dict().values()]
            size = sum(one.numel() * one.element_size() for one in weights) / 1e6
            told.append(
                f"{len(same)} runs read {name} in memory once: {size:.0f} MB in place of {len(same) * size:.0f}"
            )
    return told
