"""Progress of a language run: whatever a model reads, says or learns, somebody is told how far it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handful.backbones.language import LanguageBackbone
from handful.backbones.toy_language import ToyLanguage
from handful.data.conversations import Conversation, Message, Preference
from handful.strategies.language.answering import compare_answers
from handful.strategies.language.preferring import compare_preferences
from handful.strategies.language.recipes import LEAST_UPDATES, PREFERENCES, RECIPES
from handful.strategies.language.stage import LanguageTerms
from handful.tasks.generation import PREFERENCE
from handful.tasks.generation.metrics import PREFERRED
from handful.training.objectives.preference import DPO
from handful.training.tuners import Blocks

WORDS = ["cat", "dog", "sun", "sea", "car", "tree", "bee", "hat", "map", "pen", "cup", "box"]
ROWS = [Conversation((Message("user", f"say {word}"),), word.upper()) for word in WORDS]
PAIRS = [Preference((Message("user", f"say {word}"),), word.upper(), "zzzz") for word in WORDS]
FULL = {"full": replace(RECIPES["full"], tuner=Blocks(), learning_rate=1e-2, replay=0.25)}
STRONG = {"dpo": replace(PREFERENCES["dpo"], objective=DPO(0.1, supervised=2.0), tuner=Blocks(), learning_rate=1e-2)}


@pytest.fixture
def told(monkeypatch):
    """What is told, in order, with a mark for every pass through the model between."""
    lines, real = list[str](), LanguageBackbone.scores
    # Each pass that scores tokens is work that takes seconds with a real model.
    monkeypatch.setattr(LanguageBackbone, "scores", lambda self, x: lines.append("work") or real(self, x))
    return lines


def longest_silence(lines: list[str]) -> int:
    """The most passes between two words; of a pass several rows are scored one by one."""
    longest = now = 0
    for line in lines:
        now = now + 1 if line == "work" else 0
        longest = max(longest, now)
    return longest


def said(lines: list[str]) -> list[str]:
    return list(dict.fromkeys(line for line in lines if line != "work"))


def terms(lines, *wanted, **options):
    def say(stage, done, total):
        lines.append(stage)

    return LanguageTerms(wanted=("base", *wanted), updates=LEAST_UPDATES, say=say, **options)


def test_nothing_is_done_in_silence_on_the_way_to_a_model(told):
    found = compare_answers(ToyLanguage(), ROWS, None, terms(told, "in-context", "full", recipes=FULL))
    assert found.chosen == "full"
    assert said(told) == [
        "measuring how fast this machine is",
        "asking base",
        "choosing how many nearest examples are shown for fold 1 of 4",
        "asking nearest",
        *(f"choosing how many nearest examples are shown for fold {k} of 4" for k in (2, 3, 4)),
        "choosing how many diverse examples are shown for fold 1 of 4",
        "asking diverse",
        *(f"choosing how many diverse examples are shown for fold {k} of 4" for k in (2, 3, 4)),
        "answering general prompts",
        "reading rows for full",
        "full, fold 1 of 4",
        "asking full",
        *(f"full, fold {k} of 4" for k in (2, 3, 4)),
        "full, all rows",
        "asking general questions",
        "asking what was forgotten",
    ]
    assert longest_silence(told) <= 40  # the rows of one pass, and updates that are measured


def test_nor_on_the_way_to_preferences(told):
    found = compare_preferences(
        ToyLanguage(), PAIRS, None, terms(told, "dpo", task=PREFERENCE, metric=PREFERRED, recipes=STRONG)
    )
    assert found.chosen == "dpo"
    assert {"asking base", "reading rows for dpo", "dpo, fold 1 of 4", "asking dpo", "dpo, all rows",
            "looking what else changes", "answering three rows"} <= set(said(told))  # fmt: skip
    assert longest_silence(told) <= 40


def test_a_stage_keeps_its_name_while_it_lasts(told):
    compare_answers(ToyLanguage(), ROWS, None, terms(told, "full", recipes=FULL))
    assert told.count("full, fold 1 of 4") == LEAST_UPDATES  # one for every update: the name says nothing that changes
