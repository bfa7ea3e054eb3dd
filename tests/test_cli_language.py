"""The commands that use a language model: chat and serve."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from handful.backbones import catalog
from handful.cli import language
from handful.export.language_model import LanguageModel

AS_COMMAND = "import sys; sys.argv[0] = 'handful'; from handful.cli import main; main()"


@pytest.fixture
def toy(tmp_path):
    """A run folder with a toy language model, whose answers have at most twenty tokens."""
    fingerprint = catalog.load("toy-language", "language").fingerprint
    (tmp_path / "toy").mkdir()
    LanguageModel("base", "toy-language", fingerprint, longest=20).save(tmp_path / "toy" / "model")
    return tmp_path / "toy"


class Terminal(io.StringIO):
    """Standard input that says that a person types it."""

    def isatty(self):
        return True


@pytest.fixture
def asked(monkeypatch):
    """What the model is asked, with seed and temperature; it answers "yes", or what a line says after a colon."""
    found = []
    usual = LanguageModel.stream

    def stream(self, prompt, sampling):
        reply = usual(self, prompt, sampling)
        if not reply.prompt.cut:
            found.append(([(turn.role, turn.content) for turn in prompt], sampling.seed, sampling.temperature))
        text = prompt[-1].content.partition(":")[2] if ":" in prompt[-1].content else "yes"
        reply._pieces, reply.ended = iter(text), True
        return reply

    monkeypatch.setattr(LanguageModel, "stream", stream)
    return found


@pytest.fixture
def typed(monkeypatch):
    """Give lines to standard input."""

    def give(*lines, terminal=False):
        text = "".join(f"{line}\n" for line in lines)
        monkeypatch.setattr(sys, "stdin", Terminal(text) if terminal else io.StringIO(text))

    return give


# chat --------------------------------------------------------------------------------------------------------------


def test_from_a_pipe_only_answers_go_to_standard_output(handful, toy, typed, asked):
    typed("one:ONE", "", "   ", "two:TWO")
    assert handful("chat", toy) == (0, "ONE\nTWO\n", "")


def test_the_model_itself_answers_and_the_seed_fixes_what_it_says(handful, toy, typed):
    typed("hello")
    first = handful("chat", toy, "--temperature", "1", "--seed", "3")
    (said,) = LanguageModel.load(toy).predict(["hello"], temperature=1, seed=3)
    assert first.code == 0
    assert said
    assert first.out.strip() == said
    typed("hello")
    assert handful("chat", toy, "--temperature", "1", "--seed", "4").out != first.out


def test_the_conversation_is_kept_until_it_begins_anew(handful, toy, typed, asked):
    typed("one", "two", "/new", "three", "/exit", "four")
    assert handful("chat", toy, "--temperature", "0.5", "--seed", "5").out == "yes\n" * 3
    assert asked == [
        ([("user", "one")], 5, 0.5),
        ([("user", "one"), ("assistant", "yes"), ("user", "two")], 6, 0.5),
        ([("user", "three")], 7, 0.5),
    ]


def test_a_question_without_an_answer_is_not_remembered(handful, toy, typed, asked):
    typed("one:", "two", "three: \t.")
    ended = handful("chat", toy)
    assert ended.out == "\nyes\n \t.\n"
    assert asked[1][0] == [("user", "two")]
    assert ended.err == "a question without an answer is not remembered\n"


def test_the_oldest_turns_are_forgotten_where_the_context_ends_and_that_is_said_once(handful, toy, typed, asked):
    typed(*(f"{i} {'x' * 96}" for i in range(5)))
    ended = handful("chat", toy)
    assert ended.err == "the conversation is longer than the context of 256 tokens: its oldest turns are forgotten\n"
    assert [[content[0] for _, content in turns] for turns, *_ in asked] == [
        ["0"], ["0", "y", "1"], ["1", "y", "2"], ["2", "y", "3"], ["3", "y", "4"],
    ]  # fmt: skip


def test_of_a_question_over_the_context_the_end_is_read_and_that_is_said(handful, toy, typed, asked):
    typed("first", "x" * 300, "last")
    ended = handful("chat", toy)
    assert (ended.code, ended.out) == (0, "yes\n" * 3)
    assert ended.err.splitlines()[1] == "of a long question only the last 236 tokens are read"


def test_an_answer_that_is_cut_is_said_to_be(handful, toy, typed, monkeypatch):
    monkeypatch.setattr("handful.backbones.chat.Chat._stops", lambda chat: frozenset())
    typed("one", "/new", "two")
    assert handful("chat", toy).err == "answers end after 20 tokens, also in the middle of a sentence\n"


def test_on_a_terminal_a_sign_asks_for_the_next_line(handful, toy, typed, asked, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    typed("one", "two", terminal=True)
    assert handful("chat", toy).out == "> yes\n> yes\n> \n"


def test_the_sign_is_not_mixed_with_answers_that_go_elsewhere(handful, toy, typed, asked):
    typed("one", "/exit", terminal=True)
    assert handful("chat", toy) == (0, "yes\n", "> > ")


def test_bytes_that_are_no_text_are_replaced(handful, toy, asked, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\xff b\r\n"), encoding="utf-8"))
    assert handful("chat", toy).code == 0
    assert asked[0][0] == [("user", "a\N{REPLACEMENT CHARACTER} b")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--temperature", "2.5"], "temperature must be a number from 0 to 2, got 2.5. Leave it out for the most "
                                   "likely answer."),
        (["--temperature=nan"], "temperature must be a number from 0 to 2, got nan."),
        (["--seed=-1"], "seed must be a whole number from 0 up, got -1. Try 0."),
    ],
)  # fmt: skip
def test_options_that_cannot_work(handful, toy, typed, words, said):
    typed("one")
    ended = handful("chat", toy, *words)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"handful: {said}")


# Both --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["chat", "serve"])
def test_a_classifier_is_for_predict(handful, table, typed, command):
    assert handful("tune", table(), "--backbone", "toy-text", "--strategies", "centroid", "--out", "run").code == 0
    typed("one")
    ended = handful(command, "run")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "handful: run/model/bundle.json must hold a language model, got classification. "
        "Use `handful predict` with it.\n"
    )


@pytest.mark.parametrize("command", ["chat", "serve"])
def test_a_folder_that_is_no_run(handful, typed, command):
    typed("one")
    ended = handful(command, "nowhere")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "handful: nowhere must be a run folder or its model folder, but there is no bundle.json in it. "
        "Name the folder that `handful tune` wrote.\n"
    )


# serve -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_the_server_is_an_extra_and_its_absence_says_how_to_install_it(handful, toy, monkeypatch, missing):
    for name in [name for name in sys.modules if name.startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    for module in ("handful.web.admission", "handful.web.completions", "handful.web.serving"):
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
            assert server.communicate(timeout=60) == ("", f"handful: {word}; nothing half-written is left.\n")
            assert server.returncode == code
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("host", "who"),
    [
        ("127.0.0.1", "for this machine only"),
        ("::1", "for this machine only"),
        ("localhost", "for this machine only"),
        ("0.0.0.0", "for everybody who can reach this machine, without a password"),
        ("printer.example", "for everybody who can reach this machine, without a password"),
    ],
)
def test_it_says_who_can_reach_it(host, who):
    assert language._who(host) == who


@pytest.mark.parametrize(
    ("run", "name"),
    [("runs/orders", "orders"), ("runs/orders/", "orders"), ("runs/orders/model", "orders"), ("/", "model")],
)
def test_a_model_is_called_as_its_run(run, name):
    assert language._name(run) == name


def test_a_name_with_odd_bytes_can_be_sent():
    assert language._name(os.fsdecode(b"runs/a\xff")) == "a\N{REPLACEMENT CHARACTER}"


def test_an_address_of_the_newer_kind_stands_in_brackets():
    assert language._address("::1", 80) == "http://[::1]:80/v1"


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
