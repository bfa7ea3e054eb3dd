"""A port of this machine is taken, and what comes in is answered until somebody stops it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import ssl
from asyncio import TimerHandle, Transport
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from handful.errors import MachineError, OptionError
from handful.web.admission import PATIENCE

_PORTS = 65535

# How many seconds those who are still sending or receiving get when the server is stopped.
_PATIENCE = 2


def take_port(host: str, port: int) -> socket.socket:
    """Take a port, so that nobody else does; whoever connects before it listens is turned away.

    Args:
        host: a name or address of this machine.
        port: its number; 0 for any that is free.

    Raises:
        OptionError: there is no such port, or the host is not this machine.
        MachineError: another program has it, or it needs rights.
    """
    if not 0 <= port <= _PORTS:
        raise OptionError(f"port must be a number from 0 to {_PORTS}, got {port}. Try 8000.")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise _no_host(host) from error
    listener = socket.socket(family, kind, proto)
    if os.name == "posix":  # elsewhere it would let two programs have one port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _not_taken(host, port, error) from error
    return listener


def _not_taken(host: str, port: int, error: OSError) -> MachineError | OptionError:
    other = "Choose another, for example --port 8001, or --port 0 for any that is free."
    if error.errno == errno.EADDRINUSE:
        return MachineError(f"port {port} of {host} must be free, but another program uses it. {other}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return MachineError(f"port {port} of {host} must be one that you may use, but it needs more rights. {other}")
    return _no_host(host)


def _no_host(host: str) -> OptionError:
    return OptionError(
        f"host must be a name or address of this machine, got {host!r}. "
        "Use 127.0.0.1 for this machine only, 0.0.0.0 for all who can reach it."
    )


class _Connection(H11Protocol):
    """A connection that is closed when it keeps the server waiting.

    What uvicorn itself closes is one that says nothing at all after an answer.
    """

    _timer: TimerHandle | None = None
    _unread = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = True
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = False
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._end_watch()

    def _watch(self) -> None:
        """Count the seconds while the next request is not whole, or an answer is not taken."""
        waits = self._unread or self.cycle is None or self.cycle.response_complete
        if not waits:
            self._end_watch()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def _end_watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """Answers requests until it is told to end, and tells that to the application, whose answers then end too."""

    def __init__(
        self, application: Starlette, patience: float = PATIENCE, tls: ssl.SSLContext | None = None
    ) -> None:  # fmt: skip
        """Take what answers.

        Args:
            application: its ``state.stopping`` turns true when the end has come.
            patience: how many seconds a connection may be idle, a request may take to begin, or an answer may lie
                unread.
            tls: how it speaks where others must not listen; None: plainly.
        """
        config = uvicorn.Config(
            application,
            http=_Connection,
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=patience,  # type: ignore[arg-type] # it is added to a time
            timeout_graceful_shutdown=_PATIENCE,
        )
        if tls is not None:
            config.load()
            config.ssl = tls
        super().__init__(config)
        self._application = application
        self._deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; after Ctrl-C ``run`` raises KeyboardInterrupt once nobody is being answered any more.

        A job that shells started in the background, deaf to Ctrl-C, stays so.
        """
        if sig == signal.SIGINT and self._deaf:
            return
        self._application.state.stopping = True
        super().handle_exit(sig, frame)
