"""Toy features: classes as clouds around corners, so that what is wrong with them is known."""

from __future__ import annotations

import numpy as np


def clouds(per_class: int, classes: int = 3, spread: float = 0.3, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """(N, 16) features and the labels "a", "b", … of rows around one corner per class."""
    rng = np.random.default_rng(seed)
    index = np.repeat(np.arange(classes), per_class)
    return np.eye(16)[index] + spread * rng.normal(size=(len(index), 16)) / 4, ["abcdefgh"[i] for i in index]
