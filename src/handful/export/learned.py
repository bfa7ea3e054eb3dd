"""A model that learned from corrections, as a plain model again: what was learned is added to its linear map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from handful.export.bundle import Bundle
from handful.export.reference import Judged
from handful.features.view import View
from handful.regimes.corrections import Learned, Rows


def known_rows(model: Bundle) -> Rows:
    """What a model keeps of its training rows, as corrections are learned beside them.

    Of a model whose weights moved, what they see in these rows is not kept: their scores are then as far apart as the
    model would have it for rows that it knows by heart, so that they hold what is answered to them.

    Raises:
        BundleError: it keeps nothing.
    """
    known = model.known_rows()
    features, task = known.rows.astype(np.float32), model.task
    labels = tuple(task.wanted(known.targets))
    if known.view == model.view:
        return Rows(features, model.scores_of(features), labels)
    return Rows(features, task.scores(_by_heart(model)) + _height(model), labels)


def seen_by(model: Bundle, judged: Judged, some: Sequence[int], labels: Sequence[str]) -> Rows:
    """Items that a model was asked about, as corrections.

    Args:
        model: the shipped one.
        judged: what it said of N items.
        some: positions of those that are corrected.
        labels: what is right for each of these.
    """
    at = list(some)
    scores = model.task.scores(judged.outputs) if judged.scores is None else judged.scores
    return Rows(judged.features[at], scores[at], tuple(labels))


def with_learned(model: Bundle, learned: Learned) -> Bundle:
    """The model with what corrections add to it.

    Args:
        model: the shipped one.
        learned: fitted on what it sees.

    Returns:
        A model of the same backbones; its self-test, which is of the shipped one, is left out.
    """
    known = model.known_rows()
    coef, intercept = _widened(model, learned)
    if known.view == model.view:
        view, joined = model.view, coef + learned.coef
    else:
        # Parts are joined with each of length one, and the whole is then scaled to length one.
        own, other = len(model.view.parts), len(known.view.parts)
        view = View(model.view.parts + known.view.parts)
        joined = np.concatenate([coef * np.sqrt((own + other) / own), learned.coef * np.sqrt((own + other) / other)])
    task, reference = learned.task, known
    if learned.names != model.labels:
        targets = task.coded(task.wanted(known.targets), learned.names)
        places = np.asarray(learned.own, np.int64)
        kinds = places[known.answered] if task.exclusive else known.answered
        reference = replace(known, targets=targets, answered=kinds)
    return replace(
        model, labels=learned.names, view=view, coef=joined.astype(np.float32),
        intercept=(intercept + learned.intercept).astype(np.float32),
        witness=np.zeros((0, len(joined)), np.float32), specimens=(), reference=reference,
    )  # fmt: skip


def _widened(model: Bundle, learned: Learned) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The linear map of a model with a column for each new name."""
    coef, intercept = model.coef.astype(np.float64), model.intercept.astype(np.float64)
    if learned.names == model.labels:
        return coef, intercept
    wide, level = np.zeros((len(coef), len(learned.names))), np.full(len(learned.names), learned.level)
    wide[:, list(learned.own)], level[list(learned.own)] = coef, intercept
    return wide, level


# A row that is known by heart is answered as surely as nine of ten.
_SURE = 0.9


def _height(model: Bundle) -> float:
    """How high scores of classes stand, which no probability shows: by the rows of the model's self-test."""
    if not model.task.exclusive or not len(model.witness):
        return 0.0
    return float(logsumexp(model.scores_of(model.witness), axis=1).mean())


def _by_heart(model: Bundle) -> NDArray[np.float64]:
    """Answers (M, K) to the kept rows by a model that has them by heart."""
    targets, task = model.known_rows().targets, model.task
    constant = np.broadcast_to(task.constant(targets), (len(targets), len(model.intercept)))
    if not model.labels:  # a number: as sure as usual
        own = np.array(constant, np.float64)
        own[:, 0] = targets.values
        return own
    return np.asarray(_SURE * task.design(targets) + (1 - _SURE) * constant, np.float64)
