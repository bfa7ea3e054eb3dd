"""Taking a port: the text of every way in which it fails; and what ends a server."""

import signal
import socket

import pytest
from starlette.applications import Starlette

from handful.errors import MachineError, OptionError
from handful.web.serving import Server, take_port


def test_a_port_that_is_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(MachineError) as error:
            take_port("127.0.0.1", port)
    assert str(error.value) == (
        f"port {port} of 127.0.0.1 must be free, but another program uses it. "
        "Choose another, for example --port 8001, or --port 0 for any that is free."
    )


def test_a_port_that_needs_rights(monkeypatch):
    def refuse(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(MachineError) as error:
        take_port("127.0.0.1", 80)
    assert str(error.value).startswith("port 80 of 127.0.0.1 must be one that you may use, but it needs more rights.")


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_number_that_is_no_port(port):
    with pytest.raises(OptionError) as error:
        take_port("127.0.0.1", port)
    assert str(error.value) == f"port must be a number from 0 to 65535, got {port}. Try 8000."


@pytest.mark.parametrize("host", ["203.0.113.7", "no host", "a" * 70])
def test_a_host_that_is_not_this_machine(host):
    with pytest.raises(OptionError) as error:
        take_port(host, 0)
    assert str(error.value) == (
        f"host must be a name or address of this machine, got {host!r}. "
        "Use 127.0.0.1 for this machine only, 0.0.0.0 for all who can reach it."
    )


def test_any_port_that_is_free():
    with take_port("127.0.0.1", 0) as taken:
        assert taken.getsockname()[1] > 0


@pytest.mark.parametrize(("action", "ends"), [(signal.default_int_handler, True), (signal.SIG_IGN, False)])
def test_a_server_in_the_background_stays_deaf_to_ctrl_c(signals, action, ends):
    signal.signal(signal.SIGINT, action)
    server = Server(Starlette())
    server.handle_exit(signal.SIGINT, None)
    assert server.should_exit == ends
    server.handle_exit(signal.SIGTERM, None)
    assert server.should_exit
