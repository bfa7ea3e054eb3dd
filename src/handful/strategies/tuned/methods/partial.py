"""The strategy ``partial``: the top blocks with a classifier."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from handful.backbones.parts import FRAMES
from handful.strategies.tuned.recipe import ItemRecipe
from handful.strategies.tuned.strategy import Tuned
from handful.training.objectives import Objective
from handful.training.objectives.classify import CrossEntropy


@dataclass(eq=False, repr=False)
class Partial(Tuned):
    """The top blocks with a classifier: the head first, then the body (LP-FT, Kumar et al. 2022)."""

    name = "partial"
    family = "blocks"
    order = 50
    trainable_fraction: float = 0.34
    """The share of the blocks, from the top, that take part."""
    learning_rate: float = 1e-4
    """The highest learning rate."""
    updates: int = 60
    """How many times the weights are moved."""
    layer_decay: float = 0.9
    """Factor on the rate from each block to the one below it."""
    smoothing: float = 0.1
    """Share of the target that is spread over all classes."""
    r_drop: float = 0.0
    """How strongly two dropout passes of a row have to agree."""

    @classmethod
    def by_default(cls, grain: str = "", seed: int = 0) -> Self:
        """Of parts more blocks, fewer updates, plain labels and not all of the way (0061); of frames faster (0078)."""
        if not grain:
            return cls(seed=seed)
        share, rate = max(0.67, cls.trainable_fraction), 1e-3 if grain == FRAMES else 2e-4
        return cls(seed=seed, updates=20, learning_rate=rate, smoothing=0.0, trainable_fraction=share, wise_alpha=0.75)

    def objective(self) -> Objective:
        """Cross-entropy with smoothed labels."""
        return CrossEntropy(self.smoothing)

    def recipe(self) -> ItemRecipe:
        """As all others, with R-Drop where it is asked for."""
        return replace(super().recipe(), r_drop=self.r_drop)
