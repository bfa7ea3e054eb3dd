"""Which rows an update learns from: every class the same, every row in its turn, told by the number of the update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handful.seeding import generator
from handful.training.activations import Activations
from handful.training.objectives import Batch


def drawn(update: int, count: int, size: int, seed: int, what: str = "") -> NDArray[np.int64]:
    """The rows of one update: all rows in a new order, then all of them in another, cut into equal pieces.

    No row comes twice in an update: of a new order, those that end the old one in the same update come last.

    Args:
        update: the number of the update; the same number gives the same rows.
        count: M, how many rows there are.
        size: how many rows are wanted; all of them where there are no more.
        seed: fixes the orders.
        what: tells orders of one seed from others.
    """
    size = min(size, count)
    first, last = update * size, (update + 1) * size  # places in all orders, one after the other
    order = np.empty(0, np.int64)
    found = []
    alone = size // math.gcd(count, size)  # after so many turns an update begins with an order, whatever came before
    for turn in range(first // count // alone * alone, (last - 1) // count + 1):
        before = order[len(order) - turn * count % size :]  # they share an update with what follows
        order = generator(seed, f"{what}turn {turn}").permutation(count)
        order = order[np.argsort(np.isin(order, before), kind="stable")]
        found.append(order[max(0, first - turn * count) : max(0, last - turn * count)])
    return np.concatenate(found)


def rows_of(update: int, strata: NDArray[np.integer], size: int, seed: int) -> NDArray[np.int64]:
    """The rows of one update, about ``size`` of them, as many of each class as it has and the size allows.

    At least two of a class come together where it has two, so that a contrastive objective finds pairs; where
    there are more classes than fit, some of the classes take part. All classes have their turn before one comes
    again, and all rows of a class.

    Args:
        update: the number of the update; the same number gives the same rows.
        strata: (N,) what is kept in proportion, as class numbers.
        size: how many rows are wanted; all rows where there are no more.
        seed: fixes the draws.
    """
    if len(strata) <= size:
        return np.arange(len(strata))
    classes = np.unique(strata)
    each = max(2, size // len(classes))
    some = min(len(classes), max(2, size // each))
    found = []
    for place, c in enumerate(drawn(update, len(classes), some, seed, "classes, ")):
        members = np.flatnonzero(strata == classes[c])
        turn = (update * some + place) // len(classes)  # how often this class has come before
        found.append(members[drawn(turn, len(members), each, seed, f"class {c}, ")])
    return np.concatenate(found)


def rows_of_heads(update: int, strata: NDArray[np.integer], size: int, seed: int) -> NDArray[np.int64]:
    """The rows of one update where rows have targets of several heads: about ``size`` of each, as ``rows_of`` has it.

    A row that has several targets counts for each of them, so that rows that have all are seen as by one head alone.
    The heads take turns in who draws first.

    Args:
        update: the number of the update; the same number gives the same rows.
        strata: (H, M) of each head what is kept in proportion; below 0 where a row has no target for it.
        size: how many rows are wanted of each.
        seed: fixes the draws.
    """
    taken = np.zeros(strata.shape[1], bool)
    for own in np.roll(strata, -(update % len(strata)), 0):
        left = np.flatnonzero((own >= 0) & ~taken)
        lacking = size - int((taken & (own >= 0)).sum())
        if lacking > 0 and len(left):
            taken[left[rows_of(update, own[left], lacking, seed)]] = True
    return np.flatnonzero(taken)


@dataclass(frozen=True)
class Wanted:
    """What is wanted of M rows, as trainings need it."""

    design: NDArray[np.float32]
    """(M, K) what scores are fitted to: of classes, 1 in the column of each row's own; (P, K) where that is wanted of
    their parts."""
    strata: NDArray[np.int64]
    """(M,) what updates keep in proportion; (H, M) of each of H heads, below 0 where a row has no target for it."""
    likeness: Callable[[NDArray[np.int64]], NDArray[np.float32]] | None
    """(B,) of these rows → (B, B) how much the same is wanted of two of them, from 0 to 1; None where nobody asks."""
    teacher: NDArray[np.float32] | None = None
    """(M, K) scores of a model to learn from."""
    item: NDArray[np.int64] | None = None
    """(P,) of parts the row that each belongs to, in order; None where rows are wanted something of as wholes."""

    def drawn(self, update: int, size: int, seed: int) -> NDArray[np.int64]:
        """Which of the M rows an update sees: about ``size`` of them, or of those of each head."""
        if self.strata.ndim == 1:
            return rows_of(update, self.strata, size, seed)
        return rows_of_heads(update, self.strata, size, seed)

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in ``design`` stands what is wanted of some rows, or of the parts of one after the other."""
        return rows if self.item is None else parts_of(self.item, rows)


def parts_of(item: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The parts of some rows, those of one row after the other.

    Args:
        item: (P,) the row that each part belongs to, in order.
        rows: positions of rows.
    """
    firsts, ends = (np.searchsorted(item, rows, side=side) for side in ("left", "right"))
    return np.concatenate([np.zeros(0, np.int64), *map(np.arange, firsts, ends)])


@dataclass(frozen=True)
class Balanced:
    """Batches of an update from kept activations; the contract of ``training.loop.Batches``."""

    activations: Activations
    """What the frozen blocks gave."""
    rows: NDArray[np.int64]
    """(M,) the rows to learn from."""
    wanted: Wanted
    """What is wanted of them."""
    size: int
    """Rows per update."""
    seed: int = 0
    """Fixes the draws."""
    twice: bool = False
    """Whether every row goes through twice, as R-Drop wants it."""
    tokens: int | None = None
    """How many tokens of a text are seen at most; all by default."""
    device: torch.device = torch.device("cpu")
    """Where the model is."""

    def __call__(self, update: int, parts: int) -> Sequence[Batch]:
        """The rows of an update in so many batches, each with a version of each row drawn at random."""
        at = self.wanted.drawn(update, self.size, self.seed)
        versions = np.zeros(len(at), np.int64)
        if len(self.activations.versions) > 1:
            versions = generator(self.seed, f"version {update}").integers(len(self.activations.versions), size=len(at))
        return [self._batch(at[part::parts], versions[part::parts]) for part in range(min(parts, len(at)))]

    def _batch(self, at: NDArray[np.int64], versions: NDArray[np.int64]) -> Batch:
        rows = self.rows[at]
        groups = self.activations.alike(rows.tolist(), self.tokens)
        states = [
            self.activations.state(rows[group].tolist(), versions[group].tolist(), self.tokens) for group in groups
        ]
        order = np.concatenate(groups)
        if self.twice:
            states, order = states * 2, np.tile(order, 2)
        own = at[order]
        teacher = None if self.wanted.teacher is None else self._there(self.wanted.teacher[own])
        alike = None if self.wanted.likeness is None else self._there(self.wanted.likeness(own))
        return Batch(states, self._there(self.wanted.design[self.wanted.places(own)]), teacher, alike=alike)

    def _there(self, values: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(values).to(self.device)
