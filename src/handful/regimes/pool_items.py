"""Which items a backbone learns from without labels: what the pool holds, which backbone reads it, each item once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.backbones import catalog
from handful.backbones.adapted_record import is_base
from handful.backbones.entries import known
from handful.data.cells import shown
from handful.data.dataset import CLASSIFIED, Dataset, item_hash
from handful.data.items import PLURAL
from handful.data.pool import kinds_in, named_kinds, read_pool
from handful.data.sources import that_exists
from handful.errors import DataError, OptionError
from handful.features.bases import AUTO, named
from handful.seeding import generator

FEWEST = 100
"""Fewer different items than this would soon be learned by heart, every update showing a third of them."""

MOST = {"text": 2_000, "image": 1_000, "sound": 1_000}
"""At most so many items are learned from, of a longer pool an even sample."""


@dataclass(frozen=True)
class PoolItems:
    """The items of a pool, each once, in an order by chance."""

    items: Sequence[Any]
    """N texts, pictures or sounds."""
    hashes: Sequence[str]
    """(N,) what they are, by content."""
    source: str
    """Where they come from."""
    notes: tuple[str, ...]
    """What was left out, one sentence each."""


def backbone_for(wanted: str, pool: Dataset | str | Path) -> tuple[str, str]:
    """The backbone that is to learn from a pool, and its modality; ``auto`` where nobody named one.

    Args:
        wanted: what ``--backbone`` says.
        pool: the pool, of which no more is read here than the names of its files.

    Raises:
        DataError: the pool is not there, holds items of several kinds, or of another kind than the backbone reads.
        OptionError: the backbone cannot be adapted.
    """
    if "," in wanted:
        raise OptionError(f"backbone must be a single one to be adapted, got {wanted!r}. Name one of them.")
    name = catalog.located(wanted.strip())
    kinds = {pool.modality} if isinstance(pool, Dataset) else kinds_in(that_exists(pool))
    source = pool.source if isinstance(pool, Dataset) else shown(str(pool))
    if name != AUTO and known(name) is None and is_base(Path(name).expanduser()):
        raise OptionError(
            f"backbone {wanted!r} must not have been adapted before, got a base that `handful adapt` wrote. Put all "
            "items into one pool, and name the original."
        )
    entry = known(name)
    modality = entry.modality if entry else name.removeprefix("toy-") if name.startswith("toy-") else None
    if modality is None and len(kinds) > 1:
        raise DataError(
            f"pool {source} must hold items of one kind, got {named_kinds(kinds)}. Name the backbone that is to learn "
            "from them, such as --backbone efficientnet-lite0."
        )
    modality = modality or next(iter(kinds), "text")
    if modality not in CLASSIFIED:
        raise OptionError(
            f"backbone {wanted!r} must read texts, images or sounds to be adapted, got one for {modality}. Choose "
            f"another, such as {catalog.defaults('text')[0]}."
        )
    if kinds and modality not in kinds:
        raise DataError(
            f"pool {source} must hold {PLURAL[modality]}, which backbone {wanted} reads, got {named_kinds(kinds)}. "
            "Name another pool or another backbone."
        )
    if catalog.is_weightless(name):
        raise cannot_be_cut(name)
    return name, modality


def cannot_be_cut(name: str) -> OptionError:
    """The error for a backbone that has no blocks which could move."""
    return OptionError(f"backbone {name!r} must have blocks that can move, got one that cannot be cut. Choose another.")


def default_backbone(modality: str, items: Sequence[Any]) -> str:
    """The first default backbone for some items that has weights."""
    return next(name for name in named(AUTO, modality, items) if not catalog.is_weightless(name))


def items_of(pool: Dataset | str | Path, modality: str, seed: int, column: str | None) -> PoolItems:
    """Read a pool: an even sample of a long one, and of items that are the same only one.

    Args:
        pool: the pool.
        modality: what its items have to be.
        seed: fixes the sample and the order.
        column: the column of a table that holds the items.

    Raises:
        DataError: it cannot be read, or holds too few different items.
    """
    rng = generator(seed, "pool")
    if isinstance(pool, Dataset):
        data, total, notes = pool, len(pool), []
    else:
        data, total = read_pool(pool, modality, MOST[modality], rng, column)
        notes = list(data.notes)
    if data.pairs:
        raise DataError(f"pool {data.source} must hold one text per item, got pairs of texts. Name one column.")
    unreadable: list[str] = []
    chosen: dict[str, Any] = {}
    for i in rng.permutation(len(data))[: MOST[modality]]:
        try:
            chosen.setdefault(item_hash(data.items[i]), data.items[i])
        except (DataError, OSError) as error:
            unreadable.append(f"{shown(str(data.items[i]))} ({str(error).rstrip('.')})")
    if len(chosen) < FEWEST:
        raise DataError(
            f"pool {data.source} must hold at least {FEWEST} different {PLURAL[modality]} to learn from, got "
            f"{len(chosen)}. Add some, or tune with the backbone as it is."
        )
    if unreadable:
        notes.append(f"{len(unreadable)} of {len(data):,} items cannot be opened; the first: {unreadable[0]}.")
    if total > MOST[modality]:
        notes.append(f"Of {total:,} {PLURAL[modality]} an even sample of {MOST[modality]:,} is learned from.")
    return PoolItems(list(chosen.values()), list(chosen), data.source, tuple(notes))
