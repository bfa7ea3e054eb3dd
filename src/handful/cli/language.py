"""The commands that use a language model: chat and serve."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import TextIOWrapper
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from handful.cli.printing import put, put_line
from handful.errors import MachineError, OptionError

if TYPE_CHECKING:
    from handful.backbones.decoding import Reply
    from handful.data.conversations import Message
    from handful.export.language_model import LanguageModel

# The highest temperature, as in a request to the server.
_HOTTEST = 2.0

_SIGN = "> "


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
    from handful.export.language_model import LanguageModel

    model = LanguageModel.load(run)
    talk = _Talk(model, model.backbone.context, temperature, seed)
    for line in _lines():
        if line == "/exit":
            return
        if line == "/new":
            talk.anew()
        elif line:
            talk.ask(line)


def serve(
    run: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_host: str | None = None,
    allow_origin: str | None = None,
) -> None:
    """Serve a language model over HTTP the way OpenAI does, so that programs made for it can use it; Ctrl-C stops it.

    Args:
        run: the run folder that `handful tune` wrote, or its model folder.
        host: who can reach it: 127.0.0.1, this machine only; 0.0.0.0, everybody who can reach this machine.
        port: its number; 0 for any that is free.
        allow_host: further names by which programs may call this machine, joined by commas, for example of a proxy
            before it.
        allow_origin: where web pages come from that may ask too, joined by commas, for example https://app.example; by
            default none.
    """
    try:
        from handful.web import admission, completions, serving
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("starlette", "uvicorn"):
            raise
        raise MachineError(
            f"`handful serve` needs the package {package}, which is not installed. Run: pip install 'handful[web]'"
        ) from error
    from handful.export.language_model import LanguageModel

    welcome = admission.Admission.of(host, allow_host, allow_origin)
    model = LanguageModel.load(run)
    with serving.take_port(host, port) as taken:
        context = model.backbone.context  # the model is loaded before anybody can ask
        name = _name(run)
        taken.listen()
        where = _address(host, taken.getsockname()[1])
        put(f"{name} (context: {context} tokens) answers at {where}, {_who(host)}. Ctrl-C stops it.")
        serving.Server(completions.application(model, name, welcome)).run([taken])


def _name(run: str) -> str:
    """What a model is called: as its run folder."""
    from handful.data.cells import shown

    place = Path(run).absolute()
    return shown((place.parent if place.name == "model" else place).name) or "model"


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def _who(host: str) -> str:
    if host == "localhost":
        return "for this machine only"
    with suppress(ValueError):  # a name
        if ip_address(host).is_loopback:
            return "for this machine only"
    return "for everybody who can reach this machine, without a password"


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
            self._once(f"answers end after {reply.tokens} tokens, also in the middle of a sentence")
        if answer.strip():
            self.turns.append(Message("assistant", answer))
        else:
            self.turns.pop()
            self._once("a question without an answer is not remembered")

    def _fitting(self) -> Reply:
        """Begin to answer; as long as the conversation is too long, its oldest question and answer are forgotten."""
        from handful.backbones.language import Sampling

        sampling = Sampling(self.model.longest, self.temperature, self.seed)
        while (reply := self.model.stream(self.turns, sampling)).prompt.cut and len(self.turns) > 1:
            del self.turns[:2]
            self._once(
                f"the conversation is longer than the context of {self.context} tokens: its oldest turns are forgotten"
            )
        if reply.prompt.cut:
            self._once(f"of a long question only the last {len(reply.prompt.ids)} tokens are read")
        return reply

    def _once(self, note: str) -> None:
        if note not in self.said:
            self.said.add(note)
            put_line(note, sys.stderr)
