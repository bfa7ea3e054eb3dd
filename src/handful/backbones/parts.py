"""Parts of items: the tokens, patches or frames that a backbone has seen anyway, each with its place in its item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Places = NDArray[np.float64]

TOKENS, PATCHES, FRAMES = "tokens", "patches", "frames"
"""What parts of texts, of pictures and of sounds are."""

PLACED = {TOKENS: 2, PATCHES: 4, FRAMES: 2}
"""How many numbers say where a part is: characters from and to; left, top, right and bottom in pixels of the item as it
is seen upright; seconds from and to."""


@dataclass(frozen=True)
class Parts:
    """The P parts of some items, in the order of the items and, within one, of their places."""

    vectors: Mapping[int, NDArray[np.floating]]
    """Depth → (P, D)."""
    item: Numbers
    """(P,) the item that each part belongs to, by its position."""
    place: Places
    """(P, 2) or (P, 4), see ``PLACED``."""

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True)
class PartsBatch:
    """Items cut into W windows that go through the blocks one by one, and what in these is a part of which item.

    A long text is read in windows that overlap, a large picture in tiles, a long sound in stretches: every part is
    taken from the window that sees most around it.
    """

    batch: Any
    """What ``stem`` takes: a tensor or a tuple of tensors, one row per window."""
    windows: int
    """W."""
    window: Numbers
    """(P,) the window that a part is read from."""
    cell: Numbers
    """(P,) its number there: of a token or frame, or of a patch, row by row."""
    item: Numbers
    """(P,) the item that it belongs to, by its position."""
    place: Places
    """(P, 2) or (P, 4), see ``PLACED``."""

    def __len__(self) -> int:
        return len(self.item)

    def some(self, first: int, end: int) -> tuple[PartsBatch, Numbers]:
        """The windows from one to before another, and which of the P parts, n of them, are read from these."""
        at = np.flatnonzero((self.window >= first) & (self.window < end))
        rows = slice(first, end)
        batch = tuple(part[rows] for part in self.batch) if isinstance(self.batch, tuple) else self.batch[rows]
        count = min(end, self.windows) - first
        return PartsBatch(batch, count, self.window[at] - first, self.cell[at], self.item[at], self.place[at]), at


def starts(cells: int, visible: int, margin: int) -> Numbers:
    """Where windows begin that cover a row of cells, evenly, the first at its start and the last at its end.

    Args:
        cells: how many there are.
        visible: how many a window has; fewer cells are covered by one.
        margin: how many at either end of a window are better read from its neighbour.
    """
    if cells <= visible:
        return np.zeros(1, np.int64)
    count = -(-(cells - 2 * margin) // (visible - 2 * margin))
    return np.linspace(0, cells - visible, count).round().astype(np.int64)


def owners(begins: Sequence[int] | Numbers, ends: Sequence[int] | Numbers, cells: int) -> Numbers:
    """The window that sees most around each cell: the one whose nearer end is farthest. (W,), (W,) → (cells,)."""
    at = np.arange(cells)[:, None]
    lasts = np.asarray(ends) - 1
    # The ends of the whole row are no ends to stay away from.
    before = np.where(np.asarray(begins) == 0, cells, at - np.asarray(begins))
    after = np.where(lasts == cells - 1, cells, lasts - at)
    room = np.minimum(np.where(at >= np.asarray(begins), before, -1), np.where(at <= lasts, after, -1))
    return np.asarray(room.argmax(1), np.int64)


def tokens_owned(spans: Sequence[Numbers]) -> tuple[Numbers, Numbers, Numbers]:
    """Which tokens of the windows of a text are read, each once, from the window that sees most around it.

    Args:
        spans: of each window the characters of its tokens, (T, 2) from and to; nothing for special tokens.

    Returns:
        Of the P tokens in order the window, the number of the token there, and its characters: (P,), (P,), (P, 2).
    """
    place = np.concatenate(spans)  # (t, 2)
    at = np.repeat(np.arange(len(spans)), [len(own) for own in spans])
    cell = np.concatenate([np.arange(len(own)) for own in spans])
    real = place[:, 1] > place[:, 0]
    place, at, cell = place[real], at[real], cell[real]
    # Windows share tokens: of those with the same characters one is kept.
    places, number = np.unique(place, axis=0, return_inverse=True)
    number = number.reshape(-1)
    firsts = [int(number[at == w].min(initial=len(places))) for w in range(len(spans))]
    ends = [int(number[at == w].max(initial=-1)) + 1 for w in range(len(spans))]
    kept = at == owners(firsts, ends, len(places))[number] if len(places) else np.zeros(0, bool)
    order = np.argsort(number[kept], kind="stable")
    return at[kept][order], cell[kept][order], place[kept][order]
