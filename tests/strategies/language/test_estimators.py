"""Estimators of prompts and answers: they learn, clone, cross-validate, and refuse what they cannot use."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils import get_tags

from handful import Instructed, Prompted
from handful.backbones.toy_language import ToyLanguage
from handful.errors import DataError, OptionError
from kept import SENT

WORDS = ["cat", "dog", "sun", "sea", "car", "tree", "bee", "hat"]
PROMPTS, ANSWERS = [f"say {word}" for word in WORDS], [word.upper() for word in WORDS]


@pytest.fixture(scope="module")
def toy():
    return ToyLanguage()


@pytest.fixture(scope="module")
def taught(toy):
    return Instructed(toy, "full", updates=40, learning_rate=1e-2).fit(PROMPTS, ANSWERS)


def nats(model):
    total, count = model.losses(PROMPTS, ANSWERS)
    return total.sum() / count.sum()


def test_what_was_learned_is_likelier_and_the_start_is_untouched(toy, taught):
    frozen = Prompted(toy, count=0).fit(PROMPTS, ANSWERS)
    assert nats(taught) < 0.8 * nats(frozen)
    assert len(taught.log_) == 40
    assert taught.moved_ > 1000
    assert len(taught.predict(PROMPTS[:2])) == 2


def test_half_of_the_way_lies_between(toy, taught):
    none = Instructed(toy, "full", updates=40, learning_rate=1e-2, wise_alpha=0.0).fit(PROMPTS, ANSWERS)
    assert nats(none) == pytest.approx(nats(Prompted(toy, count=0).fit(PROMPTS, ANSWERS)), rel=1e-4)


def test_a_pull_to_the_start_moves_less(toy, taught):
    held = Instructed(toy, "full", updates=40, learning_rate=1e-2, l2_sp=100.0).fit(PROMPTS, ANSWERS)
    start = dict(toy.blocks[0].named_parameters())["layer.mlp.up_proj.weight"]
    moved = [float((model.delta_["0.layer.mlp.up_proj.weight"] - start).norm()) for model in (held, taught)]
    assert moved[0] < 0.5 * moved[1]


def test_examples_are_shown_before_the_question(toy):
    model = Prompted(toy, "nearest", 2).fit(PROMPTS, ANSWERS)
    asked = model.examples_.before(model.examples_.rows[0], toy.chat, toy.context)
    assert [message.role for message in asked.prompt] == ["user", "assistant"] * 2 + ["user"]


@pytest.mark.parametrize("model", [Prompted("toy-language", count=1), Instructed("toy-language", updates=16)])
def test_they_are_estimators(model):
    assert clone(model).get_params() == model.get_params()
    assert np.isfinite(cross_val_score(model, PROMPTS, ANSWERS, cv=2)).all()
    with pytest.raises(NotFittedError):
        clone(model).predict(PROMPTS)


@pytest.mark.parametrize(
    ("prompts", "answers", "said"),
    [
        (["a"], [], "must be lists of one length, at least 1, got 1 and 0"),
        ([], [], "must be lists of one length, at least 1, got 0 and 0"),
        (["a", "b"], ["x", " "], "the answer of row 1 must not be empty"),
        ([" "], ["x"], "the prompt is empty"),
    ],
)
def test_rows_that_cannot_be_learned_are_refused(prompts, answers, said):
    with pytest.raises(DataError, match=said):
        Instructed("toy-language").fit(prompts, answers)


def test_an_unknown_strategy_is_refused():
    names = "lora, bias, ia3, prefix, prompt, adapters, partial, full"
    with pytest.raises(OptionError, match=f"strategy must be one of {names}"):
        Instructed("toy-language", "lorra").fit(["a"], ["b"])


@pytest.mark.parametrize("way", SENT)
def test_they_go_through_a_file_and_come_back_the_same(toy, taught, way):
    for model in (taught, Prompted(toy, count=2).fit(PROMPTS, ANSWERS)):
        back = SENT[way](model)
        assert back.predict(PROMPTS[:3]) == model.predict(PROMPTS[:3])
        assert back.score(PROMPTS[:3], ANSWERS[:3]) == model.score(PROMPTS[:3], ANSWERS[:3])


def test_they_are_keys_with_short_reprs_that_say_what_they_take(toy, taught):
    for model in (taught, Prompted(toy)):
        assert {model: 1}[model] == 1
        assert get_tags(model).input_tags.string
        assert not get_tags(model).input_tags.two_d_array
    assert repr(Instructed(updates=7)) == "Instructed(updates=7)"
    assert repr(Prompted(count=2)) == "Prompted(count=2)"
