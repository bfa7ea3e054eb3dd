"""Watching: whether what a served model is asked still looks like its training rows, window after window."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.novelty import mostly_strange
from handful.export.reference import Reference
from handful.monitoring.drift import compare

WINDOW = 100
"""So many different items are compared with the training rows at once."""
IN_A_ROW = 2
"""So many windows in a row have to differ, before that is called drift: by chance alone, one window in 100 does."""


@dataclass(frozen=True)
class Item:
    """What is known of one item that was answered."""

    features: NDArray[np.float32]
    """(D,) of the view of the reference."""
    kind: int
    """The kind of what was answered."""
    answer: str
    """What was answered, in words."""
    strange: bool
    """Whether it is unlike the training rows."""


@dataclass(frozen=True)
class WindowResult:
    """What one window showed."""

    items: int
    """How many different items were in it."""
    strange: int
    """How many of them are unlike the training rows."""
    p: float | None
    """How often as large a difference comes by chance; None where nothing can be compared."""
    mostly_strange: bool
    """Whether more than half are unlike the training rows, and that is no chance."""
    shares: dict[str, float]
    """Answer → its share, the most frequent first, ten at most."""
    beyond_chance: bool
    """Whether the window differs from the training rows."""

    def record(self) -> dict[str, object]:
        """The window as plain values."""
        return {
            "items": self.items, "unlike_training": self.strange, "p": self.p, "mostly_strange": self.mostly_strange,
            "answers": self.shares, "beyond_chance": self.beyond_chance,
        }  # fmt: skip


def tested(reference: Reference, items: Sequence[Item], rng: np.random.Generator, chance: float) -> WindowResult:
    """Compare a window with the training rows.

    Args:
        reference: what is kept of these.
        items: of the window.
        rng: deals rows anew.
        chance: a p-value below this is no chance.
    """
    features, kinds = np.stack([item.features for item in items]), np.array([item.kind for item in items])
    found = compare(reference.rows.astype(np.float32), reference.answered, features, kinds, rng)
    strange = sum(item.strange for item in items)
    most = mostly_strange(strange, len(items), reference.novelty.level)
    counts = Counter(item.answer for item in items).most_common(10)
    p = None if found is None else found.p
    return WindowResult(
        len(items), strange, p, most, {name: round(count / len(items), 4) for name, count in counts},
        most or (p is not None and p < chance),
    )  # fmt: skip


class Watch:
    """The windows of one served model; several threads may use it."""

    def __init__(self, window: int = WINDOW) -> None:
        """Begin with an empty window.

        Args:
            window: how many different items are compared at once.
        """
        self._size, self._lock = window, threading.Lock()
        self._items: dict[bytes, Item] = {}
        self._tested: list[WindowResult] = []
        self.windows = 0
        """How many windows were compared."""

    def add(self, items: Sequence[Item]) -> list[Item] | None:
        """Take in answered items, each only once per window.

        Returns:
            The items of a window that is full now, to be compared; None while it is not.
        """
        with self._lock:
            for item in items:
                self._items.setdefault(item.features.tobytes(), item)
            if len(self._items) < self._size:
                return None
            full, self._items = list(self._items.values()), {}
            return full

    def tell(self, found: WindowResult) -> bool:
        """Take in what a window showed; gives whether drift is beyond doubt since this window."""
        with self._lock:
            before = self._drifted()
            self._tested = [*self._tested, found][-IN_A_ROW:]
            self.windows += 1
            return self._drifted() and not before

    def restart(self) -> None:
        """Forget what was seen: another model answers, which learned from other rows."""
        with self._lock:
            self._items, self._tested = {}, []

    @property
    def drifted(self) -> bool:
        """Whether drift is beyond doubt."""
        with self._lock:
            return self._drifted()

    @property
    def last(self) -> WindowResult | None:
        """What the last window showed; None before there was one."""
        with self._lock:
            return self._tested[-1] if self._tested else None

    @property
    def waiting(self) -> int:
        """How many different items the next window has so far."""
        with self._lock:
            return len(self._items)

    def _drifted(self) -> bool:
        return len(self._tested) == IN_A_ROW and all(one.beyond_chance for one in self._tested)
