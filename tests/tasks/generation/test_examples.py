"""What is told first of answers in words: how many are as wanted, and three rows that are picked by a rule."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from handful.data.conversations import Conversation, Message
from handful.evaluation.lead import Example, Lead
from handful.tasks.generation import GENERATION, PREFERENCE
from handful.tasks.generation.examples import by_loss, by_words, without_beginning
from handful.tasks.generation.metrics import Answered


def rows(*answers):
    return [Conversation((Message("user", f"say {i}"),), answer) for i, answer in enumerate(answers)]


def said(*texts, nats=None):
    return Answered(np.array(nats or [1.0] * len(texts)), np.ones(len(texts), int), tuple(texts))


def test_one_right_one_wrong_one_typical():
    asked = rows("a b", "c d", "e f", "g h", "i j")
    found = by_words(said("a b", "c x", "e f", "x y", "i j"), asked)
    assert found == {2: "right", 1: "wrong", 0: "typical"}


def test_where_none_is_right_the_closest_and_a_wrong_one_are_shown():
    asked = rows("a b", "c d", "e f")
    found = by_words(said("x y", "c x", "x y"), asked)
    assert found[1] == "closest; none is right"
    assert sorted(found.values()) == ["closest; none is right", "typical", "wrong"]


def test_where_none_is_wrong_the_least_sure_is_shown():
    asked = rows("a", "b", "c")
    found = by_words(said("a", "b", "c", nats=[1.0, 9.0, 2.0]), asked)
    assert found[1] == "the least sure; none is wrong"
    assert len(found) == 3


def test_of_long_answers_the_least_and_the_most_surprising_and_the_middle_are_shown():
    assert by_loss(np.array([3.0, 1.0, 2.0, 5.0, 4.0])) == {1: "easiest", 3: "hardest", 0: "typical"}


@given(st.lists(st.tuples(st.sampled_from(["a b", "a c", "d", ""]), st.floats(0, 9)), min_size=1, max_size=9))
def test_any_answers_give_up_to_three_rows_each_once(answers):
    texts, nats = zip(*answers, strict=True)
    for found in (by_words(said(*texts, nats=list(nats)), rows(*["a b"] * len(texts))), by_loss(np.array(nats))):
        assert len(found) == min(3, len(texts))
        assert len(set(found.values())) == len(found)
        assert set(found) <= set(range(len(texts)))


def test_words_with_which_all_prompts_begin_are_left_out():
    told = without_beginning(
        ["Turn this into a line: one pen", "Turn this into a line: two cups", "Turn this into a x"]
    )
    assert told == ["… line: one pen", "… line: two cups", "… x"]
    assert without_beginning(["say a", "say b"]) == ["say a", "say b"]
    assert without_beginning(["one and the same prompt"]) == ["one and the same prompt"]
    assert without_beginning(["the same old prompt"] * 2) == ["… prompt"] * 2


def test_the_lead_says_how_many_are_right_with_what_so_few_rows_show():
    targets = GENERATION.targets(rows("a", "b", "c", "d"))
    lora, base = said("a", "b", "c", "x"), said("x", "b", "y", "z")
    lead = GENERATION.lead(lora, base, "lora", targets, (3, 5, 8, 9), None)
    assert lead.sentence == (
        "Of 4 rows held out, lora answered 3 exactly (of 100 like these probably 30 to 95); the model as it is 1."
    )
    none = said("x", "x", "x", "x")
    kept = GENERATION.lead(none, none, "base", targets, (3, 5, 8, 9), None)
    assert kept.sentence == (
        "Of 4 rows held out, the model as it is answered none exactly (of 100 like these probably 0 to 49)."
    )
    vain = GENERATION.lead(none, none, "lora", targets, (3, 5, 8, 9), None)
    assert vain.sentence == (
        "Of 4 rows held out, lora answered none exactly (of 100 like these probably 0 to 49); the model as it is none. "
        "Better than before, and yet none is right: more rows, more time or a larger model may help."
    )
    wrong = next(example for example in lead.examples if example.kind == "wrong")
    assert wrong == Example("wrong", 9, "say 3", "d", "x")
    lines = lead.lines()
    assert lines[0] == lead.sentence
    assert "wrong (row 9)" in lines
    assert lines[lines.index("wrong (row 9)") + 1 :][:3] == ["  asked    say 3", "  wanted   d", "  said     x"]
    assert lines[-1].startswith("Picked by a rule: held-out rows ordered by the words they share with the wanted")
    assert Lead.from_dict(json.loads(json.dumps(lead.as_dict()))) == lead


def test_long_answers_are_looked_at_and_not_counted():
    targets = GENERATION.targets(rows(*["long " * 50] * 5))
    few = Answered(np.arange(5.0), np.ones(5, int), few={0: "one", 2: "two", 4: "three"})
    lead = GENERATION.lead(few, few, "lora", targets, tuple(range(5)), None)
    assert lead.sentence == (
        "Three of the 5 rows held out were answered for a look; what counts is how surprising the wanted answers are."
    )
    assert [(example.kind, example.said) for example in lead.examples] == [
        ("easiest", "one"), ("hardest", "three"), ("typical", "two"),
    ]  # fmt: skip
    held = GENERATION.held_out(few, targets, tuple(range(5)))
    assert [row.predicted for row in held] == ["one", "", "two", "", "three"]


def test_of_preferences_the_pairs_are_counted_that_are_decided_as_the_rows_say():
    targets = PREFERENCE.targets(rows("a", "b", "c", "d"))
    each = {"nats": np.ones(4), "tokens": np.ones(4, int)}
    base, dpo = Answered(**each, preferred=np.array([1, 0, 0.5, 0])), Answered(**each, preferred=np.ones(4))
    lead = PREFERENCE.lead(dpo, base, "dpo", targets, (0, 1, 2, 3), None)
    assert lead.sentence == (
        "Of 4 pairs held out, dpo preferred 4 as you did (of 100 like these probably 51 to 100); "
        "the model as it is 1.5."
    )
    assert (lead.examples, lead.rule) == ((), "")


def test_an_empty_answer_is_said_to_be_nothing():
    lead = Lead("s", "r", (Example("wrong", 0, "a", "b", ""),))
    assert "  said     nothing" in lead.lines()
