"""Asking: what a model makes of rows, prompted or tuned, as the outputs that metrics of answers read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.backbones.decoding import answers
from handful.backbones.language import LanguageBackbone, Sampling, Tell, untold
from handful.data.conversations import Conversation
from handful.strategies.language.in_context import Examples, tokens_of, words_of
from handful.tasks.generation.examples import by_loss
from handful.tasks.generation.metrics import Answered, Judge, judged


@dataclass(frozen=True)
class Questions:
    """What every arm is asked."""

    choices: tuple[str, ...] = ()
    """The C labels, where answers are labels."""
    judge: Judge | None = None
    """Who says what an answer is worth."""
    answering: bool = False
    """Whether an arm answers every prompt itself, beside saying how likely the wanted answer is."""
    sampling: Sampling = Sampling()  # noqa: RUF009 - frozen
    """How it answers."""


def ask(
    backbone: LanguageBackbone, rows: Sequence[Conversation], questions: Questions, examples: Examples | None = None,
    tell: Tell = untold,
) -> tuple[Answered, float]:  # fmt: skip
    """Ask a model about rows.

    Args:
        backbone: who is asked.
        rows: M rows with their answers.
        questions: what is asked beside how likely each answer is.
        examples: rows to show before a question, if any.
        tell: told how many rows are done, and how many there are.

    Returns:
        What it made of the M rows, and how many tokens a prompt has on the mean.

    Raises:
        OptionError: the judge gave no number from 0 to 1.
    """
    tokens = tokens_of(rows, backbone.chat, backbone.context, examples)
    speaks = questions.answering or questions.judge is not None

    def reading(done: int, total: int) -> None:
        """A row is done when it was answered, where it is."""
        tell(0 if speaks else done * len(rows) // total, len(rows))

    nats, count = backbone.losses(tokens, reading)
    right = likeliest(backbone, rows, questions.choices, examples, reading) if questions.choices else None
    texts: tuple[str, ...] = ()
    worth = None
    if speaks:
        texts = tuple(answers(backbone, [row.question for row in tokens], questions.sampling, tell))
    if questions.judge is not None:
        worth = judged(questions.judge, [words_of(row.prompt) for row in rows], texts, [row.answer for row in rows])
    return Answered(nats, count, texts, right, worth), float(np.mean([row.start for row in tokens]))


def likeliest(
    backbone: LanguageBackbone, rows: Sequence[Conversation], choices: Sequence[str], examples: Examples | None,
    tell: Tell = untold,
) -> NDArray[np.bool_]:  # fmt: skip
    """Whether the own label of each row is the likeliest of all labels as its answer.

    Args:
        backbone: who is asked.
        rows: M rows whose answers are labels.
        choices: C labels.
        examples: rows to show before the question, if any.
        tell: told how many of M · C answers are read, and how many there are.

    Returns:
        (M,).
    """
    each = [replace(row, answer=label) for row in rows for label in choices]
    nats, _ = backbone.losses(tokens_of(each, backbone.chat, backbone.context, examples), tell)
    best = nats.reshape(len(rows), len(choices)).argmin(1)
    return np.array([row.answer == choices[i] for row, i in zip(rows, best.tolist(), strict=True)])


def in_order(parts: Sequence[Answered], places: Sequence[NDArray[np.int64]]) -> Answered:
    """The outputs of several folds as those of all their rows, in the order of the rows.

    Args:
        parts: of each fold.
        places: (M_k,) where the rows of each fold stand among all that were held out.
    """
    order = np.argsort(np.concatenate(places), kind="stable")

    def joined(name: str) -> NDArray[np.float64] | None:
        arrays = [getattr(part, name) for part in parts]
        return None if any(array is None for array in arrays) else np.concatenate(arrays)[order]

    texts = [text for part in parts for text in part.texts]
    return Answered(
        np.concatenate([part.nats for part in parts])[order],
        np.concatenate([part.tokens for part in parts])[order],
        tuple(texts[i] for i in order) if texts else (),
        *(joined(name) for name in ("likeliest", "judged", "preferred", "gained")),  # type: ignore[arg-type]
    )


def some_said(
    backbone: LanguageBackbone, rows: Sequence[Conversation], losses: NDArray[np.float64], sampling: Sampling,
    examples: Examples | None = None, tell: Tell = untold,
) -> dict[int, str]:  # fmt: skip
    """What a model answers to a few rows that stand for the others, where answering all of them would take too long.

    Args:
        backbone: who is asked.
        rows: M rows.
        losses: (M,) nats per token of their wanted answers, by which the few are taken.
        sampling: how it answers.
        examples: rows to show before a question, if any.
        tell: told how many are answered, and how many there are.

    Returns:
        Position → answer.
    """
    few = list(by_loss(losses))
    tokens = tokens_of([rows[i] for i in few], backbone.chat, backbone.context, examples)
    said = answers(backbone, [row.question for row in tokens], sampling, tell)
    return dict(zip(few, said, strict=True))
