"""Recordings in the loop: windows of them that updates are drawn from, and moments told a few windows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.backbones.base import Backbone, State
from handful.features.view import Matrix
from handful.seeding import generator
from handful.training.activations import MOST, Activations, Slice, joined, size_of
from handful.training.batches import Wanted
from handful.training.parts import PartActivations, Seen, Words

TOGETHER = 120.0
"""So many seconds of windows go through at once: what gradients need of them takes about a gigabyte at most."""

# Of the windows in which nothing is marked one in so many is kept as early as one in which something is.
_UNMARKED = 4
# The largest number of half precision; what lies above it would be infinite.
_LARGEST = torch.finfo(torch.float16).max


class Frames(Words):
    """Parts as they are, in place of words: what several windows say of an item is joined once all were seen."""

    def seen(self, x: Tensor) -> Tensor:
        """The parts themselves, (P, D)."""
        return x.float()


@dataclass
class Windows(PartActivations):
    """Windows of recordings as items of their own, each with the moments that lie in it."""

    seconds: float = 1.0
    """How long the longest is."""

    @property
    def together(self) -> int:
        """As many as last ``TOGETHER``."""
        return max(1, int(TOGETHER / self.seconds))


@dataclass
class RecordingActivations(PartActivations):
    """What the frozen lower blocks give for the windows of N recordings, in half precision; rows are recordings.

    Of recordings that are too long to be kept whole some windows are: mostly those in which something is marked.
    Updates learn from these alone. What is asked of all moments is told a few windows at a time, by the lower blocks
    again where these are not kept.
    """

    seconds: float = 1.0
    """How long the longest window is."""
    inside: list[NDArray[np.int64]] = field(default_factory=list)
    """Of each recording (W,) the window that its moments lie in; -1 of those that lie in two, or in none."""

    @classmethod
    def of_marked(
        cls, backbone: Backbone, items: Sequence[Any], depth: int, marked: Sequence[NDArray[np.bool_]], most: int = MOST
    ) -> RecordingActivations:
        """Run the lower blocks over every recording, one after the other.

        Args:
            backbone: whose blocks run; frames are read after the last.
            items: N recordings.
            depth: how many blocks stay frozen.
            marked: of each (W,) in which moments something goes on.
            most: bytes that may be kept.
        """
        made, rng = cls(backbone, [items], depth), generator(0, "windows kept")
        turn = list[float]()  # of each window so far: those with the lowest are kept
        for item, own in zip(items, marked, strict=True):
            batch = backbone.prepare_parts([item])
            words = Words.of(batch, item, backbone.grain)
            made.words.append(words)
            made.windows.append(batch.windows)
            made.inside.append(windows_of(words))
            if len(batch):
                longest = np.bincount(batch.window).max() * float((batch.place[:, 1] - batch.place[:, 0]).max())
                made.seconds = max(made.seconds, longest)
            late = ~np.isin(np.arange(batch.windows), made.inside[-1][own])
            late &= rng.random(batch.windows) >= 1 / _UNMARKED
            turn += (rng.random(batch.windows) + late).tolist()
            for slices in made._passes(batch):
                made.slices += [_half(one) for one in slices]
                made._keep(turn, most)
        return made

    def _keep(self, turn: Sequence[float], most: int) -> None:
        """Let go of what is beyond so many bytes, those with the highest turns."""
        kept = [i for i, one in enumerate(self.slices) if one is not None]
        order = sorted(kept, key=turn.__getitem__)
        sizes = [sum(map(size_of, one)) for one in map(self.slices.__getitem__, order) if one is not None]
        for i, total in zip(order, np.cumsum(sizes), strict=True):
            if total > most:
                self.slices[i] = None

    @property
    def together(self) -> int:
        """As many windows as last ``TOGETHER``."""
        return max(1, int(TOGETHER / self.seconds))

    def units(self, rows: int) -> int:
        """So many recordings have about so many windows."""
        return max(1, round(rows * sum(self.windows) / max(1, len(self))))

    def example(self, row: int) -> State:
        """The first window."""
        return next(self._states(row))[1]

    def drawn_from(self, rows: NDArray[np.int64], wanted: Wanted) -> tuple[Activations, NDArray[np.int64], Wanted]:
        """The windows of some recordings that are kept, with the moments in them.

        Updates keep windows in proportion by what the fewest of them have: nothing goes on in most.
        """
        starts = np.cumsum([0, *self.windows])
        slices, words, owner, places = list[Slice](), list[Words](), list[int](), list[NDArray[np.int64]]()
        for at, row in enumerate(rows.tolist()):
            own, inside = wanted.places(np.array([at])), self.inside[row]
            for window in range(self.windows[row]):
                kept, moments = self.slices[starts[row] + window], np.flatnonzero(inside == window)
                if kept is not None and len(moments):
                    slices.append(kept)
                    words.append(_in_window(self.words[row], window, moments))
                    owner.append(at)
                    places.append(own[moments])
        count, at_row = len(slices), np.array(owner, np.int64)
        made = Windows(
            self.backbone, [range(count)], self.depth, list(slices), words=words, windows=[1] * count,
            seconds=self.seconds,
        )  # fmt: skip
        design = wanted.design[np.concatenate([*places, np.zeros(0, np.int64)])]
        item = np.repeat(np.arange(count), [len(own) for own in places])
        alike = wanted.likeness
        drawn = replace(
            wanted, design=design, strata=rarest(design.argmax(1), item, count), item=item,
            likeness=None if alike is None else lambda own: alike(at_row[own]),
        )  # fmt: skip
        return made, np.arange(count), drawn

    def seen_by(self, top: Callable[[State], Tensor], rows: Sequence[int]) -> Matrix:
        """What the blocks above see in the moments of some recordings, of one after the other, (W, D)."""
        return np.concatenate([self._told(top, row) for row in rows])

    @torch.inference_mode()
    def _told(self, top: Callable[[State], Tensor], row: int) -> Matrix:
        """The same of one recording."""
        words, x = self.words[row], torch.zeros(0)
        for at, state in self._states(row):
            told = top(state).cpu()  # (n, D)
            x = x if len(x) else told.new_zeros(len(words.window), told.shape[1])
            x[at] = told
        return np.asarray(words.seen(x).numpy(), np.float32)

    def _states(self, row: int) -> Iterator[tuple[Tensor, Seen]]:
        """The windows of a recording, a few at a time: which of its frames are read from these, and their state."""
        first, words = 0, self.words[row]
        for slices in self._some(row):
            state = joined([(x.float(), mask) for x, mask in slices])
            at = torch.nonzero((words.window >= first) & (words.window < first + len(slices)))[:, 0]
            none = at[:0]
            frames = Frames(words.window[at] - first, words.cell[at], none, none, torch.zeros(0, 0))
            first += len(slices)
            yield at, Seen(state.x, state.mask, words=frames.to(state.x.device))

    def _some(self, row: int) -> Iterator[list[Slice]]:
        """The windows of a recording, a few at a time."""
        first = sum(self.windows[:row])
        slices = [one for one in self.slices[first : first + self.windows[row]] if one is not None]
        if len(slices) < self.windows[row]:
            yield from self._passes(self.backbone.prepare_parts([self.versions[0][row]]))
            return
        step = min(self.backbone.batch_items, self.together)
        for start in range(0, len(slices), step):
            yield slices[start : start + step]


def windows_of(words: Words) -> NDArray[np.int64]:
    """(W,) the window that each moment lies in; -1 of one that is read from two, or from none."""
    window = words.window[words.part].numpy()
    lowest, highest = np.full(len(words), 1 << 60), np.full(len(words), -1)
    np.minimum.at(lowest, words.word.numpy(), window)
    np.maximum.at(highest, words.word.numpy(), window)
    return np.where(lowest == highest, highest, -1)


def rarest(classes: NDArray[np.int64], item: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(count,) of the classes among the parts of each item the one that the fewest items have.

    Args:
        classes: (P,) of parts.
        item: (P,) the item of each.
        count: how many items there are.
    """
    has = np.zeros((count, int(classes.max(initial=0)) + 1), bool)
    has[item, classes] = True
    return np.asarray(np.where(has, has.sum(0), count + 1).argmin(1), np.int64)


def _in_window(words: Words, window: int, moments: NDArray[np.int64]) -> Words:
    """Some words, all of whose parts are read from one window, as those of an item that is this window alone."""
    own = torch.from_numpy(np.isin(words.word.numpy(), moments))
    parts, part = torch.unique(words.part[own], return_inverse=True)
    word = torch.from_numpy(np.searchsorted(moments, words.word[own].numpy()))
    assert bool((words.window[parts] == window).all())
    return Words(torch.zeros_like(parts), words.cell[parts], part, word, words.forms[torch.from_numpy(moments)])


def _half(one: Slice) -> Slice:
    """Half precision; what is too large for it is as large as can be."""
    return one[0].clamp(-_LARGEST, _LARGEST).half(), one[1]
