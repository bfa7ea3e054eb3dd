"""Targets of classification for tests: class numbers as the core hands them around."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handful.tasks.base import Targets
from handful.tasks.classification import CLASSIFICATION
from handful.training.batches import Wanted


def targets_of(truth: Sequence[int] | np.ndarray, names: Sequence[str] | None = None, classes: int = 0) -> Targets:
    """Class numbers as targets; classes are called by their numbers where no names are given."""
    values = np.asarray(truth, np.int64)
    count = max(classes, int(values.max()) + 1)
    return Targets(CLASSIFICATION, values, tuple(map(str, range(count))) if names is None else tuple(names))


def one_hot(truth: Sequence[int] | np.ndarray) -> np.ndarray:
    """(N, C), 1 in the column of each row's class."""
    values = np.asarray(truth, np.int64)
    return np.eye(int(values.max()) + 1, dtype=np.float32)[values]


def wanted_of(truth: Sequence[int] | np.ndarray, teacher: np.ndarray | None = None) -> Wanted:
    """Class numbers as trainings need them."""
    targets = targets_of(truth)
    likeness = lambda own: CLASSIFICATION.likeness(targets.take(own))  # noqa: E731
    return Wanted(one_hot(truth), targets.values, likeness, teacher)
