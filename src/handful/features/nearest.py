"""The nearest of some vectors that were kept: distances as products, and which vectors stand for many others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

# Numbers that are held at once while distances are computed.
_HELD = 8_000_000
# Directions that vectors are projected on to find which stand for others; distances are kept well enough by so many.
_PROJECTED = 32


def nearest(vectors: Matrix, memory: Matrix, allowed: NDArray[np.bool_] | None = None) -> Matrix:
    """How far each vector is from the nearest one that was kept, per root of the width.

    Args:
        vectors: (P, D).
        memory: (M, D), at least one of them allowed.
        allowed: (M,) which of these count; None for all.

    Returns:
        (P,) root mean squared differences, so that widths can be compared.
    """
    memory = memory if allowed is None else memory[allowed]
    lengths = (memory * memory).sum(1)  # (M,)
    found = np.empty(len(vectors), np.float32)
    step = max(1, _HELD // len(memory))
    for first in range(0, len(vectors), step):
        some = vectors[first : first + step]
        # Without the length of the vector itself, the same for all. How far the nearest is says the difference: as a
        # difference of large products, what is near would drown in their rounding.
        at = (lengths - 2.0 * (some @ memory.T)).argmin(1)
        found[first : first + step] = np.sqrt(np.square(some - memory[at]).sum(1))
    return found / np.float32(np.sqrt(vectors.shape[1]))


def coreset(vectors: Matrix, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Which vectors stand for all of them: each next one is the farthest from those taken (Sener & Savarese 2018).

    As in Roth et al. 2022, "Towards total recall in industrial anomaly detection" (section 3.2), on random directions.

    Args:
        vectors: (P, D).
        most: how many are taken at most.
        rng: source of the first one and of the directions.

    Returns:
        (min(P, most),) their positions in order.
    """
    count, width = vectors.shape
    if count <= most:
        return np.arange(count)
    flat = vectors
    if width > _PROJECTED:
        flat = vectors @ (rng.standard_normal((width, _PROJECTED)) / np.sqrt(_PROJECTED)).astype(np.float32)
    taken = np.empty(most, np.int64)
    taken[0] = rng.integers(count)
    apart = np.full(count, np.inf, np.float32)  # (P,) squared distance to the nearest one taken
    for i in range(1, most):
        apart = np.minimum(apart, np.square(flat - flat[taken[i - 1]]).sum(1))
        taken[i] = apart.argmax()
    return np.sort(taken)
