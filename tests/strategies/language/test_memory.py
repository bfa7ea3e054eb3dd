"""Memory that a training holds: counted from settings alone, told before anything is loaded, with what would fit."""

from __future__ import annotations

import json

import numpy as np
import pytest

import handful
from handful import tune_answers
from handful.backbones.toy_language import ToyLanguage
from handful.data.conversations import Conversation, Message
from handful.errors import MachineError
from handful.strategies.language.memory import Lengths, Memory, ModelShape, affordable, lengths_of, memory_of
from handful.strategies.language.recipes import PREFERENCES, RECIPES, Lesson, fit_recipe
from handful.training.loop import Settings

SMOLLM2 = ModelShape(width=576, layers=30, inner=1536, keys=192, vocabulary=49152, tied=True, context=8192)
SHORT, LONG = Lengths(143, 91, 1069), Lengths(391, 342, 3583)
GB = 2**30
WORDS = "cat dog sun sea car tree bee hat map pen cup box".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The toy as a folder of transformers."""
    from handful.backbones.language_folders import write_pretrained

    place = tmp_path_factory.mktemp("toy")
    write_pretrained(ToyLanguage(), place)
    return place


def test_weights_are_counted_as_the_model_has_them(folder):
    assert SMOLLM2.weights == 134_514_432
    toy = ToyLanguage()
    shape = ModelShape.of(folder)
    assert shape.layers * shape.block == sum(w.numel() for block in toy.blocks for w in block.parameters())
    assert ModelShape.of(folder / "nowhere") is None


def test_settings_of_another_kind_of_model_say_nothing(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"n_embd": 16}))
    assert ModelShape.of(tmp_path) is None


@pytest.mark.parametrize("name", ["lora", "full", "partial"])
def test_what_moves_is_counted_as_the_tuner_moves_it(folder, name):
    toy = ToyLanguage()
    rows = [toy.chat.tokens(Conversation((Message("user", "say cat"),), "CAT"), 256)]
    recipe = RECIPES[name]
    moved = fit_recipe(
        toy, Lesson.of(toy, rows, recipe), np.arange(1), recipe, Settings(updates=1, dropout=False)
    ).moved
    needed = memory_of(ModelShape.of(folder), recipe, SHORT)
    assert needed.gradients == 4 * moved
    assert needed.optimiser == 8 * moved


def test_what_was_measured_on_a_real_model_is_told_within_a_fifth():
    measured = {("lora", SHORT): 2.21, ("lora", LONG): 2.09, ("partial", SHORT): 1.39, ("full", SHORT): 2.91}
    for (name, lengths), size in measured.items():
        assert size < memory_of(SMOLLM2, RECIPES[name], lengths).total / GB < 1.2 * size


def test_pairs_and_long_rows_hold_more_but_no_more_than_a_part_at_a_time():
    pair, row = (memory_of(SMOLLM2, recipe, LONG).activations for recipe in (PREFERENCES["dpo"], RECIPES["lora"]))
    assert 1.4 * row < pair < 2.1 * row
    huge = memory_of(SMOLLM2, RECIPES["lora"], Lengths(4000, 300, 40_000))
    assert huge.activations < 2 * memory_of(SMOLLM2, RECIPES["lora"], Lengths(900, 300, 9000)).activations


def test_letters_stand_for_tokens_before_there_is_a_tokenizer():
    found = lengths_of([("a" * 40, "b" * 8), ("猫" * 40, "犬" * 8)], 8192)
    assert found == Lengths(longest=41 + 9 + 16, answer=9, rows=41 + 9 + 16 + 11 + 3 + 16)
    assert lengths_of([("a" * 4000, "b")], 256).longest == 256


def test_what_does_not_fit_is_refused_with_what_would():
    said = "full must have 3.5 GB of memory (0.5 weights, 0.4 a copy of the blocks, 0.4 gradients, 0.8 the optimiser, "
    with pytest.raises(MachineError) as error:
        affordable(SMOLLM2, RECIPES, ["full"], SHORT, int(1.5 * GB))
    assert str(error.value).startswith(said)
    assert str(error.value).endswith(" activations), but 1.5 GB are free. partial would fit.")
    with pytest.raises(MachineError, match=r"lora must .* but 0\.9 GB are free\. A model of about \d+ million weights"):
        affordable(SMOLLM2, {"lora": RECIPES["lora"]}, ["lora"], Lengths(40, 10, 400), int(0.9 * GB))
    assert affordable(SMOLLM2, RECIPES, ["full", "base"], SHORT, None).keys() == {"full"}


def test_parts_are_told_in_one_line():
    assert str(Memory(GB, GB, 0, 0, 2 * GB)) == (
        "4.0 GB of memory (1.0 weights, 1.0 a copy of the blocks, 0.0 gradients, 0.0 the optimiser, 2.0 activations)"
    )


def rows():
    return [{"prompt": f"say {word}", "response": word.upper()} for word in WORDS]


def test_memory_is_told_before_the_model_is_loaded(folder, monkeypatch):
    order = []
    real = tune_answers.load_language
    monkeypatch.setattr(tune_answers, "load_language", lambda name, say: order.append("loaded") or real(name))
    run = handful.tune(
        rows(), backbone=str(folder), strategies="full", progress=lambda stage, done, total: order.append(stage)
    )
    assert order[0].startswith("full holds about 0.0 GB of memory (0.0 weights, 0.0 a copy of the blocks, ")
    assert order[1] == "loaded"
    assert run.notes[0].startswith("full holds about ")


def test_named_arms_that_do_not_fit_are_an_error_and_others_are_left_out(folder, monkeypatch):
    monkeypatch.setattr(tune_answers, "free_bytes", lambda device: 1000)
    monkeypatch.setattr(tune_answers, "load_language", lambda name, say: ToyLanguage())
    with pytest.raises(MachineError, match=r"lora must have 0\.0 GB of memory .* but 0\.0 GB are free"):
        handful.tune(rows(), backbone=str(folder), strategies="lora")
    run = handful.tune(rows(), backbone=str(folder))
    assert [arm.name for arm in run.scores.arms] == ["base", "nearest", "diverse"]
    assert run.notes[0].startswith("lora must have")
