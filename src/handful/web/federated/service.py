"""The service of the coordinator: terms, sums, heads, answers and the model, each at an address of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from handful.errors import DataError
from handful.readback import FAILURES, plain_json
from handful.regimes.federated.gathering import DONE, FAILED, Gathering
from handful.regimes.federated.wire import most_bytes
from handful.web.admission import Admission, Doorkeeper
from handful.web.failures import body_of, handlers
from handful.web.questions import RefusedError

TENSORS = "application/octet-stream"
"""What sums and answers come as."""
BODIES = ("application/json", TENSORS)
"""What a body may be, by its Content-Type."""
SITE, KEY = "handful-site", "handful-key"
"""The headers by which a site says who it is."""
PATIENCE = 300.0
"""Seconds that a body may take: sums of wide features are large, and lines to sites slow."""

_PAGES = "There are GET /terms, /heads, /here, /step, /model and POST /join, /sums, /answers, /reply, /verdict."
# Seconds between looks at whether somebody is not to be waited for any more.
_TICK = 0.5
# Seconds that sites have to hear why nothing was made.
_FAREWELL = 3.0
_SMALL = 10_000
# No step has a number this long.
_DIGITS = 9

Result = TypeVar("Result")


def application(gathering: Gathering, admission: Admission, ended: Callable[[], None]) -> Starlette:
    """Make the application.

    Args:
        gathering: what it serves.
        admission: who may ask.
        ended: called once the gathering is over and those who wait have heard.

    Returns:
        An ASGI application.
    """
    service = _Service(gathering, ended)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        watch = asyncio.create_task(service.watch())
        yield
        watch.cancel()

    return Starlette(
        routes=[
            Route("/terms", service.terms),
            Route("/join", service.join, methods=["POST"]),
            Route("/sums", service.sums, methods=["POST"]),
            Route("/heads", service.heads),
            Route("/answers", service.answers, methods=["POST"]),
            Route("/here", service.here),
            Route("/step", service.step),
            Route("/reply", service.reply, methods=["POST"]),
            Route("/model", service.model),
            Route("/verdict", service.verdict, methods=["POST"]),
        ],
        middleware=[Middleware(Doorkeeper, admission=admission)],
        exception_handlers=handlers(_PAGES),
        lifespan=lifespan,
    )


class _Service:
    def __init__(self, gathering: Gathering, ended: Callable[[], None]) -> None:
        self._gathering, self._ended, self._turn = gathering, ended, threading.Lock()

    async def watch(self) -> None:
        """Let time pass for the gathering until it is over."""
        while self._gathering.phase not in (DONE, FAILED):
            await self._taken(self._gathering.advance)
            await asyncio.sleep(_TICK)
        if self._gathering.phase == FAILED:
            await asyncio.sleep(_FAREWELL)
        self._ended()

    async def terms(self, request: Request) -> Response:
        """What is asked."""
        return Response(self._gathering.terms.encoded(), media_type="application/json")

    async def join(self, request: Request) -> Response:
        """Take a site in."""
        said = await _json_of(request)
        return JSONResponse({"key": await self._taken(lambda: self._gathering.join(said))})

    async def sums(self, request: Request) -> Response:
        """Take the sums of a site."""
        body = await body_of(request, most_bytes(self._gathering.terms), "Send the sums that were asked for.")
        return await self._sent(request, lambda name, key: self._gathering.take_sums(name, key, body))

    async def heads(self, request: Request) -> Response:
        """The heads to be tried; 204 while there are none."""
        return await self._given(request, self._gathering.heads)

    async def answers(self, request: Request) -> Response:
        """Take what the rows of a site say of the heads."""
        body = await body_of(request, most_bytes(self._gathering.terms), "Send the answers that were asked for.")
        return await self._sent(request, lambda name, key: self._gathering.take_votes(name, key, body))

    async def here(self, request: Request) -> Response:
        """Hear that a site is there, which computes."""
        await self._taken(lambda: self._gathering.member(*_who(request)))
        return Response(status_code=204)

    async def step(self, request: Request) -> Response:
        """What is asked for next where weights move; 204 while it has to be waited for."""
        said = request.query_params.get("after", "")
        after = int(said) if said.isdecimal() and len(said) < _DIGITS else 0
        return await self._given(request, lambda name, key: self._gathering.next_step(name, key, after))

    async def reply(self, request: Request) -> Response:
        """Take what a site replies to a step."""
        most = most_bytes(self._gathering.terms) + self._gathering.weight_bytes
        body = await body_of(request, most, "Send the weights that were asked for.")
        return await self._sent(request, lambda name, key: self._gathering.take_reply(name, key, body))

    async def model(self, request: Request) -> Response:
        """The model; 204 while there is none."""
        return await self._given(request, self._gathering.model)

    async def verdict(self, request: Request) -> Response:
        """Take whether a site gains."""
        said = (await _json_of(request)).get("verdict")
        return await self._sent(request, lambda name, key: self._gathering.take_verdict(name, key, said))

    async def _sent(self, request: Request, take: Callable[[str, str], None]) -> Response:
        await self._taken(lambda: take(*_who(request)))
        return JSONResponse({"status": "taken"})

    async def _given(self, request: Request, give: Callable[[str, str], bytes | None]) -> Response:
        body = await self._taken(lambda: give(*_who(request)))
        return Response(status_code=204) if body is None else Response(body, media_type=TENSORS)

    async def _taken(self, do: Callable[[], Result]) -> Result:
        """Do something with the gathering, one after the other; what it refuses is answered with a reason."""

        def alone() -> Result:
            with self._turn:
                if self._gathering.phase == FAILED:
                    raise RefusedError(f"nothing was made: {self._gathering.failure}", status=410, code="nothing_made")
                try:
                    return do()
                except DataError as error:
                    raise RefusedError(str(error), status=409, code="not_taken") from error

        return await run_in_threadpool(alone)


def _who(request: Request) -> tuple[str, str]:
    return unquote(request.headers.get(SITE, "")), request.headers.get(KEY, "")


async def _json_of(request: Request) -> dict[str, Any]:
    body = await body_of(request, _SMALL, "Send what is asked for alone.")
    try:
        said = plain_json(body)
    except FAILURES as error:
        raise RefusedError(f"the body must be JSON, got something else ({error}). Send an object.") from error
    if not isinstance(said, dict):
        raise RefusedError(f"the body must be an object, got {type(said).__name__}. Send one.")
    return said
