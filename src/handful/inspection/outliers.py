"""Rows that are far from everything else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from handful.data.dataset import Dataset
from handful.inspection.findings import Finding
from handful.inspection.loo_logistic import Array

_NEAREST = 3
"""How many neighbours have to be far."""
_FAR = 4.0
"""So many robust standard deviations from the usual distance is far."""
_FEWEST = 10


def remoteness(alike: Array) -> Array:
    """How far each row is from its nearest three, in robust standard deviations of the logarithm of that distance.

    Args:
        alike: (N, N) cosines.

    Returns:
        (N,) zeros where there are too few rows to say what is usual, or all are equally far.
    """
    rows = len(alike)
    if rows < _FEWEST:
        return np.zeros(rows)
    others = np.where(np.eye(rows, dtype=bool), -np.inf, alike)
    # Logarithms, since distances inside tight classes vary in proportion to their size.
    distance = np.log(np.maximum(1 - np.sort(others, axis=1)[:, -_NEAREST:].mean(1), 1e-6))
    usual = np.median(distance)
    spread = 1.4826 * np.median(np.abs(distance - usual))
    return np.asarray((distance - usual) / spread if spread > 1e-9 else np.zeros(rows))


def outliers(dataset: Dataset, remote: NDArray[np.floating]) -> Iterator[Finding]:
    """Rows that are far from all others.

    Args:
        dataset: the N rows.
        remote: (N,) from ``remoteness``.
    """
    rows = [int(i) for i in np.argsort(-remote, kind="stable") if remote[i] > _FAR]
    if rows:
        yield Finding(
            "outlier",
            tuple(dataset.rows[i] for i in rows),
            f"{len(rows)} {'row is' if len(rows) == 1 else 'rows are'} far from everything else",
            "Look whether they belong here: remove what is broken or off topic, and add rows like them where they do.",
            tuple(round(float(remote[i]), 2) for i in rows),
            severity=0.3 * len(rows) / len(dataset),
        )
