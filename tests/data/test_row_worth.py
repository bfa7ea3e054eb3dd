"""Columns that turn the meaning of rows around: honoured and said, or refused."""

import json

import pytest

from handful.data.conversation_columns import questions
from handful.data.conversations import Message
from handful.data.in_memory import record_table
from handful.data.readers import load
from handful.data.tables import collect
from handful.errors import DataError

TEXTS = [{"text": f"some words {i}", "label": "ab"[i % 2]} for i in range(12)]


def asked(**more):
    return [
        {
            "prompt": f"ask {i}",
            "completion": f"all {i} of it, at length, with words",
            **{k: v(i) for k, v in more.items()},
        }
        for i in range(12)
    ]


@pytest.fixture
def refusal():
    def refused(rows, **options):
        with pytest.raises(DataError) as error:
            load(rows, **options)
        return str(error.value)

    return refused


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("label", lambda i: i % 3 > 0), ("Label", lambda i: ["false", "true"][i % 3 > 0]),
        ("desirable", lambda i: int(i % 3 > 0)), ("thumbs_up", lambda i: ["no", "yes"][i % 3 > 0]),
    ],
)  # fmt: skip
def test_only_good_answers_are_learned(name, says):
    data = load(asked(**{name: says}))
    assert [row.prompt[0].content for row in data.items] == [f"ask {i}" for i in range(12) if i % 3]
    assert data.rows == tuple(i for i in range(12) if i % 3)
    assert data.notes[1:] == (f'column "{name}" says which answers are good: 8 rows are learned from, 4 are left out',)


def test_no_good_answer(refusal):
    assert refusal(asked(desirable=lambda i: False)) == (
        'column "desirable" of the list says of every row that its answer is a bad one, so that there is none to '
        "learn. Correct it, or rename it to have it ignored."
    )


def test_other_truths_and_all_good_answers_change_nothing():
    assert len(load(asked(is_long=lambda i: i % 2 == 0))) == 12
    assert len(load(asked(good=lambda i: True))) == 12


def test_weights_of_rows(refusal):
    data = load(asked(weight=lambda i: i % 2))
    assert (len(data), data.notes[1]) == (6, 'column "weight" is 0 in 6 rows, which are left out')
    assert len(load(asked(weight=lambda i: 0.5))) == 12
    assert refusal(asked(weight=lambda i: i / 2)) == (
        'column "weight" of the list must give rows the same weight, or 0 to leave them out, got 0.5, 1, 1.5, …. '
        "Remove it: then each row counts the same; or repeat rows that are to count more."
    )


def test_weights_in_a_table_of_classes(refusal):
    heavy = [{**row, "weight": i} for i, row in enumerate(TEXTS)]
    assert 'column "weight" does not weigh rows: each counts the same' in load(heavy).notes
    assert len(load([{**row, "sample_weight": int(i > 1)} for i, row in enumerate(TEXTS)])) == 10
    assert refusal([{**row, "sample_weight": i} for i, row in enumerate(TEXTS)]).startswith(
        'column "sample_weight" of the list must give rows the same weight'
    )


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("question", "answer"),
        ("input", "output"),
        ("instruction", "output"),
        ("query", "response"),
        ("user", "assistant"),
    ],
)
def test_other_names_of_prompts_and_answers(prompt, answer):
    data = load([{prompt: f"Why is {i} odd?", answer: f"It is {i}, which is not even."} for i in range(6)])
    assert data.modality == "language"
    assert (data.items[1].prompt, data.items[1].answer) == (
        (Message("user", "Why is 1 odd?"),),
        "It is 1, which is not even.",
    )


def test_what_a_question_is_about_stands_below_it():
    rows = [{"question": f"Who {i}?", "context": f"It was me {i}.", "answer": f"me, says number {i}"} for i in range(6)]
    assert load(rows).items[2].prompt[0].content == "Who 2?\n\nIt was me 2."


def test_questions_whose_answers_are_classes_or_numbers_are_no_prompts():
    assert load([{"question": f"Is {i} odd?", "answer": ["yes", "no"][i % 2]} for i in range(12)]).classes == (
        "no",
        "yes",
    )
    numbers = [{"input": f"some words {i}", "output": 1.5 * i} for i in range(12)]
    assert load(numbers).task == "regression"
    rated = [{"question": f"Is {i} odd?", "answer": f"It is {i}.", "rating": i % 5 + 1} for i in range(30)]
    assert load(rated).task == "ordinal"


def test_names_of_people_are_no_prompts():
    rows = [
        {"user": f"person {i}", "reply": f"all {i} of it", "text": f"some words {i}", "stars": i % 5 + 1}
        for i in range(30)
    ]
    assert load(rows, input="text").task == "ordinal"
    assert questions(collect(record_table([{"user": "anna", "text": "some words"}]))) is None
    asked = questions(collect(record_table([{"question": "Who?", "context": "Me."}])))
    assert (asked.prompt, asked.more) == ("question", "context")


CALLED = {"role": "assistant", "content": "Let me look.", "tool_calls": [{"function": {"name": "look"}}]}


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        (CALLED, "calls a tool, and tools are not known here"),
        ({**CALLED, "content": None}, "calls a tool, and tools are not known here"),
        ({"role": "assistant", "function_call": {"name": "x"}}, "calls a tool, and tools are not known here"),
        ({"role": "tool", "content": "12"}, 'is of the role "tool": tools are not known here'),
        ({"from": "observation", "value": "12"}, 'is of the role "observation": tools are not known here'),
    ],
)  # fmt: skip
def test_tools_are_named(refusal, turn, why):
    end = {"role": "assistant", "content": "Twelve."}
    row = {"messages": [{"role": "user", "content": "Hi"}, turn, end]}
    assert refusal([row] * 6).endswith(f'the first is row 0: message 2 of "messages" {why}. Repair or remove them.')


def test_tools_that_could_be_called_are_said():
    rows = [{**row, "tools": json.dumps([{"name": "look"}])} for row in asked()]
    assert load(rows).notes[1:] == ('column "tools" is not used: answers are learned as if there were no tools',)


def test_an_answer_of_weight_0(refusal):
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "No.", "weight": 0}]}
    assert refusal([row] * 6).endswith(
        'row 0: the answer of "messages" has the weight 0, so that nothing is to be learned of it. Repair or remove '
        "them."
    )
