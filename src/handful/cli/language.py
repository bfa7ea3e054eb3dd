"""The command that talks with a language model: chat."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TYPE_CHECKING

from handful.cli.given import check_model
from handful.cli.printing import put, put_line
from handful.errors import OptionError
from handful.progress import Bars

if TYPE_CHECKING:
    from handful.backbones.decoding import Reply
    from handful.data.conversations import Message
    from handful.export.language_model import LanguageModel

# The highest temperature, as in a request to the server.
_HOTTEST = 2.0

_SIGN = "> "

# Tokens are no unit that people know.
_WORDS_A_TOKEN = 0.75


def chat(run: str, *, temperature: float = 0.0, seed: int = 0) -> None:
    """Talk with a language model: one line asks, /new starts anew, /exit or the end of the input leaves.

    Args:
        run: the run folder that `handful tune` wrote, or its model folder.
        temperature: 0 for the most likely answer; above, up to 2, answers vary.
        seed: one number that fixes what is drawn when answers vary.
    """
    if not 0 <= temperature <= _HOTTEST:
        raise OptionError(
            f"temperature must be a number from 0 to {_HOTTEST:g}, got {temperature:g}. "
            "Leave it out for the most likely answer."
        )
    if seed < 0:
        raise OptionError(f"seed must be a whole number from 0 up, got {seed}. Try 0.")
    check_model(run, "chat")
    model = _loaded(run)
    with Bars() as bars:
        context = model.ready(bars).context
    talk = _Talk(model, context, temperature, seed)
    for line in _lines():
        if line == "/exit":
            return
        if line == "/new":
            talk.anew()
        elif line:
            talk.ask(line)


def _loaded(run: str) -> LanguageModel:
    """The model of a run, with what to know before it is used said."""
    from handful.export.language_model import LanguageModel

    model = LanguageModel.load(run)
    if model.warning:
        put_line(model.warning, sys.stderr)
    return model


def _lines() -> Iterator[str]:
    """What is typed or piped in, line by line, without the blanks around it."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin)
        return
    with suppress(ImportError):  # where it is there, it lets lines be edited and called back
        import readline  # noqa: F401
    while True:
        try:
            if sys.stdout.isatty():
                line = input(_SIGN)
            else:  # the answers go elsewhere, and nothing else may go with them
                put(_SIGN, sys.stderr, end="")
                line = input()
        except EOFError:
            put()
            return
        yield line.strip()


def _words(tokens: int) -> str:
    """About how many words of English so many tokens are."""
    count = max(1, round(tokens * _WORDS_A_TOKEN))
    return f"{count:,} {'word' if count == 1 else 'words'}"


@dataclass
class _Talk:
    """A conversation, its answers told as they grow."""

    model: LanguageModel
    """Who answers."""
    context: int
    """How many tokens the model can remember."""
    temperature: float
    """How much answers vary."""
    seed: int
    """Fixes the draws of the first answer; each further one takes the next."""
    turns: list[Message] = field(default_factory=list)
    """What was said so far, as far as it is remembered."""
    said: set[str] = field(default_factory=set)
    """What the user was told already, and need not be told again."""

    def anew(self) -> None:
        """Forget what was said."""
        self.turns.clear()

    def ask(self, line: str) -> None:
        """Ask, and print the answer piece by piece."""
        from handful.data.conversations import Message

        self.turns.append(Message("user", line))
        reply = self._fitting()
        answer = ""
        for piece in reply:
            put(piece, end="")
            answer += piece
        put()
        self.seed += 1
        if not reply.ended:
            self._once(
                f"this answer was cut off after {reply.tokens} tokens (about {_words(reply.tokens)}): no answer is "
                "much longer than those that the model learned from"
            )
        if answer.strip():
            self.turns.append(Message("assistant", answer))
        else:
            self.turns.pop()
            self._once("the model had no answer; such a question is not remembered")

    def _fitting(self) -> Reply:
        """Begin to answer; as long as the conversation is too long, its oldest question and answer are forgotten."""
        sampling = self.model.sampling(self.temperature, self.seed)
        while (reply := self.model.stream(self.turns, sampling)).prompt.cut and len(self.turns) > 1:
            del self.turns[:2]
            self._once(
                f"the conversation is longer than the {self.context} tokens (about {_words(self.context)}) that the "
                "model can read at once: its oldest turns are forgotten"
            )
        if reply.prompt.cut:
            read = len(reply.prompt.ids)
            self._once(f"the question is too long: only its last {read} tokens (about {_words(read)}) are read")
        return reply

    def _once(self, note: str) -> None:
        if note not in self.said:
            self.said.add(note)
            put_line(note, sys.stderr)
