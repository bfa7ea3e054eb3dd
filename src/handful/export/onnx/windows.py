"""Windows: an item cut up as a graph of parts reads it, and which windows tell of which words, moments or patches.

Everything here needs numpy alone beside what it names: its source goes into the folder of an export, for the runner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.frames import Cuts
from handful.backbones.levels import levelled
from handful.backbones.parts import tokens_owned
from handful.backbones.text import FastTokeniser
from handful.backbones.tiles import tiles_of
from handful.features.words import parts_over

Feed = dict[str, NDArray[Any]]

TOGETHER = {"tokens": 2000, "frames": 500}
"""Words or moments that are answered together: what is held at once does not grow with the length of an item."""
TILES = 8
"""Windows that are, where parts are not joined."""


@dataclass(frozen=True)
class Windows:
    """One item in the W windows that one backbone reads, and its P parts."""

    rows: Feed
    """Name of an input of the graph → (W, …)."""
    window: NDArray[np.int64]
    """(P,) the window that each part is read from."""
    cell: NDArray[np.int64]
    """(P,) its number there."""
    place: NDArray[Any]
    """(P, 2) or (P, 4) where it is in the item."""


def windows_of_text(entry: Mapping[str, Any], tokenise: FastTokeniser, text: str) -> Windows:
    """A text in windows of tokens that overlap, which stand for characters of it."""
    own = tokenise.windows([text])[0]
    window, cell, place = tokens_owned([one.spans for one in own])
    ids = np.full((len(own), max([1, *(len(one.ids) for one in own)])), entry["pad"], np.int64)
    mask = np.zeros(ids.shape, np.float32)
    for row, one in enumerate(own):
        ids[row, : len(one.ids)], mask[row, : len(one.ids)] = one.ids, 1
    return Windows({entry["ids"]: ids, entry["mask"]: mask}, window, cell, place)


def windows_of_sound(entry: Mapping[str, Any], sound: NDArray[np.float32]) -> Windows:
    """A sound in stretches of frames, which stand for milliseconds of it."""
    stretches = Cuts(**entry["cuts"]).of(levelled(sound), entry["rate"])
    waves = np.zeros((len(stretches.sounds), max(map(len, stretches.sounds))), np.float32)
    for row, wave in enumerate(stretches.sounds):
        waves[row, : len(wave)] = wave
    lengths = np.array([len(wave) for wave in stretches.sounds], np.int64)
    rows: Feed = {entry["waves"]: waves, entry["lengths"]: lengths}
    return Windows(rows, stretches.window, stretches.cell, 1000 * stretches.place)


def windows_of_picture(entry: Mapping[str, Any], picture: Any) -> Windows:
    """A picture in tiles, whose patches stand for pixels of it."""
    tiles = tiles_of(picture, entry["side"], entry["most"])
    return Windows({entry["pixels"]: tiles.pixels}, tiles.window, tiles.cell, tiles.place)


def joined_feeds(
    entries: Sequence[Mapping[str, Any]], each: Sequence[Windows], bounds: NDArray[np.int64], together: int,
    forms: NDArray[np.float32] | None = None,
) -> Iterator[Feed]:  # fmt: skip
    """What the graph reads to answer the words of a text or the moments of a sound, some of these at a time.

    Args:
        entries: how each backbone calls its inputs.
        each: the windows of each.
        bounds: (W, 2) where words or moments begin and end, at least one.
        together: how many are answered at once.
        forms: (W, forms) how words are written; None for moments.
    """
    over = [parts_over(one.place, bounds) for one in each]
    for start in range(0, len(bounds), together):
        some = slice(start, start + together)
        feed: Feed = {}
        for entry, one, (firsts, ends) in zip(entries, each, over, strict=True):
            first, end = firsts[some], ends[some]
            low, high = int(first.min()), int(end.max())
            window, cell = one.window[low:high], one.cell[low:high]
            if not len(window):  # a graph reads one part at least, if for nobody
                window = cell = np.zeros(1, np.int64)
            rows = slice(int(window.min()), int(window.max()) + 1)
            feed |= {name: x[rows] for name, x in one.rows.items()}
            feed |= {entry["window"]: window - rows.start, entry["cell"]: cell}
            feed |= {entry["first"]: first - low, entry["end"]: end - low}
            if forms is not None:
                feed[entry["forms"]] = forms[some]
        yield feed


def patch_feeds(entry: Mapping[str, Any], windows: Windows) -> Iterator[tuple[NDArray[np.int64], Feed]]:
    """What the graph reads to answer parts that are not joined: which of the P parts, and the arrays."""
    for start in range(0, len(next(iter(windows.rows.values()))), TILES):
        end = start + TILES
        at = np.flatnonzero((windows.window >= start) & (windows.window < end))
        rows = {name: x[start:end] for name, x in windows.rows.items()}
        yield at, {**rows, entry["window"]: windows.window[at] - start, entry["cell"]: windows.cell[at]}
