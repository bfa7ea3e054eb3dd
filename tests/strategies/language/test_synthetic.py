"""Rows that a model makes up: only those that may be worth something are kept, and they face the same gate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import handful
from handful.backbones.toy_language import ToyLanguage
from handful.data.conversations import Conversation, Message
from handful.strategies.language import answering, stage, synthetic
from handful.strategies.language.answering import compare_answers
from handful.strategies.language.recipes import INVENTING, RECIPES
from handful.strategies.language.stage import LanguageTerms
from handful.strategies.language.synthetic import Invented, invented, tries
from handful.training.tuners import Blocks

WORDS = "cat dog sun sea car tree bee hat map pen cup box".split()  # noqa: SIM905
OTHERS = "ox elk fig oak jar key lid mug net owl pan rug".split()  # noqa: SIM905

MORE = (
    "bat bed bus cab can cot cow cub den dig dot ear egg fan fin fog fox gap gem gum hen hut ice ink jam keg kit lab",
    "log man mat mop mud nap nut pad pea pet pie pin pit pot ram rat rib rod row sac sky tap ten tin tip toe tub van",
)


def said(word):
    return Conversation((Message("user", f"say {word}"),), word.upper())


ROWS = [said(word) for word in WORDS]
# Weights move themselves, which of a toy is learned in fewer and cheaper updates than factors beside them.
FAST = {
    "lora": replace(RECIPES["lora"], tuner=Blocks(), learning_rate=1e-2),
    "synthetic": replace(INVENTING["synthetic"], tuner=Blocks(), learning_rate=1e-2),
}


@pytest.fixture(scope="module")
def toy():
    return ToyLanguage()


@pytest.fixture
def speaks(monkeypatch):
    """Plant what a model says: prompts first, then the answers to those that are not empty."""

    def plant(prompts, replies):
        turns = iter([prompts, replies])
        monkeypatch.setattr(synthetic, "answers", lambda backbone, asked, *how: list(next(turns))[: len(asked)])

    return plant


def test_only_what_may_be_worth_something_is_kept(toy, speaks):
    prompts = [
        "say ox",
        "",
        "say cat",
        "say cat!",
        "repeat after me please",
        "say " + "word " * 300,
        "say elk",
        "say elk",
    ]
    replies = ["OX", "CAT", "CAT", "Repeat after me, please.", "WORD", " ", "ELK"]
    speaks(prompts, replies)
    found = invented(toy, ROWS, len(prompts), 0)
    assert [(row.prompt[-1].content, row.answer) for row in found.rows] == [("say ox", "OX"), ("say elk", "ELK")]
    assert found.tried == 8
    assert dict(found.left_out) == {
        "empty": 2, "a copy of its prompt": 1, "a near copy of another row": 2, "of unusual length": 1,
    }  # fmt: skip


def test_what_was_made_up_twice_is_kept_once(toy, speaks):
    speaks(["say ox", "say ox"], ["OX", "OX"])
    assert len(invented(toy, ROWS, 2, 0).rows) == 1


def test_what_the_system_says_stands_before_invented_prompts_too(toy, speaks):
    rows = [replace(row, prompt=(Message("system", "Shout."), *row.prompt)) for row in ROWS]
    speaks(["say ox"], ["OX"])
    (row,) = invented(toy, rows, 1, 0).rows
    assert [turn.role for turn in row.prompt] == ["system", "user"]


def test_prompts_are_made_up_after_some_of_the_rows(toy, monkeypatch):
    asked = []
    monkeypatch.setattr(synthetic, "answers", lambda backbone, prompts, *how: asked.append(prompts) or [""] * 3)
    assert invented(toy, ROWS, 3, 0).left_out == (("empty", 3),)
    text = toy.chat.text(asked[0][0].ids)
    assert sum(f"say {word}" in text for word in WORDS) >= 3  # as many as the short context holds
    assert text.endswith("Write one more request of the same kind.")


def test_the_same_seed_makes_up_the_same_rows(toy):
    assert invented(toy, ROWS, 4, 0) == invented(toy, ROWS, 4, 0)


@pytest.mark.parametrize(("share", "count", "made"), [(1.0, 12, 12), (0.5, 3, 2), (1.0, 500, 64), (0.0, 9, 0)])
def test_how_many_are_made_up(share, count, made):
    assert tries(share, count) == made


def terms(**options):
    return LanguageTerms(**{"wanted": ("base", "synthetic", "lora"), "recipes": FAST, "updates": 24, **options})


def watched(monkeypatch):
    """What is learned from now on: the recipe, the fold that is left out, and the invented rows beside the others."""
    learned, real = [], answering.Stage.learned

    def noted(self, lesson, recipe, updates, fold, *args, more=()):
        learned.append((recipe.name, fold, [lesson.tokens[i].ids for i in more]))
        return real(self, lesson, recipe, updates, fold, *args, more=more)

    monkeypatch.setattr(answering.Stage, "learned", noted)
    return learned


def test_invented_rows_are_made_in_each_fold_from_rows_to_learn_from(toy, monkeypatch):
    read, learned = [], watched(monkeypatch)
    made = Invented((said("ox"), said("elk")), 9, (("empty", 7),))
    monkeypatch.setattr(answering, "invented", lambda backbone, rows, *rest: read.append(len(rows)) or made)
    found = compare_answers(toy, ROWS, None, terms())
    assert read == [9, 9, 9, 9, 12]
    assert [arm.name for arm in found.arms] == ["base", "lora", "synthetic"]  # the gate asks it last
    own = [toy.chat.tokens(row, toy.context).ids for row in made.rows]
    assert all(more == (own if name == "synthetic" else []) for name, _, more in learned)
    assert "synthetic: of 45 rows that the model made up 10 were kept, left out: 35 empty." in found.notes


def test_rows_that_teach_nothing_new_are_not_taken(toy, monkeypatch):
    made = Invented((said("ox"), said("elk")), 2, ())
    monkeypatch.setattr(answering, "invented", lambda *args: made)
    assert compare_answers(toy, ROWS, None, terms()).chosen != "synthetic"


@pytest.mark.slow
def test_what_is_better_only_on_the_mean_is_not_taken(toy, monkeypatch):
    monkeypatch.setattr(answering, "invented", lambda *args: Invented(tuple(map(said, OTHERS)), 12, ()))
    found = compare_answers(toy, ROWS, None, terms(updates=60))
    plain, more = (found.stage.measured(arm).value for arm in found.arms[-2:])
    assert more < plain
    assert found.chosen == "lora"


@pytest.mark.slow
def test_what_is_better_beyond_doubt_is_taken_with_its_rows(toy, monkeypatch):
    many = tuple(said(word) for word in [*OTHERS, *" ".join(MORE).split()])
    learned = watched(monkeypatch)
    monkeypatch.setattr(answering, "invented", lambda *args: Invented(many, 64, ()))
    found = compare_answers(toy, ROWS, None, terms(updates=100))
    assert found.chosen == "synthetic"
    assert found.tuned.recipe.name == "synthetic"
    assert "synthetic" in found.curves
    name, fold, more = learned[-1]
    assert (name, fold, len(more)) == ("synthetic", None, len(many))


def test_where_nothing_is_kept_the_arm_is_left_out_and_that_is_said(toy, monkeypatch):
    monkeypatch.setattr(answering, "invented", lambda *args: Invented((), 5, (("empty", 5),)))
    found = compare_answers(toy, ROWS, None, terms(named=True))
    assert [arm.name for arm in found.arms] == ["base", "lora"]
    assert (
        "synthetic: of 25 rows that the model made up 0 were kept, left out: 25 empty. synthetic was not tried."
        in found.notes
    )


def test_who_names_it_gets_lora_on_the_rows_alone_to_compare_with(monkeypatch):
    # Which arms there are does not hang on how far weights move.
    real = stage.fit_recipe
    monkeypatch.setattr(
        stage, "fit_recipe",
        lambda toy, lesson, at, recipe, settings, **more: real(
            toy, lesson, at, recipe, replace(settings, updates=2), **more
        ),
    )  # fmt: skip
    made = [{"prompt": f"say {word}", "response": word.upper()} for word in WORDS]
    run = handful.tune(made, backbone="toy-language", strategies="synthetic", budget="2 min")
    assert run.plan.strategies == ("base", "lora", "synthetic")
    assert [arm.name for arm in run.scores.arms] == ["base", "lora", "synthetic"]
    assert run.scores.chosen != "synthetic"
    assert np.isfinite(run.scores.estimate.value)
