"""The part of a site: what is summed up of its rows, what they say of the heads, and what it has of them in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handful.data.splits import fold_ids
from handful.regimes.federated.gains import Gain, compared
from handful.regimes.federated.heads import Maps, ridges
from handful.regimes.federated.privacy import MOST_LOSS, SHARPNESS, Noise, noisy_votes, with_noise
from handful.regimes.federated.sums import Floats, Sums
from handful.regimes.federated.terms import Terms
from handful.regimes.federated.votes import (
    FACTORS,
    Choice,
    Scale,
    Setting,
    Votes,
    by_choice,
    chosen,
    held_out_scores,
    right_of,
    votes_of,
)  # fmt: skip
from handful.seeding import generator
from handful.tasks.base import HeadTask, Targets


@dataclass(frozen=True)
class SiteRows:
    """The rows of a site."""

    task: HeadTask
    """What is wanted of a row."""
    features: NDArray[np.float32]
    """(N, D) what the backbone sees."""
    labels: tuple[str, ...]
    """N class names."""
    groups: NDArray[np.int64]
    """(N,) rows that share a number stand for each other."""
    scored: NDArray[np.bool_]
    """(N,) the rows that are scored with; where noise is added they are learned from by nobody, else all are."""

    def targets(self, names: Sequence[str]) -> Targets:
        """What is wanted of the N rows, among these names."""
        return self.task.coded(self.labels, names)


@dataclass(frozen=True)
class Instead:
    """What moved weights answer, for rows whose fold took them."""

    scores: Floats
    """(N, C) held out."""
    taken: NDArray[np.bool_]
    """(N,) which rows they answer; the others keep what frozen weights do."""


@dataclass(frozen=True)
class Ended:
    """What a site has in the end."""

    gain: Gain
    """Against a model of its own rows alone."""
    held_out: Floats
    """(n, C) what the model of all sites answers to the scored rows, held out."""
    targets: Targets
    """What is wanted of these n rows, with the classes of all sites."""


@dataclass(frozen=True)
class Site:
    """A site that takes part."""

    terms: Terms
    """What is asked."""
    rows: SiteRows
    """Its rows."""
    noise: Noise | None = None
    """What is added before anything is sent; None where nothing is."""

    @cached_property
    def folds(self) -> NDArray[np.int64]:
        """(N,) the fold of each row; those that stand for each other share one. Sites with few rows use few folds."""
        groups = self.rows.groups
        count = min(self.terms.folds, len(np.unique(groups)))
        if count < 2:
            return np.zeros(len(groups), np.int64)
        strata = self.rows.task.strata(self.rows.targets(sorted(set(self.rows.labels))))
        assert strata is not None
        return np.asarray(fold_ids(strata, groups, count, generator(0, "federated folds")), np.int64)

    @cached_property
    def own(self) -> Sums:
        """The sums of all rows, which stay here where noise is added."""
        names = sorted(set(self.rows.labels))
        return Sums.of(self.rows.features, self.rows.targets(names), self.folds, self.terms.folds)

    def sums(self) -> Sums:
        """What is sent first."""
        if self.noise is None:
            return self.own
        learned = ~self.rows.scored
        targets = self.rows.targets(self.terms.classes).take(learned)
        folds = np.zeros(len(targets), np.int64)
        return with_noise(Sums.of(self.rows.features[learned], targets, folds, 1), self.noise)

    def votes(self, maps: Sequence[Maps], names: Sequence[str]) -> Votes:
        """What is sent next: how the heads of all sites fare on rows that none of them learned from.

        Args:
            maps: one per fold, or with noise a single one.
            names: the classes of all sites.
        """
        if self.noise is None:
            scores = held_out_scores(maps, self.rows.features, self.folds)
            return votes_of(scores, self.rows.targets(names), self.folds, self.rows.groups, self.terms.folds)
        some = self.rows.scored
        scores, folds = maps[0].scores(self.rows.features[some]), np.zeros(int(some.sum()), np.int64)
        scale = Scale(SHARPNESS, MOST_LOSS)
        votes = votes_of(scores, self.rows.targets(names).take(some), folds, self.rows.groups[some], 1, scale)
        return noisy_votes(votes, self.noise)

    def ended(
        self, maps: Sequence[Maps], names: Sequence[str], by_fold: Sequence[Setting], instead: Instead | None = None
    ) -> Ended:
        """What the site has of the model, on its own rows.

        Args:
            maps: as for ``votes``.
            names: the classes of all sites.
            by_fold: what was taken for each fold.
            instead: what moved weights answer, where some did.
        """
        rows, some = self.rows, self.rows.scored
        scores = held_out_scores(
            maps if self.noise is None else [maps[0]] * self.terms.folds, rows.features, self.folds
        )
        settings = by_fold if self.noise is None else tuple(by_fold) * self.terms.folds
        together = by_choice(scores, settings, self.folds)
        if instead is not None:
            together = np.where(instead.taken[:, None], instead.scores, together)
        every, own = rows.targets(names), rows.targets(self.own.names)
        alone = [ridges(self.own.without(fold), self.terms.penalties) for fold in range(self.terms.folds)]
        alone_scores = held_out_scores(alone, rows.features, self.folds)
        choice: Choice = chosen(votes_of(alone_scores, own, self.folds, rows.groups, self.terms.folds))
        answers = right_of(by_choice(alone_scores, choice.by_fold, self.folds), own)
        gain = compared(
            right_of(together, every)[some], answers[some], rows.groups[some], held_out=len(np.unique(self.folds)) > 1
        )
        return Ended(gain, rows.task.outputs(together[some]), every.take(some))


def factors_of(terms: Terms) -> Floats:
    """The values of sharpness that are tried."""
    return FACTORS if terms.epsilon is None else SHARPNESS
