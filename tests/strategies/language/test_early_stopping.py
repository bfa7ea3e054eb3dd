"""Alarms: trainings on preferences that get worse while their loss falls are stopped, said, and never taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handful.backbones.toy_language import ToyLanguage
from handful.data.conversations import Conversation, Message, Preference
from handful.evaluation.intervals import Estimate
from handful.evaluation.probes import QUESTIONS
from handful.strategies.language import early_stopping
from handful.strategies.language.early_stopping import Alarm, Guard
from handful.strategies.language.preferring import compare_preferences
from handful.strategies.language.recipes import PREFERENCES, RECIPES, Lesson, fit_recipe
from handful.strategies.language.stage import LanguageTerms
from handful.tasks.generation import PREFERENCE
from handful.tasks.generation.metrics import PREFERRED
from handful.training.batches import drawn
from handful.training.loop import Settings
from handful.training.objectives.preference import DPO
from handful.training.tuners import Blocks

WORDS = ["cat", "dog", "sun", "sea", "car", "tree", "bee", "hat", "map", "pen", "cup", "box"]
ROWS = [Conversation((Message("user", f"say {word}"),), word.upper()) for word in WORDS]
PAIRS = [Preference(row.prompt, row.answer, row.answer.lower()) for row in ROWS]
EAGER = {"dpo": replace(PREFERENCES["dpo"], learning_rate=1e-2)}
STRONG = {"dpo": replace(PREFERENCES["dpo"], objective=DPO(0.1, supervised=2.0), tuner=Blocks(), learning_rate=1e-2)}


@pytest.fixture(scope="module")
def toy():
    return ToyLanguage()


def terms(**options):
    return LanguageTerms(
        wanted=("base", "dpo"), **{"task": PREFERENCE, "metric": PREFERRED, "recipes": EAGER, "updates": 24, **options}
    )


def knowing(toy, tokens, updates):
    """A toy that learned some rows."""
    recipe, settings = RECIPES["full"], Settings(updates=updates, rate=1e-2, dropout=False)
    return fit_recipe(toy, Lesson.of(toy, tokens, recipe), np.arange(len(tokens)), recipe, settings).backbone(toy)


def test_a_training_that_unlearns_the_chosen_answers_is_stopped_and_said(toy):
    # Planted: a model that knows both answers well, pairs that differ in their last letter, no supervised term.
    pairs = [Preference(pair.prompt, f"{pair.chosen}!", f"{pair.chosen}?") for pair in PAIRS]
    both = [toy.chat.tokens(row, 256) for pair in pairs for row in (pair.chosen_row, pair.rejected_row)]
    taught = knowing(toy, both, 150)
    greedy = {"dpo": replace(PREFERENCES["dpo"], objective=DPO(1.0), tuner=Blocks(), learning_rate=1e-2)}
    found = compare_preferences(taught, pairs, None, terms(recipes=greedy, updates=60))
    assert any("the chosen answers themselves became less likely" in note for note in found.notes)
    assert max(len(log) for log in found.curves["dpo"]) < 60


def test_every_pair_is_looked_at_in_its_turn(toy, monkeypatch):
    looked, real = [], early_stopping.chosen_gain

    def noted(body, pairs, turn):
        looked.append(pairs.pairs[drawn(turn, len(pairs.pairs), pairs.size, pairs.seed)].tolist())
        return real(body, pairs, turn)

    monkeypatch.setattr(early_stopping, "chosen_gain", noted)
    compare_preferences(toy, PAIRS, None, terms(updates=16))
    assert len(set(looked[0]) | set(looked[1])) == 9  # of 12 pairs a fold leaves 9 to learn from


def test_what_rang_the_alarm_is_never_taken(toy, monkeypatch):
    monkeypatch.setattr(Alarm, "rang", property(lambda self: True))
    found = compare_preferences(toy, PAIRS, None, terms(recipes=EAGER))
    assert found.chosen == "base"


@pytest.mark.slow
def test_answers_that_grow_are_told_where_preferences_reward_length(toy):
    """Planted: a model that says a word once or thrice, and pairs of which the longer answer is the better one."""
    pairs = [Preference(row.prompt, " ".join([row.answer] * 3), row.answer) for row in ROWS]
    once = [toy.chat.tokens(pair.rejected_row, 256) for pair in pairs]
    thrice = [toy.chat.tokens(pair.chosen_row, 256) for pair in pairs]
    taught = knowing(toy, [*once, *once, *thrice], 150)
    eager = {"dpo": replace(PREFERENCES["dpo"], objective=DPO(0.1, supervised=1.0), tuner=Blocks(), learning_rate=1e-2)}
    found = compare_preferences(taught, pairs, None, terms(recipes=eager, updates=60))
    assert found.chosen == "dpo"
    (said,) = [note for note in found.notes if "answers at greater length than before, by" in note]
    assert said.endswith("Add pairs whose chosen answer is the shorter one.")


def test_a_training_that_forgets_is_stopped_and_never_taken(toy):
    """Planted: a model that knows the general questions, and a rate that leaves nothing of them."""
    taught = knowing(toy, [toy.chat.tokens(row, toy.context) for row in QUESTIONS], 100)
    found = compare_preferences(taught, PAIRS, None, terms(recipes=STRONG, updates=30))
    (said,) = [note for note in found.notes if note.startswith("dpo: the loss on general questions rose by ")]
    assert said.endswith(
        " nats per token: the training was stopped; a lower rate or a larger share of the supervised term helps."
    )
    assert {len(log) for log in found.curves["dpo"]} == {10}  # asked after each third of 30 updates
    assert found.chosen == "base"


def test_a_training_whose_answers_grow_beyond_the_chosen_ones_is_stopped(toy, monkeypatch):
    taught, real = knowing(toy, [toy.chat.tokens(row, toy.context) for row in ROWS], 100), early_stopping.lengths

    def long_winded(backbone, prompts, most, tell):
        return real(backbone, prompts, most) + (0 if backbone is taught else 10)

    monkeypatch.setattr(early_stopping, "lengths", long_winded)
    found = compare_preferences(taught, PAIRS, None, terms(recipes=PREFERENCES, updates=30))
    assert any("dpo: answers grew longer than the chosen ones are, by " in note for note in found.notes)
    assert {len(log) for log in found.curves["dpo"]} == {10}
    assert found.chosen == "base"


@pytest.mark.parametrize(
    ("alarm", "said"),
    [
        (Alarm(gained=[-0.3, -0.2]), ""),
        (Alarm(gained=[-0.2, -0.3]), "the chosen answers themselves became less likely, by 0.30 nats per token"),
        (Alarm(forgot=[Estimate(0.9, 0.4, 1.4)]), ""),
        (Alarm(forgot=[Estimate(0.9, 0.6, 1.2)]), "the loss on general questions rose by 0.90 nats per token"),
        (Alarm(grown=[Estimate(1.0, 0.2, 1.8)]), ""),
        (Alarm(grown=[Estimate(1.0, 0.7, 1.3)]), "answers grew longer than the chosen ones are, by 100%"),
        (Alarm(stopped=True), "an alarm had stopped the training when it ran before; a lower rate helps"),
    ],
)
def test_an_alarm_rings_beyond_its_limit(alarm, said):
    assert alarm.rang == bool(said)
    assert alarm.words.startswith(said)


def test_answers_that_grow_are_measured(toy):
    tokens = [toy.chat.tokens(row, toy.context) for row in ROWS[:4]]
    assert Guard(toy, tokens).growth(toy).value == 0
