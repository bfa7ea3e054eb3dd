"""Who may ask: every route checks Host, Origin and Content-Type, and gives up a body that does not arrive."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from handful.errors import OptionError
from handful.web.admission import Admission
from handful.web.completions import application

CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "hello"}]}
ROUTES = [("GET", "/health"), ("GET", "/v1/models"), ("GET", "/v1/models/toy"), ("POST", CHAT), ("GET", "/none")]
HERE = "127.0.0.1:8000"


@pytest.fixture
def ask(speaker):
    """Send a request to a server with some admission; give back the response."""

    def send(method, page, admission=Admission(), **headers):  # noqa: B008 - frozen
        with TestClient(application(speaker, "toy", admission), base_url=f"http://{HERE}") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.request(method, page, json=BODY if method == "POST" else None, headers=named)

    return send


def said(response):
    return response.json()["error"]["message"]


# Host --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "page"), ROUTES)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "192.0.2.7", ""])
def test_a_page_that_makes_its_own_name_lead_here_is_not_answered(ask, speaker, method, page, host):
    response = ask(method, page, Host=host)
    assert response.status_code == 403
    assert said(response) == (
        f"Host must be the name or address that this server was started for, got {host!r}. "
        "Use the address that it printed, or start it with --allow-host."
    )
    assert speaker.order == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.9.9.9"]
)
def test_names_of_this_machine(ask, host):
    assert ask("GET", "/health", Host=host).status_code == 200


def test_a_name_that_it_was_bound_to_or_allowed(ask):
    assert ask("GET", "/health", Admission("printer.example"), Host="Printer.example:80").status_code == 200
    assert ask("GET", "/health", Admission(hosts=("models.example",)), Host="models.example").status_code == 200
    assert ask("GET", "/health", Admission("printer.example"), Host="192.0.2.7").status_code == 403


@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])
def test_bound_to_every_address_it_is_asked_by_any_address_but_no_strange_name(bound):
    admission = Admission(bound)
    for host in ("192.0.2.7:8000", "[2001:db8::1]", "10.0.0.1", "localhost", socket.gethostname()):
        assert admission.knows(host)
    assert not admission.knows("evil.example")


@given(st.text())
def test_no_other_text_is_a_host(text):
    known = Admission().knows(text)
    assert not known or text.lower().startswith(("localhost", "127.", "[", "::1"))


# Origin ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "page"), [*ROUTES, ("OPTIONS", CHAT)])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:9000", "", "file://127.0.0.1:8000"]
)
def test_pages_of_other_origins_are_not_answered(ask, speaker, method, page, origin):
    response = ask(method, page, Origin=origin)
    assert response.status_code == 403
    assert said(response) == (
        f"Origin must be this server's own or one that it was started for, got {origin!r}. "
        "Start it with --allow-origin, if this page may ask."
    )
    assert "access-control-allow-origin" not in response.headers
    assert speaker.order == []


def test_its_own_pages_are_answered(ask):
    for scheme in ("http", "https"):  # behind a proxy that encrypts
        response = ask("GET", "/health", Origin=f"{scheme}://{HERE}")
        assert response.status_code == 200
        assert "access-control-allow-origin" not in response.headers


def test_an_origin_that_is_allowed_is_told_so(ask):
    admission, origin = Admission(origins=("https://app.example",)), "https://app.example"
    for method, page, status in (("POST", CHAT, 200), ("GET", "/none", 404)):
        response = ask(method, page, admission, Origin=origin)
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == origin
        assert response.headers["vary"] == "Origin"
    assert ask("GET", "/health", admission, Origin="https://app.example.org").status_code == 403


def test_what_a_browser_asks_before(ask):
    admission = Admission(origins=("https://app.example",))
    response = ask(
        "OPTIONS", CHAT, admission, Origin="https://app.example",
        Access_Control_Request_Method="POST", Access_Control_Request_Headers="content-type,authorization",
    )  # fmt: skip
    assert (response.status_code, response.content) == (204, b"")
    found = {name: text for name, text in response.headers.items() if name.startswith(("access", "vary"))}
    assert found == {
        "access-control-allow-origin": "https://app.example",
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "content-type,authorization",
        "access-control-max-age": "600",
        "vary": "Origin",
    }


# Content-Type ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("page", [CHAT, "/health", "/none"])
def test_what_a_form_can_send_is_not_read(ask, speaker, kind, page):
    response = ask("POST", page, Content_Type=kind)
    assert response.status_code == 415
    assert said(response) == f"Content-Type must be application/json, got {kind!r}. Say it in the header."
    assert speaker.order == []


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_json(ask, kind):
    assert ask("POST", CHAT, Content_Type=kind).status_code == 200


# What the user allows ----------------------------------------------------------------------------------------------


def test_options_are_read():
    found = Admission.of("0.0.0.0", "Models.example, 192.0.2.7", "https://App.example,http://localhost:3000")
    assert found == Admission(
        "0.0.0.0", ("models.example", "192.0.2.7"), ("https://app.example", "http://localhost:3000")
    )
    assert Admission.of("127.0.0.1", None, None) == Admission()


@pytest.mark.parametrize("name", ["https://a.example", "a.example:80", "a b", "a/b"])
def test_what_is_no_host(name):
    with pytest.raises(OptionError) as error:
        Admission.of("127.0.0.1", name, None)
    assert str(error.value) == (
        f"--allow-host must be a name without a scheme and a port, such as models.example, got {name!r}. Correct it."
    )


@pytest.mark.parametrize(
    "origin", ["*", "app.example", "https://a.example/", "ftp://a.example", "https://", "http://[x"]
)
def test_what_is_no_origin(origin):
    with pytest.raises(OptionError) as error:
        Admission.of("127.0.0.1", None, origin)
    assert str(error.value) == (
        "--allow-origin must be a scheme and a name, such as https://app.example or http://localhost:3000, "
        f"got {origin!r}. Correct it."
    )


# Patience ----------------------------------------------------------------------------------------------------------


def request(host, body, length=None):
    told = f"Host: {host}\r\nContent-Type: application/json\r\nContent-Length: {length or len(body)}"
    return f"POST {CHAT} HTTP/1.1\r\n{told}\r\n\r\n".encode() + body


def everything(connection):
    """What is sent until the other side closes the connection."""
    found = bytearray()
    while piece := connection.recv(1 << 16):
        found += piece
    return bytes(found)


@pytest.mark.parametrize("begun", [b"", b"G", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
def test_who_does_not_say_what_he_wants_is_left(served, speaker, begun):
    host, port, _ = served(speaker, patience=0.05)
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(begun)
        assert everything(connection) == b""


def test_an_idle_connection_is_closed_after_an_answer(served, speaker):
    host, port, _ = served(speaker, patience=0.05)
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 200 OK")


def test_a_second_request_that_stays_a_beginning_is_left(served, speaker):
    host, port, _ = served(speaker, patience=0.05)
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /hea")
        assert everything(connection).count(b"HTTP/1.1 200 OK") == 1


def test_a_body_that_does_not_arrive_is_given_up(served, speaker):
    host, port, _ = served(speaker, patience=0.05)
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(request(host, b'{"messages"', 100))
        found = everything(connection)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"the body must arrive within 0.05 seconds, got a part of it. Send it again." in found
    assert speaker.order == []


def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for(served, speaker):
    host, port, _ = served(speaker, patience=0.05)
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(request("evil.example", b'{"messages"', 100))
        assert everything(connection).startswith(b"HTTP/1.1 403 ")


def test_who_does_not_read_what_he_asked_for_is_left(served, speaker):
    """Others wait for their turn meanwhile: the answer never ends, and nobody takes it."""
    host, port, _ = served(speaker, patience=0.05)
    body = b'{"stream": true, "messages": [{"role": "user", "content": "forever"}]}'
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.settimeout(60)
        connection.connect((host, port))
        connection.sendall(request(host, body))
        assert speaker.begun.wait(60)
        with socket.create_connection((host, port), timeout=60) as other:
            other.sendall(request(host, b'{"messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}'))
            assert everything(other).startswith(b"HTTP/1.1 200 OK")


def test_an_answer_may_take_longer_than_a_question(served, speaker):
    host, port, _ = served(speaker, patience=0.05)
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(request(host, b'{"messages": [{"role": "user", "content": "long"}]}'))
        assert speaker.begun.wait(60)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(60)
        speaker.go_on.set()
        assert everything(connection).startswith(b"HTTP/1.1 200 OK")
