"""The service of a coordinator, and what a site is told when it cannot reach or use one."""

from __future__ import annotations

import ssl
import threading
from http.client import RemoteDisconnected

import pytest
from numpy.random import default_rng
from starlette.testclient import TestClient

from federated_sites import SAYS, TERMS, gathering, rows_of, site
from handful.errors import DataError, MachineError, OptionError
from handful.regimes.federated import wire
from handful.regimes.federated.gathering import DONE, FAILED
from handful.regimes.federated.terms import Terms
from handful.web.admission import Admission
from handful.web.federated import connection, service
from handful.web.federated.connection import Connection
from handful.web.federated.service import BODIES, TENSORS, application
from handful.web.tls import Tls
from handful.web.tokens import Token

TOKEN = "0123456789abcdef"
ASKS = {"Authorization": f"Bearer {TOKEN}"}
BYTES = {**ASKS, "Content-Type": TENSORS}


@pytest.fixture
def served():
    """A gathering of two sites and a client of its service."""
    gathered, clock, _ = gathering(2, wait=50)
    ended = threading.Event()
    app = application(gathered, Admission(kinds=BODIES, token=Token(TOKEN)), ended.set)
    with TestClient(app, base_url="http://127.0.0.1:8470") as client:
        yield client, gathered, clock, ended


def joined(client, name):
    answer = client.post("/join", json={"name": name, **SAYS}, headers=ASKS)
    return {**BYTES, "handful-site": name, "handful-key": answer.json()["key"]}


def message(answer):
    return answer.json()["error"]["message"]


def test_sites_go_through_it_to_the_model(served):
    client, gathered, _, ended = served
    assert Terms.decoded(client.get("/terms", headers=ASKS).content) == TERMS
    parts = {
        name: site(rows_of(default_rng(seed), list("ab" * 6)), list("ab" * 6))
        for seed, name in enumerate(["north", "south"])
    }
    who = {name: joined(client, name) for name in parts}
    for name, one in parts.items():
        assert client.get("/heads", headers=who[name]).status_code == 204
        assert client.post("/sums", content=wire.pack_sums(one.sums()), headers=who[name]).status_code == 200
    heads = wire.unpack_maps(client.get("/heads", headers=who["north"]).content, TERMS)
    assert client.get("/model", headers=who["north"]).status_code == 204
    assert client.get("/here", headers=who["north"]).status_code == 204
    assert client.get("/here", headers={**who["north"], "handful-key": "other"}).status_code == 409
    for name, one in parts.items():
        client.post("/answers", content=wire.pack_votes(one.votes(*heads)), headers=who[name])
    for name in parts:
        assert wire.Model(client.get("/model", headers=who[name]).content, TERMS).names == ("a", "b")
        said = {**who[name], "Content-Type": "application/json"}
        assert client.post("/verdict", json={"verdict": "tie"}, headers=said).json() == {"status": "taken"}
    assert gathered.phase == DONE
    assert ended.wait(20)


def test_a_name_of_other_letters_is_one(served):
    client, gathered, _, _ = served
    answer = client.post("/join", json={"name": "Nürnberg 病院", **SAYS}, headers=ASKS)
    line = Connection("127.0.0.1", 0, None, site="Nürnberg 病院", key=answer.json()["key"])
    heads = {}
    line._patiently = lambda method, path, body, headers: heads.update(headers) or (204, b"")
    line._asked("GET", "/heads", None, "")
    assert client.get("/heads", headers={**ASKS, **heads}).status_code == 204


@pytest.mark.parametrize("path", ["/terms", "/heads", "/model"])
def test_nobody_is_answered_without_the_token(served, path):
    client, *_ = served
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"Authorization": "Bearer 0123456789abcdee"}).status_code == 401


def test_what_is_refused_is_said(served):
    client, *_ = served
    answer = client.post("/join", json={"name": "odd", **SAYS, "version": "0.0.1"}, headers=ASKS)
    assert answer.status_code == 409
    assert message(answer) == "odd cannot take part: its version of handful must be 0.1, got '0.0.1'."
    assert message(client.post("/join", content=b"[]", headers={**ASKS, "Content-Type": "application/json"})) == (
        "the body must be an object, got list. Send one."
    )
    assert "the body must be JSON" in message(
        client.post("/join", content=b"{", headers={**ASKS, "Content-Type": "application/json"})
    )
    who = joined(client, "north")
    assert client.post("/sums", content=b"x", headers=who).status_code == 409
    assert client.get("/heads", headers={**who, "handful-key": "other"}).status_code == 409
    assert client.get("/nothing", headers=ASKS).status_code == 404


def test_a_body_without_end_is_given_up(served, monkeypatch):
    client, *_ = served
    monkeypatch.setattr(service, "most_bytes", lambda terms: 1000)
    who = joined(client, "north")
    answer = client.post("/sums", content=b"x" * 2000, headers=who)
    assert (answer.status_code, message(answer)) == (
        413, "the body must have at most 1,000 bytes, got more. Send the sums that were asked for.",
    )  # fmt: skip


def test_sites_that_wait_hear_why_nothing_was_made(served, monkeypatch):
    client, gathered, clock, ended = served
    monkeypatch.setattr(service, "_FAREWELL", 0.0)
    who = joined(client, "north")
    clock.now = 60
    assert ended.wait(20)
    assert gathered.phase == FAILED
    answer = client.get("/heads", headers=who)
    assert answer.status_code == 410
    assert message(answer).startswith("nothing was made: 2 sites at least must send sums that can be used, got 0 of 2")


@pytest.mark.parametrize(
    "address", ["here", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x", "http://[", "http://a/b"]
)
def test_what_is_no_address(address):
    with pytest.raises(OptionError, match="--coordinator must be the address that it printed"):
        Connection.to(address, None, Tls())


def test_nothing_goes_plainly_to_another_machine():
    with pytest.raises(OptionError, match="--coordinator must begin with https:// where it is another machine"):
        Connection.to("http://10.0.0.5:8470", None, Tls())


def line(answer, **more):
    made = Connection("127.0.0.1", 1, None, pause=lambda seconds: None, **more)
    made._once = answer
    return made


def test_a_coordinator_that_does_not_answer_is_tried_for_a_while():
    tries = []

    def nobody(*_):
        tries.append(1)
        raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(MachineError, match=r"must answer, but it cannot be reached \(Connection refused"):
        line(nobody, patience=5.0).get("/terms")
    assert len(tries) == 6


def test_one_that_is_late_is_waited_for():
    answers = [ConnectionRefusedError(), (204, b""), (200, b"yes")]

    def slow(*_):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert line(slow).get("/heads") == b"yes"


def test_a_site_that_computes_is_heard_of(monkeypatch):
    heard, twice = [], threading.Event()

    def here(self, method, path, body, headers):
        heard.append((path, self.site))
        if len(heard) == 2:
            twice.set()
        return 204, b""

    monkeypatch.setattr(Connection, "_once", here)
    monkeypatch.setattr(connection, "BEAT", 0.0)
    with Connection("127.0.0.1", 1, None, site="north").heard_of():
        assert twice.wait(20)
    assert heard[:2] == [("/here", "north")] * 2


def test_one_that_was_left_out_says_no_more(monkeypatch):
    asked = threading.Event()

    def gone(self, *_):
        asked.set()
        return 409, b""

    monkeypatch.setattr(Connection, "_once", gone)
    monkeypatch.setattr(connection, "BEAT", 0.0)
    with Connection("127.0.0.1", 1, None).heard_of():
        assert asked.wait(20)


def test_a_wrong_token_is_said():
    with pytest.raises(OptionError, match="must be told its token, got none or another"):
        line(lambda *_: (401, b"")).get("/terms")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((409, b'{"error": {"message": "north was left out: why."}}'), "north was left out: why."),
        ((404, b"<html>"), "the coordinator answered 404 to /heads. Check the address."),
    ],
)
def test_a_refusal_is_passed_on(answer, said):
    with pytest.raises(DataError, match=said):
        line(lambda *_: answer).get("/heads")


def test_an_answer_that_is_none():
    with pytest.raises(DataError, match="the coordinator must answer in JSON, got something else"):
        line(lambda *_: (200, b"<html>")).tell("/join", {})


def test_proof_that_lacks_on_either_side_is_said():
    def unknown(*_):
        raise ssl.SSLCertVerificationError("no")

    with pytest.raises(MachineError, match="must prove who it is, and know who you are"):
        line(unknown).get("/terms")

    def closed(*_):
        raise RemoteDisconnected("closed")

    asked = line(closed)
    asked.tls = ssl.create_default_context()
    with pytest.raises(MachineError, match="must know who you are: it closed the connection at once"):
        asked.get("/terms")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("c.pem", None, None), "--certificate must come with --key, got one of the two"),
        ((None, "k.pem", None), "--key must come with --certificate, got one of the two"),
        ((None, None, "t.pem"), "--trust must come with --certificate and --key, got none"),
        (("nowhere.pem", "nowhere.key", None), "must be files in PEM that belong together, got nowhere.pem"),
    ],
)
def test_files_that_prove_nothing(files, said):
    with pytest.raises(OptionError, match=said):
        Tls(*files).server()


def test_a_file_of_something_else_proves_nothing(tmp_path):
    (tmp_path / "a.pem").write_text("no certificate")
    with pytest.raises(OptionError, match="must be files in PEM"):
        Tls(None, None, str(tmp_path / "a.pem")).client()
