"""Rows of prompts and answers: every shape that tools write is read, and what cannot be learned from is refused."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.data.conversations import (
    Conversation,
    Fields,
    Message,
    Preference,
    asked,
    messages_in,
    pieces,
    read_row,
)  # fmt: skip
from handful.data.dataset import item_hash
from handful.data.readers import load
from handful.errors import DataError, HandfulError, OptionError

ASKED = [{"prompt": f"What is {i} plus {i}?", "response": f"It is {2 * i}."} for i in range(6)]
PREFERRED = [{"prompt": f"Say {i}.", "chosen": f"{i}", "rejected": f"No, not {i}."} for i in range(6)]


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


CHATS = [{"messages": [user(f"Hello {i}"), assistant("Yes?"), user("Who?"), assistant(f"Me, {i}")]} for i in range(6)]


@pytest.fixture
def lines(tmp_path):
    def write(records, encoding="utf-8", name="rows.jsonl"):
        path = tmp_path / name
        texts = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
        path.write_text("\n".join(texts) + "\n", encoding=encoding)
        return path

    return write


@pytest.fixture
def refusal(lines, tmp_path):
    def refused(records, kind=DataError, **options):
        with pytest.raises(kind) as error:
            load(lines(records), **options)
        return str(error.value).replace(str(tmp_path) + "/", "")

    return refused


# What is asked -----------------------------------------------------------------------------------------------------


def test_a_plain_prompt_is_one_turn_of_the_user():
    assert asked("Who is there?") == (Message("user", "Who is there?"),)
    assert asked('[{"role": "assistant"}]') == (Message("user", '[{"role": "assistant"}]'),)


def test_messages_are_asked_as_they_are():
    given = [{"role": "system", "content": "Be short."}, user("Hi"), assistant("Hi."), user("Who?"), user("You?")]
    assert asked(given) == tuple(Message(m["role"], m["content"]) for m in given)


def test_other_names_of_roles_and_an_empty_system():
    given = [{"from": "developer", "value": ""}, {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes?"}]
    assert asked([*given, user("Who?")]) == (
        Message("user", "Hi"),
        Message("assistant", "Yes?"),
        Message("user", "Who?"),
    )


def test_a_text_in_parts_is_joined():
    assert asked([user([{"type": "text", "text": "Who "}, "is it?"])]) == (Message("user", "Who is it?"),)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("  \u200b", "the prompt is empty"),
        ([], "the prompt must end with a message of the user, got none at all"),
        ([user("Hi"), assistant("Yes?")], "the prompt must end with a message of the user, got one of the assistant"),
        ([{"role": "bot", "content": "x"}], 'message 1 of the prompt has the role "bot", which must be system, user or '
         "assistant"),
        ([user("a"), {"content": "b"}], "message 2 of the prompt has no role"),
        ([user(None)], "message 1 of the prompt is empty"),
        (["Hi"], "message 1 of the prompt must have a role and a content, got str"),
        ([user({"a": 1})], "message 1 of the prompt must be a text, got dict"),
        ([user([{"type": "image_url"}])], "message 1 of the prompt must hold text only, got parts of another kind"),
        ([user("a"), {"role": "system", "content": "b"}], "message 2 of the prompt is the system's, which must be the "
         "first"),
        (7, "the prompt must be a text or messages, got int"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(prompt, message):
    with pytest.raises(DataError) as error:
        asked(prompt)
    advice = "Give a text, or messages with role and content that end with the user's."
    assert str(error.value) == f"{message}. {advice}"


# Formats -----------------------------------------------------------------------------------------------------------


def test_instruction_rows(lines):
    data = load(lines(ASKED))
    assert (data.modality, data.labels, data.groups, data.split, data.unreadable) == ("language", None, None, None, {})
    assert data.items[1] == Conversation((Message("user", "What is 1 plus 1?"),), "It is 2.")
    assert isinstance(data.items, tuple)
    assert (data.rows, data.input) == (tuple(range(6)), "prompt")
    assert data.notes == ('"prompt" and "response" are taken as instruction and answer: 6 rows',)


@pytest.mark.parametrize("answer", ["response", "output", "completion", "answer", "Response"])
@pytest.mark.parametrize("prompt", ["prompt", "instruction", "Prompt"])
def test_other_names_of_instruction_and_answer(lines, prompt, answer):
    data = load(lines([{prompt: f"ask {i}", answer: i} for i in range(4)]))
    assert data.items[3] == Conversation((Message("user", "ask 3"),), "3")
    assert data.notes == (f'"{prompt}" and "{answer}" are taken as instruction and answer: 4 rows',)


def test_what_an_instruction_is_about_stands_below_it(lines):
    rows = [{"instruction": "Add.", "input": "1 and 2", "output": "3"}] * 3
    data = load(lines([*rows, {"instruction": "Sing.", "input": "", "output": "La."}]))
    assert data.items[0].prompt == (Message("user", "Add.\n\n1 and 2"),)
    assert data.items[3].prompt == (Message("user", "Sing."),)
    assert data.notes == (
        '"instruction" (with "input" below it) and "output" are taken as instruction and answer: 4 rows',
    )


@pytest.mark.parametrize("name", ["messages", "conversations"])
def test_chats(lines, name):
    data = load(lines([{name: row["messages"]} for row in CHATS]))
    turns = (Message("user", "Hello 2"), Message("assistant", "Yes?"), Message("user", "Who?"))
    assert data.items[2] == Conversation(turns, "Me, 2")
    assert data.notes == (f'"{name}" is taken as a conversation that ends with the answer: 6 rows',)


def test_preference_rows(lines):
    data = load(lines(PREFERRED))
    row = data.items[4]
    assert row == Preference((Message("user", "Say 4."),), "4", "No, not 4.")
    assert (row.chosen_row, row.rejected_row) == (Conversation(row.prompt, "4"), Conversation(row.prompt, "No, not 4."))
    assert data.notes == (
        '"prompt", "chosen" and "rejected" are taken as the prompt, the better and the worse answer: 6 rows',
    )


def test_preferences_as_messages(lines):
    turns = [user("Hi"), assistant("Yes?"), user("Who?")]
    prompt = tuple(Message(turn["role"], turn["content"]) for turn in turns)
    better, worse = [assistant("Me.")], [assistant("Go away.")]
    whole = {"chosen": turns + better, "rejected": turns + worse}
    for record in ({"prompt": turns, "chosen": better, "rejected": worse}, {"prompt": turns, **whole}, whole):
        data = load(lines([record] * 4))
        assert set(data.items) == {Preference(prompt, "Me.", "Go away.")}
    assert data.notes == ('"chosen" and "rejected" are taken as the better and the worse conversation: 4 rows',)
    short = {"chosen": [user("Hi"), *better], "rejected": [user("Hi"), *worse]}
    assert load(lines([{"prompt": "Hi", **short}] * 4)).items[0].prompt == (Message("user", "Hi"),)


def test_preferences_come_before_messages_and_the_rest_is_said(lines):
    rows = [{**row, "messages": CHATS[0]["messages"], "score": "9"} for row in PREFERRED]
    data = load(lines(rows))
    assert isinstance(data.items[0], Preference)
    assert data.notes[1:] == ('columns not used: "messages" and "score"',)


def test_two_formats_of_instruction_rows_in_one_file(lines):
    data = load(lines([*ASKED, *CHATS]))
    assert [row.answer for row in data.items[5:7]] == ["It is 10.", "Me, 0"]
    assert data.notes == (
        '"messages" is taken as a conversation that ends with the answer, "prompt" and "response" are taken as '
        "instruction and answer: 12 rows",
    )


def test_groups_and_split_are_honoured(lines):
    rows = [{**row, "document": f"d{i % 2}", "split": "test" if i > 3 else "train"} for i, row in enumerate(ASKED)]
    data = load(lines(rows))
    assert data.groups == ("d0", "d1") * 3
    assert data.split == ("train",) * 4 + ("test",) * 2
    assert data.notes[1:] == (
        'column "document" is taken as the group: 2 different values in 6 rows, never split across folds; '
        "use --group to choose another",
        'column "split" is honoured as the split: 4 rows to train, 2 to test',
    )
    assert load(lines(rows), group="", split="").groups is None
    assert load(lines(rows), group="split", split="").groups == data.split


def test_lists_frames_tables_and_json_arrays_hold_the_same_rows(tmp_path, lines):
    frame = pd.DataFrame(CHATS)
    frame.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "rows.json").write_text(json.dumps(CHATS))
    csv = pd.DataFrame({"messages": [json.dumps(row["messages"]) for row in CHATS]})
    csv.to_csv(tmp_path / "rows.csv")  # with the index of the frame as a column without a name
    expected = load(lines(CHATS)).items
    for source in (CHATS, frame, pd.read_parquet(tmp_path / "rows.parquet"), tmp_path / "rows.parquet",
                   tmp_path / "rows.json", tmp_path / "rows.csv"):  # fmt: skip
        assert load(source).items == expected


def test_a_list_of_dictionaries_can_hold_labelled_texts():
    data = load([{"text": f"sentence {i} here", "topic": "ab"[i % 2]} for i in range(6)])
    assert (data.modality, data.classes, len(data)) == ("text", ("a", "b"), 6)


# Tables of classes -------------------------------------------------------------------------------------------------

SORTED = [{"text": f"sentence number {i} here", "label": "ab"[i % 2]} for i in range(8)]


def test_a_table_of_classes_as_language(lines):
    data = load(lines(SORTED), modality="language")
    assert data.items[1] == Conversation((Message("user", "sentence number 1 here"),), "b")
    assert (data.modality, data.labels, data.input) == ("language", ("a", "b") * 4, "text")
    assert data.notes[-1] == "a language model is to answer each text with one of 2 labels"
    same = load([row["text"] for row in SORTED], labels=[row["label"] for row in SORTED], modality="language")
    assert (same.items, same.labels) == (data.items, data.labels)


def test_what_could_be_classes_stays_classes(lines):
    rows = [{"prompt": f"sentence number {i} here", "response": "no", "label": "ab"[i % 2]} for i in range(8)]
    assert load(lines(rows), input="prompt").modality == "text"
    assert load(lines([{**row, "response": i} for i, row in enumerate(rows)])).labels == ("a", "b") * 4
    assert load(lines(ASKED + ASKED), label="response").modality == "text"
    assert load(lines([{"messages": row["text"], "label": row["label"]} for row in SORTED])).modality == "text"
    data = load(lines(rows), modality="language")
    assert (data.labels, data.items[0].answer) == (None, "no")
    assert load(lines(rows), modality="language", label="label", input="prompt").items[1].answer == "b"


def test_rows_with_a_category_that_cannot_be_read_as_classes_are_rows(lines):
    rows = [{"instruction": f"tell me of {i}", "context": f"some {i} words", "response": f"all {i} of it",
             "category": "ab"[i % 2]} for i in range(8)]  # fmt: skip
    data = load(lines(rows))
    assert data.items[0] == Conversation((Message("user", "tell me of 0\n\nsome 0 words"),), "all 0 of it")
    assert data.notes[1:] == ('column not used: "category"',)


def test_a_folder_holds_no_rows(tmp_path):
    with pytest.raises(OptionError) as error:
        load(tmp_path, modality="language")
    assert str(error.value) == (
        f"modality must be image or sound for a folder ({tmp_path}), got 'language'. "
        'Write the rows into a JSON lines file with "prompt" and "response".'
    )


# Bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"prompt": "a"}, '"response" is empty'),
        ({"prompt": "a", "response": " \n"}, '"response" is empty'),
        ({"response": "a"}, '"prompt" is empty'),
        ({"prompt": None, "response": "a"}, '"prompt" is empty'),
        ({"prompt": {"a": 1}, "response": "a"}, '"prompt" must be a text or messages, got dict'),
        ({"prompt": "a", "response": {"a": 1}}, '"response" must be a text, got dict'),
        (
            "{broken",
            "line 21 is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))",
        ),
    ],
)
def test_a_row_that_is_no_instruction_is_left_out_and_said(lines, record, why):
    data = load(lines([*(ASKED * 4)[:20], record, *ASKED]))
    assert len(data) == 26
    assert data.rows == (*range(20), *range(21, 27))
    assert [reason.removeprefix("line 21: ") for reason in data.unreadable.values()] == [why]


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([user("a")], '"messages" must end with a message of the assistant, got one of the user'),
        ([], '"messages" must end with a message of the assistant, got none at all'),
        ([assistant("a")], 'what stands before the answer in "messages" must end with a message of the user, got none '
         "at all"),
        ([user("a"), assistant("b"), assistant("c")], 'what stands before the answer in "messages" must end with a '
         "message of the user, got one of the assistant"),
        ([{"role": "robot", "content": "a"}], 'message 1 of "messages" has the role "robot", which must be system, '
         "user or assistant"),
        ([user("a"), assistant("")], 'message 2 of "messages" is empty'),
        (None, '"messages" is empty'),
        ("Hi", '"messages" must be a list of messages, got str'),
    ],
)  # fmt: skip
def test_a_row_that_is_no_chat_is_left_out_and_said(lines, turns, why):
    data = load(lines([*CHATS, *CHATS, {"messages": turns}]))
    assert len(data) == 12
    assert data.unreadable == {12: f"line 13: {why}"}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": " b "}, '"chosen" and "rejected" are the same'),
        ({"prompt": "a", "chosen": "b"}, '"rejected" is empty'),
        ({"prompt": "a"}, '"chosen" is empty'),
        ({"chosen": "b", "rejected": "c"}, '"prompt" is empty'),
        ({"prompt": "a", "chosen": [user("z"), assistant("b")], "rejected": "c"}, 'the messages before the last of '
         '"chosen" are not the prompt'),
        ({"prompt": "a", "chosen": "b", "rejected": [user("b")]}, '"rejected" must end with a message of the '
         "assistant, got one of the user"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_preference_is_left_out_and_said(lines, record, why):
    data = load(lines([*PREFERRED, *PREFERRED, record]))
    assert len(data) == 12
    assert data.unreadable == {12: f"line 13: {why}"}


def test_more_than_a_tenth_of_such_rows_is_too_much(refusal):
    assert refusal([*ASKED, {"prompt": "a", "response": ""}]) == (
        '1 of 7 rows in rows.jsonl cannot be used, more than a tenth; the first is line 7: "response" is empty. '
        "Repair or remove them."
    )


def test_instructions_and_preferences_in_one_file(refusal):
    assert refusal([*ASKED, *PREFERRED[:5]]) == (
        "rows.jsonl mixes 6 instruction rows and 5 preference rows, which are learned in different ways. "
        "Put each kind into a file of its own."
    )


@pytest.mark.parametrize(("count", "rows"), [(1, "1 row"), (3, "3 rows")])
def test_too_few_rows(refusal, count, rows):
    message = "to learn from; at least 4 are needed, to learn from some and to hold out others. Add rows."
    assert refusal(ASKED[:count]) == f"rows.jsonl has {rows} {message}"
    tested = [{**row, "split": "test"} for row in ASKED]
    assert (
        refusal([*({**row, "split": "train"} for row in ASKED[:count]), *tested]) == f"rows.jsonl has {rows} {message}"
    )


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"prompt": "Who is it?"}, '"prompt"'),
        ({"prompt": "Who is it?", "chosen": "me"}, '"prompt" and "chosen"'),
        ({"chosen": "a", "rejected": "b"}, '"chosen" and "rejected"'),
        ({"messages": "Hi"}, '"messages"'),
    ],
)
def test_columns_that_are_missing(refusal, record, found):
    advice = (
        'Give a prompt and a response, "messages" that end with the answer, or a prompt with "chosen" and "rejected".'
    )
    message = f"rows.jsonl has {found} but not all that a row needs (columns: {', '.join(record)}). {advice}"
    assert refusal([record] * 5) == message
    assert refusal([record] * 5, modality="language") == message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_other_encodings(lines, encoding):
    rows = [{"prompt": f"Où est le café {i} ?", "response": "Là-bas, à côté."} for i in range(8)]
    data = load(lines(rows, encoding))
    assert data.items[0] == Conversation((Message("user", "Où est le café 0 ?"),), "Là-bas, à côté.")
    name = {"utf-16": "UTF-16", "utf-16-le": "UTF-16", "latin-1": "Windows-1252"}.get(encoding)
    said = "is read as" in data.notes[0]
    assert said == bool(name)
    assert not name or data.notes[0].startswith(f"rows.jsonl is read as {name}, because it is not UTF-8")


# Any records -------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
turns = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), texts), max_size=4)


@given(system=st.none() | texts, turns=turns, last=texts, answer=texts)
def test_a_conversation_comes_back_from_its_record(system, turns, last, answer):
    prompt = tuple(Message(role, text) for role, text in [*turns, ("user", last)])
    prompt = prompt if system is None else (Message("system", system), *prompt)
    record = [{"role": turn.role, "content": turn.content} for turn in prompt]
    whole = [*record, assistant(answer)]
    wanted = (Conversation(prompt, answer), "")
    assert read_row({"m": whole}, Fields(messages="m")) == wanted
    assert read_row({"m": json.dumps(whole)}, Fields(messages="m")) == wanted
    assert read_row({"p": record, "a": [assistant(answer)]}, Fields(prompt="p", answer="a")) == wanted
    assert asked(record) == prompt


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["user", "assistant"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "text", ""]), inner, max_size=3)
    ),
    max_leaves=12,
)
names = ["prompt", "response", "messages", "chosen", "rejected", "instruction", "input", "output", "label", "split", ""]


@given(st.lists(st.dictionaries(st.sampled_from(names), anything, min_size=1), min_size=1, max_size=6))
def test_any_records_are_read_or_refused_in_words(records):
    try:
        data = load(records)
    except HandfulError as error:
        assert str(error).endswith(".")
        return
    assert len({type(item) for item in data.items}) == 1
    assert len(data) + len(data.unreadable) == len(records)
    assert all(len(item_hash(item)) == 64 for item in data.items)


@given(st.text())
def test_a_text_is_no_list_of_messages(text):
    assert messages_in(text) in (None, [])


# The name of an item -----------------------------------------------------------------------------------------------


def test_rows_are_named_by_all_they_hold():
    one, two = (Message("user", "a"),), (Message("system", "a"),)
    rows = [Conversation(one, "b"), Conversation(one, "c"), Conversation(two, "b"), Preference(one, "b", "c"),
            Preference(one, "c", "b"), Conversation((*one, *one), "b")]  # fmt: skip
    assert len({item_hash(row) for row in rows}) == len(rows)
    assert item_hash(Conversation((Message("user", "a"),), "b")) == item_hash(rows[0])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Say it TWICE, twice!", ["say", "it", "twice", "twice"]),
        ("don't _x_ 7.5", ["don", "t", "_x_", "7", "5"]),
        ("猫が好き", ["猫", "が", "好", "き", "猫が", "が好", "好き"]),
        ("买iPhone手机", ["买", "iphone", "手", "机", "手机"]),
        ("ﾈｺ", ["ﾈ", "ｺ", "ﾈｺ"]),
        ("?!", []),
    ],
)  # fmt: skip
def test_texts_are_compared_by_words_or_letters(text, found):
    assert pieces(text) == found
