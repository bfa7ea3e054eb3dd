"""Targets of classification for tests: class numbers as the core hands them around."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handful.data.targets import Targets


def targets_of(truth: Sequence[int] | np.ndarray, names: Sequence[str] | None = None, classes: int = 0) -> Targets:
    """Class numbers as targets; classes are called by their numbers where no names are given."""
    values = np.asarray(truth, np.int64)
    count = max(classes, int(values.max()) + 1)
    return Targets("classification", values, tuple(map(str, range(count))) if names is None else tuple(names))


def one_hot(truth: Sequence[int] | np.ndarray) -> np.ndarray:
    """(N, C), 1 in the column of each row's class."""
    values = np.asarray(truth, np.int64)
    return np.eye(int(values.max()) + 1, dtype=np.float32)[values]
