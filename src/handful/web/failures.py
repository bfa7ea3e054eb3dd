"""What every application answers when something goes wrong: each failure is a sentence with a status."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from handful.web.questions import RefusedError

FAILED = "the server failed on this request; what happened is on its standard error. Ask again."

_log = logging.getLogger(__name__)


def handlers(pages: str) -> Mapping[Any, Any]:
    """Kind of exception → what answers for it.

    Args:
        pages: what there is, for those who ask for something else.
    """

    async def no_page(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        what = f"{request.method} {request.url.path}"
        refused_ = RefusedError(f"{what} is not possible ({error.detail}). {pages}", status=error.status_code)
        return JSONResponse(refused_.body(), error.status_code, error.headers)

    return {RefusedError: refused, HTTPException: no_page, ClientDisconnect: gone, Exception: failed}


async def refused(request: Request, error: Exception) -> Response:
    """A request that is not answered."""
    assert isinstance(error, RefusedError)
    return JSONResponse(error.body(), error.status)


async def gone(request: Request, error: Exception) -> Response:
    """Nobody reads this any more, but every request ends with a response."""
    return Response(status_code=400)


async def failed(request: Request, error: Exception) -> Response:
    """The server's own fault; Starlette logs what it was."""
    return JSONResponse(RefusedError(FAILED, status=500).body(), 500)


async def body_of(request: Request, most: int, advice: str) -> bytes:
    """The whole body of a request.

    Args:
        request: whose.
        most: how many bytes it may have.
        advice: what to do where it has more.

    Raises:
        RefusedError: it has more.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise RefusedError(f"the body must have at most {most:,} bytes, got more. {advice}", status=413)
    return bytes(body)
