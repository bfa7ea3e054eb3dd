"""A linear map from what is seen at a place of a picture to classes, as graphs and trainings begin from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LinearMap:
    """Scores of classes are ``(x - centre) / scale @ coef + intercept``."""

    centre: NDArray[np.float32]
    """(D,) what is taken from each column."""
    scale: NDArray[np.float32]
    """(D,) what it is divided by."""
    coef: NDArray[np.float32]
    """(D, C)."""
    intercept: NDArray[np.float32]
    """(C,)."""
