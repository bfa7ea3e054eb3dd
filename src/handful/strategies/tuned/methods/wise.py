"""The strategy ``wise``: half of the way (weight-space ensembling)."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.methods.supcon import SupCon


@dataclass(eq=False, repr=False)
class WiSEFT(SupCon):
    """Half of the way from the frozen weights to the tuned ones (WiSE-FT, Wortsman et al. 2022)."""

    name = "wise"
    family = "average"
    order = 41
    wise_alpha: float = 0.5
    """How far to go from the frozen weights to the tuned ones, 0 to 1."""
