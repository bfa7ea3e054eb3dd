"""Heads from sums: least squares in closed form, the same numbers as from the rows themselves.

``S`` penalties, ``D`` width, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.features.view import unit_rows
from handful.regimes.federated.sums import Floats, Sums
from handful.strategies.frozen.solver import ABSENT
from handful.threads import one_thread


@dataclass(frozen=True)
class Maps:
    """Linear maps from features to scores, one per penalty."""

    coef: Floats
    """(S, D, C)."""
    intercept: Floats
    """(S, C)."""

    def scores(self, features: NDArray[np.floating]) -> Floats:
        """What is scored with each penalty. (N, D) → (S, N, C)."""
        return np.asarray(unit_rows(features) @ self.coef + self.intercept[:, None, :], np.float64)


@one_thread()
def ridges(sums: Sums, penalties: Sequence[float]) -> Maps:
    """Least squares to -1 and +1, one class against the rest, as ``tasks.heads.SQUARED`` has it.

    The scatter of the rows around their mean and how the classes lie in it are functions of sums; one decomposition
    serves all penalties.

    Args:
        sums: of all folds that may be learned from.
        penalties: S values of λ in ``Σ (score - target)²/2 + λ/2 ‖coef‖²``, above 0.
    """
    whole = sums.whole()
    assert whole.grams is not None, "least squares need products"
    counts, totals, gram = np.maximum(whole.counts[0], 0.0), whole.totals[0], whole.grams[0]
    rows = max(float(counts.sum()), 1.0)
    mean = totals.sum(0) / rows  # (D,)
    values, axes = np.linalg.eigh(gram - rows * np.outer(mean, mean))
    apart = 2 * (totals - counts[:, None] * mean) @ axes  # (C, D) along the axes
    shrunk = np.maximum(values, 0.0) + np.asarray(penalties)[:, None]  # (S, D)
    coef = axes @ (apart.T[None] / shrunk[:, :, None])  # (S, D, C)
    present = counts > 0
    intercept = (2 * counts / rows - 1) - mean @ coef  # (S, C)
    return Maps(coef * present, np.where(present, intercept, ABSENT))
