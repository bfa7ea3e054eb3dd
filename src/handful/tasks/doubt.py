"""How much an answer is in doubt, for whoever asks for labels: margin, entropy, and how hard a label would pull."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


class Doubting(ABC):
    """What a task says of answers (N, K) that are in doubt; here for tasks that only know how sure an answer is."""

    doubts: ClassVar[bool] = True
    """Whether some items are answered more surely than others, so that labels can be asked where doubt is greatest."""

    @abstractmethod
    def confidence(self, outputs: Floats) -> NDArray[np.float64]:
        """(N,) how sure each answer is of itself, from 0 to 1."""

    def margin(self, outputs: Floats) -> NDArray[np.float64]:
        """How near the second-best answer is to the best one, from 0 to 1: highest where a label decides most.

        (N, K) → (N,).
        """
        return 1 - self.confidence(outputs)

    def entropy(self, outputs: Floats) -> NDArray[np.float64]:
        """How much is left open of each answer as a whole; higher is more. (N, K) → (N,)."""
        return 1 - self.confidence(outputs)

    def slopes(self, outputs: Floats) -> NDArray[np.float64]:
        """How hard a label would pull at the scores if the answer were right: the gradient of the loss.

        (N, K) → (N, J). Its length is how little an answer is sure of itself, its direction which answers are in
        question.
        """
        return np.asarray(1 - self.confidence(outputs))[:, None]
