"""The command that serves runs: language models as OpenAI does, all others at /predict."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from handful import api
from handful.cli import serving
from handful.web.tokens import Token

AS_COMMAND = "import sys; sys.argv[0] = 'handful'; from handful.cli import main; main()"


@pytest.fixture
def insects(tmp_path, table):
    """A run folder with a toy classifier."""
    api.tune(table(), backbone="toy-text", budget=0).save(tmp_path / "runs" / "insects")
    return tmp_path / "runs" / "insects"


def test_a_folder_that_is_no_run(handful):
    ended = handful("serve", "nowhere")
    assert (ended.code, ended.out) == (1, "")
    assert "nowhere must be a run folder or its model folder" in ended.err


def test_a_language_model_beside_others(handful, toy, insects):
    ended = handful("serve", insects, toy)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"handful: language models are served apart from others, got 2 runs, of which {toy} is one. Start a server "
        "for it.\n"
    )


def test_two_runs_of_one_name(handful, insects):
    ended = handful("serve", insects, insects / "model")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "handful: each run must have a name of its own, got 'insects' twice. Rename one of the folders.\n"
    )


def test_a_classifier_is_served_until_somebody_stops_it(insects, signals):
    """60 s are for a busy machine."""
    words = [sys.executable, "-c", AS_COMMAND, "serve", str(insects), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            found = re.fullmatch(
                r"insects answers at (http://127\.0\.0\.1:\d+), where there is a page to try, for this machine only\. "
                r"Ctrl-C stops it\.\n",
                line,
            )
            assert found is not None, line + server.stderr.read()
            head = {"Content-Type": "application/json"}
            body = json.dumps({"items": ["hive buzz number 3 bees"]}).encode()
            request = urllib.request.Request(f"{found[1]}/predict", body, head)
            with urllib.request.urlopen(request, timeout=60) as response:
                assert json.load(response)["answers"][0]["answer"] == "bees"
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=60)
            assert server.returncode == 130
        finally:
            server.kill()


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_the_server_is_an_extra_and_its_absence_says_how_to_install_it(handful, toy, monkeypatch, missing):
    for name in [name for name in sys.modules if name.startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    for module in ("handful.web.admission", "handful.web.serving"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delattr("handful.web.completions", raising=False)
    monkeypatch.delattr("handful.web.serving", raising=False)
    monkeypatch.delattr("handful.web.admission", raising=False)
    ended = handful("serve", toy)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"handful: `handful serve` needs the package {missing}, which is not installed. "
        "Run: pip install 'handful[web]'\n"
    )


def test_a_port_in_use(handful, toy):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = handful("serve", toy, "--port", port)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"handful: port {port} of 127.0.0.1 must be free, but another program uses it. "
        "Choose another, for example --port 8001, or --port 0 for any that is free.\n"
    )


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")]
)
def test_it_says_where_it_is_answers_and_ends_when_told_to(toy, signals, number, code, word):
    """60 s are for a busy machine."""
    words = [sys.executable, "-c", AS_COMMAND, "serve", str(toy), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            found = re.fullmatch(
                r"toy \(context: 256 tokens\) answers at (http://127\.0\.0\.1:\d+/v1), for this machine only\. "
                r"Ctrl-C stops it\.\n",
                line,
            )
            assert found is not None, line + server.stderr.read()
            question = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
            head = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{found[1]}/chat/completions", json.dumps(question).encode(), head)
            with urllib.request.urlopen(request, timeout=60) as response:
                assert json.load(response)["usage"]["prompt_tokens"] == 8
            server.send_signal(number)
            out, err = server.communicate(timeout=60)
            assert out == ""
            # a busy machine is also told how far loading was
            assert err.splitlines()[-1] == f"handful: {word}; nothing half-written is left."
            assert server.returncode == code
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("host", "who"),
    [
        ("127.0.0.1", "for this machine only"),
        ("::1", "for this machine only"),
        ("localhost", "for this machine only"),
        ("0.0.0.0", "for everybody who can reach this machine"),
        ("printer.example", "for everybody who can reach this machine"),
    ],
)
def test_it_says_who_can_reach_it_and_what_they_need(host, who):
    assert serving.who_can_reach(host, None) == who
    assert serving.who_can_reach(host, Token("s" * 16)) == f"{who} and knows the token"
    told = serving.who_can_reach(host, Token("s" * 16, made_up=True))
    assert told == f"{who} and knows the token {'s' * 16} (in a browser: the address with #token={'s' * 16})"


def test_others_can_reach_it_only_with_a_token(handful, insects, toy, monkeypatch):
    monkeypatch.delenv("HANDFUL_TOKEN", raising=False)
    for run in (insects, toy):
        ended = handful("serve", run, "--host", "0.0.0.0", "--port", "0")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == (
            "handful: --host 0.0.0.0 lets others reach this server, which then needs a token, got none. Add --token "
            "auto, or put one of 16 characters or more into the environment variable HANDFUL_TOKEN.\n"
        )


@pytest.mark.parametrize(
    ("run", "name"),
    [("runs/orders", "orders"), ("runs/orders/", "orders"), ("runs/orders/model", "orders"), ("/", "model")],
)
def test_a_model_is_called_as_its_run(run, name):
    assert serving.name_of(run) == name


def test_a_name_with_odd_bytes_can_be_sent():
    assert serving.name_of(os.fsdecode(b"runs/a\xff")) == "a\N{REPLACEMENT CHARACTER}"


def test_an_address_of_the_newer_kind_stands_in_brackets():
    assert serving.address_of("::1", 80) == "http://[::1]:80"


def test_help_and_wrong_options_answer_without_loading_a_model_library():
    script = (
        "import sys\nfrom handful.cli import main\n"
        "for words in [['chat', '--help'], ['serve', '--help'], ['chat', 'x', '--temperature', '3']]:\n"
        "    sys.argv = ['handful', *words]\n"
        "    try: main()\n"
        "    except SystemExit as ended: print('ended', ended.code)\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'numpy', 'starlette', 'uvicorn'} & set(sys.modules)\n"
        "print('heavy', sorted(heavy))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.endswith("ended 1\nheavy []\n"), ended.stdout[-200:] + ended.stderr
    assert ended.stdout.count("ended 0\n") == 2


@pytest.mark.parametrize("kind", ["defects", "masks", "boxes"])
def test_models_of_parts_are_served_and_take_no_corrections(part_runs, handful, kind):
    (served,) = serving.load_served([str(part_runs / f"run_{kind}")])
    assert served.about()["task"] == kind
    ended = handful("serve", part_runs / f"run_{kind}", "--learn", "--port", "0")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith(
        f"handful: --learn and --retrain are for models that one label can correct, got one of {kind} (run_{kind}). "
        "Leave them out, or serve it at a port of its own.\n"
    )
