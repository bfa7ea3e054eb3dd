"""The token of a server that others can reach: programs send it in a header, a browser signs in with it once."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from importlib import resources
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from handful.errors import OptionError
from handful.web.failures import body_of
from handful.web.questions import RefusedError

AUTO = "auto"
"""What stands for a token that the server makes up."""
VARIABLE = "HANDFUL_TOKEN"
"""The environment variable that may hold the token; other users of a machine cannot see it, unlike a command line."""
FEWEST = 16
"""How many characters a token must have, so that nobody finds it by trying."""
SIGN_IN = "/sign-in"
"""Where a browser sends the token."""

# What anybody may read without a token: that the server is alive, and how to sign in.
_OPEN = ("/health", SIGN_IN, "/sign-in.js", "/sign-in.css")
_MOST_BYTES = 4096
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    SIGN_IN: ("sign_in.html", "text/html"), "/sign-in.js": ("sign_in.js", "text/javascript"),
    "/sign-in.css": ("try.css", "text/css"),
}  # fmt: skip


@dataclass(frozen=True)
class Token:
    """A secret that every request has to know."""

    secret: str = field(repr=False)
    """Its characters."""
    made_up: bool = False
    """Whether the server chose it, so that it has to tell it."""

    @classmethod
    def of(cls, given: str | None, host: str) -> Token | None:
        """The token that a server has to ask for; None where none is needed and none was given.

        Args:
            given: what the user said; ``auto``: one is made up. Where nothing is said, the environment may hold it.
            host: what the server is bound to.

        Raises:
            OptionError: others can reach the server and there is no token, or it is too short.
        """
        said = given if given is not None else os.environ.get(VARIABLE) or None
        if said is None and not is_this_machine(host):
            raise OptionError(
                f"--host {host} lets others reach this server, which then needs a token, got none. Add --token auto, "
                f"or put one of {FEWEST} characters or more into the environment variable {VARIABLE}."
            )
        if said is None:
            return None
        if said == AUTO:
            return cls(secrets.token_urlsafe(32), True)
        if len(said) < FEWEST or not said.isascii() or not said.isprintable() or " " in said:
            raise OptionError(
                f"the token must have at least {FEWEST} letters, digits and signs without blanks, got {len(said)} "
                f"characters. Choose a longer one, or --token {AUTO}."
            )
        return cls(said)

    @property
    def cookie(self) -> tuple[str, str]:
        """Name and value of the cookie of a browser that signed in; servers of one machine do not share it."""
        digest = hmac.new(self.secret.encode(), b"handful cookie", hashlib.sha256).hexdigest()
        return f"handful_{digest[:8]}", digest[8:]

    def is_known_to(self, headers: Headers) -> bool:
        """Whether a request knows the token: as ``Authorization: Bearer …``, or by the cookie of a browser."""
        scheme, _, said = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is(said.strip()):
            return True
        name, value = self.cookie
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(name)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), value.encode())

    def _is(self, said: str) -> bool:
        # As bytes, since texts are compared only where they are ASCII.
        return hmac.compare_digest(said.encode("utf-8", "replace"), self.secret.encode())

    async def answer(self, request: Request) -> Response | None:
        """What answers a request in place of the application: the page to sign in, or a refusal; None: it may pass."""
        path, headers = request.url.path, request.headers
        if path == SIGN_IN and request.method == "POST":
            return await self._signed_in(request)
        if path in _FILES and request.method == "GET":
            return _page(path, 200)
        if path in _OPEN or self.is_known_to(headers):
            return None
        if request.method == "GET" and "text/html" in headers.get("accept", ""):
            return _page(SIGN_IN, 401)
        why = RefusedError(
            "this server must be asked with its token, got none or another. Send it as the header "
            "Authorization: Bearer TOKEN; in a browser, open the address to sign in.",
            status=401, code="token_needed",
        )  # fmt: skip
        return JSONResponse(why.body(), 401, {"WWW-Authenticate": "Bearer"})

    async def _signed_in(self, request: Request) -> Response:
        body = await body_of(request, _MOST_BYTES, "Send the token alone.")
        try:
            said = json.loads(body)["token"]
        except (ValueError, RecursionError, TypeError, KeyError, IndexError):
            said = None
        if not isinstance(said, str) or not self._is(said):
            why = RefusedError("the token must be that of this server, got another. Type it again.", "token", 401)
            return JSONResponse(why.body(), 401)
        name, value = self.cookie
        response = JSONResponse({"status": "signed in"})
        secure = request.headers.get("origin", "").lower().startswith("https:")
        response.set_cookie(name, value, httponly=True, samesite="strict", secure=secure, path="/")
        return response


def is_this_machine(host: str) -> bool:
    """Whether a server bound so can be reached from its own machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _page(path: str, status: int) -> Response:
    """A file of the page to sign in, which holds nothing of what is served."""
    name, kind = _FILES[path]
    text = resources.files("handful").joinpath("templates", name).read_text("utf-8")
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return Response(text, status, headers, f"{kind}; charset=utf-8")
