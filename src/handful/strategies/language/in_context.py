"""In-context examples: which rows stand before a question as earlier turns, and how many of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from handful.backbones.chat import Chat, Tokens
from handful.backbones.language import LanguageBackbone, Tell, untold
from handful.data.conversations import Conversation, Message, pieces

KINDS = ("nearest", "diverse")

COUNTS = (1, 2, 4, 8)
"""How many examples may be shown."""

SHARE = 0.5
"""Examples may fill at most this share of the context; the question and its answer need the rest."""

# So many rows far from each other are kept, of which the first ones that may be shown are.
_SPREAD = 64


@dataclass(frozen=True)
class Shots:
    """How examples are picked for a question."""

    kind: str = "nearest"
    """``nearest``: those whose prompts share the rarest words with the question; ``diverse``: a fixed, varied few."""
    count: int = 4
    """k, how many at most; fewer where the context is short."""

    @property
    def name(self) -> str:
        """As an arm is called."""
        return f"{self.kind}-{self.count}"


class Examples:
    """Rows to pick from: what a prompted model knows of the task."""

    def __init__(self, rows: Sequence[Conversation], shots: Shots) -> None:
        """Take the rows; their prompts are compared by the ``pieces`` that they share (TF-IDF, cosine)."""
        self.rows, self.shots = tuple(rows), shots
        self._words = TfidfVectorizer(analyzer=pieces, sublinear_tf=True)
        texts = [words_of(row.prompt) for row in rows]
        try:
            self._vectors = self._words.fit_transform(texts)  # (N, V), rows of length one
        except ValueError:  # prompts of signs only have no words to share
            self._vectors = None
        self._fixed = self._spread() if shots.kind == "diverse" else None

    def of(
        self, prompt: Sequence[Message], count: int | None = None, without: Collection[int] = ()
    ) -> list[Conversation]:
        """The examples for a question, the most fitting one last, next to the question.

        Args:
            prompt: the question.
            count: how many; as many as ``shots`` says by default.
            without: positions of rows that must not be shown.
        """
        most = self.shots.count if count is None else count
        if self._fixed is not None:
            order = self._fixed.tolist()
        elif self._vectors is None:
            order = list(range(len(self.rows)))
        else:
            near = (self._vectors @ self._words.transform([words_of(prompt)]).T).toarray().ravel()  # (N,)
            order = np.argsort(near, kind="stable")[::-1].tolist()
        found = [self.rows[i] for i in order if i not in without][:most]
        return found if self._vectors is None or self._fixed is not None else found[::-1]

    def before(
        self, row: Conversation, chat: Chat, context: int, count: int | None = None, without: Collection[int] = ()
    ) -> Conversation:
        """A row with its examples as earlier turns; those that fit least go first where the context is short."""
        examples = self.of(row.prompt, count, without)
        while examples:
            longer = with_turns(row, examples)
            if len(chat.question(longer.prompt, 1 << 30).ids) <= SHARE * context:
                return longer
            examples = examples[1:]
        return row

    def _spread(self) -> NDArray[np.int64]:
        """Rows far from each other: the one nearest to all, then each time the one farthest from those that are in."""
        count = min(_SPREAD, len(self.rows))
        if self._vectors is None:
            return np.arange(count)
        near = (self._vectors @ self._vectors.T).toarray()  # (N, N)
        picked = [int(near.sum(1).argmax())]
        nearest = near[:, picked[0]].copy()
        while len(picked) < count:
            nearest[picked[-1]] = np.inf
            picked.append(int(nearest.argmin()))
            nearest = np.maximum(nearest, near[:, picked[-1]])
        return np.array(picked)


def best_count(
    backbone: LanguageBackbone,
    rows: Sequence[Conversation],
    groups: NDArray[np.int64] | None,
    kind: str,
    counts: Sequence[int],
    asked: NDArray[np.int64],
    tell: Tell = untold,
) -> int:
    """How many examples make the answers of rows likeliest that are themselves left out of the examples.

    Args:
        backbone: who is asked; nothing moves.
        rows: N rows to pick examples from.
        groups: (N,) rows of one number are left out together; None where each stands for itself.
        kind: ``nearest`` or ``diverse``.
        counts: what to choose from, fewest first; of ties the first is taken.
        asked: (M,) the rows that are asked about.
        tell: told how many numbers were tried, and how many there are.
    """
    examples = Examples(rows, Shots(kind, max(counts)))
    own = np.arange(len(rows)) if groups is None else groups
    losses = list[float]()
    for count in counts:
        tell(len(losses), len(counts))
        shown = [
            examples.before(rows[i], backbone.chat, backbone.context, count, np.flatnonzero(own == own[i]).tolist())
            for i in asked.tolist()
        ]
        nats, tokens = backbone.losses([backbone.chat.tokens(row, backbone.context) for row in shown])
        losses.append(float(nats.sum() / tokens.sum()))
    return counts[int(np.argmin(losses))]


def with_turns(row: Conversation, examples: Sequence[Conversation]) -> Conversation:
    """A row whose prompt shows examples as earlier turns, after what the system says."""
    first = [message for message in row.prompt if message.role == "system"]
    own = [message for message in row.prompt if message.role != "system"]
    shown = []
    for example in examples:
        shown += [message for message in example.prompt if message.role != "system"]
        shown.append(Message("assistant", example.answer))
    return replace(row, prompt=(*first, *shown, *own))


def words_of(prompt: Sequence[Message]) -> str:
    """What the user says in a prompt."""
    return "\n".join(message.content for message in prompt if message.role == "user")


def question_of(prompt: Sequence[Message], backbone: LanguageBackbone, examples: Examples | None, most: int) -> Tokens:
    """A prompt as a model reads it before it answers, cut on the left where the answer would have no room.

    Args:
        prompt: the messages.
        backbone: who answers.
        examples: what to pick examples from that are shown before it; None where none are.
        most: how many tokens the answer may get; of a short context no more than half.
    """
    if examples is not None:
        prompt = examples.before(Conversation(tuple(prompt), ""), backbone.chat, backbone.context).prompt
    return backbone.chat.question(prompt, backbone.context - min(most, backbone.context // 2))


def tokens_of(rows: Sequence[Conversation], chat: Chat, context: int, examples: Examples | None) -> list[Tokens]:
    """Rows as tokens, with examples where there are any."""
    shown = rows if examples is None else [examples.before(row, chat, context) for row in rows]
    return [chat.tokens(row, context) for row in shown]
