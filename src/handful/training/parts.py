"""Parts in the loop: kept activations of the windows of items, and a body that sees words of texts or moments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from handful.backbones.base import Backbone, State
from handful.backbones.parts import PartsBatch
from handful.features.view import Matrix
from handful.features.words import CUTS, parts_over
from handful.training.activations import MOST, Activations, Slice, joined, length_of, size_of, slices_of
from handful.training.batches import parts_of
from handful.training.body import Body

WINDOWS = 32
"""So many windows go through at once: what gradients need of 32 of 256 tokens takes about a gigabyte."""

Read = Callable[[State, Tensor, Tensor, int], Tensor]
"""State, window and number of each part there, and depth → (P, D); as ``Backbone.read_parts``."""


@dataclass(frozen=True)
class Words:
    """How the W words of an item, or of several, lie over the P parts that a backbone tells of."""

    window: Tensor
    """(P,) the window that each part is read from."""
    cell: Tensor
    """(P,) its number there."""
    part: Tensor
    """(n,) of every pair of a word and a part that lies over it the part."""
    word: Tensor
    """(n,) and the word."""
    forms: Tensor
    """(W, F) how words are written, of length one; of moments nothing."""

    def __len__(self) -> int:
        return len(self.forms)

    @classmethod
    def of(cls, batch: PartsBatch, item: Any, grain: str) -> Words:
        """The words of one item, of which a batch was prepared alone."""
        cut = CUTS[grain]
        bounds = cut.bounds(item)
        firsts, ends = parts_over(cut.scale * batch.place, bounds)
        part = np.concatenate([np.zeros(0, np.int64), *map(np.arange, firsts, ends)])
        word = np.repeat(np.arange(len(bounds)), ends - firsts)
        window, cell, parts, words = map(torch.from_numpy, (batch.window, batch.cell, part, word))
        return cls(window.long(), cell.long(), parts, words, torch.from_numpy(cut.written(item, len(bounds))))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them."""
        return self.window, self.cell, self.part, self.word, self.forms

    def behind(self, windows: int, parts: int, words: int) -> Words:
        """The same in a batch, behind so many windows, parts and words of others."""
        return Words(self.window + windows, self.cell, self.part + parts, self.word + words, self.forms)

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return type(self)(*(each.to(device) for each in self.tensors))

    def seen(self, x: Tensor) -> Tensor:
        """What the parts say of the words, as ``features.words`` has it of frozen ones. (P, D) → (W, D + F)."""
        ones = torch.ones(len(self.word), device=x.device)
        counts = ones.new_zeros(len(self)).index_add(0, self.word, ones)
        sums = x.float().new_zeros(len(self), x.shape[1]).index_add(0, self.word, x.float()[self.part])
        mean = functional.normalize(sums / counts.clamp(min=1)[:, None], dim=1)
        return torch.cat([mean, self.forms], 1)


@dataclass(frozen=True)
class Seen(State):
    """Activations of the windows of some items, with the words that are read from them."""

    words: Words | None = None
    """Of all items, one after the other."""


class PartBody(Body):
    """The upper blocks as a body that gives one row per word of an item: Seen → (W, D + F)."""

    def __init__(self, backbone: Backbone, first: int) -> None:
        """Copy the blocks from ``first`` up; parts are read after the last."""
        super().__init__(backbone, first)
        self._depth, self._read = len(backbone.blocks), backbone.read_parts

    def seen(self, state: State) -> Tensor:
        """What is seen of the words of one state, (W, D + F)."""
        return _seen(self.blocks, state, self._read, self._depth)


def _seen(blocks: Iterable[nn.Module], state: State, read: Read, depth: int) -> Tensor:
    """What blocks, up to such a depth, see of the words of one state, (W, D + F)."""
    assert isinstance(state, Seen) and state.words is not None
    words, passed = state.words, State(state.x, state.mask)
    for block in blocks:
        passed = block(passed)
    return words.seen(read(passed, words.window, words.cell, depth))


@dataclass
class PartActivations(Activations):
    """What the frozen lower blocks give for the windows of N items, and how words lie in these; rows are items.

    ``slices`` are of windows, those of one item after the other.
    """

    words: list[Words] = field(default_factory=list)
    """Of each item."""
    windows: list[int] = field(default_factory=list)
    """How many windows each item is."""

    @classmethod
    def reading(cls, backbone: Backbone, items: Sequence[Any], depth: int, most: int = MOST) -> PartActivations:
        """Run the lower blocks over every item, one after the other.

        Args:
            backbone: whose blocks run; parts are read after the last.
            items: N items.
            depth: how many blocks stay frozen.
            most: bytes that may be kept; beyond, nothing is.
        """
        made, size = cls(backbone, [items], depth), 0
        for item in items:
            batch = backbone.prepare_parts([item])
            made.words.append(Words.of(batch, item, backbone.grain))
            made.windows.append(batch.windows)
            if size <= most:
                activations = made._through(batch)
                made.slices += activations
                size += sum(size_of(part) for window in activations for part in window)
        if size > most:
            made.slices = [None] * sum(made.windows)
        return made

    @property
    def together(self) -> int:
        """As many as have few windows together: an update keeps all that it sees of each in memory."""
        return max(1, WINDOWS // max(self.windows, default=1))

    def state(self, rows: Sequence[int], versions: Sequence[int] | None = None, tokens: int | None = None) -> Seen:
        """The activations of some items as one batch; all of each, whatever ``tokens`` asks of items as wholes."""
        state = joined([found for row in rows for found in self._of(row)])
        words, counts = [], np.zeros(3, np.int64)  # windows, parts and words so far
        for own, windows in ((self.words[row], self.windows[row]) for row in rows):
            words.append(own.behind(*counts.tolist()))
            counts += windows, len(own.window), len(own)
        together = Words(*map(torch.cat, zip(*(own.tensors for own in words), strict=True)))
        return Seen(state.x, state.mask, words=together.to(state.x.device))

    def alike(self, rows: Sequence[int], tokens: int | None = None) -> list[list[int]]:
        """As of items as wholes, by the longest window of each."""
        if not self.cached:
            return [[i] for i in range(len(rows))]
        return self.grouped([max(map(length_of, self._of(row))) for row in rows], self._of(rows[0])[0][1] is not None)

    def seen_by(self, top: Callable[[State], Tensor], rows: Sequence[int]) -> Matrix:
        """What the blocks above see in the words of some items, of one after the other, (W, D + F)."""
        found: dict[int, Matrix] = {}
        with torch.inference_mode():
            for at, state in self.states(rows):
                ends = np.cumsum([len(self.words[rows[i]]) for i in at])[:-1]
                found.update(zip(at, np.split(top(state).float().cpu().numpy(), ends), strict=True))
        return np.concatenate([found[i] for i in range(len(rows))])

    def frozen_in(self, rows: NDArray[np.int64]) -> Matrix:
        """What the backbone as it is sees in the words of some items, of one after the other."""
        item = np.repeat(np.arange(len(self)), [len(own) for own in self.words])
        return np.asarray(self.frozen[parts_of(item, rows)])

    def _seen_frozen(self, state: State) -> Tensor:
        blocks = self.backbone.blocks
        return _seen(blocks[self.depth :], state, self.backbone.read_parts, len(blocks))

    def _of(self, row: int) -> list[Slice]:
        """The windows of an item."""
        first = sum(self.windows[:row])
        found = self.slices[first : first + self.windows[row]]
        some = [(one[0].float(), one[1]) for one in found if one is not None]  # they may be kept in half precision
        return some if len(some) == len(found) else self._through(self.backbone.prepare_parts([self.versions[0][row]]))

    def _through(self, batch: PartsBatch) -> list[Slice]:
        """Each window of one item after the frozen blocks."""
        return [one for some in self._passes(batch) for one in some]

    def _passes(self, batch: PartsBatch) -> Iterator[list[Slice]]:
        """The same, a few windows at a time."""
        for first in range(0, batch.windows, self.backbone.batch_items):
            some, _ = batch.some(first, first + self.backbone.batch_items)
            with torch.no_grad():
                found = list(slices_of(self.backbone.run(some.batch, self.depth), some.windows))
            yield found
