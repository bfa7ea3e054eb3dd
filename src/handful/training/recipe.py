"""A recipe: one way to move weights (objective × tuner × how far), as data; what it moves adds its own options."""

from __future__ import annotations

from dataclasses import dataclass, field

from handful.backbones.base import Backbone
from handful.training.body import first_moving
from handful.training.objectives import Objective
from handful.training.tuners import Blocks, Tuner


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to move weights, of a backbone or of a language model."""

    objective: Objective
    """What is minimised."""
    tuner: Tuner = field(default_factory=Blocks)
    """Which weights may move."""
    trainable_fraction: float = 1.0
    """The share of the blocks, from the top, that take part; those below stay frozen and run once."""
    batch: int = 16
    """About how many rows, or pairs, an update sees."""
    l2_sp: float = 0.0
    """How strongly what moves is drawn back to where it began."""
    wise_alpha: float = 1.0
    """How far to go from the weights as they were to the tuned ones, 0 to 1 (WiSE-FT)."""

    def first(self, backbone: Backbone) -> int:
        """How many blocks stay frozen."""
        return first_moving(len(backbone.blocks), self.trainable_fraction)
