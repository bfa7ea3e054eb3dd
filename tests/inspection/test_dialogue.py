"""Findings about instruction and preference rows: repeats, contradictions, leaks, answers merely longer."""

import random

import numpy as np
import pytest

from handful.api import audited
from handful.api import inspect as inspect_rows
from handful.data.conversations import Conversation, Message, Preference, words
from handful.data.dataset import Dataset
from handful.errors import OptionError
from handful.inspection.audit import Audit
from handful.inspection.dialogue import findings_of, kept_together
from handful.inspection.findings import KINDS
from handful.inspection.profile import duplicate_groups, profile
from handful.inspection.summary import summary

THINGS = (
    "a river in spring", "the price of bread", "my neighbour's dog", "an old bicycle", "rain on Sunday", "cold coffee",
    "the longest train", "seven green apples", "a broken window", "winter in Norway", "loud music", "paper boats",
)  # fmt: skip
FIRST = [f"Tell me something about {thing}, please." for thing in THINGS]
REPLIES = [f"Well, {thing}: number {i} of many good things." for i, thing in enumerate(THINGS)]


def asks(*texts):
    return tuple(Message("user" if (len(texts) - i) % 2 else "assistant", text) for i, text in enumerate(texts))


def rows(*more, **options):
    items = [Conversation(asks(text), reply) for text, reply in zip(FIRST, REPLIES, strict=True)]
    items += [row if isinstance(row, Conversation) else Conversation(asks(row[0]), row[1]) for row in more]
    return Dataset(tuple(items), "language", rows=tuple(range(10, 10 + len(items))), **options)


def preferences(*more, **options):
    items = [Preference(asks(text), f"{reply} Yes", f"No. {reply}") for text, reply in zip(FIRST, REPLIES, strict=True)]
    return Dataset((*items, *(Preference(asks(a), b, c) for a, b, c in more)), "language", **options)


def only(data, kind):
    (found,) = [finding for finding in findings_of(data) if finding.kind == kind]
    return found


def test_nothing_is_wrong_with_good_rows():
    assert findings_of(rows()) == []
    assert findings_of(preferences()) == []


def test_a_row_that_repeats_another():
    found = only(rows((FIRST[3].upper(), REPLIES[3] + "\n")), "duplicate")
    assert found.rows == (13, 22)
    assert found.message == (
        '1 row repeats another one exactly, such as "Tell me something about an old bicycle, please." (rows 13 and 22)'
    )
    assert found.advice == "Remove all but one of each: what is said twice is learned twice as hard."


def test_one_prompt_with_two_answers():
    found = only(rows((FIRST[3], "I would rather not.")), "conflict")
    assert (found.rows, found.severity) == ((13, 22), 1 / 13)
    assert found.message == (
        "2 rows share their prompt with a row that answers differently, "
        'such as "Tell me something about an old bicycle, please." (rows 13 and 22)'
    )
    assert found.advice == "Keep the answer that you want; where several are right, nothing has to be done."


@pytest.mark.parametrize("answer", [REPLIES[3].upper() + "!", REPLIES[3][6:]])
def test_answers_that_nearly_agree_are_no_contradiction(answer):
    assert [finding.kind for finding in findings_of(rows((FIRST[3], answer)))] == []


def test_the_words_of_the_system_and_earlier_turns_are_a_part_of_the_prompt():
    system = Conversation((Message("system", "Be rude."), *asks(FIRST[3])), "Get lost, will you?")
    later = Conversation(asks("Good morning to everybody here", "Yes?", FIRST[3]), "No, not at this hour.")
    assert findings_of(rows(system, later)) == []


def test_prompts_that_are_nearly_the_same():
    found = only(rows((FIRST[3][:-1] + " now!", "It has two wheels.")), "near_duplicate")
    assert found.rows == (13, 22)
    assert 0.9 < found.scores[0] == found.scores[1] < 1
    assert found.message == (
        "1 pair of prompts is nearly the same, "
        'such as "Tell me something about an old bicycle, please." (rows 13 and 22)'
    )


def test_texts_in_one_template_are_not_nearly_the_same():
    template = "Read the following message of a customer of a bank and answer with the name of its topic only: {}"
    rng = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    said = [" ".join("".join(rng.choices(letters, k=5)) for _ in range(4)) for _ in range(40)]
    items = [Conversation(asks(template.format(text)), f"t{i}") for i, text in enumerate(said)]
    assert findings_of(Dataset(tuple(items), "language")) == []
    copy = Conversation(asks(template.format(said[0] + " ok")), "t0")
    assert only(Dataset((*items, copy), "language"), "near_duplicate").rows == (0, 40)


def test_prompts_on_both_sides_of_the_split():
    split = ("train",) * 10 + ("test",) * 4
    data = rows((FIRST[0], "Another answer."), (FIRST[1][:-1] + " now!", "And one more."), split=split)
    same, near = sorted((f for f in findings_of(data) if f.kind == "leak"), key=lambda finding: finding.rows)
    assert (same.rows, near.rows) == ((10, 22), (11, 23))
    assert same.message == (
        "1 of 4 test prompts is also asked in the training rows, "
        'such as "Tell me something about a river in spring, please." (rows 10 and 22)'
    )
    assert near.message == (
        "1 of 4 test prompts is nearly the same as one of a training row, "
        'such as "Tell me something about the price of bread, please." (rows 11 and 23)'
    )
    assert same.advice == near.advice
    assert (same.severity, near.severity, len(near.scores)) == (0.25, 0.25, 2)


def test_groups_on_both_sides_of_the_split():
    data = rows(split=("train", "test") * 6, groups=("a",) * 2 + tuple("bcdefghijk"))
    assert only(data, "leak").message == '1 group has both training and test rows: "a"'


@pytest.mark.parametrize(
    "answer", ["Why is the sky so blue today?", "WHY is the sky so blue today", "Why is the sky so blue today? So."]
)  # fmt: skip
def test_answers_that_copy_the_prompt(answer):
    found = only(rows(("Why is the sky so blue today?", answer)), "label_error")
    assert found.rows == (22,)
    assert found.message == '1 answer copies its prompt, such as "Why is the sky so blue today?" (row 22)'
    assert found.advice == "Look at them: answers that still hold the prompt teach a model to repeat what it is asked."


def test_what_only_looks_like_a_copy():
    quote = "Which of these is a fruit: a stone, an apple, or a very old shoe?"
    found = findings_of(rows(("Hello!", "Hello!"), (quote, "an apple"), ("Put in order: we all sing", "we all sing")))
    assert [finding for finding in found if finding.kind == "label_error"] == []
    data = rows(("why is it so late", "why is it so late"), labels=("a",) * 6 + ("why is it so late",) * 7)
    assert findings_of(data) == []


def test_rows_of_unusual_length():
    found = only(rows(("Sing for me", "la " * 300)), "outlier")
    assert found.rows == (22,)
    assert found.message == "1 row is of unusual length, such as an answer of 300 words (row 22) where 10 are usual"
    assert found.scores[0] > 3.5
    found = only(rows(("Sing " * 300, "La la")), "outlier")
    assert found.message == "1 row is of unusual length, such as a prompt of 300 words (row 22) where 8 are usual"


def test_lengths_that_many_rows_have_are_usual():
    assert findings_of(rows(*((f"Sing {thing}", f"{i} la " * 150) for i, thing in enumerate(THINGS[:3])))) == []


def test_preferences_that_contradict_each_other():
    wins = (FIRST[0], f"No. {REPLIES[0]}", f"{REPLIES[0]} Yes")
    found = only(preferences(wins), "conflict")
    assert found.rows == (0, 12)
    assert found.message == (
        "2 rows prefer the answer to a prompt that another row rejects, "
        'such as "Tell me something about a river in spring, please." (rows 0 and 12)'
    )
    assert found.advice == "Decide which answer is better and remove the other row: together they teach nothing."
    chain = (FIRST[0], f"No. {REPLIES[0]}", "I have never heard of anything like it before.")
    assert [finding.kind for finding in findings_of(preferences(chain))] == []


def test_better_answers_that_are_longer():
    long = [(f"{text} Now!!", f"{reply} {reply}", reply) for text, reply in zip(THINGS, REPLIES, strict=True)]
    found = only(preferences(*long), "shortcut")
    assert found.rows == tuple(range(12, 24))
    assert found.message == "the better answer is the longer one in 12 of 24 pairs"
    assert found.advice == "Add pairs whose better answer is not the longer one: a model may learn length alone."
    turned = [(text, worse, better) for text, better, worse in long]
    assert only(preferences(*turned), "shortcut").message == "the better answer is the shorter one in 12 of 24 pairs"
    assert findings_of(preferences(*long[:6], *turned[6:])) == []


def test_what_could_not_be_read_and_rare_labels_are_told():
    data = rows(labels=("a",) * 11 + ("b",), unreadable={3: 'row 3: "response" is empty'})
    kinds = {finding.kind for finding in findings_of(data)}
    assert {"unreadable", "too_few", "imbalance"} == kinds <= set(KINDS)


def test_near_prompts_of_many_rows_are_looked_for_in_a_sample():
    rng = np.random.default_rng(0)
    texts = [" ".join(map(str, rng.integers(0, 10**6, 3))) for _ in range(2100)]
    items = [Conversation(asks(text), "fine") for text in (*texts, *(f"{text}." for text in texts[:1000]))]
    pairs = [finding for finding in findings_of(Dataset(tuple(items), "language")) if finding.kind == "near_duplicate"]
    assert pairs[0].message.endswith("(looked at 2,000 of 3,100 rows, seed 0)")


def test_rows_that_are_kept_together():
    near = (FIRST[3][:-1] + " now!", "It has two wheels.")
    groups = ("g", "g", *map(str, range(12)))
    together = kept_together(rows((FIRST[0], "Another answer."), near, groups=groups))
    assert together[0] == together[1] == together[12]
    assert together[3] == together[13]
    assert len(set(together.tolist())) == 11
    assert list(kept_together(rows())) == list(range(12))


def test_one_prompt_is_one_content_whatever_the_answer():
    data = rows((FIRST[3].upper(), "x"), Conversation((Message("system", "a"), *asks(FIRST[3])), "x"))
    assert duplicate_groups(data).tolist() == [*range(12), 3, 12]


# What a terminal shows ---------------------------------------------------------------------------------------------


def test_the_profile_and_the_summary():
    data = rows(Conversation((Message("system", "Be short."), *asks("Hello there", "Yes?", "Who is it")), "Me"))
    facts = profile(data)
    assert facts["kind"] == "instruction rows"
    assert facts["turns"] == [1, 1, 1, 1, 3]
    assert (facts["prompt words"][0], facts["answer words"][0]) == (6, 1)
    lines = summary(data, Audit((), ()))
    assert lines == [
        "13 instruction rows",
        "turns per prompt: 1 to 3, half of them up to 1",
        "words per prompt: 6 to 9, half of them up to 8",
        "words per answer: 1 to 11, half of them up to 10",
        "languages: English 13",
    ]
    assert summary(preferences(), Audit((), ()))[0] == "12 preference pairs"
    assert "words per rejected answer: 10 to 12, half of them up to 11" in summary(preferences(), Audit((), ()))


def test_the_summary_of_a_table_of_classes_names_them_but_no_strategies():
    lines = summary(rows(labels=("a", "b") * 6), Audit((), ()))
    assert lines[:3] == ["12 instruction rows in 2 classes", "       6  a", "       6  b"]
    assert not any("what makes sense" in line for line in lines)


@pytest.mark.parametrize(("text", "count"), [("a b  c\n", 3), ("", 0), ("東京 is big", 4), ("don't", 1)])
def test_words(text, count):
    assert words(text) == count


def test_inspect_needs_no_backbone(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "What is it today?", "response": "x"}\n' * 3 + '{"prompt": "b", "response": "y"}\n')
    assert [finding.kind for finding in inspect_rows(path)] == ["duplicate"]
    with pytest.raises(OptionError) as error:
        audited(rows(), against=tmp_path)
    assert str(error.value) == "against= compares texts, images or sounds, got rows of language. Leave it out."
