"""Conversations as tokens: the chat template of a model, or a plain one, and where the answer begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from handful.data.conversations import Conversation, Message
from handful.errors import DataError
from handful.readback import FAILURES, reason

PLAIN = (
    "{% for m in messages %}"
    "{{ {'system': '', 'user': '### Instruction:\n', 'assistant': '### Response:\n'}[m['role']] }}"
    "{{ m['content'] }}{{ eos_token if m['role'] == 'assistant' else '' }}\n\n"
    "{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}"
)
"""What is used where a model brings no template (the form of Stanford Alpaca)."""

# A template may refuse roles, or two turns of one in a row; one that does what none should may fail in any way.
_REFUSALS = FAILURES + (TemplateError,)

# The fewest tokens of a prompt that are left when a row is cut.
_LEAST = 16

# What tokenizers say where nobody said how long a text may be.
_NO_LIMIT = 1 << 20


@dataclass(frozen=True)
class Tokens:
    """A conversation as a language model reads it."""

    ids: tuple[int, ...]
    """T token ids."""
    start: int
    """Where the answer begins; T where there is none yet."""
    cut: int = 0
    """How many tokens had to go for the row to fit."""

    @property
    def question(self) -> Tokens:
        """The row without its answer, waiting for one."""
        return Tokens(self.ids[: self.start], self.start, self.cut)

    @property
    def asked(self) -> int:
        """How many tokens the answer has."""
        return len(self.ids) - self.start


class Chat:
    """Writes conversations the way a model was trained to read them."""

    def __init__(self, tokenizer: Any) -> None:
        """Take the template of a tokenizer of transformers; one without gets a plain one."""
        self.tokenizer = tokenizer
        self.plain = not tokenizer.chat_template
        begins = tokenizer.bos_token_id in tokenizer("a")["input_ids"][:1]  # as it began in pre-training
        plain = "{{ bos_token }}" + PLAIN if begins else PLAIN
        self.template: str = plain if self.plain else str(tokenizer.chat_template)
        self.longest = min(int(tokenizer.model_max_length), _NO_LIMIT)
        self.stops = self._stops()

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text after which the model answers."""
        return self._written(messages, True)

    def tokens(self, row: Conversation, most: int) -> Tokens:
        """A conversation with its answer; what is too long loses tokens on the left of the prompt.

        Args:
            row: the conversation.
            most: how many tokens it may have.
        """
        prompt = self.prompt(row.prompt)
        whole = self._written([*row.prompt, Message("assistant", row.answer)], False)
        tail = whole[len(prompt) :] if whole.startswith(prompt) else row.answer + self._end()
        # Tokenised apart: when the model is asked, it has the prompt alone, and never a token across the seam.
        before, after = self._ids(prompt), self._ids(tail.rstrip())
        if not self.stops.intersection(after[-1:]):  # a template that leaves the end open would never teach to end
            after += self._ids(self._end())
        if len(after) > most - _LEAST:
            after_cut = len(after) - (most - _LEAST)
            after = after[: most - _LEAST]
        else:
            after_cut = 0
        room = most - len(after)
        gone = max(0, len(before) - room)
        return Tokens((*before[gone:], *after), len(before) - gone, gone + after_cut)

    def question(self, messages: Sequence[Message], most: int) -> Tokens:
        """A conversation that waits for its answer; what is too long loses tokens on the left."""
        ids = self._ids(self.prompt(messages))
        gone = max(0, len(ids) - most)
        return Tokens(tuple(ids[gone:]), len(ids) - gone, gone)

    def text(self, ids: Sequence[int]) -> str:
        """Token ids as text, without special ones."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def _written(self, messages: Sequence[Message], ask: bool) -> str:
        told = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    told, tokenize=False, add_generation_prompt=ask, chat_template=self.template
                )
            )
        except _REFUSALS as error:
            roles = ", ".join(message.role for message in messages)
            raise DataError(
                f"a conversation must be one that the chat template of the model can write, got {roles}: "
                f"{reason(error)}. Put what the system says into the user's turn, and let user and assistant take "
                "turns."
            ) from error

    def _ids(self, text: str) -> list[int]:
        # Not verbose: what is too long is cut here, and said by those who call.
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _end(self) -> str:
        return str(self.tokenizer.eos_token or "")

    def _stops(self) -> frozenset[int]:
        """The tokens that end an answer: the one that ends a text, and the one that closes answers in the template."""
        found = {self.tokenizer.eos_token_id}
        closed = self._written([Message("user", "a"), Message("assistant", "b")], False)
        last = self._ids(closed.rstrip())[-1:]
        found.update(i for i in last if i in self.tokenizer.all_special_ids)
        return frozenset(int(i) for i in found if i is not None)
