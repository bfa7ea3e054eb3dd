"""What each picture adds to the scores of boxes: how many are wanted and answered, and right and wrong ones by rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from handful.tasks.boxes.matching import matched

Floats = NDArray[np.float64]

RANKS = 1000
"""Steps by which boxes of all pictures are ranked; fewer boxes than that have a step each."""
PLAIN = 3
"""Numbers of a label before those of the ranks: wanted, answered, and right among these."""
WIDTH = PLAIN + 2 * RANKS
"""Numbers of one picture and label: the plain ones, right ones by rank, and wrong ones by rank."""


@dataclass(frozen=True)
class Detected:
    """The boxes of one label that a model sees in one picture, the surest first."""

    boxes: Floats
    """(A, 4) left, top, right and bottom in pixels."""
    scores: Floats
    """(A,) how probable it is that the middle of each is the middle of such a thing."""

    def above(self, cut: float) -> Detected:
        """Those that are answered: as sure as this, or surer."""
        count = int((self.scores >= cut).sum())
        return Detected(self.boxes[:count], self.scores[:count])


def edges_of(scores: Sequence[Floats]) -> Floats:
    """The ranks of all scores of a label: the score with which each begins, from high to low; ``RANKS`` at most."""
    every = np.unique(np.concatenate([np.zeros(0), *scores]))[::-1]
    if len(every) <= RANKS:
        return every
    return np.asarray(every[np.unique(np.linspace(0, len(every) - 1, RANKS).round().astype(int))])


def cuts_of(scores: Sequence[Floats], wanted: int, floor: float) -> float:
    """The score from which on a box is answered: as many of held-out pictures are as were marked in them.

    What is missed and what is seen wrongly then weigh the same, so that counts are right on the mean. Between the last
    box that is answered and the first that is not it lies in the middle, by log odds: where things are told apart well,
    new ones may be a little less sure than any of these.

    Args:
        scores: of all boxes of a label, by picture.
        wanted: how many are marked in these pictures.
        floor: the least score that a box has.
    """
    every = np.sort(np.concatenate([np.zeros(0), *scores]))[::-1]
    if not wanted:
        return 1.0
    if len(every) < wanted:
        return floor
    ends = np.clip([every[wanted - 1], every[wanted] if len(every) > wanted else floor], 1e-6, 1 - 1e-6)
    return float(min(every[wanted - 1], expit(logit(ends).mean())))


def tallied(detected: Detected, wanted: Floats, edges: Floats, cut: float) -> Floats:
    """What one picture adds for one label, (WIDTH,).

    Args:
        detected: what is seen in it.
        wanted: (B, 4) what is marked.
        edges: of the ranks, as ``edges_of`` gives them.
        cut: from which score on a box is answered.
    """
    right = matched(detected.boxes, wanted)
    answered = len(detected.above(cut).scores)
    ranks = np.searchsorted(-edges, -detected.scores)  # the first rank that begins at this score or below it
    ranks = np.minimum(ranks, RANKS - 1)
    out = np.zeros(WIDTH)
    out[:PLAIN] = len(wanted), answered, int(right[:answered].sum())
    np.add.at(out, PLAIN + ranks[right], 1)
    np.add.at(out, PLAIN + RANKS + ranks[~right], 1)
    return out


def cuts_by_label(seen: Sequence[Sequence[Detected]], wanted: Sequence[Sequence[Floats]], floor: float) -> Floats:
    """``cuts_of`` of each of C labels, (C,).

    Args:
        seen: of N pictures and C labels.
        wanted: the same, (B, 4) each.
        floor: the least score that a box has.
    """
    labels = range(len(wanted[0]))
    return np.array([cuts_of([each[c].scores for each in seen], sum(len(own[c]) for own in wanted), floor)
                     for c in labels])  # fmt: skip


def numbers_of(seen: Sequence[Sequence[Detected]], wanted: Sequence[Sequence[Floats]], cuts: Floats) -> Floats:
    """What N pictures add to the scores, (1, N, C · WIDTH).

    Args:
        seen: of N pictures and C labels.
        wanted: the same, (B, 4) each.
        cuts: (N, C) from which score on boxes are answered.
    """
    labels = range(len(wanted[0]))
    edges = [edges_of([each[c].scores for each in seen]) for c in labels]
    return np.array([[
        np.concatenate([tallied(each[c], own[c], edges[c], float(cut[c])) for c in labels])
        for each, own, cut in zip(seen, wanted, cuts, strict=True)
    ]])  # fmt: skip


def by_label(numbers: Floats) -> Floats:
    """The numbers of all labels, each in a row of its own. (..., C · WIDTH) → (..., C, WIDTH)."""
    return numbers.reshape(*numbers.shape[:-1], -1, WIDTH)


def average_precision(sums: Floats) -> Floats:
    """The mean over labels of the mean precision at 101 shares found, as COCO has it. (..., C · WIDTH) → (...).

    Labels of which nothing is wanted do not count.
    """
    table = by_label(sums)
    wanted = table[..., 0]  # (..., C)
    right = np.cumsum(table[..., PLAIN : PLAIN + RANKS], -1)
    wrong = np.cumsum(table[..., PLAIN + RANKS :], -1)
    found = right / np.maximum(wanted, 1e-9)[..., None]
    precision = right / np.maximum(right + wrong, 1e-9)
    # The best precision at any share found that is as high or higher.
    precision = np.maximum.accumulate(precision[..., ::-1], -1)[..., ::-1]
    flat_found, flat_precision = found.reshape(-1, RANKS), precision.reshape(-1, RANKS)
    values = np.zeros(len(flat_found))
    for row, (shares, own) in enumerate(zip(flat_found, flat_precision, strict=True)):
        at = np.searchsorted(shares, _SHARES)
        values[row] = np.append(own, 0.0)[at].sum() / len(_SHARES)
    there = wanted > 1e-9
    return np.asarray((values.reshape(wanted.shape) * there).sum(-1) / np.maximum(there.sum(-1), 1))


# Shares found at which precision is read: just these numbers, so that rounding decides as it does for COCO.
_SHARES = np.linspace(0, 1, 101)
