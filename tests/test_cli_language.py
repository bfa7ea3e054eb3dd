"""The command that talks with a language model."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest

from handful.export.language_model import LanguageModel


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
    assert ended.err == "the model had no answer; such a question is not remembered\n"


def test_the_oldest_turns_are_forgotten_where_the_context_ends_and_that_is_said_once(handful, toy, typed, asked):
    typed(*(f"{i} {'x' * 96}" for i in range(5)))
    ended = handful("chat", toy)
    assert ended.err == (
        "the conversation is longer than the 256 tokens (about 192 words) that the model can read at once: its oldest "
        "turns are forgotten\n"
    )
    assert [[content[0] for _, content in turns] for turns, *_ in asked] == [
        ["0"], ["0", "y", "1"], ["1", "y", "2"], ["2", "y", "3"], ["3", "y", "4"],
    ]  # fmt: skip


def test_of_a_question_over_the_context_the_end_is_read_and_that_is_said(handful, toy, typed, asked):
    typed("first", "x" * 300, "last")
    ended = handful("chat", toy)
    assert (ended.code, ended.out) == (0, "yes\n" * 3)
    assert ended.err.splitlines()[1] == (
        "the question is too long: only its last 236 tokens (about 177 words) are read"
    )


def test_an_answer_that_is_cut_is_said_to_be(handful, toy, typed, monkeypatch):
    monkeypatch.setattr("handful.backbones.chat.Chat._stops", lambda chat: frozenset())
    typed("one", "/new", "two")
    assert handful("chat", toy).err == (
        "this answer was cut off after 20 tokens (about 15 words): no answer is much longer than those that the model "
        "learned from\n"
    )


@pytest.mark.parametrize("how", ["predict", "chat", "serve"])
def test_however_it_is_asked_it_answers_as_it_did_when_it_was_measured(toy, typed, handful, monkeypatch, how, tmp_path):
    """Answers as long, and as little repeated, as its record says."""
    from handful.backbones import decoding

    seen, real = [], decoding.steps
    monkeypatch.setattr(decoding, "steps", lambda model, asked, how: seen.append(how) or real(model, asked, how))
    model = LanguageModel.load(toy)
    replace(model, unrepeated=4, longest=9).save(tmp_path / "run" / "model")
    back = LanguageModel.load(tmp_path / "run")
    if how == "predict":
        back.predict(["hello"])
    elif how == "chat":
        typed("hello")
        assert handful("chat", tmp_path / "run").code == 0
    else:
        from starlette.testclient import TestClient

        from handful.web.completions import application

        asked = {"messages": [{"role": "user", "content": "hello"}]}
        client = TestClient(application(back, "run"), base_url="http://localhost")
        assert client.post("/v1/chat/completions", json=asked).status_code == 200
    assert [(sampling.most, sampling.unrepeated) for sampling in seen] == [(9, 4)]


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


# Folders that it cannot talk with -----------------------------------------------------------------------------------


def test_a_classifier_is_for_predict(handful, table, typed):
    assert handful("tune", table(), "--backbone", "toy-text", "--strategies", "centroid", "--out", "run").code == 0
    typed("one")
    ended = handful("chat", "run")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "handful: run/model/bundle.json must hold a language model, got classification. "
        "Use `handful predict` with it.\n"
    )


def test_a_folder_that_is_no_run(handful, typed):
    typed("one")
    ended = handful("chat", "nowhere")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "handful: nowhere must be a run folder or its model folder, but there is no bundle.json in it. "
        "Name the folder that `handful tune` wrote.\n"
    )
