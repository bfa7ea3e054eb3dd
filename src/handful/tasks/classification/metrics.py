"""Metrics of classification: accuracy, balanced accuracy and macro-F1 as functions of sums of per-item statistics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.metrics import Kind, Metric, each, mean_quotient
from handful.tasks.base import Targets

Floats = NDArray[np.floating]
Statistics = NDArray[np.float64]


def confusion(truth: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Count pairs of true (row) and predicted (column) class. (N,), (N,) → (C, C)."""
    table = np.bincount(np.ravel(truth) * classes + np.ravel(predicted), minlength=classes * classes)
    return table.reshape(classes, classes)


def mean_confusion(said: NDArray[np.integer], targets: Targets) -> NDArray[np.float64]:
    """The confusion table of held-out answers, as class numbers, mean over repeats. (R, N) → (C, C)."""
    tables = [confusion(targets.values, some, len(targets.names)) for some in said]
    return np.asarray(np.mean(tables, 0))


def right(said: NDArray[np.integer], targets: Targets) -> Statistics:
    """The share of repeats in which a row was answered right. (R, N) class numbers → (N, 2)."""
    return each((said == targets.values).mean(0))


def answered(outputs: Floats) -> NDArray[np.intp]:
    """The number of the most probable class. (..., C) → (...)."""
    return np.asarray(outputs.argmax(-1))


def _right(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2) of the most probable class."""
    return right(answered(outputs), targets)


def _recalled(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2 C): per class, whether a row was found, and whether it is there to be found."""
    own = np.eye(len(targets.names))[targets.values]  # (N, C)
    found = (answered(outputs) == targets.values).mean(0)
    return np.concatenate([own * found[:, None], own], 1)


def _overlapping(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2 C): per class, twice whether a row was found, and how often it is of the class or said to be."""
    classes = len(targets.names)
    own = np.eye(classes)[targets.values]  # (N, C)
    said = np.zeros_like(own)
    for repeat in answered(outputs):  # one at a time: R × N × C can be many
        said[np.arange(len(said)), repeat] += 1 / len(outputs)
    return np.concatenate([2 * own * said, own + said], 1)


def _spare(above: float, targets: Targets, blind: Floats | None) -> Statistics:
    """(P, 2, 2 C) what one more row of each class that there is would add, found or missed.

    Args:
        above: what a row counts above the line where it is found, and below in any case.
        targets: of the N rows.
        blind: (C,) the answer of who looks at no row, and finds those of one class only.
    """
    present = np.unique(targets.values)
    one = np.eye(len(targets.names))[present]  # (P, C)
    found, missed = (np.concatenate([times * one, above * one], 1) for times in (above, 0))  # (P, 2 C)
    if blind is not None:
        found = missed = np.where((present == answered(blind))[:, None], found, missed)
    return np.stack([found, missed], 1)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        # Share of rows that are answered right.
        Metric("accuracy", _right),
        # Mean recall over the classes that have rows, so that every class counts the same.
        Metric(
            "balanced_accuracy", _recalled, Kind.FUNCTION, mean_quotient,
            spare=partial(_spare, 1), plain="recall, every class counting the same",
            headline="Finds about {} of 100 items of a class, averaged over the classes",
        ),
        # Mean over classes of the harmonic mean of precision and recall; a class never met counts as absent.
        Metric(
            "macro_f1", _overlapping, Kind.FUNCTION, mean_quotient,
            spare=partial(_spare, 2), plain="F1, every class counting the same",
        ),
    )
}  # fmt: skip
"""Name in ``--metric`` → metric; the first one is the headline."""
