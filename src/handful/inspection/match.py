"""How well each backbone suits the rows: how often a row is nearest to its own class, beyond chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.inspection.loo_logistic import Array, centred

# Backbones this many standard errors below the best one do not vote on labels.
_BEHIND = 1.0


@dataclass(frozen=True)
class Match:
    """How well one backbone suits the rows."""

    backbone: str
    """Its name."""
    agreement: float
    """Share of rows nearest to the mean of their own class, the row itself left out, each class weighing the same."""
    chance: float
    """What that share would be where nothing can be seen: one over the number of classes."""
    rows: int
    """How many rows were asked."""

    @property
    def figure(self) -> float:
        """The agreement beyond chance, 0 (sees nothing that matters here) to 1 (sees every class)."""
        return max(0.0, (self.agreement - self.chance) / (1 - self.chance)) if self.chance < 1 else 0.0

    @property
    def words(self) -> str:
        """The figure as one sentence without a full stop."""
        verdict = next(text for least, text in _VERDICTS if self.figure >= least)
        return (
            f"{self.backbone} {verdict}: domain match {self.figure:.2f} ({self.agreement:.0%} of {self.rows} rows are "
            f"nearest to their own class, chance is {self.chance:.0%})"
        )


_VERDICTS = ((0.8, "suits these rows well"), (0.5, "suits these rows"), (0.2, "suits these rows in part"),
             (0.0, "hardly sees what the labels are about"))  # fmt: skip


def matches(views: Mapping[str, NDArray[np.floating]], labels: Sequence[str]) -> list[Match]:
    """The match of each backbone, best first.

    Args:
        views: backbone → (N, D), its last layer.
        labels: N class names; classes with one row are left out, since nothing is left to be near to.

    Returns:
        One per backbone; none where fewer than two classes have two rows.
    """
    names, index, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts[index] > 1)
    classes, index = np.unique(index[kept], return_inverse=True)
    if len(classes) < 2:
        return []
    found = [
        Match(name, _agreement(centred(view[kept]), index.astype(np.int64), len(classes)), 1 / len(classes), len(kept))
        for name, view in views.items()
    ]
    return sorted(found, key=lambda match: -match.agreement)


def _agreement(x: Array, index: NDArray[np.int64], classes: int) -> float:
    given = np.eye(classes)[index]  # (N, C)
    sums, counts = given.T @ x, given.sum(0)
    means = sums / counts[:, None]
    distance = (x**2).sum(1)[:, None] - 2 * x @ means.T + (means**2).sum(1)  # (N, C)
    rows = np.arange(len(x))
    own = (sums[index] - x) / (counts[index] - 1)[:, None]
    distance[rows, index] = ((x - own) ** 2).sum(1)
    best = distance.min(1)
    # Ties are shared, so that constant features come out at chance.
    near = np.isclose(distance, best[:, None], atol=1e-9)
    right = near[rows, index] / near.sum(1)
    return float(np.mean([right[index == c].mean() for c in range(classes)]))


def suited(ranked: Sequence[Match]) -> list[str]:
    """The backbones that may vote: the best one and those not clearly behind it."""
    if not ranked:
        return []
    best = ranked[0]
    error = np.sqrt(max(best.agreement * (1 - best.agreement), 0.25 / best.rows) / best.rows)
    return [match.backbone for match in ranked if match.agreement >= best.agreement - _BEHIND * error]
