"""Labels that are packed in something: lists, arrays, one-hot rows, objects; opened, or refused by name."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handful.data.readers import load
from handful.data.target_column import read_column
from handful.data.targets import CLASSES, LABELS, NUMBERS, RATINGS
from handful.errors import DataError

TEXTS = [f"some words {i}" for i in range(12)]


@pytest.fixture
def refusal():
    def refused(cells, task=None, name="label"):
        with pytest.raises(DataError) as error:
            read_column(cells, name, task)
        return str(error.value)

    return refused


@pytest.mark.parametrize(
    "pack",
    [
        lambda x: [x],
        lambda x: (x,),
        lambda x: {x},
        lambda x: [[x]],
        lambda x: np.array(x),
        lambda x: np.array([x]),
        lambda x: torch.tensor(x),
        lambda x: torch.tensor([x]),
    ],
)
@pytest.mark.parametrize("task", [None, CLASSES])
def test_a_label_that_is_alone_is_unpacked(pack, task):
    column = read_column([pack(3), pack(4)] * 6, "label", task)
    assert (column.task, column.cells, column.wrong) == (CLASSES, ["3", "4"] * 6, {})


def test_one_number_or_rating_in_a_list_is_that():
    assert read_column([[2.5], [1.0], []], "price", NUMBERS).cells == ["2.5", "1", ""]
    assert read_column([[2], [1]], "stars", RATINGS).cells == ["2", "1"]
    assert read_column([b"ham", b"spam"], "label", CLASSES).cells == ["ham", "spam"]


@pytest.mark.parametrize("make", [list, tuple, np.array, torch.tensor])
def test_one_hot_rows_are_the_number_of_their_class(make):
    column = read_column([make([1, 0, 0]), make([0, 0, 1]), None, make([0.0, 1.0, 0.0])], "label", None)
    assert (column.task, column.cells, column.label_type) == (CLASSES, ["0", "2", "", "1"], "int")
    assert column.notes == (
        'each row of column "label" is 0 but for a single 1: its place, from 0 to 2, is taken as the class',
    )
    assert read_column(np.eye(2)[[0, 1, 1]], "labels=", CLASSES).cells == ["0", "1", "1"]
    assert read_column(["[0, 1]", "[1, 0]"], "label", None).cells == ["1", "0"]
    assert read_column([[True, False], [False, True]], "label", None).cells == ["0", "1"]


def test_rows_of_0_and_1_with_several_ones_are_several_labels():
    column = read_column([[1, 0, 1], [0, 0, 0], [0, 1, 0]], "label", None)
    assert (column.task, column.cells, column.label_type) == (LABELS, ["0|2", "(none)", "1"], "int")
    assert column.notes[0] == (
        'the rows of column "label" hold 0 and 1: the places of the ones, from 0 to 2, are taken as labels'
    )


def test_numbers_of_labels_are_no_one_hot_rows():
    assert read_column([[1], [0, 1], [0]], "label", None).cells == ["1", "0|1", "0"]
    assert read_column([[1, 2], [0, 1]], "label", None).cells == ["1|2", "0|1"]


def test_several_labels_where_one_is_wanted_are_refused(refusal):
    assert refusal([["a"], ["a", "b"]], CLASSES, "tags") == (
        'column "tags" must hold one label in every row for --task classification, got "a" and "b" in row 1. '
        "Use --task multilabel, or write one label."
    )
    assert refusal([["a"], ["a", "b"]], RATINGS, "labels=").startswith("labels= must hold one label in every row")


def test_shares_are_no_labels(refusal):
    assert refusal([[0.9, 0.1], [0.2, 0.8]]) == (
        'column "label" must hold labels, got numbers with fractions in a list (0.9, 0.1; row 0). Write the class with '
        "the largest share, or one number."
    )
    assert "(0.25, 0.25, 0.25, …; row 0)" in refusal([torch.full((4,), 0.25)])


def test_other_objects_are_refused_by_name(refusal):
    assert refusal([{"name": "a", "score": 0.9}]) == (
        'column "label" must hold a class, a number or a list of labels in every row, got an object with "name" and '
        '"score" in row 0. Write the label itself, or objects such as {"good": 1, "bad": 0}.'
    )
    assert 'got an object with "POS" and "NEG" in row 1' in refusal([{"POS": 1, "NEG": 0}, {"POS": 0.7, "NEG": 0.3}])
    assert refusal([["a"], [{"name": "a"}]]) == (
        'column "label" must hold a label or a list of labels in every row, got a list with an object in it in row 1. '
        "Write the labels themselves."
    )
    assert "got a list with a list in it in row 0" in refusal([[["a"], ["b"]]])


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"cats": x}, lambda x: {"cats": x, "entities": []}])
def test_categories_of_spacy_are_read(wrap):
    column = read_column([wrap({"POS": 1.0, "NEG": 0.0}), wrap({"POS": 0, "NEG": True})] * 4, "cats", None)
    assert (column.task, column.cells, column.label_type) == (CLASSES, ["POS", "NEG"] * 4, "text")
    several = read_column([wrap({"A": 1, "B": 1}), wrap({"A": 0, "B": 0}), wrap({"A": 0, "B": 1})], "cats", None)
    assert (several.task, several.cells) == (LABELS, ["A|B", "(none)", "B"])


def test_choices_of_label_studio_are_read():
    cells = ["ants", '{"choices": ["ants", "bees"]}', "bees"]
    assert read_column(cells[1:2] * 2 + ['{"choices": ["bees"]}'], "kind", None).cells == ["ants|bees"] * 2 + ["bees"]
    assert read_column([{"choices": ["ants"]}, {"choices": ["bees"]}], "kind", None).cells == ["ants", "bees"]


def test_lists_and_objects_that_python_wrote_are_read():
    assert read_column(["['a', 'b']", "['a']", "[]"], "tags", None).cells == ["a|b", "a", "(none)"]
    assert read_column(["{'POS': 1, 'NEG': 0}", "{'POS': 0, 'NEG': 1}"], "cats", None).cells == ["POS", "NEG"]
    assert read_column(["['\\d']", "['b']"], "tags", None).cells == ["\\d", "b"]


def test_an_object_that_says_nothing_of_itself_is_refused(refusal):
    assert refusal(["a", object()]) == (
        'column "label" must hold a class, a number or a list of labels in every row, got an object of the type object '
        "in row 1. Write the label itself."
    )


def test_a_text_among_others_that_looks_like_a_list_is_a_text():
    cells = ["[1]", "plain", "[deleted]", "plain"]
    assert read_column(cells, "label", None).cells == cells
    assert read_column(cells, "label", CLASSES).cells == cells


def test_labels_of_a_list_are_unpacked_on_loading():
    assert load(TEXTS, labels=torch.tensor([0, 1] * 6)).classes == ("0", "1")
    assert load(TEXTS, labels=np.eye(3)[[0, 1, 2] * 4]).classes == ("0", "1", "2")
    assert load(TEXTS, labels=[["a"], ["b"]] * 6).counts == {"a": 6, "b": 6}
    assert load(TEXTS, labels=(name for name in "ab" * 6)).counts == {"a": 6, "b": 6}


@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=True) | st.text(max_size=4),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=6,
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([None, CLASSES, LABELS, RATINGS, NUMBERS]),
)
def test_whatever_is_in_a_cell_no_label_is_the_code_of_an_object(cells, task):
    try:
        column = read_column(cells, "label", task)
    except DataError:
        return
    texts = {cell for cell in cells if isinstance(cell, str)}
    assert len(column.cells) == len(cells)
    assert not any(cell.startswith(("{'", "['", "[[")) for cell in column.cells if cell not in texts)
