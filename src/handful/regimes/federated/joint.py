"""The model of all sites: heads for every fold, and the one that is made of all rows with what they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from handful.evaluation.intervals import Estimate, wilson
from handful.evaluation.metrics import Scale
from handful.regimes.federated.heads import Maps, ridges
from handful.regimes.federated.privacy import Noise, chosen_in_noise, means, score_in_noise
from handful.regimes.federated.rounds import Moved
from handful.regimes.federated.sums import Floats, Sums
from handful.regimes.federated.terms import Terms
from handful.regimes.federated.votes import Choice, Votes, added, chosen


@dataclass(frozen=True)
class Joint:
    """A model of the rows of several sites."""

    names: tuple[str, ...]
    """Its C classes."""
    coef: Floats
    """(D, C), sharpened so that confidence means what it says."""
    intercept: Floats
    """(C,)."""
    choice: Choice
    """What was taken, and by how many rows."""
    score: Estimate | None
    """The share of held-out rows that are answered right; None where noise hides it."""
    most_frequent: float
    """The share of the most frequent class."""
    head: str
    """What kind of head it is."""
    rows: float
    """How many rows it was made of; with noise about so many."""
    arms: tuple[bool, ...] = ()
    """For each fold, and last for the model, whether weights moved; empty: that was not asked for."""
    moved: Moved | None = None
    """What weights that moved together came to; None where none did."""

    @property
    def beats_reference(self) -> bool | None:
        """Whether it is shown to be better than always answering the most frequent class; None where that is hidden."""
        return None if self.score is None else self.score.low > self.most_frequent

    @property
    def measured(self) -> dict[str, Any]:
        """What is told of it, as plain values."""
        return {
            "rows": round(self.rows),
            "accuracy": None if self.score is None else self.score.as_dict(),
            "most_frequent": round(self.most_frequent, 6),
            "head": self.head,
            "beats_reference": self.beats_reference,
            "moved": None if self.moved is None else self.moved.as_dict(),
            "sentence": self.sentence,
        }

    @property
    def sentence(self) -> str:
        """How good it is, in words."""
        if self.score is None:
            return "how good it is cannot be told: with so few rows the noise hides it"
        scale, score = Scale(), self.score
        more = "" if self.moved is None else f"; {self.moved.sentence}"
        ends = scale.between(score.low, score.high, "to")
        return (
            f"accuracy {score.told(scale)} ({ends}), measured on {round(self.choice.rows):,} rows of all sites while "
            f"they were held out; always answering the most frequent class would be right on "
            f"{scale.told(self.most_frequent)}{more}"
        )


def fold_maps(sums: Sums, terms: Terms, noise: Noise | None, sites: int) -> list[Maps]:
    """The heads that each fold is answered with, which learned from the other folds of all sites; with noise one.

    Args:
        sums: of all sites.
        terms: what was asked.
        noise: what each site added; None where nothing was.
        sites: how many they are.
    """
    if noise is not None:
        return [means(sums, noise, sites)]
    return [ridges(sums.without(fold), terms.penalties) for fold in range(sums.folds)]


def fitted(sums: Sums, votes: Sequence[Votes], terms: Terms, noise: Noise | None, sites: int) -> Joint:
    """Make the model with what held-out rows took.

    Args:
        sums: of all sites.
        votes: of those that answered.
        terms: what was asked.
        noise: what each site added; None where nothing was.
        sites: of how many sites the sums are.

    Raises:
        DataError: no site answered.
    """
    every, counts = added(votes), sums.counts.sum(0).clip(0)
    most_frequent = float(counts.max() / max(counts.sum(), 1.0))
    if noise is not None:
        choice = chosen_in_noise(every, noise, len(votes))
        score, maps, head = score_in_noise(choice, noise, len(votes)), means(sums, noise, sites), "centroid"
    else:
        choice = chosen(every)
        score = wilson(choice.right / choice.rows, max(1.0, choice.independent))
        maps, head = ridges(sums, terms.penalties), "ridge"
    own = choice.final
    return Joint(
        sums.names, own.sharpness * maps.coef[own.penalty], own.sharpness * maps.intercept[own.penalty], choice, score,
        most_frequent, head, sums.rows,
    )  # fmt: skip


def with_moved(joint: Joint, frozen: Votes, moved: Moved | None, terms: Terms) -> Joint:
    """The model where weights may have moved: it reads them where held-out rows say so, and so does every fold.

    Args:
        joint: of frozen weights.
        frozen: what held-out rows said of heads on these.
        moved: what came of the rounds; None where they were given up.
        terms: what was asked.
    """
    if moved is None:
        return replace(joint, arms=(False,) * (terms.folds + 1))
    taken = np.array(moved.by_fold)

    def by_fold(one: Floats, other: Floats) -> float:
        return float(np.where(taken, other, one).sum())

    every = np.arange(terms.folds)
    right = by_fold(
        frozen.right[every, [own.penalty for own in joint.choice.by_fold]],
        moved.votes.right[every, [own.penalty for own in moved.choice.by_fold]],
    )
    rows = by_fold(frozen.rows, moved.votes.rows)
    independent = by_fold(frozen.independent, moved.votes.independent)
    choice = replace(joint.choice, rows=rows, independent=independent, right=right)
    whole = replace(
        joint, choice=choice, score=wilson(right / rows, max(1.0, independent)), arms=(*moved.by_fold, moved.ships),
        moved=moved,
    )  # fmt: skip
    if moved.sums is None:
        return whole
    maps, own = ridges(moved.sums, terms.penalties), moved.choice.final
    return replace(
        whole, coef=own.sharpness * maps.coef[own.penalty], intercept=own.sharpness * maps.intercept[own.penalty]
    )
