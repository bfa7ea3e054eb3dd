"""Speakers to serve: one of the toy, one that can be told to talk for ever, and a server on a port of its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from handful.backbones import catalog
from handful.backbones.decoding import Reply
from handful.export.language_model import LanguageModel


class Watched(Reply):
    """An answer that tells its speaker when each piece is made; one to "forever" never ends, one to "fail" fails.

    One to "long" takes as long to begin as its speaker is told.
    """

    speaker: WatchedSpeaker
    question: str

    def __next__(self) -> str:
        self.speaker.order.append(id(self))
        self.speaker.begun.set()
        if self.question == "fail":
            raise RuntimeError("out of memory")
        if self.question == "long":
            assert self.speaker.go_on.wait(60)
        if self.question == "forever":
            self.tokens += 1
            return "a"
        return super().__next__()


class WatchedSpeaker(LanguageModel):
    """A speaker that remembers which of its answers was given a piece, in order."""

    order: list[int]
    begun: threading.Event
    go_on: threading.Event

    def stream(self, prompt, sampling):
        plain = super().stream(prompt, sampling)
        reply = Watched(self.backbone, plain.prompt, sampling)
        reply.speaker, reply.question = self, prompt[-1].content
        return reply


@pytest.fixture
def speaker() -> Iterator[WatchedSpeaker]:
    backbone = catalog.load("toy-language", "language")
    made = WatchedSpeaker("base", "toy-language", backbone.fingerprint, longest=20, loaded=backbone)
    made.order, made.begun, made.go_on = [], threading.Event(), threading.Event()
    backbone.chat.stops = frozenset()  # no answer ends by itself
    yield made
    made.go_on.set()


@pytest.fixture
def served(signals) -> Iterator[Callable[..., tuple[str, int, Callable[[], bool]]]]:
    """Serve a speaker: gives host and port, and a function that stops the server and says whether it has ended."""
    from handful.web.admission import PATIENCE, Admission
    from handful.web.completions import application
    from handful.web.serving import Server, take_port

    ends = []

    def start(speaker: LanguageModel, patience: float = PATIENCE) -> tuple[str, int, Callable[[], bool]]:
        taken = take_port("127.0.0.1", 0)
        taken.listen()
        address = taken.getsockname()
        server = Server(application(speaker, "toy", Admission(patience=patience)), patience)
        thread = threading.Thread(target=server.run, args=([taken],))
        thread.start()

        def end() -> bool:
            server.handle_exit(signal.SIGINT, None)
            thread.join(timeout=60)
            return not thread.is_alive()

        ends.append(end)
        return *address, end

    yield start
    assert all(end() for end in ends)
