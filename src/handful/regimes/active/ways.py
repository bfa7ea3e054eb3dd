"""Ways of asking by name: which acquisition function decides what is asked next, and what is said of its choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.errors import OptionError, suggestion
from handful.features.view import Matrix
from handful.regimes.active import acquisition
from handful.regimes.active.fits import Answers, Fitted
from handful.regimes.active.pool import Pool
from handful.regimes.active.quick_fit import QuickFit
from handful.threads import one_thread

Scores = NDArray[np.float64]

PHASED = "phased"
"""Typical items first, then doubtful ones."""


@dataclass(frozen=True)
class Standing:
    """What is known when it is asked what to ask next."""

    pool: Pool
    """The N items."""
    labelled: NDArray[np.int64]
    """(n,) those with a label, and those that are being asked already."""
    fit: Fitted | None
    """What the labels so far say; None while they say nothing."""
    outputs: Answers | None
    """What it answers to the N items."""
    doubt: Scores | None
    """(N,) how much that is in doubt."""
    picked: NDArray[np.int64]
    """(m,) items that will be asked beside it."""
    rng: np.random.Generator
    """Decides what is drawn by chance."""
    among: NDArray[np.int64] | None = None
    """(c,) numbers of the candidates whose scores are wanted; None for all."""

    @property
    def alike(self) -> Matrix:
        """(c, L) cosines of the candidates that are asked about to the landmarks."""
        return self.pool.alike if self.among is None else self.pool.alike[self.among]

    @property
    def candidates(self) -> NDArray[np.int64]:
        """(c,) places of these candidates in the pool."""
        return self.pool.candidates if self.among is None else self.pool.candidates[self.among]

    @property
    def taken(self) -> NDArray[np.int64]:
        """(n + m,) what will be labelled before the next fit."""
        return np.concatenate([self.labelled, self.picked])

    def of_pool(self, scores: Scores) -> Scores:
        """Scores (c,) of the candidates as those of the pool (N,), where others come after all of them."""
        out = np.full(len(self.pool), -1.0)
        out[self.candidates] = scores
        return out


@dataclass(frozen=True)
class Way:
    """A way of asking."""

    name: str
    """How it is called in ``asking``."""
    how: str
    """What kind of question it asks, see ``learner.HOWS``."""
    scores: Callable[[Standing], Scores]
    """(N,) how much each item is worth asking for."""
    doubts: bool = False
    """Whether it needs a model that is surer of some answers than of others."""
    falls: bool = False
    """Whether a score of a candidate can only fall as more items are taken: what it was bounds what it is."""
    whole: bool = False
    """Whether it needs one answer per item, which tasks about parts do not have."""


def _random(now: Standing) -> Scores:
    return acquisition.random(len(now.pool), now.rng)


@one_thread()
def _typical(now: Standing) -> Scores:
    return now.of_pool(acquisition.typical(now.alike, now.pool.covered(now.taken)))


@one_thread()
def _margin_spread(now: Standing) -> Scores:
    assert now.doubt is not None
    covered = now.pool.covered(now.taken)
    landmarks = now.doubt[now.pool.candidates[: len(covered)]]
    return now.of_pool(acquisition.margin_spread(now.doubt[now.candidates], landmarks, now.alike, covered))


def _margin(now: Standing) -> Scores:
    assert now.doubt is not None
    return now.doubt * _apart(now)


def _entropy(now: Standing) -> Scores:
    assert now.fit is not None and isinstance(now.outputs, np.ndarray)
    return acquisition.entropy(now.fit.targets.task, now.outputs) * _apart(now)


@one_thread()
def _badge(now: Standing) -> Scores:
    assert now.fit is not None and isinstance(now.outputs, np.ndarray)
    return acquisition.badge(now.fit.targets.task.slopes(now.outputs), now.pool.features, now.picked)


def _clusters(now: Standing) -> Scores:
    clusters, density = now.pool.clusters(len(now.taken) + 1)
    own = np.flatnonzero(np.isin(now.pool.candidates, now.taken))
    return now.of_pool(acquisition.typical_of_clusters(clusters, density, own))


def _disagreement(now: Standing) -> Scores:
    assert isinstance(now.fit, QuickFit)
    answers = now.fit.arms(now.pool.features)
    return acquisition.disagreement(now.fit.targets.task, answers) * _apart(now)


@one_thread()
def _core_set(now: Standing) -> Scores:
    return acquisition.core_set(now.pool.features, now.taken)


@one_thread()
def _apart(now: Standing) -> Scores:
    """(N,) how unlike each item is to those asked beside it: of several doubtful ones that are alike one is enough."""
    if not len(now.picked):
        return np.ones(len(now.pool))
    x = now.pool.features
    return np.asarray(1 - np.maximum(0, (x @ x[now.picked].T).max(1)), np.float64)


WAYS: Mapping[str, Way] = {
    way.name: way
    for way in (
        Way("random", "control", _random),
        Way("typical", "typical", _typical, falls=True),
        Way("clusters", "typical", _clusters),
        Way("core-set", "typical", _core_set),
        Way("margin-spread", "informative", _margin_spread, doubts=True, falls=True),
        Way("margin", "informative", _margin, doubts=True),
        Way("entropy", "informative", _entropy, doubts=True, whole=True),
        Way("disagreement", "informative", _disagreement, doubts=True, whole=True),
        Way("badge", "informative", _badge, doubts=True, whole=True),
    )
}
"""Name → way of asking."""

ASKING = (PHASED, *WAYS)
"""What can be given as ``asking``."""


def check_asking(asking: str, of_parts: bool = False) -> None:
    """Refuse a way of asking that is none.

    Args:
        asking: its name.
        of_parts: whether parts of items are answered.

    Raises:
        OptionError: it is not known, or is for items as wholes.
    """
    known = [name for name in ASKING if name == PHASED or not (of_parts and WAYS[name].whole)]
    if asking not in known:
        raise OptionError(
            f"asking must be one of {', '.join(known)}, got {asking!r}.{suggestion(asking, known)} Choose one of "
            "these, or leave it out."
        )
