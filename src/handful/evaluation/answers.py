"""Scores of free answers: loss per token, exact match, token F1, a pattern; with intervals, arms paired by row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from handful.errors import OptionError, suggestion
from handful.evaluation.intervals import LEVEL, Estimate, accuracy_interval, group_means, paired_difference
from handful.plan import PATTERN

Floats = NDArray[np.float64]
Groups = NDArray[np.integer] | None

LOSS = "loss"

ACCURACY = "accuracy"
"""The share of rows whose own label is the likeliest of all labels; where answers are labels."""

WINS = "win_rate"
"""How often an answer beats that of the model as it was, as a judge says; a tie is half a win."""

Judge = Callable[[str, str, str], float]
"""Prompt, answer of the model, wanted answer → a score from 0 to 1, higher is better.

Of preferences the third is the answer of the model as it was: 1 where the second beats it, 0 where it is beaten.
"""


@dataclass(frozen=True)
class Ratio:
    """Sums over rows whose quotient is the score: nats over tokens, or points over rows."""

    total: Floats
    """(N,) what each row adds above the line."""
    weight: Floats
    """(N,) what it adds below."""

    @property
    def value(self) -> float:
        """The score."""
        return float(self.total.sum() / self.weight.sum())

    @property
    def shares(self) -> bool:
        """Whether every row counts once with a share of 1, as right and wrong do."""
        return bool((self.weight == 1).all() and (self.total >= 0).all() and (self.total <= 1).all())

    def take(self, rows: NDArray[np.integer]) -> Ratio:
        """The score of some rows."""
        return Ratio(self.total[rows], self.weight[rows])


def estimate(score: Ratio, groups: Groups = None, level: float = LEVEL) -> Estimate:
    """A quotient of sums with its interval.

    The delta method on the rows (Cochran 1977, section 6.3) with Student's quantile; rows of a group are added first.
    Shares of 1 get the interval of an accuracy.

    Args:
        score: N rows.
        groups: (N,) rows that are not independent share a number; None where all are.
        level: the nominal coverage.
    """
    if score.shares:
        return accuracy_interval(score.total, groups, level)
    return _interval(score.value, _pulls(score), groups, level)


def difference(first: Ratio, second: Ratio, groups: Groups = None, level: float = LEVEL) -> Estimate:
    """First minus second on the same rows, with the interval of the paired difference.

    Args:
        first: N rows of one arm.
        second: the same rows of another.
        groups: (N,) as for ``estimate``.
        level: the nominal coverage.
    """
    if first.shares and second.shares:
        return paired_difference(first.total, second.total, groups, level)
    return _interval(first.value - second.value, _pulls(first) - _pulls(second), groups, level)


def _pulls(score: Ratio) -> Floats:
    """(N,) how far each row pulls the quotient from where it is, as the residual of its own mean."""
    pulls: Floats = (score.total - score.value * score.weight) / score.weight.mean()
    return pulls


def _interval(value: float, pulls: Floats, groups: Groups, level: float) -> Estimate:
    if groups is not None:
        # A group's mean, weighted by its size, so that their mean is that of the rows.
        _, index, size = np.unique(groups, return_inverse=True, return_counts=True)
        pulls = group_means(pulls, index) * size * len(size) / len(pulls)
    n = len(pulls)
    if n < 2:
        return Estimate(value, -np.inf, np.inf)
    half = float(stdtrit(n - 1, 0.5 + level / 2) * pulls.std(ddof=1) / np.sqrt(n))
    return Estimate(value, value - half, value + half)


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


def scored(judge: Judge, prompts: Sequence[str], answers: Sequence[str], wanted: Sequence[str]) -> Ratio:
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
    return Ratio(np.array(found), np.ones(len(found)))


def win_rate(judge: Judge, prompts: Sequence[str], answers: Sequence[str], others: Sequence[str]) -> Ratio:
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
        wins[at] = (1 + scored(judge, asked, ours, theirs).total - scored(judge, asked, theirs, ours).total) / 2
    return Ratio(wins, np.ones(len(wins)))
