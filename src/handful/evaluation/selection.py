"""The choice: how much each setting counts, and which backbones are read, from held-out losses alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri, softmax

from handful.evaluation.decision import PRICE, Prior, expected, gain

if TYPE_CHECKING:
    from handful.tasks.base import HeadTask, Targets

Floats = NDArray[np.floating]

# What runs more backbones must be better by this many standard errors of the paired difference.
SURE = float(ndtri(0.975))
# How much of the log likelihood of the held-out rows counts: settings err on the same rows, so that the whole of it
# would trust the luckiest of them (a tempered posterior; Grünwald & van Ommen 2017, "Inconsistency of Bayesian
# inference for misspecified linear models"). Measured in decision 0010.
TEMPER = 0.5
# Before any row is seen, a setting that reads the last layer, which the backbone was trained to give, counts for as
# much as this many others.
LAST = 3.0
# A setting that ends up with less than this is left out.
LEAST = 0.002


def weigh(losses: Floats, last: Sequence[bool]) -> NDArray[np.float64]:
    """How much each candidate counts in the pooled answer: the better it predicts held-out rows, the more.

    Pseudo-Bayesian model averaging (Yao, Vehtari, Simpson & Gelman 2018, "Using stacking to average Bayesian
    predictive distributions"), tempered. Ten rows cannot tell forty settings apart, and the luckiest of them is
    rarely the best; their mean is steadier than any of them.

    Args:
        losses: (Q, N) log loss of each candidate on each row.
        last: Q truths, whether a candidate reads the last layer.

    Returns:
        (Q,) weights that sum to 1; those of light candidates are 0.
    """
    prior = np.where(last, np.log(LAST), 0.0)
    weights = softmax(prior - TEMPER * losses.sum(1).astype(np.float64))
    kept = np.where(weights >= min(LEAST, weights.max()), weights, 0)
    return np.asarray(kept / kept.sum())


def pool(task: HeadTask, answers: Iterable[Floats], weights: Floats) -> NDArray[np.float64]:
    """Several answers pooled: a weighted mean of their scores.

    Of probabilities that is the logarithmic pool, a weighted mean of their logarithms (Genest & Zidek 1986). Of linear
    heads it is again one linear head, so that the pool costs no more than its members' features.

    Args:
        task: how scores become answers.
        answers: at least one array (..., K), Q of them, of what each candidate answers.
        weights: (Q,).

    Returns:
        (..., K) answers; none is so sure that the others do not count.
    """
    # One after the other: with thousands of classes, all of them at once would not fit into memory.
    scores = (weight * task.scores(answer) for weight, answer in zip(weights, answers, strict=True))
    return task.outputs(reduce(np.add, scores))


def halved(
    below: NDArray[np.float64], above: NDArray[np.float64], targets: Targets,
    folds: NDArray[np.integer], groups: NDArray[np.integer] | None = None, prior: Prior | None = None,
) -> tuple[NDArray[np.float64], float]:  # fmt: skip
    """Two arms pooled: half and half, or more of the one above as far as the rows and what is known prefer it.

    A pool never does much worse than the arm below, and on few rows the losses hardly tell how much more the one above
    deserves; only where they clearly do does its share grow. Where the pool is hardly better than the one above, that
    one answers alone: a pool costs twice at every prediction.

    Args:
        below: (N, K) held-out answers.
        above: (N, K) those of its rival, on the same folds.
        targets: of the N rows.
        folds: (N,) fold of each row.
        groups: (N,) rows that are not independent share a number; None where all are.
        prior: what is known from other sets about the rival, of which pools with the arm below gained as much.

    Returns:
        (N, K) held-out answers of the pool, the share of every fold found on the others, and the share of the
        arm above that all rows support.
    """
    losses = targets.task.losses(below, targets), targets.task.losses(above, targets)

    def share(rows: NDArray[np.bool_]) -> float:
        own = np.flatnonzero(rows) if groups is None else groups[rows]
        outlook = expected(gain(losses[0][rows], losses[1][rows], own), float(losses[0][rows].mean()), prior)
        high = max(0.5, float(expit(TEMPER * outlook.mean * len(np.unique(own)))))
        some = targets.take(rows)
        both = targets.task.losses(pool(targets.task, [below[rows], above[rows]], np.array([1 - high, high])), some)
        saved = losses[1][rows].mean() - both.mean()
        return high if saved > PRICE * losses[0][rows].mean() else 1.0

    out = np.zeros_like(below)
    for k in np.unique(folds):
        own, high = folds == k, share(folds != k)
        out[own] = pool(targets.task, [below[own], above[own]], np.array([1 - high, high]))
    return out, share(np.ones(len(targets), bool))


def composed(
    answers: Sequence[NDArray[np.float64]], targets: Targets, folds: NDArray[np.integer]
) -> tuple[int, NDArray[np.float64]]:
    """The best of several answers, and those of the whole procedure: for every fold the one that the others favour.

    Args:
        answers: at least one (N, K) array of held-out answers.
        targets: of the N rows.
        folds: (N,) fold of each row; where there is one only, all rows choose.

    Returns:
        The position of the one with the lowest loss on all rows, and (N, K) held-out answers.
    """
    losses = np.stack([targets.task.losses(answer, targets) for answer in answers])  # (Q, N)
    best = int(losses.mean(1).argmin())
    whole = np.array(answers[best])
    for k in np.unique(folds):
        own = folds == k
        if not own.all():
            whole[own] = answers[int(losses[:, ~own].mean(1).argmin())][own]
    return best, whole


def choose(losses: Floats, prices: Sequence[float], known: Sequence[Mapping[int, Prior]] = ()) -> int:
    """Pick the candidate whose loss is expected to be lowest, as far as that is worth its price.

    Of candidates at one price the lowest mean loss counts. What costs more at every prediction has to be better beyond
    doubt, where the rows speak alone; where other sets speak for it, its loss has to be expected to be so much lower
    that it is worth a backbone more.

    Args:
        losses: (Q, N) loss of each candidate on each row.
        prices: Q numbers, what a prediction costs.
        known: of each candidate what other sets say of it: position of a cheaper one → its gain over that; empty where
            nothing is known of any.

    Returns:
        The position of the chosen candidate.
    """
    price, means = np.asarray(prices), losses.mean(1)
    chosen: int | None = None
    for level in np.unique(price):
        at = np.flatnonzero(price == level)
        best = int(at[np.argmin(means[at])])
        prior = known[best].get(chosen) if known and chosen is not None else None
        chosen = best if chosen is None else _better(losses, chosen, best, prior)
    assert chosen is not None
    return chosen


def _better(losses: Floats, standing: int, rival: int, prior: Prior | None) -> int:
    """The rival, if it is expected to be worth its price; otherwise the one that stands."""
    saved, loss = losses[standing] - losses[rival], float(losses[standing].mean())
    if prior is None:
        worth = saved.mean() > SURE * saved.std(ddof=1) / np.sqrt(len(saved))
    else:
        worth = expected(gain(losses[standing], losses[rival]), loss, prior).mean > PRICE * loss
    return rival if worth else standing
