"""Kept activations: the blocks that do not move run once per item, and an update starts from what they gave."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.backbones.base import Backbone, State, default_device
from handful.features.extract import batches

if TYPE_CHECKING:
    from handful.training.batches import Wanted  # which reads what is kept here

MOST = 1 << 30
"""Activations of more than this many bytes are not kept: the lower blocks then run again in every update."""

Slice = tuple[Tensor, Tensor | None]
"""The activations of one item, (T, D), (C, H, W) or one row per window, and which of them are real."""


@dataclass
class Activations:
    """What the frozen lower blocks give for N items, in V versions of each (the item itself, then augmented ones)."""

    backbone: Backbone
    """Whose blocks ran."""
    versions: Sequence[Sequence[Any]]
    """V sequences of N items."""
    depth: int
    """After how many blocks."""
    slices: list[Slice | None] = field(default_factory=list)
    """V · N slices, None where they have to be computed again each time."""
    names: int = 0
    """How many of the items, the last ones, are the names of the classes, in the order of their numbers."""

    @classmethod
    def of(
        cls,
        backbone: Backbone,
        versions: Sequence[Sequence[Any]],
        depth: int,
        most: int = MOST,
        progress: Callable[[int, int], None] = lambda done, total: None,
        names: Sequence[str] = (),
    ) -> Activations:
        """Run the lower blocks over every version of every item.

        Args:
            backbone: whose blocks run.
            versions: V sequences of N items.
            depth: how many blocks stay frozen.
            most: bytes that may be kept; beyond, nothing is.
            progress: called with items done and in all.
            names: what stands for each class as an item, to be learned from like the items: they come last.
        """
        versions = [[*version, *names] for version in versions]
        items = [item for version in versions for item in version]
        made = cls(backbone, versions, depth, [None] * len(items), len(names))
        bytes_kept = 0
        for at in batches(backbone, items, range(len(items))):
            for i, found in zip(at, slices_of(made._run([items[i] for i in at]), len(at)), strict=True):
                made.slices[i] = found
                bytes_kept += sum(map(size_of, found))
            if bytes_kept > most:
                made.slices = [None] * len(items)
                break
            progress(sum(part is not None for part in made.slices), len(items))
        return made

    def __len__(self) -> int:
        return len(self.versions[0])

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: nothing on a GPU, which it may not have, and no item that nobody reads."""
        state = dict(vars(self))
        if self.cached:
            state["versions"] = [range(len(self)) for _ in self.versions]
        if self.backbone.device.type != "cpu":
            state["backbone"] = copy.deepcopy(self.backbone).to("cpu")
            state["slices"] = _placed(self.slices, torch.device("cpu"))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive on the fastest device here."""
        vars(self).update(state)
        device = default_device()
        if device.type != "cpu":
            self.backbone, self.slices = self.backbone.to(device), _placed(self.slices, device)

    @property
    def together(self) -> int:
        """How many items may go through at once."""
        return sys.maxsize

    @property
    def texts(self) -> bool:
        """Whether items are texts, the only ones that have tokens to leave out."""
        return self.backbone.modality == "text"

    @property
    def cached(self) -> bool:
        """Whether an update costs only the blocks that move."""
        return all(part is not None for part in self.slices)

    def state(self, rows: Sequence[int], versions: Sequence[int] | None = None, tokens: int | None = None) -> State:
        """The activations of some items as one batch.

        Args:
            rows: B positions of items.
            versions: B numbers of versions; the items themselves by default.
            tokens: how many tokens of a text at most; all by default.
        """
        at = [row + len(self) * version for row, version in zip(rows, versions or [0] * len(rows), strict=True)]
        found = [self.slices[i] for i in at]
        if any(part is None for part in found):
            flat = [self.versions[i // len(self)][i % len(self)] for i in at]
            return self._first(self._run(flat), tokens)
        return self._first(joined([part for part in found if part is not None]), tokens)

    def example(self, row: int) -> State:
        """What of one item may stand for all."""
        return self.state([row])

    def units(self, rows: int) -> int:
        """About how many of what updates draw from so many items are: by default just these."""
        return rows

    def drawn_from(self, rows: NDArray[np.int64], wanted: Wanted) -> tuple[Activations, NDArray[np.int64], Wanted]:
        """What updates draw from, and what is wanted of it: by default rows as they are."""
        return self, rows, wanted

    def _first(self, state: State, tokens: int | None) -> State:
        """The first tokens of texts; pictures and sounds as they are."""
        if tokens is None or not self.texts or state.mask is None or state.mask.shape[1] <= tokens:
            return state
        return replace(state, x=state.x[:, :tokens].contiguous(), mask=state.mask[:, :tokens])

    def alike(self, rows: Sequence[int], tokens: int | None = None) -> list[list[int]]:
        """Positions within ``rows`` in groups of items of about equal length, so that little is padded.

        The longest of a group is at most half as long again as the shortest, or so short that padding costs next to
        nothing; where nothing is kept, or nothing is padded, all rows are one group.
        """
        parts = [self.slices[row] for row in rows]
        if any(part is None or part[1] is None or part[1].dim() == 2 for part in parts):
            return [list(range(len(rows)))]
        lengths = [0 if part is None else length_of(part) for part in parts]
        if tokens is not None and self.texts:
            lengths = [min(length, tokens) for length in lengths]
        return self.grouped(lengths)

    def grouped(self, lengths: Sequence[int], pads: bool = True) -> list[list[int]]:
        """Positions of items of about equal length together; of just the same length where nothing can be padded."""
        groups: list[list[int]] = []
        for i in sorted(range(len(lengths)), key=lambda i: lengths[i], reverse=True):
            longest = lengths[groups[-1][0]] if groups else 0
            apart = (
                3 * lengths[i] < 2 * longest and longest > self.backbone.pads_up_to if pads else lengths[i] < longest
            )
            if not groups or apart:
                groups.append([])
            groups[-1].append(i)
        return groups

    def states(self, rows: Sequence[int]) -> Iterator[tuple[list[int], State]]:
        """All the given rows in batches of about equal length: positions within ``rows``, and their state."""
        step = min(self.backbone.batch_items, self.together)
        for group in self.alike(rows):
            for start in range(0, len(group), step):
                at = group[start : start + step]
                yield at, self.state([rows[i] for i in at])

    def seen_by(self, top: Callable[[State], Tensor], rows: Sequence[int]) -> NDArray[np.float32]:
        """What the blocks above see in some rows. M rows → (M, D).

        Args:
            top: a state → the features of its items, (B, D).
            rows: M positions of items.
        """
        found: dict[int, NDArray[np.float32]] = {}
        with torch.inference_mode():
            for at, state in self.states(rows):
                found.update(zip(at, top(state).float().cpu().numpy(), strict=True))
        return np.stack([found[i] for i in range(len(rows))])

    @cached_property
    def frozen(self) -> NDArray[np.float32]:
        """What the whole backbone, as it is, sees in every item, (N, D), or in the words of all of them."""
        return self.seen_by(self._seen_frozen, range(len(self)))

    def frozen_in(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same in some items."""
        return np.asarray(self.frozen[rows])

    def _seen_frozen(self, state: State) -> Tensor:
        for block in self.backbone.blocks[self.depth :]:
            state = block(state)
        return self.backbone.pool(state)

    def _run(self, items: Sequence[Any]) -> State:
        with torch.no_grad():
            state = self.backbone.run(self.backbone.prepare(items), self.depth)
            return State(state.x, state.mask, state.owner)


def _placed(slices: Sequence[Slice | None], device: torch.device) -> list[Slice | None]:
    """Slices on a device."""
    return [
        None if part is None else (part[0].to(device), None if part[1] is None else part[1].to(device))
        for part in slices
    ]


def size_of(part: Tensor | None) -> int:
    """How many bytes something takes that is kept."""
    return 0 if part is None else part.numel() * part.element_size()


def length_of(found: Slice) -> int:
    """How many tokens or frames the activations of one item, or of one window, run over."""
    x, mask = found
    return x.shape[_time_axis(x)] if mask is None else len(mask)


def _time_axis(x: Tensor) -> int:
    """Which axis of the activations of one item runs over tokens or frames: (T, D), or (channels, T, F) of a sound."""
    return 0 if x.dim() == 2 else 1


def slices_of(state: State, count: int) -> Iterator[Slice]:
    """Cut a batch into its items, without padding."""
    for i in range(count):
        if state.owner is not None:
            own = state.owner == i
            yield state.x[own].clone(), None if state.mask is None else state.mask[own].clone()
        elif state.mask is not None:
            length = int(state.mask[i].sum())
            yield state.x[i].narrow(_time_axis(state.x[i]), 0, length).clone(), state.mask[i, :length].clone()
        else:
            yield state.x[i].clone(), None


def joined(parts: Sequence[Slice]) -> State:
    """Put items together again, padded to the longest."""
    x, mask = parts[0]
    windows = mask is not None and mask.dim() == 2
    if windows:
        owner = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor([len(part) for part, _ in parts]))
        masks = torch.cat([m for _, m in parts if m is not None])
        return State(torch.cat([part for part, _ in parts]), masks, owner.to(x.device))
    if mask is None:
        stacked = torch.stack([part for part, _ in parts])
        return State(stacked.contiguous(memory_format=torch.channels_last) if stacked.dim() == 4 else stacked)
    axis, lengths = _time_axis(x), [len(m) for _, m in parts if m is not None]
    shape = list(x.shape)
    shape[axis] = max(lengths)
    out = x.new_zeros(len(parts), *shape)
    real = mask.new_zeros(len(parts), max(lengths))
    for i, ((part, _), length) in enumerate(zip(parts, lengths, strict=True)):
        out[i].narrow(axis, 0, length).copy_(part)
        real[i, :length] = 1
    return State(out.contiguous(memory_format=torch.channels_last) if out.dim() == 4 else out, real)
