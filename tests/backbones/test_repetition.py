"""Answers end: the end is learned whatever the template, nothing is said again and again, and none is endless."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handful.backbones import decoding
from handful.backbones.chat import Chat
from handful.backbones.decoding import Reply, answers, steps
from handful.backbones.language import FEWEST_UNREPEATED, Sampling, longest_repeated
from handful.backbones.toy_language import ToyLanguage, _tokenizer
from handful.data.conversations import Conversation, Message


def row(asked: str, answer: str) -> Conversation:
    return Conversation((Message("user", asked),), answer)


@pytest.fixture(scope="module")
def toy():
    return ToyLanguage()


# The end ------------------------------------------------------------------------------------------------------------

TEMPLATES = {
    "marked": None,  # as the toy brings it
    "open": "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
            "{% if add_generation_prompt %}<assistant>{% endif %}",
    "blank": "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<end> \n{% endfor %}"
             "{% if add_generation_prompt %}<assistant>{% endif %}",
    "words": "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }} over.\n{% endfor %}"
             "{% if add_generation_prompt %}<assistant>{% endif %}",
    "no prefix": "{% for m in messages %}{{ m['content'] }}|{% endfor %}{% if add_generation_prompt %}?{% endif %}",
}  # fmt: skip


@pytest.mark.parametrize("kind", TEMPLATES)
def test_every_row_ends_with_a_token_that_ends_answers(toy, kind):
    chat = toy.chat if TEMPLATES[kind] is None else Chat(_tokenizer(TEMPLATES[kind]))
    made = chat.tokens(row("say hi", "hi"), 256)
    assert made.ids[-1] in chat.stops
    assert sum(token in chat.stops for token in made.ids[made.start :]) == 1
    assert chat.text(made.ids[made.start :]).startswith("hi")


def test_a_model_without_a_template_ends_with_the_end_of_its_texts():
    plain = ToyLanguage(template=None).chat
    made = plain.tokens(row("say hi", "hi"), 256)
    assert made.ids[-1] == plain.tokenizer.eos_token_id
    assert made.asked == 3  # the end counts in the loss


def test_the_loss_counts_the_end(toy):
    whole = toy.chat.tokens(row("say hi", "hi"), 256)
    assert toy.losses([whole])[1].tolist() == [3]


# Repetition ---------------------------------------------------------------------------------------------------------


class Parrot:
    """A next token that is always the most likely one in turn, whatever was said."""

    def __init__(self, words):
        self.turn = itertools.cycle(words)

    def __call__(self, scores):
        out = torch.zeros_like(scores)
        out[:, next(self.turn)] = 1.0
        return out


@pytest.fixture
def looping(toy, monkeypatch):
    """A model that says the same three letters again and again, and never ends."""
    letters = toy.chat.tokenizer("abc")["input_ids"]

    def give():
        parrot = Parrot(letters)
        monkeypatch.setattr(type(toy), "scores", lambda self, x: parrot(x.new_zeros(len(x), 128)))
        return toy.chat.question((Message("user", "go"),), 100)

    return give


def test_a_run_is_never_said_twice(toy, looping):
    (free,) = answers(toy, [looping()], Sampling(most=30))
    assert free == "abc" * 10
    (said,) = answers(toy, [looping()], Sampling(most=30, unrepeated=6))
    ids = toy.chat.tokenizer(said)["input_ids"]
    assert longest_repeated(ids) < 6
    assert said.startswith("abcabcab")


def test_told_piece_by_piece_it_is_the_same(toy, looping):
    sampling = Sampling(most=30, unrepeated=6)
    (whole,) = answers(toy, [looping()], sampling)
    assert "".join(Reply(toy, looping(), sampling)).strip() == whole


def test_what_the_prompt_says_may_be_repeated(toy, monkeypatch):
    words = "abcdefgh"
    parrot = Parrot([*toy.chat.tokenizer(words)["input_ids"], toy.chat.tokenizer.eos_token_id])
    monkeypatch.setattr(type(toy), "scores", lambda self, x: parrot(x.new_zeros(len(x), 128)))
    asked = toy.chat.question((Message("user", f"repeat: {words}"),), 100)
    assert answers(toy, [asked], Sampling(most=30, unrepeated=4)) == [words]


def test_rows_that_are_side_by_side_are_guarded_each_on_its_own(toy):
    asked = [toy.chat.question((Message("user", text),), 100) for text in ("one", "another question", "x")]
    sampling = Sampling(most=40, unrepeated=3)
    together = list(zip(*steps(toy, asked, sampling), strict=True))
    alone = [[token for (token,) in steps(toy, [one], sampling)] for one in asked]
    for side, own in zip(together, alone, strict=True):
        assert [token for token in side if token is not None] == [token for token in own if token is not None]


@given(st.lists(st.integers(0, 3), max_size=30))
def test_the_longest_run_that_stands_twice(ids):
    runs = [
        n for n in range(1, len(ids))
        if len({tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}) < len(ids) - n + 1
    ]  # fmt: skip
    assert longest_repeated(ids) == max(runs, default=0)


def test_answers_of_the_rows_say_how_long_and_how_much_repeated_an_answer_may_be(toy):
    short = toy.sampling([row("a", "short"), row("b", "brief")])
    assert (short.most, short.unrepeated) == (
        17,
        FEWEST_UNREPEATED + 1,
    )  # half as many again as five letters and an end, and 8
    table = "the same line again;" * 3
    long = toy.sampling([row("a", "short"), row("b", table)], seed=4)
    assert long.unrepeated == 2 * (2 * len("the same line again;")) + 1
    assert long.seed == 4
    assert long.most == min(toy.context // 2, int(np.ceil(1.5 * (len(table) + 1))) + 8)


def test_no_answer_of_the_rows_is_changed_by_what_they_allow(toy, monkeypatch):
    answer = "to be, or not to be, or not to be at all, "
    how = toy.sampling([row("a", answer), row("b", "x")])
    letters = [*toy.chat.tokenizer(answer)["input_ids"], toy.chat.tokenizer.eos_token_id]
    parrot = Parrot(letters)
    monkeypatch.setattr(type(toy), "scores", lambda self, x: parrot(x.new_zeros(len(x), 128)))
    assert answers(toy, [toy.chat.question((Message("user", "go"),), 100)], how) == [answer.strip()]


def test_who_answers_tells_how_far_it_is_after_every_token(toy):
    told = []
    asked = [toy.chat.question((Message("user", text),), 100) for text in ("one", "two", "three")]
    answers(toy, asked, Sampling(most=5), lambda done, total: told.append((done, total)))
    assert len(told) == 6  # once more at the end, since an answer may also be cut off
    assert told[-1] == (3, 3)
    assert {total for _, total in told} == {3}
    assert decoding.SIDE_BY_SIDE >= 3
