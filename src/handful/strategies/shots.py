"""In-context examples: which rows stand before a question as earlier turns, the nearest ones or a diverse few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from handful.backbones.chat import Chat, Tokens
from handful.data.conversations import Conversation, Message

KINDS = ("nearest", "diverse")

# Examples may fill at most this share of the context; the question and its answer need the rest.
_SHARE = 0.5


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
        """Take the rows; their prompts are compared by the words they share (TF-IDF, cosine)."""
        self.rows, self.shots = tuple(rows), shots
        self._words = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
        texts = [words_of(row.prompt) for row in rows]
        try:
            self._vectors = self._words.fit_transform(texts)  # (N, V), rows of length one
        except ValueError:  # prompts of signs only have no words to share
            self._vectors = None
        self._fixed = self._spread() if shots.kind == "diverse" else None

    def of(self, prompt: Sequence[Message]) -> list[Conversation]:
        """The examples for a question, the most fitting one last, next to the question."""
        if self._fixed is not None:
            return [self.rows[i] for i in self._fixed]
        if self._vectors is None:
            return list(self.rows[: self.shots.count])
        near = (self._vectors @ self._words.transform([words_of(prompt)]).T).toarray().ravel()  # (N,)
        return [self.rows[i] for i in np.argsort(near, kind="stable")[-self.shots.count :]]

    def before(self, row: Conversation, chat: Chat, context: int) -> Conversation:
        """A row with its examples as earlier turns; those that fit least go first where the context is short."""
        examples = self.of(row.prompt)
        while examples:
            longer = with_turns(row, examples)
            if len(chat.question(longer.prompt, 1 << 30).ids) <= _SHARE * context:
                return longer
            examples = examples[1:]
        return row

    def _spread(self) -> NDArray[np.int64]:
        """Rows far from each other: the one nearest to all, then each time the one farthest from those that are in."""
        count = min(self.shots.count, len(self.rows))
        if self._vectors is None:
            return np.arange(count)
        near = (self._vectors @ self._vectors.T).toarray()  # (N, N)
        found = [int(near.sum(1).argmax())]
        while len(found) < count:
            nearest = near[:, found].max(1)
            nearest[found] = np.inf
            found.append(int(nearest.argmin()))
        return np.array(found)


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


def tokens_of(rows: Sequence[Conversation], chat: Chat, context: int, examples: Examples | None) -> list[Tokens]:
    """Rows as tokens, with examples where there are any."""
    shown = rows if examples is None else [examples.before(row, chat, context) for row in rows]
    return [chat.tokens(row, context) for row in shown]
