"""The OpenAI-compatible application: chat completions, whole or streamed, one at a time; the model; health."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from handful.backbones.decoding import Reply
from handful.export.language_model import LanguageModel
from handful.web.admission import Admission, Doorkeeper
from handful.web.failures import FAILED, body_of, handlers
from handful.web.questions import Question, RefusedError, asked_model, no_model, read_question
from handful.web.stopping import Told

MOST_BYTES = 1 << 20
"""The longest body of a request; far more than the context of a small model holds."""

_PAGES = "There are POST /v1/chat/completions, GET /v1/models and GET /health."

_log = logging.getLogger(__name__)


def application(
    model: LanguageModel, name: str, admission: Admission = Admission(),  # noqa: B008 - frozen
    more: Mapping[str, LanguageModel] = MappingProxyType({}),
) -> Starlette:  # fmt: skip
    """Make the application.

    Args:
        model: who answers where a request names nobody.
        name: what the model is called.
        admission: who may ask.
        more: further models by name, which a request may ask in its place.

    Returns:
        An ASGI application. Once ``state.stopping`` is true, it ends what it is doing and answers no more.
    """
    service = _Service({name: model, **more})
    made = Starlette(
        routes=[
            Route("/v1/chat/completions", service.complete, methods=["POST"]),
            Route("/v1/models", service.models),
            Route("/v1/models/{name:path}", service.model),
            Route("/health", service.health),
        ],
        exception_handlers=handlers(_PAGES),
        middleware=[Middleware(Doorkeeper, admission), Middleware(_Ending)],
    )
    made.state.stopping = False
    return made


@dataclass(frozen=True)
class _Answer:
    """An answer on its way."""

    model: str
    """Who gives it."""
    key: str
    """Names it."""
    created: int
    """When it was asked for, in seconds since 1970."""
    reply: Reply
    """The answer itself."""
    pieces: Told
    """Its pieces up to the first stop."""

    @property
    def reason(self) -> str:
        """Why it is over: it ended, or reached the most tokens."""
        return "stop" if self.pieces.stopped or self.reply.ended else "length"

    @property
    def usage(self) -> dict[str, int]:
        """How many tokens were read and written."""
        read, written = len(self.reply.prompt.ids), self.reply.tokens
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


class _Service:
    """Language models, which answer one question at a time; the others wait."""

    def __init__(self, models: Mapping[str, LanguageModel]) -> None:
        self.models_by_name = dict(models)
        self.name, self.answering = next(iter(models.items()))
        self._since = int(time.time())
        self._turn = asyncio.Lock()
        # Requests without a seed differ from each other, and a new server repeats them.
        self._seeds = itertools.count()

    async def health(self, request: Request) -> Response:
        known = {"warning": self.answering.warning} if self.answering.warning else {}
        several = {"models": list(self.models_by_name)} if len(self.models_by_name) > 1 else {}
        return JSONResponse({"status": "ok", "model": self.name, **several, **known})

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model(name) for name in self.models_by_name]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.models_by_name:
            raise no_model(name, *self.models_by_name)
        return JSONResponse(self._model(name))

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._since, "owned_by": "handful"}

    async def complete(self, request: Request) -> Response:
        body = await body_of(request, MOST_BYTES, "Shorten the conversation.")
        name = asked_model(body, list(self.models_by_name))
        model = self.models_by_name[name]
        question = read_question(body, name, replace(model.sampling(), seed=next(self._seeds)))
        reply = await run_in_threadpool(self._reply, model, question)
        pieces = Told(reply, question.stops)
        answer = _Answer(name, f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), reply, pieces)
        if question.stream:
            return _Events(
                self._events(request, answer, question.usage),
                media_type="text/event-stream",
                headers={"Cache-Control": "no-cache"},
            )
        async with self._turn:
            text = "".join([piece async for piece in _pieces(request, answer)])
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": answer.reason}
        return JSONResponse({**self._head(answer, "chat.completion"), "choices": [choice], "usage": answer.usage})

    def _reply(self, model: LanguageModel, question: Question) -> Reply:
        """Begin to answer; nothing is computed yet but the tokens of the question."""
        reply = model.stream(question.messages, question.sampling)
        if reply.prompt.cut:
            room, context = len(reply.prompt.ids), model.backbone.context
            raise RefusedError(
                f"messages must have at most {room} tokens, so that an answer fits into the context of {context}, "
                f"got {room + reply.prompt.cut}. Shorten the conversation.",
                "messages", code="context_length_exceeded",
            )  # fmt: skip
        return reply

    async def _events(self, request: Request, answer: _Answer, usage: bool) -> AsyncGenerator[str, None]:
        """An answer as server-sent events."""
        head = self._head(answer, "chat.completion.chunk") | ({"usage": None} if usage else {})
        yield _event({**head, "choices": [_delta({"role": "assistant", "content": ""})]})
        try:
            async with self._turn:
                async for piece in _pieces(request, answer):
                    if piece:
                        yield _event({**head, "choices": [_delta({"content": piece})]})
        except ClientDisconnect:
            return
        except RefusedError as refused:
            yield _event(refused.body())
            return
        except Exception:  # the status is sent already: only an event can say so
            _log.exception(FAILED)
            yield _event(RefusedError(FAILED, status=500).body())
            return
        yield _event({**head, "choices": [_delta({}, answer.reason)]})
        if usage:
            yield _event({**head, "choices": [], "usage": answer.usage})
        yield "data: [DONE]\n\n"

    def _head(self, answer: _Answer, kind: str) -> dict[str, Any]:
        return {
            "id": answer.key,
            "object": kind,
            "created": answer.created,
            "model": answer.model,
            "system_fingerprint": self.models_by_name[answer.model].fingerprint,
        }


class _Events(StreamingResponse):
    """Server-sent events; however they end, what makes them is closed at once, so that others get their turn."""

    def __init__(self, events: AsyncGenerator[str, None], **how: Any) -> None:
        super().__init__(events, **how)
        self._made_by = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._made_by):
            await super().__call__(scope, receive, send)


class _Ending:
    """Tells those who are still waiting when the server ends why they get nothing.

    A long question takes longer to read than a server that ends can wait; it is cancelled then.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if not scope["app"].state.stopping:
                raise
            if begun:
                body = _event(_stopped().body()).encode()
                await send({"type": "http.response.body", "body": body, "more_body": False})
            else:
                await JSONResponse(_stopped().body(), _stopped().status)(scope, receive, send)


async def _pieces(request: Request, answer: _Answer) -> AsyncIterator[str]:
    """Compute an answer, each piece in another thread, as long as somebody waits for it."""
    await _check_wanted(request)
    async for piece in iterate_in_threadpool(answer.pieces):
        yield piece
        await _check_wanted(request)


async def _check_wanted(request: Request) -> None:
    if await request.is_disconnected():
        raise ClientDisconnect
    if request.app.state.stopping:
        raise _stopped()


def _stopped() -> RefusedError:
    return RefusedError("the server is being stopped. Ask again when it is back.", status=503)


def _delta(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason}


def _event(what: dict[str, Any]) -> str:
    return f"data: {json.dumps(what, ensure_ascii=False, separators=(',', ':'))}\n\n"
