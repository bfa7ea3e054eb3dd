"""Slices: how the model fares on parts of the rows (short texts, one speaker, one folder), and which parts differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.intervals import LEVEL, Estimate, interval
from handful.evaluation.metrics import Measured, Scale

Floats = NDArray[np.float64]
Whole = NDArray[np.integer]

FEWEST = 8
"""A slice with fewer rows, or with fewer rows beside it, is not looked at: its interval would say nothing."""

# So many parts of a kind are looked at, the largest ones: each makes it harder to name another.
_PARTS = 40
# Rows dealt anew: this many numbers in all, within these bounds, so that many rows take no longer than few.
_NUMBERS, _LEAST, _MOST = 10_000_000, 999, 9_999
# Rows dealt anew are held in memory so many numbers at a time.
_BATCH = 500_000


@dataclass(frozen=True)
class Slice:
    """A part of the rows."""

    kind: str
    """What parted the rows: ``length``, ``language``, ``duration``, ``size``, ``group``, ``source``, ``class``."""
    name: str
    """Which part, for example ``up to 41 characters``."""
    rows: int
    """How many rows it has."""
    score: Estimate
    """Of these rows, in the first metric of the task, while they were held out."""
    rest: float
    """The same of all other rows."""
    p: float
    """How often a part drawn at random differs from the rest as much, corrected for the number of parts looked at."""
    scale: Scale = field(default_factory=Scale)
    """How the score is told."""

    @property
    def differs(self) -> bool:
        """Whether its score differs from that of the rest beyond doubt."""
        return self.p < 1 - LEVEL

    @property
    def sentence(self) -> str:
        """The difference in words."""
        value, low, high = map(self.scale.told, (self.score.value, self.score.low, self.score.high))
        what = "right" if self.scale.title == "accuracy" else self.scale.title
        return (
            f"A part that differs: {self.kind} {self.name}, {value} {what} ({low} to {high}, {self.rows} rows held "
            f"out), the others {self.scale.told(self.rest)}."
        )

    def as_dict(self) -> dict[str, Any]:
        """The slice as it stands in ``scores.json``."""
        told = {"kind": self.kind, "name": self.name, "rows": self.rows, "score": self.score.as_dict()}
        rest = {"rest": round(self.rest, 6), "p": round(self.p, 6), "differs": self.differs}
        return {**told, **rest, "scale": asdict(self.scale)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Slice:
        """Read back what ``as_dict`` wrote."""
        score = Estimate(**raw["score"])
        return cls(raw["kind"], raw["name"], raw["rows"], score, raw["rest"], raw["p"], Scale(**raw["scale"]))


def parts_by_size(values: Sequence[float], unit: str, digits: int = 0) -> list[str] | None:
    """Part rows by a number into thirds, or into halves where thirds would be too small.

    Args:
        values: N numbers.
        unit: what they count, for the names.
        digits: decimals of the names; numbers that look the same stay together.

    Returns:
        The name of each row's part; None where equal numbers or few rows leave no two parts.
    """
    x = np.round(np.asarray(values, float), digits)
    for count in (3, 2):
        cuts = np.unique(np.quantile(x, np.arange(1, count) / count, method="lower")) if len(x) else x
        part = np.searchsorted(cuts, x)  # a value that equals a cut lies below it
        _, part = np.unique(part, return_inverse=True)
        sizes = np.bincount(part) if len(part) else part
        if len(sizes) == count and sizes.min() >= FEWEST:
            ends = [(x[part == i].min(), x[part == i].max()) for i in range(count)]
            names = [_range(low, high, i, count, unit, digits) for i, (low, high) in enumerate(ends)]
            return [names[i] for i in part]
    return None


def _range(low: float, high: float, i: int, count: int, unit: str, digits: int) -> str:
    if i == 0:
        return f"up to {high:,.{digits}f} {unit}"
    if i == count - 1:
        return f"{low:,.{digits}f} {unit} or more"
    return f"{low:,.{digits}f} to {high:,.{digits}f} {unit}"


def parts_by_name(names: Sequence[str | None], other: str) -> list[str] | None:
    """Part rows by a name that not every row has.

    Args:
        names: the name of each row; None where it has none.
        other: the name of the part of all rows without a name, or with one that too few rows share.

    Returns:
        The name of each row's part; None where no two names have enough rows.
    """
    counts = Counter(name for name in names if name is not None)
    large = {name for name, count in counts.items() if count >= FEWEST}
    return [name if name in large else other for name in names] if len(large) > 1 else None


def slices(
    measured: Measured, kinds: Mapping[str, Sequence[str]], groups: Whole | None, rng: np.random.Generator
) -> tuple[Slice, ...]:
    """Measure every part of the rows, and say which ones differ from the rest.

    A part is compared with all other rows by a permutation test on the difference of their means. All p-values are
    corrected together by Holm 1979 (Scand. J. Stat. 6:65, "A simple sequentially rejective multiple test procedure"),
    so that where nothing differs a part is named in at most one run of twenty. A kind with two parts asks one question.

    Rows that are not independent are dealt anew only among the rows of their own group, single rows among each other: a
    part that is one speaker's alone cannot then be told from that speaker. Only parts that *are* groups compare rows of
    different groups, because the question is about these groups and no others.

    Args:
        measured: the N rows while they were held out, by a share or ratio.
        kinds: by what rows are parted → the name of each row's part.
        groups: (N,) rows that are not independent share a number; None where all are.
        rng: deals rows anew.

    Returns:
        Every part with enough rows, kind by kind, the weakest of a kind first.
    """
    right, scale = measured.scores, measured.metric.scale
    unadjusted: list[Slice] = []
    asked: list[tuple[float, list[int]]] = []
    for kind, names in kinds.items():
        parts, index = np.unique(np.asarray(names, object).astype(str), return_inverse=True)
        sizes = np.bincount(index)
        large = np.sort(np.argsort(-sizes, kind="stable")[:_PARTS]).tolist()
        testable = [i for i in large if min(sizes[i], len(right) - sizes[i]) >= FEWEST]
        member = index[:, None] == np.array(testable, int)  # (N, S)
        chance = _chances(right, member, None if kind == "group" else groups, rng)
        at = np.arange(len(testable)) + len(unadjusted)
        for i, p, own in zip(testable, chance, member.T, strict=True):
            score = interval(measured.take(own), None if groups is None or kind == "group" else groups[own])
            unadjusted.append(Slice(kind, str(parts[i]), int(sizes[i]), score, float(right[~own].mean()), p, scale))
        same = len(parts) == 2
        asked += (
            [(chance[0], at.tolist())]
            if same and testable
            else [(p, [int(i)]) for p, i in zip(chance, at, strict=True)]
        )
    corrected = holm([p for p, _ in asked])
    p_of = {i: p for p, (_, members) in zip(corrected, asked, strict=True) for i in members}
    adjusted = [replace(part, p=p_of[i]) for i, part in enumerate(unadjusted)]
    order, side = list(kinds), 1 if scale.higher_is_better else -1
    return tuple(sorted(adjusted, key=lambda s: (order.index(s.kind), side * s.score.value, s.name)))


def named(found: Sequence[Slice]) -> list[Slice]:
    """The parts that differ; of two that are all rows together only the weaker, since both say the same."""
    return [s for s in found if s.differs and not any(_mirrored(s, other) for other in found)]


def _mirrored(better: Slice, other: Slice) -> bool:
    """Whether the other part is all the other rows, and fares worse."""
    same = better.kind == other.kind and better.rest == other.score.value and better.score.value == other.rest
    ahead = better.score.value - other.score.value
    return same and (ahead if better.scale.higher_is_better else -ahead) > 0


def _chances(right: Floats, member: NDArray[np.bool_], groups: Whole | None, rng: np.random.Generator) -> list[float]:
    """How often rows dealt anew differ as much between each part and the rest. (N,), (N, S) → S shares."""
    n, own = len(right), member.sum(0)  # (S,)
    if not len(own):
        return []
    # The difference of two means is monotone in the sum over the part, whose expectation is known when all are dealt.
    block = _blocks(groups, n)
    means = np.bincount(block, right) / np.maximum(np.bincount(block), 1)
    centre = means[block] @ member  # (S,)
    seen = np.abs(right @ member - centre)
    draws = int(np.clip(_NUMBERS // n, _LEAST, _MOST))
    as_far, weights, step = np.zeros(len(own)), member.astype(float), max(1, _BATCH // n)
    place = np.argsort(block, kind="stable")
    for start in range(0, draws, step):
        # Sorting random numbers within each block deals its rows anew.
        order = np.argsort(block + rng.random((min(step, draws - start), n)), axis=1)  # (B, N)
        dealt = np.empty(order.shape)
        dealt[:, place] = right[order]
        as_far += (np.abs(dealt @ weights - centre) >= seen - 1e-9).sum(0)
    return [float(p) for p in (1 + as_far) / (1 + draws)]


def _blocks(groups: Whole | None, n: int) -> NDArray[np.intp]:
    """(N,) rows that may change places share a number: those of each group, and all rows that are alone in theirs."""
    if groups is None:
        return np.zeros(n, np.intp)
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return np.where(sizes[index] == 1, 0, 1 + index)


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for how many there are, by Holm's step-down procedure (Holm 1979)."""
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    out = np.empty(len(values))
    out[order] = np.minimum(stepped, 1.0)
    return [float(x) for x in out]
