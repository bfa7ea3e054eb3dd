"""Drift (covariate shift): whether new rows look like the training rows answered alike, with a permutation p-value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.features.view import Matrix, unit_rows

PERMUTATIONS = 999
ALARM = 0.01
"""A p-value below this is called drift: a job that runs every day is wrong about three times a year."""
# Permutations are computed so many at a time.
_BATCH = 111


@dataclass(frozen=True)
class Drift:
    """How new rows differ from the training rows."""

    p: float
    """How often rows dealt anew would differ as much; below ``ALARM`` they have drifted."""
    furthest: tuple[int, ...]
    """Positions of the new rows that lie furthest from the training rows of their class, furthest first."""

    @property
    def beyond_chance(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p < ALARM


def compare(
    old: Matrix, old_class: NDArray[np.integer], new: Matrix, new_class: NDArray[np.integer], rng: np.random.Generator
) -> Drift | None:
    """Compare new rows with training rows that are answered alike, by their energy distance.

    A handful of labelled rows rarely has the classes in the shares that they have in the wild, and another mix of
    classes is no drift. So rows are dealt anew only within their predicted class, and the energy distances (Székely &
    Rizzo 2004) of the classes are added up.

    Args:
        old: (N, D) features of training rows.
        old_class: (N,) what was answered for them while they were held out.
        new: (M, D) features of new rows.
        new_class: (M,) what is answered for them.
        rng: deals rows anew.

    Returns:
        The difference; None where no class has rows on both sides, so that nothing can be compared.
    """
    x = unit_rows(np.concatenate([old, new]))
    side = np.arange(len(x)) >= len(old)
    answered = np.concatenate([old_class, new_class])
    total = np.zeros(PERMUTATIONS + 1)  # the first is the deal as it is
    far = np.full(len(x), -np.inf)
    compared = False
    for c in np.unique(answered):
        rows = np.flatnonzero(answered == c)
        n, m = int((~side[rows]).sum()), int(side[rows].sum())
        if not n or not m:
            continue
        compared = True
        distances = np.sqrt(np.maximum(2 - 2 * x[rows] @ x[rows].T, 0)).astype(np.float64)
        far[rows] = distances[:, ~side[rows]].mean(1)
        total += n * m / (n + m) * _energies(distances, side[rows], rng)
    if not compared:
        return None
    # Ties count against drift: rows that are all alike cannot have drifted.
    p = (total >= total[0] - 1e-9).mean()
    order = np.argsort(-far[len(old) :], kind="stable")
    return Drift(float(p), tuple(int(i) for i in order if np.isfinite(far[len(old) + i])))


def _energies(distances: NDArray[np.float64], side: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """Energy distance of the two sides, as they are and dealt anew. (n + m, n + m), (n + m,) → (1 + P,)."""
    signs = np.where(side, -1 / side.sum(), 1 / (~side).sum())
    dealt = np.concatenate([signs[None], rng.permuted(np.tile(signs, (PERMUTATIONS, 1)), axis=1)])
    parts = [-((part @ distances) * part).sum(1) for part in np.array_split(dealt, len(dealt) // _BATCH + 1)]
    return np.concatenate(parts)
