"""How likely each label is wrong, and how many of some are: held-out probabilities, sharpness and error rate left open.

A label is right but for a share of the rows, where it is any other class (a lapse, as in Wichmann and Hill 2001, "The
psychometric function I", equation 1). How large that share is, and how sharp the probabilities of the other rows should
be, is not known: both are weighed on a grid by how well they foretell the labels, so that a hard set with right labels
and an easy one with wrong labels are told apart as far as the rows do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from handful.inspection.loo_logistic import Array

LEVEL = 0.9
"""Nominal coverage of a count."""

# The grid, and how likely each point is before a label is seen. Chosen on goemotions (single labels), clinc150,
# masakhanews and trashnet, confirmed on others; see benchmarks/second_look.py. On some sets no backbone sees much of
# the labels, and probabilities that look sure are not: the blunt part, chosen on textile3, sst5 and cr.
_SHARES = np.array([0.002, 0.01, 0.02, 0.04, 0.06, 0.09, 0.12, 0.16, 0.2, 0.25, 0.3, 0.4])
_SHARPNESS = np.exp(np.linspace(np.log(0.25), np.log(16), 13))
_USUAL, _VARIES = 2.5, 0.4
_BLUNT, _BLUNT_VARIES, _HARD_SETS = 0.6, 0.6, 0.2
_CLEAN, _FALLS = 0.5, 6


@dataclass(frozen=True)
class Count:
    """How many labels of some rows are wrong."""

    expected: float
    """On the mean."""
    low: int
    """Fewer are wrong in one case of twenty at most."""
    high: int
    """More are wrong in one case of twenty at most."""


@dataclass(frozen=True)
class WrongLabels:
    """What is known about which labels are wrong."""

    weights: Array
    """(G,) how likely each point of the grid is, given the labels; they sum to one."""
    at_each: Array
    """(G, N) how likely each label is wrong at each point."""

    @classmethod
    def of(cls, logs: Array, index: NDArray[np.int64], asked: NDArray[np.bool_]) -> Self:
        """Weigh the grid.

        Args:
            logs: (N, C) what the other rows say of each row, up to a constant per row; C at least 2.
            index: (N,) number of the label of each row.
            asked: (N,) rows that count: those that others of their class can speak for.
        """
        rows, others = np.arange(len(index)), logs.shape[1] - 1
        logs = logs * _company(index, logs.shape[1])[:, None]
        own = np.exp(np.stack([log_softmax(sharp * logs, axis=1)[rows, index] for sharp in _SHARPNESS]))  # (S, N)
        share = _SHARES[:, None, None]
        wrong = share / others * (1 - own)  # (E, S, N): wrong, and taken for this class of all others
        seen = (1 - share) * own + wrong
        weights = np.log(seen[..., asked]).sum(-1) + _prior()  # (E, S)
        weights = np.exp(weights - weights.max())
        return cls((weights / weights.sum()).ravel(), (wrong / seen).reshape(weights.size, len(index)))

    @property
    def chances(self) -> Array:
        """(N,) how likely each label is wrong."""
        return self.weights @ self.at_each

    def among(self, rows: Sequence[int]) -> Count:
        """How many labels of these rows are wrong."""
        chances = self.at_each[:, list(rows)]  # (G, n)
        counts = np.zeros((len(chances), len(rows) + 1))  # (G, n + 1): how likely 0, 1, … n are wrong
        counts[:, 0] = 1
        for chance in chances.T[..., None]:  # row by row: one more is wrong, or not
            counts[:, 1:] = counts[:, 1:] * (1 - chance) + counts[:, :-1] * chance
            counts[:, :1] *= 1 - chance
        below = np.cumsum(self.weights @ counts)
        low, high = (int(np.searchsorted(below, end)) for end in (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
        return Count(float(self.weights @ chances.sum(1)), min(low, len(rows)), min(high, len(rows)))


def _company(index: NDArray[np.int64], classes: int) -> Array:
    """(N,) how much less is known of rows of rare classes: the root of how many others of a row's class there are.

    Beside the number that there would be in classes of one size; no more is known of rows of frequent classes.
    """
    others = np.bincount(index, minlength=classes)[index] - 1
    return np.asarray(np.sqrt(np.minimum(1.0, others / max(len(index) / classes - 1, 1e-9))))


def _prior() -> Array:
    """(E, S) logarithms of how likely each share of wrong labels and each sharpness is before a label is seen.

    Some sets have next to none; of the others large shares are rarer than small ones. On most sets the probabilities
    are about as sharp as they should be; on hard ones they are too sharp.
    """
    shares = (1 - _SHARES) ** _FALLS * np.gradient(_SHARES)
    shares *= (1 - _CLEAN) / shares.sum()
    shares[0] += _CLEAN
    sharpness = (1 - _HARD_SETS) * _around(_USUAL, _VARIES) + _HARD_SETS * _around(_BLUNT, _BLUNT_VARIES)
    return np.asarray(np.log(shares)[:, None] + np.log(sharpness))


def _around(middle: float, spread: float) -> Array:
    """(S,) how likely each sharpness is, log-normal; they sum to one."""
    density = np.exp(-0.5 * (np.log(_SHARPNESS / middle) / spread) ** 2)
    return np.asarray(density / density.sum())
