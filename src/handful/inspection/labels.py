"""Label noise: labels worth a second look, and classes that cannot be told apart, by what the other rows say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from handful.data.dataset import Dataset
from handful.data.names import listed
from handful.inspection.findings import Finding
from handful.inspection.loo_logistic import Array, centred, left_out
from handful.inspection.wrong_labels import Count, WrongLabels

# Chosen on goemotions (single labels), clinc150, masakhanews, trashnet and esc10; see benchmarks/label_errors.py.
_MARGIN_SHARE, _NEIGHBOUR_SHARE, _SHARPNESS = 0.5, 0.6, 10.0

# So many labels are worth a second look in any case, where as many are a quarter of the rows at most and each is wrong
# once in fifty times; more where they are wrong more often than not.
_LISTED, _PART, _UNLIKELY, _LIKELY = 10, 4, 0.02, 0.5

# A class with fewer rows has nobody to speak for its labels.
_COMPANY = 3

# Two classes cannot be told apart where even the upper end of a 95 % interval is below this share, and the share
# itself is nearer to a coin's than to this.
_TOLD_APART, _COIN = 0.85, 0.65
# A class is called less often the rarer it is, wherever its rows lie: of classes of so different sizes nothing is said.
_FEWEST, _UNEVEN = 4, 3


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
    wrong: WrongLabels
    """How likely each label is wrong."""

    def second_look(self, mixed: Collection[tuple[int, int]] = ()) -> list[int]:
        """Positions of the rows whose label is worth a second look, the most doubtful first.

        Args:
            mixed: pairs of classes, the smaller number first, between which nothing speaks against a label.
        """
        counts, better, chances = np.bincount(self.index), self.better, self.wrong.chances
        asked = [
            int(i)
            for i in np.argsort(-self.scores, kind="stable")
            if counts[self.index[i]] >= _COMPANY
            and chances[i] >= _UNLIKELY
            and tuple(sorted((int(self.index[i]), int(better[i])))) not in mixed
        ]
        first = asked[: min(_LISTED, max(1, len(self.index) // _PART))]
        return first + [i for i in asked[len(first) :] if chances[i] >= _LIKELY]

    @property
    def better(self) -> NDArray[np.int64]:
        """(N,) the most probable other class of each row."""
        return np.asarray(_others(self.logs, self.index).argmax(1), np.int64)


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
    near = _NEIGHBOUR_SHARE * np.log(_neighbours(views, index, len(classes)) + 1e-3)  # (N, C)
    own, company = (np.arange(len(index)), index), np.bincount(index)[index] >= _COMPANY
    scores = -logs[own] + _MARGIN_SHARE * (_others(logs, index).max(1) - logs[own]) - near[own]
    return Doubts(
        tuple(str(name) for name in classes), index, logs, scores, WrongLabels.of(logs + near, index, company)
    )


def _others(logs: Array, index: NDArray[np.int64]) -> Array:
    """(N, C) the same, the label of each row out of the question."""
    others = logs.copy()
    others[np.arange(len(index)), index] = -np.inf
    return others


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
    """The labels that are worth a second look, and how many of them are expected to be wrong.

    Rows that would only move between two classes that cannot be told apart are left out: nothing speaks against them.

    Args:
        dataset: the N rows.
        evidence: the doubts about them.
    """
    rows = evidence.second_look({(a, b) for _, a, b in _mixed_up(evidence)})
    if not rows:
        return
    count, chances, first = evidence.wrong.among(rows), evidence.wrong.chances[rows], rows[0]
    given, better = (evidence.classes[c[first]] for c in (evidence.index, evidence.better))
    said = f"{dataset.called(first)} is labelled {listed([given])} and "
    said += f"{'looks like' if chances[0] >= _LIKELY else 'may be'} {listed([better])}"
    if len(rows) > 1:
        said += f"; then {dataset.called_together(rows[1:], _LISTED - 1)}"
    yield Finding(
        "label_error",
        tuple(dataset.rows[i] for i in rows),
        f"{_worth(len(rows))} a second look, {_expected(count, len(rows))}: {said}",
        "Look at it, and correct it if it is wrong; leave it if it is right."
        if len(rows) == 1
        else "Look at these rows, the first ones first, and correct what is wrong; leave what is right as it is.",
        tuple(round(float(chance), 4) for chance in chances),
        severity=count.expected / len(dataset),
    )


def _worth(rows: int) -> str:
    return "1 label is worth" if rows == 1 else f"{rows} labels are worth"


def _expected(count: Count, rows: int) -> str:
    """How many of the labels are expected to be wrong, in words."""
    if rows == 1:
        return f"with a chance of {count.expected:.0%} that it is wrong"
    about, low, high = round(count.expected), count.low, count.high
    span = f"{low} to {high}" if low < high else f"{high}"
    if not about:
        return f"though most likely none of them is wrong ({span} expected)"
    return f"about {about} of which {'is' if about == 1 else 'are'} expected to be wrong ({span})"


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
        rows = round(4 / (1 / counts[a] + 1 / counts[b]))  # what a mean of two shares rests on
        uneven = max(counts[a], counts[b]) > _UNEVEN * min(counts[a], counts[b])
        if not uneven and _upper(round(float(shares[i, j]) * rows), rows) < _TOLD_APART:
            pairs.append((float(shares[i, j]), a, b))
    return sorted(pairs)


@lru_cache(maxsize=1024)
def _upper(right: int, rows: int) -> float:
    """The largest share of which so few of the rows would be right in 2.5 % of the cases."""
    grid = np.linspace(0, 1, 1001)
    return float(grid[binom.cdf(right, rows, grid) >= 0.025].max())
