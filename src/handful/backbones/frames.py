"""Frames: a sound of any length as stretches that a network reads one by one, with what lies before and after each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.backbones.parts import Numbers, Places


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


def stretches_of(
    sound: NDArray[np.float32], rate: int, step: int, *, seen: int, before: int, after: int, silence: bool
) -> Stretches:
    """Cut a sound into stretches.

    Args:
        sound: (T,) samples.
        rate: samples per second.
        step: samples of a frame.
        seen: frames of a stretch.
        before: frames before these that are read as well.
        after: samples after these that are.
        silence: whether silence goes before the first stretch, which otherwise begins with the sound.
    """
    count, pieces = max(1, -(-len(sound) // step)), list[NDArray[np.float32]]()
    window, cell = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for first in range(0, count, seen):
        end, lead = min(first + seen, count), before if silence else min(before, first)
        start, stop = (first - lead) * step, end * step + after
        piece = np.zeros(stop - start, np.float32)
        some = sound[max(0, start) : stop]
        piece[max(0, -start) : max(0, -start) + len(some)] = some
        window[first:end], cell[first:end] = len(pieces), np.arange(end - first) + lead
        pieces.append(piece)
    edges = np.arange(count + 1) * step / rate
    edges[-1] = min(edges[-1], len(sound) / rate)
    return Stretches(pieces, window, cell, np.stack([edges[:-1], edges[1:]], 1))


def together(sounds: list[Stretches]) -> tuple[list[NDArray[np.float32]], Numbers, Numbers, Numbers, Places]:
    """The stretches of B sounds together: waveforms, and of all frames window, cell, item and place."""
    first = np.cumsum([0, *(len(one.sounds) for one in sounds)])
    window = np.concatenate([start + one.window for start, one in zip(first, sounds, strict=False)])
    item = np.repeat(np.arange(len(sounds)), [len(one.window) for one in sounds])
    waves = [wave for one in sounds for wave in one.sounds]
    return waves, window, np.concatenate([s.cell for s in sounds]), item, np.concatenate([s.place for s in sounds])
