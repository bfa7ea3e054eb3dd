"""The strategy ``prompt``: learned tokens at the first block."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.methods.prefix import Prefixes
from handful.training.tuners import Prompt, Tuner


@dataclass(eq=False, repr=False)
class Prompts(Prefixes):
    """Learned tokens before the real ones, at the first block that takes part and seen by all above it.

    Lester et al. 2021, "The power of scale for parameter-efficient prompt tuning".
    """

    name = "prompt"
    family = "fewest weights"
    order = 31
    learning_rate: float = 3e-2
    """The highest learning rate."""

    def tuner(self) -> Tuner:
        """So many tokens."""
        return Prompt(self.length)
