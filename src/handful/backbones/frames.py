"""Frames: a sound of any length as stretches that a network reads one by one, with what lies before and after each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.backbones.parts import Numbers, Places, owners, starts


@dataclass(frozen=True)
class Stretches:
    """A sound in W stretches, and its P frames, one after the other."""

    sounds: list[NDArray[np.float32]]
    """W waveforms, each with what lies around its frames; silence where nothing does."""
    window: Numbers
    """(P,) the stretch that each frame is read from."""
    cell: Numbers
    """(P,) its number in that stretch, counted from where the waveform begins."""
    place: Places
    """(P, 2) seconds from and to."""


@dataclass(frozen=True)
class Cuts:
    """How a sound is cut into stretches."""

    step: int
    """Samples of a frame."""
    seen: int
    """Frames of a stretch."""
    before: int = 0
    """Frames before these that are read as well."""
    after: int = 0
    """Samples after these that are."""
    silence: bool = False
    """Whether silence goes before the first stretch, which otherwise begins with the sound."""
    margin: int | None = None
    """Frames at an end of a stretch that are better read from its neighbour, with which it overlaps; None: stretches
    do not overlap."""

    def of(self, sound: NDArray[np.float32], rate: int) -> Stretches:
        """Cut a sound, (T,) samples, of which there are so many per second."""
        count = max(1, -(-len(sound) // self.step))
        if self.margin is None:
            return self._cut(sound, rate, np.arange(0, count, self.seen), np.arange(count) // self.seen)
        begins = starts(count, self.seen, self.margin)
        return self._cut(sound, rate, begins, owners(begins, begins + self.seen, count))

    def _cut(self, sound: NDArray[np.float32], rate: int, begins: Numbers, window: Numbers) -> Stretches:
        """Cut stretches that begin with these frames, (W,); ``window`` (P,) is the one that each frame is read from."""
        count, pieces, leads = len(window), list[NDArray[np.float32]](), list[int]()
        for first in begins.tolist():
            end = first + self.seen if self.margin is not None else min(first + self.seen, count)
            lead = self.before if self.silence else min(self.before, first)
            start, stop = (first - lead) * self.step, end * self.step + self.after
            piece = np.zeros(stop - start, np.float32)
            some = sound[max(0, start) : stop]
            piece[max(0, -start) : max(0, -start) + len(some)] = some
            pieces.append(piece)
            leads.append(lead)
        cell = np.arange(count) - begins[window] + np.array(leads)[window]
        edges = np.arange(count + 1) * self.step / rate
        edges[-1] = min(edges[-1], len(sound) / rate)
        return Stretches(pieces, window, cell, np.stack([edges[:-1], edges[1:]], 1))


def together(sounds: list[Stretches]) -> tuple[list[NDArray[np.float32]], Numbers, Numbers, Numbers, Places]:
    """The stretches of B sounds together: waveforms, and of all frames window, cell, item and place."""
    first = np.cumsum([0, *(len(one.sounds) for one in sounds)])
    window = np.concatenate([start + one.window for start, one in zip(first, sounds, strict=False)])
    item = np.repeat(np.arange(len(sounds)), [len(one.window) for one in sounds])
    waves = [wave for one in sounds for wave in one.sounds]
    return waves, window, np.concatenate([s.cell for s in sounds]), item, np.concatenate([s.place for s in sounds])
