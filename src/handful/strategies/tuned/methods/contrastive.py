"""The strategy ``contrastive``: pairs of rows drawn together and apart."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.strategy import Pairs


@dataclass(eq=False, repr=False)
class Contrastive(Pairs):
    """All weights of the upper blocks move until rows of a class look alike and those of others do not."""

    name = "contrastive"
    family = "contrast"
    order = 10
    updates: int = 10
    """How many times the weights are moved, every time by another half of the rows: as much work as five by all."""
    learning_rate: float = 6e-4
    """The highest learning rate."""
    pieces: int = 2
    """Into how many updates all rows are cut at least: halves by chance leave less to learn by heart."""
    wise_alpha: float = 0.75
    """How far to go from the frozen weights to the tuned ones, 0 to 1; all of the way some texts lose what they had."""
