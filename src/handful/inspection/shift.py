"""Dataset shift: whether new rows look like the training rows, with a p-value, and which of them differ most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.data.dataset import Dataset
from handful.inspection.findings import Finding
from handful.inspection.loo_logistic import Array, centred
from handful.inspection.profile import as_shown

SHUFFLES, LEVEL = 499, 0.01

# Rows of each side that are compared; more make the test slower, not the answer better.
MOST = 1000

# This share of the training rows counts as strange.
_RARE = 0.05

# New rows that are named.
NAMED = 20


@dataclass(frozen=True)
class Shift:
    """How new rows compare with the training rows."""

    p: float
    """How often rows dealt at random to the two sides differ as much."""
    unusual: float
    """Share of the new rows that are stranger than 95 % of the training rows; 0.05 where the two are alike."""
    strangeness: Array
    """(M,) how much nearer each new row is to the new rows than to the training rows."""


def shift_between(known: NDArray[np.floating], new: NDArray[np.floating], rng: np.random.Generator) -> Shift:
    """Compare two sets of rows by the maximum mean discrepancy (Gretton and others 2012, equation 3).

    The kernel is the Gaussian of the median distance; its p-value comes from dealing all rows anew to the two sides.

    Args:
        known: (N, D) features of the training rows.
        new: (M, D) features of the new rows, M and N at least 2.
        rng: deals the rows.
    """
    x = centred(np.concatenate([known, new]))
    norms = (x**2).sum(1)
    distance = np.maximum(norms[:, None] + norms - 2 * x @ x.T, 0)
    middle = float(np.median(distance[np.triu_indices(len(x), 1)]))
    kernel = np.exp(-distance / (middle or 1.0))
    np.fill_diagonal(kernel, 0)
    side = np.arange(len(x)) >= len(known)
    deals = np.stack([side, *(rng.permutation(side) for _ in range(SHUFFLES))], axis=1).astype(float)  # (N + M, S)
    values = _discrepancy(kernel, deals)
    p = (1 + int((values[1:] >= values[0] - 1e-12).sum())) / (1 + SHUFFLES)
    # The mean over the others of each side: a row is not its own neighbour.
    near_new = kernel[:, side].sum(1) / (side.sum() - side)
    near_known = kernel[:, ~side].sum(1) / ((~side).sum() - (1 - side))
    strangeness = near_new - near_known
    usual = np.quantile(strangeness[~side], 1 - _RARE)
    return Shift(p, float((strangeness[side] > usual).mean()), np.asarray(strangeness[side]))


def _discrepancy(kernel: Array, deals: Array) -> Array:
    """(S,) unbiased squared discrepancies; each column of ``deals`` says which rows are on the second side."""
    second, first = deals.sum(0), (1 - deals).sum(0)
    inside = (deals * (kernel @ deals)).sum(0)
    across = ((1 - deals) * (kernel @ deals)).sum(0)
    outside = kernel.sum() - inside - 2 * across
    return np.asarray(
        inside / (second * (second - 1)) + outside / (first * (first - 1)) - 2 * across / (first * second)
    )


def shifts(pool: Dataset, shift: Shift) -> Iterator[Finding]:
    """What a shift means.

    Args:
        pool: the M new rows.
        shift: how they compare.
    """
    if shift.p > LEVEL:
        return
    first = [int(i) for i in np.argsort(-shift.strangeness, kind="stable")[:NAMED]]
    yield Finding(
        "shift",
        tuple(pool.rows[i] for i in first),
        f"the rows of {pool.source} differ from the training rows (p {shift.p:.3f}; {shift.unusual:.0%} are stranger "
        f"than 95% of these); those that differ most: {'; '.join(as_shown(pool, i) for i in first[:3])}",
        "Label some of the rows that differ most and add them: the score on the training rows says little about these.",
        tuple(round(float(shift.strangeness[i]), 4) for i in first),
        severity=0.5 * max(0.0, shift.unusual - _RARE) / (1 - _RARE),
    )
