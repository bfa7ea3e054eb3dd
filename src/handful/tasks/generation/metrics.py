"""What answers in words are worth: loss per token, exact match, token F1, a pattern, a judge; pairs and wins."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from handful.data.conversations import Conversation
from handful.errors import OptionError, suggestion
from handful.evaluation.metrics import LOSS as NATS
from handful.evaluation.metrics import Floats, Measured, Metric, each, ratio
from handful.plan import PATTERN
from handful.tasks.base import AnyTargets

Judge = Callable[[str, str, str], float]
"""Prompt, answer of the model, wanted answer → a score from 0 to 1, higher is better.

Of preferences the third is the answer of the model as it was: 1 where the second beats it, 0 where it is beaten.
"""


@dataclass(frozen=True)
class Answered:
    """What one arm makes of N rows: how likely it finds the wanted answers, and what it says itself."""

    nats: NDArray[np.float64]
    """(N,) minus the log likelihoods of the wanted answers; of preferences of the chosen ones."""
    tokens: NDArray[np.int64]
    """(N,) their lengths."""
    texts: tuple[str, ...] = ()
    """N answers of its own; none where it was not asked to answer."""
    likeliest: NDArray[np.bool_] | None = None
    """(N,) whether the own label of a row is the likeliest of all labels; None where answers are no labels."""
    judged: NDArray[np.float64] | None = None
    """(N,) what the answers are worth by a pattern or a function, from 0 to 1; of preferences how often they win."""
    preferred: NDArray[np.float64] | None = None
    """(N,) 1 where the chosen answer of a pair is the likelier one per token, 0 where the rejected one is, 0.5 of
    ties."""
    gained: NDArray[np.float64] | None = None
    """(N,) the same of which answer gained more likelihood since nothing had moved: the reward accuracy of DPO."""
    few: Mapping[int, str] = field(default_factory=dict)
    """Position → its own answer, of the few rows that it answered to be looked at where it was not asked for all."""

    @property
    def said(self) -> Mapping[int, str]:
        """Position → its own answer, of all rows that it answered."""
        return dict(enumerate(self.texts)) or self.few

    @property
    def losses(self) -> NDArray[np.float64]:
        """(N,) nats per token."""
        return self.nats / self.tokens


def token_loss(nats: NDArray[np.floating], tokens: NDArray[np.integer]) -> Measured:
    """What N answers cost. (N,) minus their log probabilities, (N,) their lengths."""
    return ratio(LOSS, nats, tokens)


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


def _of_texts(score: Callable[[str, str], float]) -> Callable[[Answered, AnyTargets], Floats]:
    """Statistics of a score of one answer against the wanted one. (N,) → (N, 2)."""

    def statistics(outputs: Answered, targets: AnyTargets) -> Floats:
        wanted: Sequence[Conversation] = targets.values.tolist()
        return each(np.array([score(text, row.answer) for text, row in zip(outputs.texts, wanted, strict=True)]))

    return statistics


def _of_points(name: str) -> Callable[[Answered, AnyTargets], Floats]:
    """Statistics that were counted when the arm was asked: a field of ``Answered``. (N,) → (N, 2)."""
    return lambda outputs, targets: each(getattr(outputs, name))


LOSS = replace(
    NATS,
    statistics=lambda outputs, targets: np.stack([outputs.nats, outputs.tokens.astype(np.float64)], 1),
    unit="nats per token",
    plain="how surprising the wanted answers are",
)
"""Minus the log probability of the wanted answers, per token."""
ACCURACY = Metric("accuracy", _of_points("likeliest"))
"""The share of rows whose own label is the likeliest of all labels; where answers are labels."""
EXACT_MATCH = Metric(
    "exact_match",
    _of_texts(exact_match),
    headline="Answers about {} of 100 prompts to the letter",
)
TOKEN_F1 = Metric("token_f1", _of_texts(token_f1))
JUDGED = Metric("judge", _of_points("judged"))
"""What a function of the user says, or the share of answers that a pattern fits."""
WINS = Metric("win_rate", _of_points("judged"))
"""How often an answer beats that of the model as it was, as a judge says; a tie is half a win."""
PREFERRED = Metric("pair_accuracy", _of_points("preferred"))
"""The share of pairs whose chosen answer is the likelier one, per token."""
GAINED = Metric("margin_accuracy", _of_points("gained"))
"""The share of pairs whose chosen answer gained more likelihood than the rejected one: the reward accuracy of DPO."""


def metric_of(wanted: str | Judge, known: Sequence[Metric]) -> Metric:
    """The metric that a name, ``regex:PATTERN`` or a function stands for.

    Raises:
        OptionError: there is no such metric, or the pattern is none.
    """
    if callable(wanted):
        return JUDGED
    named = next((metric for metric in known if metric.name == wanted), None)
    if named is not None:
        return named
    if wanted.startswith(PATTERN):
        pattern_of(wanted)
        return replace(JUDGED, name=wanted)
    names = [metric.name for metric in known if metric is not ACCURACY]
    raise OptionError(
        f"metric of answers must be one of {', '.join(names)} or {PATTERN}PATTERN, got {wanted!r}."
        f"{suggestion(wanted, names) or ' Choose one of these.'}"
    )


def pattern_of(metric: str) -> Judge:
    """A judge that gives 1 where the whole answer fits the pattern of ``regex:PATTERN``.

    Raises:
        OptionError: the pattern is none, or empty, which only an empty answer fits.
    """
    text = metric.removeprefix(PATTERN)
    if not text.strip():
        raise OptionError(
            f"metric {metric!r} must hold a regular expression after {PATTERN!r}, got nothing. Write one that a right "
            r"answer fits, such as 'regex:\d+ units'."
        )
    try:
        pattern = re.compile(text, re.DOTALL)
    except re.error as error:
        raise OptionError(
            f"metric {metric!r} must hold a regular expression after {PATTERN!r}, but {error}. Correct it."
        ) from error
    return lambda prompt, answer, wanted: float(pattern.fullmatch(answer.strip()) is not None)


def judge_of(wanted: str | Judge) -> Judge | None:
    """What answers are shown to: a function, a pattern, or nobody where the metric needs neither."""
    if callable(wanted):
        return wanted
    return pattern_of(wanted) if wanted.startswith(PATTERN) else None


def judged(judge: Judge, prompts: Sequence[str], answers: Sequence[str], wanted: Sequence[str]) -> NDArray[np.float64]:
    """What N answers are worth. (N,), from 0 to 1.

    Raises:
        OptionError: a function of the user gave no number from 0 to 1.
    """
    scores = []
    for prompt, answer, right in zip(prompts, answers, wanted, strict=True):
        worth = judge(prompt, answer, right)
        if not isinstance(worth, int | float | np.number) or not 0 <= float(worth) <= 1:
            raise OptionError(f"metric= must give a number from 0 to 1 for each answer, got {worth!r}. Correct it.")
        scores.append(float(worth))
    return np.array(scores)


def win_rate(
    judge: Judge, prompts: Sequence[str], answers: Sequence[str], others: Sequence[str]
) -> NDArray[np.float64]:
    """How often N answers beat N others; each pair is shown in both orders, since judges favour a place. (N,).

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
        wins[at] = (1 + judged(judge, asked, ours, theirs) - judged(judge, asked, theirs, ours)) / 2
    return wins


def preferences(nats: NDArray[np.float64], start: NDArray[np.float64], tokens: NDArray[np.int64]) -> Answered:
    """Which answers of N pairs are the likelier ones.

    Args:
        nats: (2 N,) minus the log likelihoods of N chosen and then N rejected answers.
        start: the same before anything moved.
        tokens: (2 N,) their lengths.
    """
    count = len(nats) // 2
    each_token, gain = nats / tokens, start - nats
    likelier, gained = each_token[count:] - each_token[:count], gain[:count] - gain[count:]  # (N,)
    return Answered(nats[:count], tokens[:count], preferred=_side(likelier), gained=_side(gained))


def _side(difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 above zero, 0 below, 0.5 on it."""
    return (1 + np.sign(difference)) / 2
