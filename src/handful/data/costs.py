"""Costs: how many items a model reads several times over within seconds, told from their sizes, not from a clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What is read in all: characters of texts, pictures, seconds of sounds. A few seconds on two cores of a laptop,
# for one model; where weights moved, two are asked. Other items are read in no time.
_MUCH = {"text": 12_000.0, "image": 120.0, "sound": 320.0}
# Of one text models read no more characters than about this many.
_READ = 1_000


def affordable(
    items: Sequence[Any], modality: str, order: Sequence[int] | NDArray[np.integer], copies: int
) -> list[int]:
    """The first of some items that are read within seconds; what is too large for what is left is passed over.

    A clock would stop elsewhere every time, and the same seed would not give the same numbers.

    Args:
        items: N texts, pictures or sounds.
        modality: which of these.
        order: positions, the most wanted first.
        copies: how many versions of each are read.

    Returns:
        Some of the positions, in their order.

    Raises:
        DataError: a sound cannot be opened.
    """
    left, taken = _MUCH.get(modality, float("inf")), list[int]()
    for at in order:
        cost = copies * _cost(items[int(at)], modality)
        if cost <= left:
            left -= cost
            taken.append(int(at))
    return taken


def _cost(item: Any, modality: str) -> float:
    if modality == "text":
        return min(len(item), _READ)
    if modality == "sound":
        from handful.data.sounds import duration  # texts have no use for decoders

        return duration(item)
    return 1.0
