"""Label noise: labels that look wrong, and classes that cannot be told apart, by what the other rows say about each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from handful.data.dataset import Dataset
from handful.data.names import listed
from handful.inspection.findings import Finding
from handful.inspection.loo_logistic import Array, centred, left_out

# Chosen on goemotions (single labels), clinc150, masakhanews, trashnet and esc10; see benchmarks/label_errors.py.
_MARGIN_SHARE, _NEIGHBOUR_SHARE, _SHARPNESS = 0.5, 0.6, 10.0

# A label is called doubtful where another one is e^1.5, four and a half times, as probable without it.
_DOUBTFUL = 1.5

# Two classes cannot be told apart where even the upper end of a 95 % interval is below this share, and the share
# itself is nearer to a coin's than to this.
_TOLD_APART, _COIN = 0.85, 0.65
_FEWEST = 4


@dataclass(frozen=True)
class Doubts:
    """How much the other rows speak against the label of each row."""

    classes: tuple[str, ...]
    """The C class names, sorted."""
    index: NDArray[np.int64]
    """(N,) number of the label of each row."""
    logs: Array
    """(N, C) logarithms of the probabilities of each class by the other rows."""
    scores: Array
    """(N,) higher is more doubtful: log loss, margin and neighbours together."""

    @property
    def margins(self) -> Array:
        """(N,) how far the best other class is above the label, in log probability."""
        return _margins(self.logs, self.index)

    @property
    def doubtful(self) -> list[int]:
        """Positions of the rows whose label looks wrong, the most doubtful first."""
        order, margins = np.argsort(-self.scores, kind="stable"), self.margins
        return [int(i) for i in order if margins[i] > _DOUBTFUL]


def doubts(views: Sequence[NDArray[np.floating]], labels: Sequence[str]) -> Doubts:
    """Ask the other rows about each label.

    Args:
        views: one (N, D) matrix of features per view.
        labels: N class names, of two classes at least.

    Returns:
        The doubts; where features are the same for all rows, nothing is doubtful.
    """
    classes, index = np.unique(np.asarray(labels), return_inverse=True)
    index = index.astype(np.int64)
    logs = left_out(views, index, len(classes))
    own = np.arange(len(index)), index
    scores = -logs[own] + _MARGIN_SHARE * _margins(logs, index)
    scores -= _NEIGHBOUR_SHARE * np.log(_neighbours(views, index, len(classes))[own] + 1e-3)
    return Doubts(tuple(str(name) for name in classes), index, logs, scores)


def _margins(logs: Array, index: NDArray[np.int64]) -> Array:
    rows = np.arange(len(index))
    others = logs.copy()
    others[rows, index] = -np.inf
    return np.asarray(others.max(1) - logs[rows, index])


def _neighbours(views: Sequence[NDArray[np.floating]], index: NDArray[np.int64], classes: int) -> Array:
    """(N, C) share of the votes of the other rows, near ones weighing most."""
    alike = np.mean([cosines(view) for view in views], axis=0)
    votes = np.exp(_SHARPNESS * alike)
    np.fill_diagonal(votes, 0)
    order, starts = np.argsort(index, kind="stable"), np.searchsorted(np.sort(index), np.arange(classes))
    found = np.add.reduceat(votes[:, order], starts, axis=1)  # every class has a row
    return np.asarray(found / found.sum(1, keepdims=True))


def cosines(features: NDArray[np.floating]) -> Array:
    """(N, N) cosines of the centred rows; zero where all rows are the same."""
    x = centred(features)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return np.asarray(x @ x.T)


def label_errors(dataset: Dataset, evidence: Doubts) -> Iterator[Finding]:
    """Rows whose label looks wrong.

    Rows that would only move between two classes that cannot be told apart are left out: nothing speaks against them.

    Args:
        dataset: the N rows.
        evidence: the doubts about them.
    """
    others = evidence.logs.copy()
    others[np.arange(len(others)), evidence.index] = -np.inf
    better = others.argmax(1)  # (N,)
    mixed = {(a, b) for _, a, b in _mixed_up(evidence)}
    rows = [i for i in evidence.doubtful if tuple(sorted((int(evidence.index[i]), int(better[i])))) not in mixed]
    if not rows:
        return
    sure = 1 - 1 / (1 + np.exp(evidence.margins[rows]))
    first = (
        f"row {dataset.rows[rows[0]]} is labelled {listed([evidence.classes[evidence.index[rows[0]]]])} and looks like "
        f"{listed([evidence.classes[better[rows[0]]]])}"
    )
    yield Finding(
        "label_error",
        tuple(dataset.rows[i] for i in rows),
        f"{len(rows)} {'label looks' if len(rows) == 1 else 'labels look'} wrong to the other rows: {first}",
        "Look at these rows, the first ones first, and correct what is wrong; leave what is right as it is.",
        tuple(round(float(p), 4) for p in sure),
        severity=len(rows) / len(dataset),
    )


def confusable(dataset: Dataset, evidence: Doubts) -> Iterator[Finding]:
    """Classes that the other rows cannot tell apart.

    Two classes are named where the share of their rows that are nearer to their own class than to the other, each class
    weighing the same, is near a half, and its 95 % upper bound (Clopper and Pearson 1934) is below 85 %. Pairs that
    share a class are told together.

    Args:
        dataset: the N rows.
        evidence: the doubts about them.
    """
    groups: list[tuple[set[int], list[float]]] = []
    for share, a, b in _mixed_up(evidence):
        touched = [group for group in groups if group[0] & {a, b}]
        groups = [group for group in groups if group not in touched]
        classes = {a, b}.union(*(names for names, _ in touched))
        groups.append((classes, [share, *(old for _, shares in touched for old in shares)]))
    for classes, shares in groups:
        rows = np.flatnonzero(np.isin(evidence.index, list(classes)))
        share = float(np.mean(shares))
        pairs = "" if len(shares) == 1 else f", on the mean of the {len(shares)} pairs that are mixed up"
        yield Finding(
            "confusable",
            tuple(dataset.rows[i] for i in rows),
            f"classes {listed([evidence.classes[c] for c in sorted(classes)])} cannot be told apart: {share:.0%} of "
            f"their {len(rows)} rows are nearer to their own class than to the other{pairs}, and a coin would get 50%",
            "Join them, or say what divides them and check these rows.",
            severity=(1 - share) * len(rows) / len(dataset),
        )


def _mixed_up(evidence: Doubts) -> list[tuple[float, int, int]]:
    """Pairs of classes that cannot be told apart: the share that is right, and the two, the worst first."""
    counts = np.bincount(evidence.index, minlength=len(evidence.classes))
    enough = np.flatnonzero(counts >= _FEWEST)
    pairs = []
    # above[i, j]: share of the rows of class i that are nearer to it than to class j; below: to j than to it.
    above, below = (np.zeros((len(enough), len(enough))) for _ in range(2))
    for i, c in enumerate(enough):
        logs = evidence.logs[evidence.index == c]
        own, others = logs[:, [c]], logs[:, enough]
        above[i], below[i] = (own > others).mean(0), (others > own).mean(0)
    shares = (above + 1 - below.T) / 2
    for i, j in zip(*np.nonzero(np.triu(shares <= _COIN, 1)), strict=True):
        a, b = int(enough[i]), int(enough[j])
        rows = int(counts[a] + counts[b])
        if _upper(round(float(shares[i, j]) * rows), rows) < _TOLD_APART:
            pairs.append((float(shares[i, j]), a, b))
    return sorted(pairs)


@lru_cache(maxsize=1024)
def _upper(right: int, rows: int) -> float:
    """The largest share of which so few of the rows would be right in 2.5 % of the cases."""
    grid = np.linspace(0, 1, 1001)
    return float(grid[binom.cdf(right, rows, grid) >= 0.025].max())
