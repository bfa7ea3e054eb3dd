"""The views of a pool go through the frozen blocks: a few items at a time, so that no pool fills the memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from handful.backbones.base import Backbone
from handful.data.augment.choice import views
from handful.data.augment.options import Augmentation
from handful.errors import DataError
from handful.seeding import generator
from handful.training.activations import Activations, Slice

MOST_BYTES = 1 << 30
"""Activations of more bytes than this are not kept: the items that would bring them are left out."""

# Decoded views of so many items lie in memory at a time.
_CHUNK = 32
# Activations of a chunk are kept whatever their size; what is too much is found after it.
_NO_LIMIT = 1 << 62


@dataclass(frozen=True)
class Changes:
    """What makes several views of one item."""

    count: int = 0
    """How many changed versions of each item there are; 0: the item itself is the only one."""
    options: Augmentation = field(default_factory=Augmentation)
    """Which changes are on, and how strong."""


@dataclass(frozen=True)
class PoolViews:
    """What the frozen blocks gave for the views of N items."""

    activations: Activations
    """V versions of the N items."""
    at: tuple[int, ...]
    """(N,) their positions in the pool."""
    unreadable: tuple[str, ...]
    """What is wrong with the items that cannot be read, one sentence each without its full stop."""


def pool_views(
    backbone: Backbone,
    items: Sequence[Any],
    first: int,
    changes: Changes,
    seed: int,
    goes_on: Callable[[int], bool],
    progress: Callable[[int, int], None] = lambda done, total: None,
    tokens: int | None = None,
) -> PoolViews:
    """Run the frozen blocks over the views of items, for as long as there is time and memory.

    Args:
        backbone: whose blocks run.
        items: a pool in an order by chance: what is left out are the last ones.
        first: how many blocks stay frozen.
        changes: what makes views of an item.
        seed: fixes the changes.
        goes_on: told how many items there are, says whether more are wanted.
        progress: called with items done and in all.
        tokens: how many tokens of a text are kept at most; all by default.
    """
    slices: list[list[Slice | None]] = [[] for _ in range(max(1, changes.count))]
    at: list[int] = []
    unreadable: list[str] = []
    size = 0
    for start in range(0, len(items), _CHUNK):
        if start and (size >= MOST_BYTES or not goes_on(len(at))):
            break
        chunk: dict[int, list[Any]] = {}
        for i in range(start, min(start + _CHUNK, len(items))):
            try:
                chunk[i] = _versions(items[i], backbone.modality, changes, seed, i)
            except DataError as error:
                unreadable.append(str(error).rstrip("."))
        if not chunk:
            continue
        made = Activations.of(backbone, list(zip(*chunk.values(), strict=True)), first, _NO_LIMIT).slices
        if backbone.modality == "text" and tokens is not None:
            made = [None if one is None else _shortened(one, tokens) for one in made]
        parts = [part for one in made if one is not None for part in one if part is not None]
        size += sum(part.numel() * part.element_size() for part in parts)
        for v, version in enumerate(slices):
            version += made[v * len(chunk) : (v + 1) * len(chunk)]
        at += chunk
        progress(len(at), len(items))
    flat = [part for version in slices for part in version]
    activations = Activations(backbone, [range(len(at))] * len(slices), first, flat)
    return PoolViews(activations, tuple(at), tuple(unreadable))


def _shortened(one: Slice, tokens: int) -> Slice:
    """The first tokens of a text; copied, so that the memory of the others is given back."""
    x, mask = one
    return x[:tokens].clone(), None if mask is None else mask[:tokens].clone()


def _versions(item: Any, modality: str, changes: Changes, seed: int, number: int) -> list[Any]:
    """The versions of one item; they do not depend on what other items there are."""
    if not changes.count:
        return [item]
    return views(item, modality, changes.options, changes.count, generator(seed, f"view {number}"))
