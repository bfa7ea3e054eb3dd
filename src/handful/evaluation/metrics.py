"""Metrics: true and predicted classes in, one number between 0 and 1 out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.integer]


def confusion(truth: Classes, predicted: Classes, classes: int) -> NDArray[np.int64]:
    """Count pairs of true (row) and predicted (column) class. (N,), (N,) → (C, C)."""
    table = np.bincount(np.ravel(truth) * classes + np.ravel(predicted), minlength=classes * classes)
    return table.reshape(classes, classes)


def accuracy(table: NDArray[np.number]) -> float:
    """Share of rows on the diagonal of a confusion table (C, C)."""
    return float(np.trace(table) / table.sum())


def balanced_accuracy(table: NDArray[np.number]) -> float:
    """Mean recall over the classes that have rows, so that every class counts the same."""
    rows = table.sum(1)
    return float((np.diag(table)[rows > 0] / rows[rows > 0]).mean())


def macro_f1(table: NDArray[np.number]) -> float:
    """Mean over classes of the harmonic mean of precision and recall; a class never met counts as absent."""
    size = table.sum(0) + table.sum(1)
    return float((2 * np.diag(table)[size > 0] / size[size > 0]).mean())


METRICS: dict[str, Callable[[NDArray[np.number]], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
}
