"""JSON files that are one object: columns, rows below a name, what pandas writes; and what is no table."""

import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handful.data.readers import load
from handful.data.tables import collect, open_table
from handful.errors import DataError

FRAME = pd.DataFrame({"text": [f"some words {i}" for i in range(12)], "label": ["a", "b"] * 6})


@pytest.fixture
def write(tmp_path):
    def written(text):
        (tmp_path / "a.json").write_text(text if isinstance(text, str) else json.dumps(text, indent=2))
        return tmp_path / "a.json"

    return written


@pytest.mark.parametrize("orient", ["columns", "index", "split", "table", "records"])
@pytest.mark.parametrize("indent", [None, 2])
def test_what_pandas_writes(write, orient, indent):
    path = write(FRAME.to_json(orient=orient, indent=indent))
    columns = collect(open_table(path))
    assert {name: list(cells) for name, cells in columns.cells.items()} == FRAME.to_dict("list")
    assert load(path).counts == {"a": 6, "b": 6}


@pytest.mark.parametrize(
    "whole",
    [
        {"data": FRAME.to_dict("records")},
        {"version": "1.1", "rows": FRAME.to_dict("records"), "info": {"by": "me"}},
        FRAME.to_dict("list"),
    ],
)
def test_rows_below_a_name_and_lists_of_cells(write, whole):
    assert load(write(whole)).counts == {"a": 6, "b": 6}


def test_texts_with_their_categories_as_spacy_has_them(write):
    rows = [
        [text, {"cats": {"A": int(name == "a"), "B": int(name == "b")}}] for text, name in FRAME.to_numpy().tolist()
    ]
    data = load(write(rows))
    assert (data.items, data.counts) == (FRAME["text"].tolist(), {"A": 6, "B": 6})


@pytest.mark.parametrize(
    "row",
    [
        {"text": "x", "label": 1}, {"text": "x", "tags": ["a"], "options": [{"id": 1}]}, {"n": 1},
        {"messages": [{"role": "user", "content": "Hi"}]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_one_object_with_a_text_or_turns_is_one_row(tmp_path, row, name):
    (tmp_path / name).write_text(json.dumps(row))
    (record,) = open_table(tmp_path / name).values()
    assert record == row


def test_lines_are_lines_also_where_there_is_one(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"data": [{"x": 1}, {"x": 2}]}')
    assert len(collect(open_table(tmp_path / "a.jsonl"))) == 1


def test_an_object_that_is_no_table(write, tmp_path):
    for whole in ({"model": {"a": [1]}, "b": 2}, {"cats": [{"text": "x"}], "dogs": [{"text": "y"}]}):
        with pytest.raises(DataError) as error:
            load(write(whole))
        first, second = whole
        assert str(error.value) == (
            f'{tmp_path}/a.json must be rows, got one JSON object that holds "{first}" and "{second}". Give a list of '
            'objects, or write one per line, such as {"text": "…", "label": "…"}.'
        )


def test_paragraphs_with_questions(write, tmp_path):
    with pytest.raises(DataError) as error:
        load(write({"version": "v2.0", "data": [{"title": "x", "paragraphs": []}]}))
    assert str(error.value) == (
        f"{tmp_path}/a.json holds paragraphs with questions in them, as SQuAD does, not rows. Write one object per "
        'question, with "context", "question" and "answer".'
    )


def test_a_broken_first_line_does_not_hide_the_others(write):
    rows = [json.dumps(row) for row in FRAME.to_dict("records")]
    columns = collect(open_table(write("\n".join(["{broken", *rows]))))
    assert (len(columns), list(columns.broken)) == (12, [0])


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["data", "columns", "schema", "index", "text", "0"]), _VALUES, max_size=4))
def test_any_object_is_read_or_refused_in_words(write, whole):
    try:
        collect(open_table(write(whole)))
    except DataError as error:
        assert ". " in str(error)
