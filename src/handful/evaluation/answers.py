"""Scores of free answers: loss per token, exact match, token F1, a pattern, a judge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import OptionError, suggestion
from handful.evaluation.metrics import LOSS as METRIC_OF_LOSS
from handful.evaluation.metrics import SHARE, Measured, ratio
from handful.plan import PATTERN

LOSS = "loss"

ACCURACY = "accuracy"
"""The share of rows whose own label is the likeliest of all labels; where answers are labels."""

WINS = "win_rate"
"""How often an answer beats that of the model as it was, as a judge says; a tie is half a win."""

Judge = Callable[[str, str, str], float]
"""Prompt, answer of the model, wanted answer → a score from 0 to 1, higher is better.

Of preferences the third is the answer of the model as it was: 1 where the second beats it, 0 where it is beaten.
"""


TOKENS = replace(METRIC_OF_LOSS, unit="nats per token")
"""Minus the log probability of the wanted answers, per token."""


def points(name: str, right: NDArray[Any]) -> Measured:
    """What N answers are worth, each from 0 to 1, by a metric of this name. (N,)."""
    return ratio(replace(SHARE, name=name), right)


def token_loss(nats: NDArray[Any], tokens: NDArray[Any]) -> Measured:
    """What N answers cost. (N,) minus their log probabilities, (N,) their lengths."""
    return ratio(TOKENS, nats, tokens)


def exact_match(answer: str, wanted: str) -> float:
    """1 where both are the same but for space around and between words, else 0."""
    return float(answer.split() == wanted.split())


def token_f1(answer: str, wanted: str) -> float:
    """Harmonic mean of precision and recall of words, as SQuAD scores answers (Rajpurkar et al. 2016)."""
    ours, theirs = Counter(_words(answer)), Counter(_words(wanted))
    shared = sum((ours & theirs).values())
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * shared / (sum(ours.values()) + sum(theirs.values()))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


METRICS: dict[str, Callable[[str, str], float]] = {"exact_match": exact_match, "token_f1": token_f1}
"""Scores of one answer, from 0 to 1."""


def scorer(metric: str | Judge) -> Judge | None:
    """How an answer is scored; None for what is told from likelihoods, which needs no answer.

    Args:
        metric: ``loss``, ``accuracy``, ``exact_match``, ``token_f1``, ``regex:PATTERN`` (the whole answer must match),
            or a function.

    Raises:
        OptionError: there is no such metric, or the pattern is none.
    """
    if callable(metric):
        return metric
    if metric in (LOSS, ACCURACY):
        return None
    if metric in METRICS:
        score = METRICS[metric]
        return lambda prompt, answer, wanted: score(answer, wanted)
    if metric.startswith(PATTERN):
        try:
            pattern = re.compile(metric.removeprefix(PATTERN), re.DOTALL)
        except re.error as error:
            raise OptionError(
                f"metric {metric!r} must hold a regular expression after {PATTERN!r}, but {error}. Correct it."
            ) from error
        return lambda prompt, answer, wanted: float(pattern.fullmatch(answer.strip()) is not None)
    known = (LOSS, *METRICS)
    raise OptionError(
        f"metric of answers must be one of {', '.join(known)} or {PATTERN}PATTERN, got {metric!r}."
        f"{suggestion(metric, known) or ' Choose one of these.'}"
    )


def scored(judge: Judge, prompts: Sequence[str], answers: Sequence[str], wanted: Sequence[str]) -> Measured:
    """What N answers are worth.

    Raises:
        OptionError: a function of the user gave no number from 0 to 1.
    """
    found = []
    for prompt, answer, right in zip(prompts, answers, wanted, strict=True):
        worth = judge(prompt, answer, right)
        if not isinstance(worth, int | float | np.number) or not 0 <= float(worth) <= 1:
            raise OptionError(f"metric= must give a number from 0 to 1 for each answer, got {worth!r}. Correct it.")
        found.append(float(worth))
    return points("judge", np.array(found))


def win_rate(judge: Judge, prompts: Sequence[str], answers: Sequence[str], others: Sequence[str]) -> Measured:
    """How often N answers beat N others; each pair is shown in both orders, since judges favour a place.

    Args:
        judge: prompt, first and second answer → 1 where the first is better, 0 where the second is, between for a tie.
        prompts: N prompts.
        answers: N answers of an arm.
        others: N answers of the model as it was; an equal answer is a tie without being asked about.

    Raises:
        OptionError: the judge gave no number from 0 to 1.
    """
    wins = np.full(len(prompts), 0.5)
    at = [i for i, (ours, theirs) in enumerate(zip(answers, others, strict=True)) if ours != theirs]
    if at:
        asked, ours, theirs = ([texts[i] for i in at] for texts in (prompts, answers, others))
        wins[at] = (1 + scored(judge, asked, ours, theirs).scores - scored(judge, asked, theirs, ours).scores) / 2
    return points(WINS, wins)
