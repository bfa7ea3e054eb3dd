"""Stability: how often an answer survives a slight change of its item, and what a tuned model kept of what it knew.

Of rows that a model learned from the honest figure is stability, the share of answers that stay the same, and not
accuracy: the model has these rows by heart, so that being right on them says nothing. Whether an answer stays can be
seen on any row. On rows that it learned from it tends to be a little higher than on new ones, so that a low figure is
bad news either way. Rows that the source keeps for a test have both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.intervals import LEVEL, Estimate, difference, interval
from handful.evaluation.metrics import Scale, share
from handful.features.view import Matrix, unit_rows

Whole = NDArray[np.integer]
Truths = NDArray[np.bool_]

NEIGHBOURS = 5
"""How many nearest items are compared before and after weights moved."""

STEADY = 0.9
"""A change that beyond doubt leaves fewer answers than this as they were is worth a sentence."""

# Above the first the neighbours are called mostly the same, below the second mostly others.
_MOSTLY, _HALF = 0.8, 0.5


@dataclass(frozen=True)
class Changed:
    """What one slight change does to the answers of the model that is shipped."""

    name: str
    """The change."""
    rows: int
    """How many training rows it changed; rows that it leaves as they are do not count."""
    same: Estimate
    """Stability: the share of their answers that stays the same."""
    frozen: Estimate | None = None
    """Stability of the frozen model on the same changed rows; None where no weights moved."""
    difference: Estimate | None = None
    """Stability minus that of the frozen model, paired, at a level corrected for the number of changes (Bonferroni)."""
    test_rows: int = 0
    """How many rows of the test were changed as well."""
    plain: Estimate | None = None
    """The share of these that is answered right as they are."""
    accuracy: Estimate | None = None
    """The share of these that is answered right after the change."""
    loss: Estimate | None = None
    """``plain`` minus ``accuracy``, paired, at the corrected level."""

    @property
    def sentences(self) -> list[str]:
        """What is worth telling, beyond doubt; empty where the change does little."""
        lines = []
        if self.same.high < STEADY:
            turned = Estimate(1 - self.same.value, 1 - self.same.high, 1 - self.same.low)
            lines.append(
                f"Changed slightly ({self.name}), {turned.told(Scale())} of items get another answer "
                f"({Scale().between(turned.low, turned.high, 'to')}, tried on {self.rows} training rows)."
            )
        if self.difference is not None and self.difference.high < 0:
            less = _points(self.difference)
            lines.append(f"{self.name}: the tuned model keeps fewer of its answers than the frozen one, by {less}.")
        if self.loss is not None and self.loss.low > 0:
            lines.append(f"{self.name}: accuracy on {self.test_rows} test rows falls by {_points(self.loss)}.")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """The change as it stands in ``scores.json``."""
        entry: dict[str, Any] = {"name": self.name, "rows": self.rows, "same": self.same.as_dict()}
        if self.test_rows:
            entry["test_rows"] = self.test_rows
        for name in _OPTIONAL:
            estimate = getattr(self, name)
            if estimate is not None:
                entry[name] = estimate.as_dict()
        return entry

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Changed:
        """Read back what ``as_dict`` wrote."""
        optional = {name: Estimate(**raw[name]) for name in _OPTIONAL if name in raw}
        return cls(raw["name"], raw["rows"], Estimate(**raw["same"]), test_rows=raw.get("test_rows", 0), **optional)


_OPTIONAL = ("frozen", "difference", "plain", "accuracy", "loss")


def _points(difference: Estimate) -> str:
    low, high = sorted(abs(100 * end) for end in (difference.low, difference.high))
    return f"{abs(100 * difference.value):.0f} points ({low:.0f} to {high:.0f})"


def stability(name: str, stays: Truths, frozen: Truths | None, groups: Whole | None, changes: int) -> Changed:
    """How many answers survive a change.

    Args:
        name: the change.
        stays: (N,) whether the answer to the changed item is the same as to the item as it is.
        frozen: the same of the frozen model, where weights moved.
        groups: (N,) rows that are not independent share a number; None where all are.
        changes: how many changes are tried in all.
    """
    same = share(stays)
    found = Changed(name, len(same), interval(same, groups))
    if frozen is None:
        return found
    rival = share(frozen)
    apart = difference(same, rival, groups, _level(changes))
    return Changed(name, len(same), found.same, interval(rival, groups), apart)


def accuracies(plain: Truths, changed: Truths, changes: int) -> dict[str, Any]:
    """The fields of a change that rows of a test give.

    Args:
        plain: (N,) whether each row is answered right as it is.
        changed: (N,) whether it is after the change.
        changes: how many changes are tried in all.
    """
    before, after = share(plain), share(changed)
    loss = difference(before, after, None, _level(changes))
    shares = {"plain": interval(before), "accuracy": interval(after), "loss": loss}
    return {"test_rows": len(before), **shares}


def _level(questions: int) -> float:
    """The level of one interval of several, so that all of them hold together as often as one should (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(1, questions)


@dataclass(frozen=True)
class Kept:
    """How much of what the backbone saw before weights moved it still sees."""

    about: str
    """Which items were compared, in words."""
    items: int
    """How many."""
    overlap: Estimate
    """The mean share of the nearest items that were the nearest before."""

    @property
    def sentence(self) -> str:
        """The overlap, and what it means, in words."""
        overlap = self.overlap
        span = Scale().between(overlap.low, overlap.high, "to")
        extent = (
            "what it knew is mostly kept"
            if overlap.low > _MOSTLY
            else "most of what it knew has changed: use it for nothing but what it learned from"
            if overlap.high < _HALF
            else "part of what it knew has changed"
        )
        return (
            f"Of the {NEIGHBOURS} nearest neighbours of an item among {self.items} {self.about}, "
            f"{overlap.told(Scale())} ({span}) were among the nearest before weights moved: {extent}."
        )

    @property
    def lost(self) -> bool:
        """Whether more than half of the neighbours are others, beyond doubt."""
        return self.overlap.high < _HALF

    def as_dict(self) -> dict[str, Any]:
        """The overlap as it stands in ``scores.json``."""
        return {"about": self.about, "items": self.items, "overlap": self.overlap.as_dict()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Kept:
        """Read back what ``as_dict`` wrote."""
        return cls(raw["about"], raw["items"], Estimate(**raw["overlap"]))


def kept(about: str, before: Matrix, after: Matrix) -> Kept | None:
    """Compare the nearest neighbours of items before and after weights moved.

    The interval is Wilson's on the number of items: overlaps lie between 0 and 1 and vary less than right and wrong do,
    so it is rather too wide.

    Args:
        about: which items, in words.
        before: (N, D) features of the frozen backbone.
        after: (N, D) features of the tuned one.

    Returns:
        The mean overlap; None for so few items that every one is a neighbour.
    """
    n = len(before)
    if n < 2 * NEIGHBOURS + 1:
        return None
    first, second = neighbours(before), neighbours(after)
    shares = [len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    return Kept(about, n, interval(share(np.array(shares))))


def neighbours(features: Matrix, count: int = NEIGHBOURS) -> NDArray[np.intp]:
    """The most similar other rows of each row by cosine. (N, D) → (N, count)."""
    x = unit_rows(features)
    similar = x @ x.T
    np.fill_diagonal(similar, -np.inf)
    return np.argsort(-similar, axis=1, kind="stable")[:, :count]


def worth_telling(changes: Sequence[Changed], neighbourhood: Kept | None) -> list[str]:
    """What was found that a user should know before using the model, one sentence each."""
    told = [sentence for change in changes for sentence in change.sentences]
    return told + ([neighbourhood.sentence] if neighbourhood is not None and neighbourhood.lost else [])
