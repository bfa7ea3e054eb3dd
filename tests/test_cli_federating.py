"""The commands of federated fits: what they refuse, and whole fits with every process of its own on this machine."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from handful.errors import DataError
from handful.export.bundle import Bundle
from handful.regimes.federated import wire
from handful.regimes.federated.sums import Sums
from handful.regimes.federated.terms import PROTOCOL, Terms
from handful.web.federated.connection import Connection
from handful.web.tls import Tls

AS_COMMAND = "import sys; sys.argv[0] = 'handful'; from handful.cli import main; main()"
# Who is silent is not waited for a minute, which the test would be idle for.
IMPATIENT = "from handful.regimes.federated import gathering; gathering.SILENT = 20.0; "
TOKEN = "abcdefghijklmnop"


def table(tmp_path, name, rows):
    with (tmp_path / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "kind"), *rows])


@pytest.fixture
def rows(sentences):
    """Rows of a site: so many of each class, other texts for another number."""

    def make(counts, number=0):
        return [(f"{text} {number}", label) for text, label in sentences(counts)]

    return make


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sites", 1), "--sites must be between 2 and 1000, got 1"),
        (("--sites", 2, "--wait", "0"), "--wait must be above 0"),
        (("--sites", 2, "--wait", "soon"), "--wait must be a time such as 30s"),
        (("--sites", 2, "--epsilon", 1), "--epsilon must come with --classes"),
        (("--sites", 2, "--epsilon", 0, "--classes", "a,b"), "--epsilon must be between 0.01 and 100, got 0"),
        (("--sites", 2, "--rounds", 99), "--rounds must be between 0 and 50, got 99. Usual are 2 to 5."),
        (
            ("--sites", 2, "--strategies", "partial"),
            "--strategies must come with --rounds, without which no",
        ),
        (("--sites", 2, "--rounds", 2, "--strategies", "contrastiv"), "got 'contrastiv'. Did you mean 'contrastive'?"),
        (
            ("--sites", 2, "--rounds", 2, "--strategies", "lora", "--backbone", "toy-text"),
            "--strategies lora does not fit --rounds: what it moves (lora) is no weight of the backbone",
        ),
        (
            ("--sites", 2, "--rounds", 2, "--backbone", "char-ngrams"),
            "--rounds must come with a backbone whose weights can move, got char-ngrams",
        ),
        (("--sites", 2, "--host", "0.0.0.0"), "which then needs --certificate and --key, got none"),
        (("--sites", 2, "--certificate", "c.pem"), "--certificate must come with --key"),
        (("--sites", 2, "--token", "short"), "the token must have at least 16 letters"),
        (("--sites", 2, "--backbone", "nothing-like-it"), "backbone must be a name of the catalogue"),
        (("--sites", 2, "--port", 99999), "port must be a number from 0 to 65535"),
        ((), "federated coordinator needs how many sites will take part. For example: handful federated coordinator "),
    ],
)
def test_what_a_coordinator_refuses(handful, words, said):
    ended = handful("federated", "coordinator", *words)
    assert ended.code in (1, 2)
    assert said in ended.err
    assert ended.out == ""


def test_a_folder_of_something_else_is_not_replaced(handful, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    ended = handful("federated", "coordinator", "--sites", 2, "--out", "mine")
    assert ended.code == 1
    assert "output folder mine must be new, empty or an earlier result" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.csv", "--coordinator", "http://127.0.0.1:1", "--name", "n"), "nothing.csv does not exist"),
        (("rows.csv", "--coordinator", "http://10.0.0.5:1", "--name", "n"), "must begin with https://"),
        (("rows.csv", "--coordinator", "nowhere", "--name", "n"), "must be the address that it printed"),
        (("rows.csv",), "federated site needs labelled rows, the address of the coordinator and a name"),
    ],
)
def test_what_a_site_refuses(handful, tmp_path, rows, words, said):
    table(tmp_path, "rows", rows({"ants": 2}))
    ended = handful("federated", "site", *words)
    assert ended.code in (1, 2)
    assert said in ended.err


@pytest.fixture
def allowed(handful, tmp_path, rows, monkeypatch):
    """A site whose coordinator has these terms, and no more to say."""
    table(tmp_path, "rows", rows({"ants": 3, "bees": 3}))

    def run(terms, *words):
        monkeypatch.setattr(Connection, "get", lambda self, path: terms.encoded())
        return handful("federated", "site", "rows.csv", "--coordinator", "http://127.0.0.1:1", "--name", "n", *words)

    return run


def terms_of(**other):
    return Terms(
        **{**dict(modality="text", backbone="toy-text", fingerprint="f", depth=2, width=16, version="0"), **other}
    )


def test_a_site_takes_part_only_with_the_noise_that_it_wants(allowed):
    said = "this site takes part with ε = 1 at most, but the coordinator asks for {}. Nothing was sent."
    ended = allowed(terms_of(), "--epsilon", 1)
    assert (ended.code, said.format("no noise") in ended.err) == (1, True)
    ended = allowed(terms_of(epsilon=4.0, classes=("ants", "bees")), "--epsilon", 1)
    assert (ended.code, said.format("ε = 4") in ended.err) == (1, True)


def test_a_site_loads_no_weights_of_a_strangers_choice(allowed):
    for name in ("somebody/model", "./model"):
        ended = allowed(terms_of(backbone=name))
        assert ended.code == 1
        assert f"asks for the backbone {name!r}, which is none of the catalogue" in ended.err


class Command:
    """A command in a process of its own."""

    def __init__(self, cwd, *words, token=TOKEN):
        env = {**os.environ, **({} if token is None else {"HANDFUL_TOKEN": token})}
        self.process = subprocess.Popen(
            [sys.executable, "-c", IMPATIENT + AS_COMMAND, "federated", *map(str, words)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=cwd, env=env,
        )  # fmt: skip

    def ended(self):
        out, err = self.process.communicate(timeout=240)
        return self.process.returncode, out, err


@pytest.fixture
def start(tmp_path):
    """Start commands; whatever a test leaves running ends with it."""
    commands = []

    def begin(*words, **more):
        commands.append(Command(tmp_path, *words, **more))
        return commands[-1]

    yield begin
    for one in commands:
        with one.process as process:
            if process.poll() is None:
                process.kill()


def coordinator(start, *words, **more):
    command = start("coordinator", "--port", 0, "--backbone", "toy-text", *words, **more)
    line = command.process.stdout.readline()
    found = re.search(r"https?://127\.0\.0\.1:\d+", line)
    assert found is not None, line + command.process.stderr.read()
    return command, found[0], line


@pytest.mark.slow
def test_sites_fit_together_though_others_lie_die_and_differ(tmp_path, rows, start):
    made, address, line = coordinator(start, "--sites", 5, "--wait", "5min", "--out", "joint", "--rounds", 2)
    assert line == f"waiting for 5 sites at {address}, with your token. Ctrl-C stops it.\n"
    table(tmp_path, "north", rows({"ants": 12, "bees": 4}, 1))
    table(tmp_path, "south", rows({"wasps": 12, "bees": 4}, 2))
    table(tmp_path, "victim", rows({"ants": 6, "bees": 6}, 3))
    # One is killed after it has sent its sums, one has another version, and one lies.
    victim = start("site", "victim.csv", "--coordinator", address, "--name", "victim")
    assert any("victim sent its sums" in said for said in iter(made.process.stderr.readline, ""))
    victim.process.kill()
    stranger = Connection.to(address, TOKEN, Tls())
    terms = Terms.decoded(stranger.get("/terms"))
    says = dict(
        protocol=PROTOCOL, version=terms.version, modality="text", backbone="toy-text",
        fingerprint=terms.fingerprint, depth=terms.depth, width=terms.width, task="classification",
    )  # fmt: skip
    with pytest.raises(DataError, match="its version of handful must be"):
        stranger.tell("/join", {"name": "old", **says, "version": "0.0.1"})
    liar = Connection.to(address, TOKEN, Tls())
    liar.key, liar.site = liar.tell("/join", {"name": "liar", **says})["key"], "liar"
    k = terms.folds
    lie = Sums(
        ("ants", "bees"), np.ones((k, 2)), np.full((k, 2, terms.width), np.nan), np.zeros((k, terms.width, terms.width))
    )
    with pytest.raises(DataError, match="liar was left out: its sums of classes must be finite numbers"):
        liar.post("/sums", wire.pack_sums(lie))
    sites = {
        name: start("site", f"{name}.csv", "--coordinator", address, "--name", name, "--out", name)
        for name in ("north", "south")
    }
    ends = {name: one.ended() for name, one in sites.items()}
    code, out, err = made.ended()
    assert code == 0, err
    assert {name: end[0] for name, end in ends.items()} == {"north": 0, "south": 0}, ends
    assert "old was left out: its version of handful must be" in out
    assert "liar was left out: its sums of classes must be finite numbers" in out
    assert (
        "victim was left out: its rows count in the model but not in the score, since it has not been heard of" in out
    )
    assert "accuracy" in out
    assert "of 2 sites " in out
    assert "measured on 32 rows of all sites" in out
    record = json.loads((tmp_path / "joint" / "federated.json").read_text("utf-8"))
    assert sorted(one["name"] for one in record["sites"]) == ["north", "south", "victim"]
    assert all(one["received"] > 1000 for one in record["sites"])
    assert record["measured"]["moved"]["sites"] == 2
    assert "with weights that moved together the held-out loss is" in out
    assert "2 rounds of weights (contrastive) that learn from your rows" in ends["north"][2]
    models = [Bundle.load(tmp_path / name) for name in ("joint", "north", "south")]
    assert models[0].labels == ("ants", "bees", "wasps")
    assert all(np.array_equal(models[0].coef, one.coef) for one in models[1:])
    assert all((one.moved is None) != record["measured"]["moved"]["ships"] for one in models)
    assert [one.reference is None for one in models] == [True, False, False]
    assert models[1].predict(["hill march leaf"]) == models[0].predict(["hill march leaf"])
    assert "bytes left this site, none of them an item" in ends["north"][1]


@pytest.mark.slow
def test_sites_and_coordinator_prove_who_they_are(tmp_path, rows, start):
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes certificates for the test, is not installed")
    for name in ("coordinator", "site"):
        words = f"req -x509 -newkey ed25519 -nodes -days 2 -subj /CN={name} -addext subjectAltName=IP:127.0.0.1"
        subprocess.run(
            ["openssl", *words.split(), "-keyout", f"{name}.key", "-out", f"{name}.pem"], cwd=tmp_path, check=True,
            capture_output=True,
        )  # fmt: skip
    own = ("--certificate", "coordinator.pem", "--key", "coordinator.key", "--trust", "site.pem")
    made, address, line = coordinator(start, "--sites", 2, "--out", "joint", *own, token=None)
    assert line == f"waiting for 2 sites at {address}, who prove by their certificates who they are. Ctrl-C stops it.\n"
    proof = ("--certificate", "site.pem", "--key", "site.key", "--trust", "coordinator.pem")
    for name in ("north", "south"):
        table(tmp_path, name, rows({"ants": 6, "bees": 6}, len(name)))
    nobody = start("site", "north.csv", "--coordinator", address, "--name", "x", *proof[4:], token=None)
    code, _, err = nobody.ended()
    assert code == 1
    assert "must know who you are: it closed the connection at once" in err
    sites = [
        start("site", f"{name}.csv", "--coordinator", address, "--name", name, *proof, token=None)
        for name in ("north", "south")
    ]
    assert [one.ended()[0] for one in sites] == [0, 0]
    code, out, err = made.ended()
    assert code == 0, err
    assert "2 sites sent" in out


@pytest.mark.slow
def test_one_site_is_told_that_it_is_not_enough(tmp_path, rows, start):
    made, address, _ = coordinator(start, "--sites", 2, "--wait", "12s", "--out", "joint")
    table(tmp_path, "north", rows({"ants": 6, "bees": 6}))
    code, _, err = start("site", "north.csv", "--coordinator", address, "--name", "north").ended()
    assert code == 1
    assert "2 sites at least must send sums that can be used, got" in err
    code, out, err = made.ended()
    assert (code, out) == (1, "")
    assert "handful: 2 sites at least must send sums that can be used, got" in err
    assert not (tmp_path / "joint").exists()


def test_help_and_wrong_options_load_no_model_library_and_other_commands_nothing_of_this():
    script = (
        "import sys\nfrom handful.cli import main\n"
        "print('own', sorted(name for name in sys.modules if 'federated' in name))\n"
        "for words in (['coordinator', '--help'], ['site', '--help'], ['coordinator', '--sites', '1']):\n"
        "    sys.argv = ['handful', 'federated', *words]\n"
        "    try: main()\n"
        "    except SystemExit as ended: print('ended', ended.code)\n"
        "print('heavy', sorted({'torch', 'transformers', 'uvicorn', 'dp_accounting'} & set(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ended.stdout.startswith("own []\n"), ended.stdout[:200] + ended.stderr
    assert ended.stdout.endswith("ended 1\nheavy []\n"), ended.stdout[-200:] + ended.stderr
