"""The token of a server that others can reach: who needs one, who knows it, and how a browser signs in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from handful.errors import OptionError
from handful.web.admission import Admission
from handful.web.completions import application
from handful.web.tokens import AUTO, VARIABLE, Token

SECRET = "a-token-of-some-length"
HERE = "http://127.0.0.1:8000"
BODY = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
CHAT = "/v1/chat/completions"


@pytest.fixture
def client(speaker):
    with TestClient(application(speaker, "toy", Admission(token=Token(SECRET))), base_url=HERE) as made:
        yield made


@pytest.fixture(autouse=True)
def no_token_around(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


# Who needs one -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_needs_none_and_may_have_one(host, monkeypatch):
    assert Token.of(None, host) is None
    monkeypatch.setenv(VARIABLE, SECRET)
    assert Token.of(None, host) == Token(SECRET)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "printer.example"])
def test_others_need_one(host, monkeypatch):
    with pytest.raises(OptionError) as error:
        Token.of(None, host)
    assert str(error.value) == (
        f"--host {host} lets others reach this server, which then needs a token, got none. Add --token auto, or put "
        "one of 16 characters or more into the environment variable HANDFUL_TOKEN."
    )
    monkeypatch.setenv(VARIABLE, SECRET)
    assert Token.of(None, host) == Token(SECRET)
    assert Token.of("another-token-of-mine", host) == Token("another-token-of-mine")


@pytest.mark.parametrize(
    "said", ["", "short", "with a blank in the midst", "ümläute-sind-nicht-dabei", "line\nfeed" * 4]
)
def test_what_is_too_easy_or_cannot_be_sent(said):
    with pytest.raises(OptionError) as error:
        Token.of(said, "0.0.0.0")
    assert str(error.value) == (
        "the token must have at least 16 letters, digits and signs without blanks, got "
        f"{len(said)} characters. Choose a longer one, or --token auto."
    )


def test_made_up_ones_differ_and_are_not_shown_by_accident():
    first, second = Token.of(AUTO, "0.0.0.0"), Token.of(AUTO, "0.0.0.0")
    assert first != second
    assert len(first.secret) >= 40
    assert first.made_up
    assert first.secret not in repr(first)
    assert first.secret not in repr(Admission(token=first))


# Who knows it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", [None, "", "Bearer", "Bearer wrong", f"Basic {SECRET}", f"Bearer {SECRET}x", "Bearer é"]
)
def test_who_does_not_know_it_is_not_answered(client, speaker, said):
    headers = {} if said is None else {"Authorization": said.encode()}
    for method, page in (("POST", CHAT), ("GET", "/v1/models"), ("GET", "/none"), ("DELETE", "/v1/models")):
        response = client.request(method, page, json=BODY if method == "POST" else None, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["message"] == (
            "this server must be asked with its token, got none or another. Send it as the header Authorization: "
            "Bearer TOKEN; in a browser, open the address to sign in."
        )
    assert speaker.order == []


def test_who_knows_it_is_answered(client):
    assert client.post(CHAT, json=BODY, headers={"Authorization": f"Bearer {SECRET}"}).status_code == 200
    assert client.get("/v1/models", headers={"Authorization": f"bearer  {SECRET}"}).status_code == 200


def test_that_it_is_alive_anybody_may_know(client):
    assert client.get("/health").status_code == 200


def test_a_page_of_an_allowed_origin_is_told_that_it_lacks_the_token(speaker):
    admission = Admission(origins=("https://app.example",), token=Token(SECRET))
    with TestClient(application(speaker, "toy", admission), base_url=HERE) as client:
        refused = client.post(CHAT, json=BODY, headers={"Origin": "https://app.example"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://app.example")


@given(st.text(st.characters(codec="latin-1")), st.text(st.characters(codec="latin-1")))
def test_no_other_text_is_known(said, cookie):
    headers = Headers({"authorization": said, "cookie": cookie})
    assert not Token(SECRET).is_known_to(headers)


# How a browser signs in ----------------------------------------------------------------------------------------------


def test_a_browser_is_asked_for_it_and_given_a_cookie_that_no_script_and_no_other_page_can_use(client):
    page = client.get("/", headers={"Accept": "text/html,*/*"})
    assert page.status_code == 401
    assert "/sign-in.js" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert client.get("/sign-in.js").status_code == client.get("/sign-in.css").status_code == 200
    done = client.post("/sign-in", json={"token": SECRET})
    assert done.status_code == 200
    cookie = done.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert SECRET not in cookie
    assert client.get("/v1/models").status_code == 200


@pytest.mark.parametrize("body", [{"token": "another"}, {"token": 3}, {}, [], 3, {"token": None}, {"token": "é"}])
def test_a_wrong_token_gives_no_cookie(client, body):
    response = client.post("/sign-in", json=body)
    assert response.status_code == 401
    assert response.json()["error"]["message"] == "the token must be that of this server, got another. Type it again."
    assert "set-cookie" not in response.headers


def test_bodies_that_hold_none(client):
    for body, status in ((b"{", 401), (b'{"token": "\\ud800"}', 401), (b"[" * 4000, 401), (b" " * 5000, 413)):
        assert client.post("/sign-in", content=body, headers={"Content-Type": "application/json"}).status_code == status


def test_a_page_of_another_place_cannot_sign_in(client):
    response = client.post("/sign-in", json={"token": SECRET}, headers={"Origin": "https://evil.example"})
    assert response.status_code == 403
