"""Novelty: how unlike the training rows a new input is, and how often a row like theirs would look as strange.

The field calls it out-of-distribution detection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from handful.errors import OptionError
from handful.features.view import Matrix, unit_rows

Floats = NDArray[np.floating]

USUAL = 0.05
"""Inputs stranger than all but this share of the training rows are counted as strange."""

CHANCE = 0.01
"""Most inputs are called strange only where as many like the training rows would look so more rarely than this."""

# How much a lack of confidence counts beside the distance. Distance alone misses what lies between two classes;
# measured on benchmarks/reject.py's sets, both together are at least as good as either.
DOUBT = 0.5
# Rows that are all the same have no spread: what differs from them at all is then far away.
_FLOOR = 1e-4


@dataclass(frozen=True)
class Novelty:
    """What a new input is compared with.

    An input is as strange as it is far from the nearest mean of rows of which the same is wanted (cosine; Lee et al.
    2018 take the Mahalanobis distance, for whose covariance a handful of rows is too few), plus half of how unsure the
    model is (Hendrycks & Gimpel 2017), both in standard deviations of the training rows, each measured as if it had
    not been there.
    """

    means: Matrix
    """(S, D) mean of each stratum's rows, as of each class, scaled to length one."""
    usual: Matrix
    """(2, 2) mean and standard deviation of distance and of doubt over the training rows."""
    strange: Matrix
    """(N,) how strange each training row was while it was left out, in rising order."""

    @classmethod
    def of(
        cls,
        features: Matrix,
        strata: NDArray[np.integer],
        confidence: Floats,
        groups: NDArray[np.integer] | None = None,
    ) -> Novelty:
        """Learn from the training rows what is usual.

        Args:
            features: (N, D).
            strata: (N,) of which rows the same is wanted, as class numbers.
            confidence: (N,) how sure the answer to each row was of itself while it was held out.
            groups: (N,) rows that share a number are left out together; None where rows are independent.
        """
        x = unit_rows(features)
        means, near = _left_out(x, np.unique(strata, return_inverse=True)[1], groups)
        facts = np.stack([1 - near, 1 - np.asarray(confidence, np.float64)])  # (2, N)
        usual = np.stack([facts.mean(1), np.maximum(facts.std(1), _FLOOR)], 1).astype(np.float32)
        return cls(means, usual, np.sort(_joined(facts, usual)).astype(np.float32))

    def scores(self, features: Matrix, confidence: Floats) -> NDArray[np.float64]:
        """How strange inputs are, higher is stranger. (N, D), (N,) → (N,)."""
        near = (unit_rows(features) @ self.means.T).max(1)
        return _joined(np.stack([1 - near, 1 - confidence]), self.usual)

    def rarity(self, scores: Floats) -> NDArray[np.float64]:
        """The share of rows like the training rows that would look as strange. (N,) → (N,), above 0.

        Conformal p-values (Bates et al. 2023, "Testing for outliers with conformal p-values", eq. 3), with scores that
        were left out in turn in place of a calibration split.
        """
        above = len(self.strange) - np.searchsorted(self.strange, np.asarray(scores, np.float32), side="left")
        return np.asarray((above + 1) / (len(self.strange) + 1), np.float64)

    def rarity_of(self, features: Matrix, confidence: Floats) -> NDArray[np.float64]:
        """How rare inputs are among rows like the training rows. (N, D), (N,) → (N,), above 0."""
        return self.rarity(self.scores(features, confidence))

    def refused(self, features: Matrix, confidence: Floats, share: float) -> NDArray[np.bool_]:
        """Which inputs are stranger than all but so small a share of the training rows. (N, D), (N,) → (N,).

        Raises:
            OptionError: as ``check_share``.
        """
        self.check_share(share)
        return np.asarray(self.rarity_of(features, confidence) <= share)

    @property
    def level(self) -> float:
        """The rarity up to which inputs are called strange: ``USUAL``, or the smallest that so few rows can tell."""
        return max(USUAL, 1 / (len(self.strange) + 1))

    def check_share(self, share: float) -> None:
        """Refuse a share that so few training rows cannot tell.

        Raises:
            OptionError: it is not between one in N + 1 and all.
        """
        rows = len(self.strange)
        if not 1 / (rows + 1) <= share < 1:
            raise OptionError(
                f"the share to reject must lie between {1 / (rows + 1):.1%} and 100%, got {share:.1%}: with the "
                f"{rows} rows that the model has seen, nothing can be called rarer than 1 in {rows + 1}. "
                "Choose a share between them."
            )


def mostly_strange(strange: int, count: int, level: float) -> bool:
    """Whether more than half of the inputs are strange, and so many that it is no chance.

    Args:
        strange: how many inputs are as rare as ``level``, or rarer.
        count: how many there are.
        level: the share of rows like the training rows that are; 1: nothing is known of them.
    """
    return level < 1 and 2 * strange > count and float(binom.sf(strange - 1, count, level)) < CHANCE


def _joined(facts: Floats, usual: Floats) -> NDArray[np.float64]:
    """Distance and doubt in standard deviations, added up. (2, N) → (N,)."""
    far, doubt = (np.asarray(facts, np.float64) - usual[:, :1]) / usual[:, 1:]
    return np.asarray(far + DOUBT * doubt)


def _left_out(
    x: Matrix, truth: NDArray[np.integer], groups: NDArray[np.integer] | None
) -> tuple[Matrix, NDArray[np.float64]]:
    """Class means (C, D) of length one, and each row's cosine (N,) with the nearest mean that lacks its group."""
    sums = np.eye(int(truth.max()) + 1, dtype=np.float32)[truth].T @ x  # (C, D)
    means, counts = unit_rows(sums), np.bincount(truth)
    near = x @ means.T  # (N, C)
    every = np.arange(len(x))
    alone = np.where(counts[truth] > 1, np.einsum("nd,nd->n", x, unit_rows(sums[truth] - x)), -1)
    near[every, truth] = alone  # -1 where nothing is left of the class
    order = every if groups is None else np.argsort(groups, kind="stable")
    ends = every[1:] if groups is None else np.flatnonzero(np.diff(groups[order])) + 1
    for rows in np.split(order, ends) if len(ends) + 1 < len(x) else ():
        for c in np.unique(truth[rows]) if len(rows) > 1 else ():
            own = rows[truth[rows] == c]
            left = unit_rows((sums[c] - x[own].sum(0))[None])[0]
            near[rows, c] = x[rows] @ left if len(own) < counts[c] else -1
    return means, near.max(1).astype(np.float64)
