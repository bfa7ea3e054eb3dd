"""What a tuned model forgot, and what holds it back: measured before and after, on questions that nothing rehearses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handful import Instructed
from handful.backbones.toy_language import ToyLanguage
from handful.data.conversations import Conversation, Message
from handful.evaluation.intervals import Estimate
from handful.evaluation.probes import PROMPTS, QUESTIONS
from handful.plan import REMEDIES
from handful.strategies.language import forgetting
from handful.strategies.language.answering import compare_answers
from handful.strategies.language.forgetting import forgotten, general, held_back, replayed, warning, worth_a_word
from handful.strategies.language.recipes import PREFERENCES, RECIPES, Lesson, fit_recipe
from handful.strategies.language.stage import LanguageTerms
from handful.training.loop import Settings

WORDS = "cat dog sun sea car tree bee hat map pen cup box".split()  # noqa: SIM905
ROWS = [Conversation((Message("user", f"say {word}"),), word.upper()) for word in WORDS]
FULL = replace(RECIPES["full"], learning_rate=1e-2)


@pytest.fixture(scope="module")
def taught():
    """A toy that knows the general questions, so that it has something to forget."""
    toy = ToyLanguage()
    rows = [toy.chat.tokens(row, toy.context) for row in QUESTIONS]
    settings = Settings(updates=100, rate=1e-2, dropout=False)
    return fit_recipe(toy, Lesson.of(toy, rows, FULL), np.arange(len(rows)), FULL, settings).backbone(toy)


def learned(taught, recipe):
    rows = [taught.chat.tokens(row, taught.context) for row in ROWS]
    lesson = Lesson.of(taught, rows, recipe, replay=replayed(taught, 0) if recipe.replay else ())
    return fit_recipe(taught, lesson, np.arange(len(rows)), recipe, recipe.settings(40, 0))


@pytest.fixture(scope="module")
def plain(taught):
    return learned(taught, FULL)


@pytest.mark.parametrize("remedy", REMEDIES)
def test_every_remedy_forgets_less_and_still_learns(taught, plain, remedy):
    held = learned(taught, held_back(FULL, remedy)).backbone(taught)
    without = forgotten(general(taught), plain.backbone(taught)).value
    assert forgotten(general(taught), held).value < 0.92 * without
    rows = [taught.chat.tokens(row, taught.context) for row in ROWS]
    before, after = (np.divide(*map(np.sum, model.losses(rows))) for model in (taught, held))
    assert after < 0.9 * before


def test_no_remedy_is_the_recipe_as_it_is():
    assert held_back(FULL, "") == FULL


def test_what_is_rehearsed_is_never_what_the_meter_asks():
    asked = {row.prompt[-1].content.lower() for row in QUESTIONS}
    rehearsed = [prompt[-1].content.lower() for prompt in PROMPTS]
    assert len(set(rehearsed)) == len(PROMPTS) == 24
    assert not asked & set(rehearsed)


def test_answers_to_rehearse_are_the_models_own_and_the_same_for_the_same_seed(taught):
    rows = replayed(taught, 3)
    assert [row.ids for row in rows] == [row.ids for row in replayed(taught, 3)]
    assert [row.ids for row in rows] != [row.ids for row in replayed(taught, 4)]
    assert all(0 < row.asked <= 32 for row in rows)
    assert any(row.asked == 32 and row.ids[-1] not in taught.chat.stops for row in rows)  # cut off: no end is taught


def test_what_is_forgotten_is_said_with_the_commands_that_help(taught, plain):
    said = warning(
        taught,
        general(taught),
        plain,
        Estimate(0.4, 0.3, 0.5),
        lambda anti_forgetting: f"handful tune x --anti-forgetting {anti_forgetting}",
    )
    assert said.startswith(
        "full forgot: the loss on 32 general questions rose by 0.40 nats per token. Half of what moved"
    )
    assert said.endswith(
        "Try `handful tune x --anti-forgetting fade` (takes half of what moved), `handful tune x --anti-forgetting "
        "l2sp` (draws weights back to where they began) or `handful tune x --anti-forgetting replay` (mixes in answers "
        "of the model as it was)."
    )
    faded = replace(plain, recipe=held_back(FULL, "fade"))
    said = warning(taught, general(taught), faded, Estimate(0.4, 0.3, 0.5), lambda anti_forgetting: anti_forgetting)
    assert said.startswith("full with fade forgot")
    assert "`l2sp`" in said
    assert "`fade`" not in said
    assert "Half of what moved" not in said
    pairs = replace(plain, recipe=PREFERENCES["dpo"])
    preferred = replace(plain, recipe=replace(FULL, objective=pairs.recipe.objective))
    assert "replay" not in warning(
        taught, general(taught), preferred, Estimate(0.4, 0.3, 0.5), lambda anti_forgetting: anti_forgetting
    )


@pytest.mark.parametrize(
    ("found", "said"), [((0.4, 0.3, 0.5), True), ((0.4, -0.1, 0.9), False), ((0.04, 0.03, 0.05), False)]
)
def test_only_what_is_beyond_doubt_and_large_is_worth_a_word(found, said):
    assert worth_a_word(Estimate(*found)) == said


def test_answers_are_made_once_for_all_folds_and_never_scored(taught, monkeypatch):
    made = []
    real = forgetting.replayed
    monkeypatch.setattr("handful.strategies.language.stage.replayed", lambda *args: made.append(1) or real(*args))
    terms = LanguageTerms(wanted=("base", "full"), recipes={"full": held_back(FULL, "replay")}, updates=24)
    found = compare_answers(taught, ROWS, None, terms)
    assert made == [1]
    assert {len(arm.outputs.nats) for arm in found.arms} == {len(ROWS)}
    assert found.forgetting is not None


def test_the_estimator_rehearses_too(taught):
    prompts, answers = [row.prompt[-1].content for row in ROWS], [row.answer for row in ROWS]
    plain, kept = (
        Instructed(taught, "full", updates=40, learning_rate=1e-2, replay=share).fit(prompts, answers)
        for share in (0.0, 1.0)
    )
    lost = [forgotten(general(taught), model.backbone_).value for model in (plain, kept)]
    assert lost[1] < 0.9 * lost[0]
