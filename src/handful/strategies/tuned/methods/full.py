"""The strategy ``full``: all blocks with a classifier."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.methods.partial import Partial


@dataclass(eq=False, repr=False)
class Full(Partial):
    """All blocks with a classifier; what lies below the first block stays, since few rows touch few of its words."""

    name = "full"
    family = "blocks"
    order = 53
    trainable_fraction: float = 1.0
    """The share of the blocks, from the top, that take part."""
