"""The contract of a link: how scores become answers and answers scores, and what answers cost."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handful.data.targets import Targets

Floats = NDArray[np.floating]


class Link(Protocol):
    """What a task says about the numbers of a linear map, so that nothing above it has to know what they mean.

    Scores (..., N, K) add up: those of several settings, each times its sharpness and its weight, are the scores of
    their pool. Outputs (..., N, K) are what is answered: probabilities, a number with its precision, …
    """

    def outputs(self, scores: Floats) -> NDArray[np.float64]:
        """What sharpened scores answer. (..., K) → (..., K)."""

    def scores(self, outputs: Floats) -> NDArray[np.float64]:
        """The sharpened scores that answer so: the inverse of ``outputs``. (..., K) → (..., K)."""

    def losses(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """What each answer costs, a proper loss in nats, where no answer is surer than N items allow. → (..., N)."""

    def losses_at(self, scores: Floats, targets: Targets, factors: Floats) -> NDArray[np.float32]:
        """Plain losses of scores at P values of sharpness. (..., N, K) → (P, ..., N)."""

    def smoothing(self, scores: Floats, targets: Targets) -> NDArray[np.floating]:
        """What smoothed targets add to the loss of each item, per unit of sharpness and share smoothed. → (..., N)."""

    def spread(self, scores: Floats) -> float:
        """The scale of scores on which sharpness is searched, above 0."""
