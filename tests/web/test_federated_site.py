"""A coordinator and its sites in one process: from rows to models on disk, without a wire."""

from __future__ import annotations

import csv
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from handful.data.columns import Wanted
from handful.errors import BundleError, DataError, OptionError
from handful.export.bundle import Bundle
from handful.monitoring.check import check
from handful.progress import Bars
from handful.regimes.federated import paired, privacy
from handful.regimes.federated.gains import KEPT, VERDICTS
from handful.regimes.federated.gathering import DONE
from handful.regimes.federated.privacy import Noise
from handful.regimes.federated.terms import Asked
from handful.web.admission import Admission
from handful.web.federated import coordinating
from handful.web.federated.connection import Connection
from handful.web.federated.service import BODIES, application
from handful.web.federated.taking_part import Given, take_part

VERSION = "1.2.3"


@pytest.fixture
def sites(tmp_path, sentences):
    """Tables of two sites, each with a class that the other lacks."""
    tables = {}
    for number, (name, counts) in enumerate(
        {"north": {"ants": 14, "bees": 6}, "south": {"wasps": 14, "bees": 6}}.items()
    ):
        tables[name] = tmp_path / f"{name}.csv"
        with tables[name].open("w", newline="", encoding="utf-8") as file:
            rows = [(f"{text} {number}", label) for text, label in sentences(counts)]
            csv.writer(file).writerows([("text", "kind"), *rows])
    return tables


@pytest.fixture
def fit(tmp_path, sites):
    """A whole fit: options of the coordinator and of the sites → what each site has, the gathering, its folder."""

    def run(asked, **more):
        gathered, backbone = coordinating.prepared(asked, VERSION, lambda said: None)
        said = {name: [] for name in sites}
        app = application(gathered, Admission(kinds=BODIES), threading.Event().set)
        with TestClient(app, base_url="http://127.0.0.1") as client:

            def once(method, path, body, headers):
                answer = client.request(method, path, content=body, headers=headers)
                return answer.status_code, answer.content

            def part(name):
                line = Connection("127.0.0.1", 0, None)
                line._once = once
                given = Given(str(sites[name]), name, tmp_path / name, Wanted(), **more)
                return take_part(line, given, VERSION, Bars(), said[name].append)

            with ThreadPoolExecutor(len(sites)) as pool:
                taken = dict(zip(sites, pool.map(part, sites), strict=True))
        coordinating.save(gathered, backbone, tmp_path / "joint")
        return taken, gathered, said

    return run


def asked(**more):
    return Asked(2, 60.0, "toy-text", None, **more)


def rewritten(table, change):
    table.write_text(change(table.read_text("utf-8")), "utf-8")


def test_sites_hear_that_a_class_may_have_two_names(fit, sites):
    rewritten(sites["south"], lambda text: text.replace(",bees", ",Bees"))
    _, gathered, said = fit(asked())
    assert set(gathered.joint.names) == {"ants", "wasps", "bees", "Bees"}
    sentence = (
        "“Bees” of south and “bees” of north may be one class under two names: their names differ in capitals, blanks "
        "or signs only. If they are, call them alike and fit again."
    )
    assert all(sentence in told for told in said.values())


def test_weights_go_round_and_every_site_has_the_model_that_held_out_rows_prefer(fit, tmp_path):
    taken, gathered, said = fit(asked(rounds=2, strategy="partial"))
    assert gathered.phase == DONE
    assert gathered.left_out == {}
    moved = gathered.joint.moved
    assert moved.sites == 2
    assert all("2 rounds of weights (partial) that learn from your rows" in told[0] for told in said.values())
    models = [Bundle.load(tmp_path / name) for name in ("joint", "north", "south")]
    assert all(np.array_equal(models[0].coef, one.coef) for one in models)
    assert all((one.moved is not None) == moved.ships for one in models)
    assert all(moved.sentence in one.score for one in taken.values())
    record = json.loads((tmp_path / "north" / "federated.json").read_text("utf-8"))
    assert record["measured"]["moved"]["ships"] == moved.ships


def test_a_site_writes_a_model_whose_weights_moved(fit, tmp_path, monkeypatch, sites):
    monkeypatch.setattr(paired.Paired, "passes", lambda self, some, blind: True)  # toy weights hardly learn anything
    _, gathered, _ = fit(asked(rounds=2))
    models = {name: Bundle.load(tmp_path / name) for name in ("joint", "north")}
    for name, weights in gathered.joint.moved.delta.items():
        assert all(np.array_equal(one.moved.delta[name], weights) for one in models.values())
    items = ["hill march leaf", "number 3"]
    np.testing.assert_allclose(models["joint"].outputs(items), models["north"].outputs(items), atol=1e-6)
    assert check(tmp_path / "north", sites["south"]).rows == 20


def test_a_site_refuses_rounds_that_its_strategy_does_not_have(fit, monkeypatch):
    odd = coordinating.rounds_of
    monkeypatch.setattr(coordinating, "rounds_of", lambda *said: replace(odd(*said), longest=1e9))
    with pytest.raises(DataError, match="must ask for rounds that contrastive has with this backbone, got others"):
        fit(asked(rounds=2))


def test_noise_and_rounds_do_not_go_together(monkeypatch):
    monkeypatch.setattr(Noise, "of", classmethod(lambda cls, epsilon, delta, times=1: cls(epsilon, float(times))))
    with pytest.raises(OptionError, match=r"--rounds cannot come with --epsilon: [\d,]+ weights that are sent 8 times"):
        coordinating.prepared(asked(rounds=2, epsilon=1.0, classes=("a", "b")), VERSION, lambda said: None)


def test_what_comes_of_it_is_a_model_like_any_other(fit, tmp_path, sites):
    taken, gathered, said = fit(asked())
    assert gathered.phase == DONE
    assert gathered.left_out == {}
    joint, north = Bundle.load(tmp_path / "joint"), Bundle.load(tmp_path / "north")
    assert joint.labels == north.labels == ("ants", "bees", "wasps")
    np.testing.assert_array_equal(joint.coef, north.coef)
    assert joint.predict(["hill march leaf"]) == north.predict(["hill march leaf"])
    assert (joint.reference, joint.specimens != ()) == (None, True)
    assert (north.input, north.target, len(north.reference.rows)) == ("text", "kind", 20)
    assert check(tmp_path / "north", sites["south"]).rows == 20
    with pytest.raises(BundleError, match="the model keeps nothing of its training rows"):
        check(tmp_path / "joint", sites["south"])
    card = (tmp_path / "joint" / "model" / "README.md").read_text("utf-8")
    assert "Fitted together by 2 sites that did not share their rows (about 40 in all)" in card
    assert "No noise was added to what the sites sent" in card
    record = json.loads((tmp_path / "joint" / "federated.json").read_text("utf-8"))
    assert record["measured"]["rows"] == 40
    assert sum(record["gains"].values()) == 2
    assert set(record["gains"]) <= set(VERDICTS)
    own = json.loads((tmp_path / "north" / "federated.json").read_text("utf-8"))
    assert own["gain"]["verdict"] == taken["north"].gain.verdict
    assert taken["north"].score == gathered.joint.sentence
    assert said["north"][0].startswith("asked for are sums of what toy-text sees in your rows")
    assert coordinating.traffic(gathered).startswith("2 sites sent ")
    assert coordinating.who_gains(gathered.verdicts, None).startswith("of 2 sites ")


def test_with_noise_the_sites_say_nothing_without_it(fit, tmp_path, monkeypatch):
    monkeypatch.setattr(Noise, "of", classmethod(lambda cls, epsilon, delta: cls(epsilon, 1e-6)))
    coins = iter(np.arange(20) % 4 == 0 for _ in range(2))
    monkeypatch.setattr("handful.web.federated.taking_part.scored_rows", lambda items: next(coins)[: len(items)])
    taken, gathered, said = fit(asked(epsilon=4.0, classes=("wasps", "ants")), epsilon=4.0)
    assert gathered.verdicts == {KEPT: 2}
    assert Bundle.load(tmp_path / "south").labels == ("ants", "wasps")
    assert "6 rows are of none of the classes ants, wasps and are left out" in said["north"]
    assert taken["north"].gain.rows == 4
    assert coordinating.who_gains(gathered.verdicts, 4.0) == (
        "who gains is told at each of the 2 sites alone, since it has no noise in it"
    )
    assert "ε = 4, δ = 1e-05 for each row" in (tmp_path / "joint" / "model" / "README.md").read_text("utf-8")
    assert privacy.SCORED == 0.2


def test_a_class_with_one_row_is_said(fit, sites):
    with sites["north"].open("a", encoding="utf-8") as file:
        file.write("alone and rare,moths\n")
    _, _, said = fit(asked())
    assert 'of "moths" there is one row here: what is sent of it are its features themselves' in said["north"]


def test_ratings_are_no_classes(fit, sites):
    rows = [(f"text {i} of a kind", str(1.5 * i)) for i in range(20)]
    with sites["north"].open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "kind"), *rows])
    with pytest.raises(DataError, match=r"its labels must be classes \(classification\), got 'regression'"):
        fit(Asked(2, 3.0, "toy-text", None))


def test_a_backbone_of_unknown_kind_needs_its_modality():
    with pytest.raises(OptionError, match="--modality must be given where the backbone is none of the catalogue"):
        coordinating.prepared(Asked(2, 60.0, "somebody/model", None), VERSION, lambda said: None)
