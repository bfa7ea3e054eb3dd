"""Several labels for one item: which of them are answered, and what that is worth; pure functions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.metrics import Kind, Metric, each, mean_quotient, quotient
from handful.tasks.base import Targets

Floats = NDArray[np.floating]
Statistics = NDArray[np.float64]
Chosen = NDArray[np.bool_]


def chosen(outputs: Floats, empty: bool) -> Chosen:
    """The labels that are answered: those that, together, are expected to overlap most with the right ones.

    Of every number of labels the most probable ones are weighed by their expected F1, with the number of right labels
    at its mean (compare Dembczyński et al. 2011, "An exact algorithm for F-measure maximization"), and no label at all
    by the probability that none is right, where rows without a label were seen. A threshold that would have to be
    chosen on a handful of rows is not needed, and a row of which nothing is sure still gets its most probable label.

    Args:
        outputs: (..., L) probability of each label.
        empty: whether an item may have none.

    Returns:
        (..., L) truths.
    """
    order = np.argsort(-outputs, axis=-1, kind="stable")
    sums = np.cumsum(np.take_along_axis(outputs, order, -1), -1)  # (..., L) expected right ones among the first k
    counts = np.arange(1, outputs.shape[-1] + 1)
    overlap = 2 * sums / (counts + sums[..., -1:])
    best = overlap.argmax(-1) + 1  # (...)
    if empty:
        best = np.where(np.prod(1 - np.clip(outputs, 0, 1), -1) > overlap.max(-1), 0, best)
    rank = np.argsort(order, axis=-1, kind="stable")
    return np.asarray(rank < best[..., None])


def _said(outputs: Floats, targets: Targets) -> Chosen:
    return chosen(outputs, targets.task.settings["empty"])


def _overlap(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2): the F1 of the labels of each row, 1 where none is right and none is answered, and one."""
    said, own = _said(outputs, targets), targets.values
    both, all_of = 2 * (said & own).sum(-1), said.sum(-1) + own.sum(-1)
    return each(np.where(all_of > 0, both / np.maximum(all_of, 1), 1.0).mean(0))


def _exact(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2): the share of repeats in which all labels of a row are right, and one."""
    return each((_said(outputs, targets) == targets.values).all(-1).mean(0))


def _counts(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2 L): per label, twice whether it was rightly answered, and how often it is there or answered."""
    said, own = _said(outputs, targets).mean(0), targets.values
    return np.concatenate([2 * own * said, own + said], 1)


def _micro(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2): the same, summed over labels."""
    above, below = np.split(_counts(outputs, targets), 2, axis=1)
    return np.stack([above.sum(1), below.sum(1)], 1)


def _spare(targets: Targets, blind: Floats | None) -> Statistics:
    """(P, 2, 2 L) what one more row of each label would add, found or missed; who looks at no row finds some labels."""
    there = targets.values.any(0)  # (L,)
    one = np.eye(len(targets.names))[there]  # (P, L)
    found, missed = np.concatenate([2 * one, 2 * one], 1), np.concatenate([0 * one, one], 1)
    if blind is not None:
        found = missed = np.where(_said(blind[None], targets)[0, there, None], found, missed)
    return np.stack([found, missed], 1)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "samples_f1",
            _overlap,
            plain="how far the labels of a row are the right ones",
            headline="Its labels match about {} of 100 of what is right",
        ),
        Metric("micro_f1", _micro, Kind.FUNCTION, quotient, plain="how far labels are right, all counted together"),
        Metric(
            "macro_f1",
            _counts,
            Kind.FUNCTION,
            mean_quotient,
            spare=_spare,
            plain="how far labels are right, every label counting the same",
        ),  # fmt: skip
        Metric(
            "exact_match",
            _exact,
            plain="the share of rows of which all labels are right",
            headline="All labels right on about {} of 100 new items",
        ),
    )
}
"""Name in ``--metric`` → metric; the first one is the headline."""
