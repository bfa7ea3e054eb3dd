"""Who may ask the server: the Host, Origin, Content-Type and token of every request, and how long its body may take."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from handful.errors import OptionError
from handful.web.questions import RefusedError
from handful.web.tokens import Token

PATIENCE = 20.0
"""How many seconds a request may take to arrive."""

# How long a browser may remember what it was allowed, in seconds.
_REMEMBERED = 600

# A name or address with its port: of an IPv6 address the brackets are part of it.
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/@?#\[\]]+)(?::\d{1,5})?", re.IGNORECASE)

JSON_ALONE = ("application/json",)
"""The Content-Type that pages of other origins may not send without asking first."""


@dataclass(frozen=True)
class Admission:
    """Who may ask: a page in a browser can send requests to this machine too, and must not be answered unasked."""

    host: str = "127.0.0.1"
    """The name or address that the server was bound to."""
    hosts: tuple[str, ...] = ()
    """Further names by which it may be asked."""
    origins: tuple[str, ...] = ()
    """Where pages that may ask it come from, such as ``https://app.example``; its own pages always may."""
    patience: float = PATIENCE
    """How many seconds the body of a request may take."""
    kinds: tuple[str, ...] = JSON_ALONE
    """What a body may be: a Content-Type, or the beginning of several such as ``image/``."""
    token: Token | None = None
    """What every request has to know; None where all who can reach the server may ask."""

    @classmethod
    def of(
        cls, host: str, hosts: str | None, origins: str | None, kinds: tuple[str, ...] = JSON_ALONE,
        token: Token | None = None,
    ) -> Admission:  # fmt: skip
        """Read what the user allows.

        Args:
            host: what the server is bound to.
            hosts: names, joined by commas.
            origins: origins, joined by commas.
            kinds: what a body may be.
            token: what every request has to know.

        Raises:
            OptionError: one of them is none.
        """
        names, pages = _listed(hosts), _listed(origins)
        for name in names:
            if not _is_host(name):
                raise OptionError(
                    "--allow-host must be a name without a scheme and a port, such as models.example, "
                    f"got {name!r}. Correct it."
                )
        for page in pages:
            if not _is_origin(page):
                raise OptionError(
                    "--allow-origin must be a scheme and a name, such as https://app.example or http://localhost:3000, "
                    f"got {page!r}. Correct it."
                )
        return cls(host, names, pages, kinds=kinds, token=token)

    def knows(self, host: str) -> bool:
        """Whether a request may call the server so.

        A page can make its own name lead to this machine, and would then be of the same origin; it cannot do that with
        an address, nor with a name that is not its own.
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]").rstrip(".").lower()
        if name == "localhost" or name in (self.host.lower(), *self.hosts):
            return True
        address = _address(name)
        if not _is_open(self.host):
            return address is not None and address.is_loopback
        return address is not None or name == socket.gethostname().lower()

    def refusal(self, method: str, headers: Headers) -> RefusedError | None:
        """Why a request is not answered; None where it is.

        Args:
            method: the method of the request.
            headers: what it says about itself.
        """
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        if not self.knows(host):
            return RefusedError(
                f"Host must be the name or address that this server was started for, got {host!r}. "
                "Use the address that it printed, or start it with --allow-host.",
                status=403, code="host_not_allowed",
            )  # fmt: skip
        origin = headers.get("origin")
        if origin is not None and not self.welcomes(origin, host):
            return RefusedError(
                f"Origin must be this server's own or one that it was started for, got {origin!r}. "
                "Start it with --allow-origin, if this page may ask.",
                status=403, code="origin_not_allowed",
            )  # fmt: skip
        # Pages of any origin may send some other kinds without asking first; browsers then tell the Origin.
        kind = headers.get("content-type", "")
        if method == "POST" and not kind.partition(";")[0].strip().lower().startswith(self.kinds):
            must = " or ".join(name + "…" * name.endswith("/") for name in self.kinds)
            return RefusedError(f"Content-Type must be {must}, got {kind!r}. Say it in the header.", status=415)
        return None

    def welcomes(self, origin: str, host: str) -> bool:
        """Whether a page of some origin may ask; those that the server itself sent may.

        Args:
            origin: where the page came from.
            host: what the page calls the server.
        """
        scheme, _, rest = origin.lower().partition("://")
        return origin.lower() in self.origins or (scheme in ("http", "https") and rest == host.lower())


class Doorkeeper:
    """Middleware that lets in only whom an Admission allows, and gives up bodies that take too long."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        """Stand before an application."""
        self._app, self._admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, origin = Headers(scope=scope), Headers(scope=scope).get("origin")
        refusal = self._admission.refusal(scope["method"], headers)
        if refusal is not None:
            await JSONResponse(refusal.body(), refusal.status)(scope, receive, send)
            return
        shared = origin is not None and origin.lower() in self._admission.origins
        if shared and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            asked = {"Access-Control-Allow-Headers": headers.get("access-control-request-headers", "content-type")}
            await Response(None, 204, {**asked, **_PREFLIGHT, **_allowed(str(origin))})(scope, receive, send)
            return

        async def told(message: MutableMapping[str, Any]) -> None:
            if shared and message["type"] == "http.response.start":
                more = [(name.lower().encode(), text.encode()) for name, text in _allowed(str(origin)).items()]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        patient = self._patient(receive)
        if self._admission.token is not None:
            answer = await self._refused_or(self._admission.token, Request(scope, patient))
            if answer is not None:
                await answer(scope, patient, told)
                return
        await self._app(scope, patient, told)

    async def _refused_or(self, token: Token, request: Request) -> Response | None:
        """What answers for lack of the token; None where the request may pass."""
        try:
            return await token.answer(request)
        except RefusedError as error:
            return JSONResponse(error.body(), error.status)
        except ClientDisconnect:
            return Response(status_code=400)

    def _patient(self, receive: Receive) -> Receive:
        """Receive the whole body within the time that there is; afterwards one may wait for its sender to leave."""
        patience = self._admission.patience
        until = asyncio.get_running_loop().time() + patience
        whole = False

        async def received() -> MutableMapping[str, Any]:
            nonlocal whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError as error:
                raise RefusedError(
                    f"the body must arrive within {patience:g} seconds, got a part of it. Send it again.", status=408
                ) from error
            whole = not message.get("more_body", False)
            return message

        return received


_PREFLIGHT = {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Max-Age": str(_REMEMBERED)}


def _allowed(origin: str) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in (text or "").split(",") if part.strip())


def _is_host(name: str) -> bool:
    return _address(name) is not None or (":" not in name and _HOST.fullmatch(name) is not None)


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        known = _HOST.fullmatch(parts.netloc) is not None and parts.port != 0
    except ValueError:
        return False
    return known and text == f"{parts.scheme}://{parts.netloc}" and parts.scheme in ("http", "https")


def _address(name: str) -> Any:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _is_open(host: str) -> bool:
    """Whether a server bound so can be reached by every address of its machine."""
    address = _address(host)
    return address is not None and address.is_unspecified
