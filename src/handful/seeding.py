"""One seed in, named random generators out, so that no two parts of a run share a stream."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, name: str) -> np.random.Generator:
    """Make the generator that belongs to one named use of a seed.

    Args:
        seed: the seed of the run, a non-negative whole number.
        name: what the randomness is for, for example ``"folds"``; another name gives an independent stream.

    Returns:
        A new generator; the same seed and name always give the same stream.
    """
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest[:16], dtype=np.uint32).tolist()])
