"""The model of all sites: heads for every fold, and the one that is made of all rows with what they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from handful.errors import DataError
from handful.evaluation.intervals import Estimate, wilson
from handful.evaluation.metrics import Scale
from handful.regimes.federated.heads import Maps, ridges
from handful.regimes.federated.privacy import Noise, chosen_in_noise, means, score_in_noise
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
            "sentence": self.sentence,
        }

    @property
    def sentence(self) -> str:
        """How good it is, in words."""
        if self.score is None:
            return "how good it is cannot be told: with so few rows the noise hides it"
        scale, score = Scale(), self.score
        ends = scale.between(score.low, score.high, "to")
        return (
            f"accuracy {score.told(scale)} ({ends}), measured on {round(self.choice.rows):,} rows of all sites while "
            f"they were held out; always answering the most frequent class would be right on "
            f"{scale.told(self.most_frequent)}"
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
    if not votes:
        raise DataError("a site at least must answer how its rows fare, got none. Start all of them again.")
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
