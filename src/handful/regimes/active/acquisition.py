"""Acquisition functions: how much a label of each item of a pool is worth asking for; pure, and higher is asked first.

``N`` items of a pool, ``D`` features of each in rows of length one, ``L`` landmarks (some of the items, which stand for
all), ``K`` numbers of an answer, ``J`` of a slope. None of them looks at a label: what is known of the labels so far
stands in the answers (N, K) that a model gives to the pool.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handful.tasks.base import HeadTask

Floats = NDArray[np.floating]
Scores = NDArray[np.float64]


def random(count: int, rng: np.random.Generator) -> Scores:
    """As it comes: what any other function has to beat. → (N,)."""
    return rng.random(count)


def typical(alike: Floats, covered: Floats) -> Scores:
    """How much better an item would stand for the pool than the labelled ones do (facility location). → (N,).

    The gain of the sum over landmarks of the likeness to the nearest labelled item, which is high for an item amid
    many others (typical) that none of the labelled ones is like (spread out); asking the highest again and again is
    within 1 - 1/e of the best set (Nemhauser et al. 1978; as active learning Wei et al. 2015, "Submodularity in data
    subset selection and active learning").

    Args:
        alike: (N, L) cosines to the landmarks.
        covered: (L,) of each landmark that to the nearest labelled item; what an item of no likeness has (0) at first.
    """
    return np.asarray(np.maximum(alike - covered, 0).sum(1, dtype=np.float64))


def typical_of_clusters(clusters: NDArray[np.integer], density: Floats, labelled: NDArray[np.integer]) -> Scores:
    """The densest item of the largest cluster without a label first (TypiClust). → (N,).

    Hacohen et al. 2022, "Active learning on a budget: opposite strategies suit high and low budgets", section 3.2.

    Args:
        clusters: (N,) number of the cluster of each item; about as many as there will be labels.
        density: (N,) how near each item is to its neighbours; any scale.
        labelled: (n,) items that have a label.
    """
    sizes = np.bincount(clusters)
    covered = np.zeros(len(sizes), bool)
    covered[clusters[labelled]] = True
    rank = np.argsort(np.argsort(density)) / len(density)  # below one, so that it decides within a cluster only
    return np.asarray(np.where(covered, 0, sizes)[clusters] + rank, np.float64)


def core_set(features: Floats, labelled: NDArray[np.integer]) -> Scores:
    """How far an item is from the nearest labelled one (k-centre greedy). → (N,); all the same where none is labelled.

    Sener and Savarese 2018, "Active learning for convolutional neural networks: a core-set approach", algorithm 1.

    Args:
        features: (N, D).
        labelled: (n,) items that have a label.
    """
    if not len(labelled):
        return np.zeros(len(features))
    return np.asarray(1 - (features @ features[labelled].T).max(1), np.float64)


def margin(task: HeadTask, outputs: Floats) -> Scores:
    """How near the second-best answer is to the best one (Scheffer et al. 2001). → (N,)."""
    return np.asarray(task.margin(outputs), np.float64)


def entropy(task: HeadTask, outputs: Floats) -> Scores:
    """How much is left open of each answer as a whole. → (N,)."""
    return np.asarray(task.entropy(outputs), np.float64)


def margin_spread(doubt: Floats, of_landmarks: Floats, alike: Floats, covered: Floats) -> Scores:
    """How doubtful an item is, times how much better it would stand for the doubtful part of the pool. → (N,).

    Facility location where a landmark counts as much as it is in doubt: while a model knows little it doubts
    everything, and this is ``typical``; as it learns, what is asked moves to where answers still are in doubt, and
    stays spread over it (a product of representativeness and uncertainty, as the information density of Settles and
    Craven 2008).

    Args:
        doubt: (N,) margins of the items.
        of_landmarks: (L,) margins of the landmarks.
        alike: (N, L) cosines to the landmarks.
        covered: (L,) of each landmark that to the nearest labelled item.
    """
    return np.asarray(doubt * (np.maximum(alike - covered, 0) @ np.asarray(of_landmarks, alike.dtype)), np.float64)


def disagreement(task: HeadTask, answers: Sequence[Floats]) -> Scores:
    """How many pairs of models do not answer the same (query by committee; Seung et al. 1992). → (N,).

    Of items on which as many pairs disagree, those come first whose answers are surest on the mean: there the
    models contradict each other, and where all are in doubt they only guess.

    Args:
        task: what is wanted of an item.
        answers: (N, K) of each of two or more models.
    """
    pairs = [(first, second) for i, first in enumerate(answers) for second in answers[i + 1 :]]
    apart = np.mean([~task.same(first, second) for first, second in pairs], axis=0)
    sure = np.mean([task.confidence(own) for own in answers], axis=0)
    return np.asarray(apart + 1e-3 * sure)


def badge(slopes: Floats, features: Floats, picked: NDArray[np.integer]) -> Scores:
    """How far the pull of an item's label at the model is from the pulls of those picked already (BADGE). → (N,).

    Squared distances between gradients of the last layer, slope times features, where the answer is taken for the label
    (Ash et al. 2020, "Deep batch active learning by diverse, uncertain gradient lower bounds"): large for items that
    are doubtful (long gradients) and unlike those picked. Of the first one it is the length alone.

    Args:
        slopes: (N, J) see ``HeadTask.slopes``.
        features: (N, D).
        picked: (n,) items that will be asked beside it.
    """
    lengths = (np.asarray(slopes, np.float64) ** 2).sum(1) * (np.asarray(features, np.float64) ** 2).sum(1)
    if not len(picked):
        return np.asarray(lengths)
    products = (slopes @ slopes[picked].T) * (features @ features[picked].T)  # (N, n)
    return np.asarray((lengths[:, None] + lengths[picked] - 2 * products).min(1))
