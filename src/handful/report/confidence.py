"""Confidence: what held-out rows show of how far the confidence of a classifier means what it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.intervals import Estimate, interval
from handful.evaluation.metrics import share
from handful.evaluation.scores import HeldOut
from handful.report import words

ENOUGH = 100
"""Of fewer rows each half says too little of how often answers are right, to the ten points or so that matter."""


def confidence_note(answers: Sequence[HeldOut], beaten: bool, reference: str, groups: Sequence[str] | None) -> str:
    """What may be said of the confidence of a classifier, in one or two sentences.

    Args:
        answers: to N rows while they were held out, their confidence calibrated without them.
        beaten: whether the model is shown to be better than the reference.
        reference: what any model has to beat, after "than".
        groups: (N,) rows that are not independent share one; None where all are.
    """
    if not beaten:
        return f"Its confidence says nothing yet: the model is not shown to be better than {reference}."
    sure = np.array([answer.confidence for answer in answers])
    right = np.array([answer.predicted == answer.label for answer in answers])
    numbers = None if groups is None else np.unique(groups, return_inverse=True)[1]
    basis = f"on {words.plural(len(answers), 'held-out row')}"
    if len(answers) < ENOUGH:
        both = _against(sure, right, numbers)[1]
        return f"Its confidence was fitted {basis}, too few to say how far it holds: on the mean it was {both}."
    order = np.argsort(sure, kind="stable")
    halves = [
        _against(sure[half], right[half], None if numbers is None else numbers[half])
        for half in np.array_split(order, 2)
    ]
    (unsure_holds, unsure), (sure_holds, surer) = halves
    measured = f"{basis} the less sure half of its answers was {unsure}, the surer half {surer}"
    if unsure_holds and sure_holds:
        meant = "Of answers with 80%, about 80 of 100 should be right"
        return f"Its confidence agrees with what was measured: {measured}. {meant}."
    return f"Its confidence does not agree with what was measured: {measured}."


def _against(
    sure: NDArray[np.floating], right: NDArray[np.bool_], groups: NDArray[np.integer] | None
) -> tuple[bool, str]:
    """Whether mean confidence lies in the interval of the share that is right, and both in words."""
    measured: Estimate = interval(share(right), groups)
    mean = float(sure.mean())
    told = f"{words.percent(mean)} sure and {words.value(measured)} right ({words.span(measured)})"
    return measured.low <= mean <= measured.high, told
