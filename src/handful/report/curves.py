"""Learning curves: the loss before each update, mean and range over the folds, as points of a small drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from handful.run import Training

WIDTH, HEIGHT = 320, 96


@dataclass(frozen=True)
class Curve:
    """One training as lines of an SVG of ``WIDTH`` × ``HEIGHT``."""

    training: Training
    """What is drawn."""
    line: str
    """Points of the mean over the folds."""
    band: str
    """Outline of the range over the folds."""
    first: float
    """Mean loss before the first update."""
    last: float
    """Mean loss before the last update."""
    updates: int
    """How many updates there were."""


def curve(training: Training) -> Curve | None:
    """Draw the curves of one training, or nothing where it has none."""
    losses = np.array(training.curves)  # (K, U)
    if losses.size == 0:
        return None
    top, bottom = losses.max(), min(0.0, losses.min())
    count = losses.shape[1]
    across = np.linspace(0, WIDTH, count) if count > 1 else np.array([0.0])

    def points(values: np.ndarray) -> list[str]:
        down = HEIGHT * (1 - (values - bottom) / max(top - bottom, 1e-12))
        return [f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True)]

    mean = losses.mean(0)
    band = [*points(losses.max(0)), *reversed(points(losses.min(0)))]
    return Curve(training, " ".join(points(mean)), " ".join(band), float(mean[0]), float(mean[-1]), count)
