"""The connection of a site to a coordinator: one request at a time, with patience for who is not there yet."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from typing import Any
from urllib.parse import quote, urlsplit

from handful.errors import DataError, HandfulError, MachineError, OptionError
from handful.readback import FAILURES, plain_json
from handful.web.federated.service import KEY, SITE, TENSORS
from handful.web.tls import Tls
from handful.web.tokens import VARIABLE, is_this_machine

PATIENCE = 60.0
"""So many seconds a coordinator that does not answer is tried again."""

BEAT = 10.0
"""Seconds between two words of a site that computes."""

_TIMEOUT = 300.0
_MOST = 1 << 30
# Seconds between two questions whether something is ready.
_POLL = 0.5


@dataclass
class Connection:
    """Where the coordinator is, and what it has to be told with every request."""

    host: str
    """Its name or address."""
    port: int
    """Its port."""
    tls: ssl.SSLContext | None
    """How it is spoken to; None: plainly, on this machine."""
    token: str | None = field(repr=False, default=None)
    """What every request has to know."""
    site: str = ""
    """The name of the site, once it has joined."""
    key: str = field(repr=False, default="")
    """What the site knows itself by."""
    patience: float = PATIENCE
    """So many seconds a coordinator that does not answer is tried again."""
    pause: Callable[[float], None] = time.sleep
    """Waits so many seconds."""
    sent: int = 0
    """How many bytes were sent."""
    answered: bool = False
    """Whether it has ever answered."""

    @classmethod
    def to(cls, address: str, token: str | None, tls: Tls) -> Connection:
        """The connection to an address.

        Args:
            address: such as ``https://10.0.0.5:8470``.
            token: what the coordinator printed, or None.
            tls: whom to believe, and who this is.

        Raises:
            OptionError: it is no address, or others could listen on the way to it.
        """
        try:
            parts = urlsplit(address)
            host, port, path = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), parts.path
        except ValueError:
            parts, host, port, path = urlsplit(""), "", 0, ""
        if parts.scheme not in ("http", "https") or not host or path.strip("/"):
            raise OptionError(
                f"--coordinator must be the address that it printed, such as https://10.0.0.5:8470, got {address!r}. "
                "Correct it."
            )
        if parts.scheme == "http" and not is_this_machine(host):
            raise OptionError(
                f"--coordinator must begin with https:// where it is another machine, got {address!r}: others could "
                "listen. Start it with --certificate and --key."
            )
        return cls(host, port, tls.client() if parts.scheme == "https" else None, token)

    def get(self, path: str) -> bytes:
        """What is at an address, waiting until it is there.

        Raises:
            DataError: the coordinator refuses.
            MachineError: it does not answer.
        """
        while True:
            status, body = self._asked("GET", path, None, "")
            if status != 204:
                return body
            self.pause(_POLL)

    def post(self, path: str, body: bytes) -> None:
        """Send tensors. Raises as ``get``."""
        self._asked("POST", path, body, TENSORS)

    @contextmanager
    def heard_of(self) -> Iterator[None]:
        """Say every now and then that the site is there, while it computes: who is silent is not waited for."""
        over, line = threading.Event(), replace(self)

        def say() -> None:
            while not over.wait(BEAT):
                try:
                    line._asked("GET", "/here", None, "")
                except HandfulError:
                    return  # the next thing that the site sends is answered with the same

        threading.Thread(target=say, name="heard of", daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def tell(self, path: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """Send an object, and read the one that is answered. Raises as ``get``."""
        body = self._asked("POST", path, json.dumps(dict(said)).encode(), "application/json")[1]
        try:
            answer = plain_json(body)
        except FAILURES:
            answer = None
        if not isinstance(answer, dict):
            raise DataError("the coordinator must answer in JSON, got something else. Check the address.")
        return answer

    def _asked(self, method: str, path: str, body: bytes | None, kind: str) -> tuple[int, bytes]:
        headers = {"Content-Type": kind} if kind else {}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.site:
            headers |= {SITE: quote(self.site), KEY: self.key}
        status, answer = self._patiently(method, path, body, headers)
        self.sent += len(body or b"")
        if status == 401:
            raise OptionError(
                "the coordinator must be told its token, got none or another. Give the one that it printed as --token, "
                f"or put it into the environment variable {VARIABLE}."
            )
        if status >= 300:
            raise DataError(_reason(answer) or f"the coordinator answered {status} to {path}. Check the address.")
        return status, answer

    def _patiently(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """A request, tried again while nobody answers; who has taken something takes the same again without a word."""
        waited = 0.0
        while True:
            try:
                return self._once(method, path, body, headers)
            except ssl.SSLError as error:
                raise MachineError(
                    f"the coordinator at {self.host}:{self.port} must prove who it is, and know who you are: "
                    f"{getattr(error, 'reason', None) or error}. Check --trust, --certificate and --key."
                ) from error
            except (OSError, HTTPException) as error:
                if isinstance(error, RemoteDisconnected) and self.tls is not None and not self.answered:
                    raise MachineError(
                        f"the coordinator at {self.host}:{self.port} must know who you are: it closed the connection "
                        "at once. Give the certificate that it trusts as --certificate, with its --key."
                    ) from error
                if waited >= self.patience:
                    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
                    raise MachineError(
                        f"the coordinator at {self.host}:{self.port} must answer, but it cannot be reached ({why}). "
                        "Check that it runs, and the address."
                    ) from error
                self.pause(2 * _POLL)
                waited += 2 * _POLL

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if self.tls is None:
            line: HTTPConnection = HTTPConnection(self.host, self.port, timeout=_TIMEOUT)
        else:
            line = HTTPSConnection(self.host, self.port, timeout=_TIMEOUT, context=self.tls)
        try:
            line.request(method, path, body, dict(headers))
            response = line.getresponse()
            answer = response.read(_MOST)
            self.answered = True
            return response.status, answer
        finally:
            line.close()


def _reason(body: bytes) -> str:
    try:
        return str(plain_json(body)["error"]["message"])
    except FAILURES:
        return ""
