"""Columns of targets: what each is taken for, how its cells are written, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.data.readers import load
from handful.data.target_column import read_column, read_indicators
from handful.data.targets import (
    CLASSES,
    LABELS,
    NO_LABEL,
    NUMBERS,
    RATINGS,
    join_labels,
    labels_in,
    rating_order,
)
from handful.errors import DataError, OptionError

FRACTIONS = [f"{0.37 * i:.2f}" for i in range(40)]
TAGS = ["red", "blue", "red;blue", "green", "blue;green", "red", "blue", "green;red"] * 5
TWENTY = [str(i) for i in range(20)]


@pytest.mark.parametrize(
    ("cells", "name", "task"),
    [
        (["ants", "bees"] * 20, "label", CLASSES),
        (["0", "1"] * 20, "label", CLASSES),
        (["1", "2", "3"] * 10, "label", CLASSES),
        (["1", "2", "3"] * 10, "urgency", RATINGS),
        (["1", "2", "3"] * 10, "customer_rating", RATINGS),
        (["1", "2", "3", "4", "5"] * 8, "label", RATINGS),
        (["low", "High", "medium"] * 10, "label", RATINGS),
        (["good", "bad"] * 10, "label", CLASSES),
        (FRACTIONS, "label", NUMBERS),
        ([f"{i % 12 + 0.5}" for i in range(60)], "label", NUMBERS),
        ([f"{i % 6 + 0.5}" for i in range(60)], "label", CLASSES),
        ([f"{i % 6 + 0.5}" for i in range(60)], "stars", RATINGS),
        ([*FRACTIONS, "n/a"], "label", NUMBERS),
        (["3,5", "2", "1,25", "7"] * 10 + [f"{i},5" for i in range(30)], "label", NUMBERS),
        ([str(17 * i) for i in range(60)], "amount", NUMBERS),
        (TWENTY * 5, "label", CLASSES),
        (TAGS, "label", LABELS),
        ([text.replace(";", ", ") for text in TAGS], "label", LABELS),
        (["Smith, Anna", "Jones, Bob"] * 10, "label", CLASSES),
        ([json.dumps(text.split(";")) for text in TAGS], "label", LABELS),
        ([text.split(";") for text in TAGS], "label", LABELS),
        ([["a"], ["b"]] * 10, "label", CLASSES),
        ([["a"], []] * 10, "label", LABELS),
        (["2024-01-05", "2024-02-05"] * 10, "label", CLASSES),
    ],
)  # fmt: skip
def test_what_a_column_is_taken_for(cells, name, task):
    assert read_column(cells, name, None).task == task


def test_a_guess_that_could_be_another_is_said_with_the_way_to_overrule_it():
    (note,) = read_column(["1", "2", "3"] * 10, "label", None).notes
    assert note == (
        'the 3 different values of column "label" are numbers and are taken as classes; if they are ratings use '
        "--task ordinal, if they are amounts --task regression"
    )
    (note,) = read_column(["1", "2", "5"] * 10, "stars", None).notes
    assert note == (
        'column "stars" holds the ratings 1, 2, 5: taken in this order; use --task classification or regression to '
        "take them otherwise"
    )
    (note,) = read_column(TAGS, "tags", None).notes
    assert note == (
        'labels in column "tags" are joined by ";": any number of them may be right; use --task classification to take '
        "each cell as one class"
    )
    (note,) = read_column(["low", "high", "medium"] * 9, "effort", None).notes
    assert note == (
        'column "effort" holds levels of a scale (low, medium, high): taken as ratings in this order; use --task '
        "classification for classes without an order"
    )
    (note,) = read_column([["a"], ["b"]] * 9, "tags", None).notes
    assert note == 'each cell of column "tags" holds one label: taken as classes; use --task multilabel for several'


def test_a_task_that_is_named_overrules_the_guess():
    for task in (CLASSES, RATINGS, NUMBERS):
        assert read_column(["1", "2", "3"] * 10, "label", task).task == task
        assert read_column(["1", "2", "3"] * 10, "label", task).cells == ["1", "2", "3"] * 10
    assert read_column(TAGS, "label", CLASSES).cells == TAGS
    assert read_column(["red", "blue"] * 4, "label", LABELS).notes == (
        'no cell of column "label" holds more than one label',
    )


def test_numbers_are_written_in_one_way():
    column = read_column(["+3,50", "2", "-1,25", "", None], "price", NUMBERS)
    assert column.cells == ["3.50", "2", "-1.25", "", ""]
    assert column.notes == ('commas in the numbers of column "price" are read as decimal commas',)
    assert read_column([4.0, 5, "6.0", np.float32(2.5)], "price", NUMBERS).cells == ["4", "5", "6", "2.5"]


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("2024-01-05", 'price must be a number, got "2024-01-05"'),
        ("nan", 'price must be a finite number, got "nan"'),
        ("inf", 'price must be a finite number, got "inf"'),
        ("1e999", 'price must be a finite number, got "1e999"'),
        ("1_000", 'price must be a number, got "1_000"'),
        ("dear", 'price must be a number, got "dear"'),
    ],
)
def test_what_is_no_number_is_left_out_with_the_reason(cell, why):
    column = read_column(["1.5", cell, "2.5"], "price", NUMBERS)
    assert column.cells == ["1.5", "", "2.5"]
    assert column.wrong == {1: why}


def refusal(make):
    with pytest.raises(DataError) as caught:
        make()
    return str(caught.value)


def test_commas_that_may_stand_before_thousands_are_refused():
    assert refusal(lambda: read_column(["1,250", "3,000", "12"], "price", NUMBERS)) == (
        'column "price" holds numbers such as "1,250", where the comma may stand before thousands or before decimals. '
        "Write them with a point before the decimals and nothing before thousands."
    )


def test_a_column_of_two_kinds_is_refused():
    cells = [*FRACTIONS, *["broken"] * 12]
    assert refusal(lambda: read_column(cells, "price", None)) == (
        'column "price" holds numbers in 40 rows and something else in 12, such as "broken" (row 40). Correct these '
        "rows, or take each value as a class with --task classification."
    )


def test_rows_of_a_table_are_called_by_line_or_id(tmp_path):
    file = tmp_path / "prices.csv"
    rows = [f"item {i},{cell}" for i, cell in enumerate([*FRACTIONS, *["broken"] * 12])]
    file.write_text("\n".join(["text,price", *rows]))
    assert 'such as "broken" (line 42). Correct these' in refusal(lambda: load(file, label="price"))
    rows = [f"item {i},{cell},T-{i}" for i, cell in enumerate([*FRACTIONS, *["broken"] * 12])]
    file.write_text("\n".join(["text,price,ticket_id", *rows]))
    assert 'such as "broken" (ticket_id T-40). Correct these' in refusal(lambda: load(file, label="price"))
    file.write_text("text,red,blue\nfirst,1,0\nsecond,0,maybe\n")
    assert 'got "maybe" in line 3. Correct it' in refusal(lambda: load(file, label="red,blue"))
    file.write_text('text,tags\nfirst,red\nsecond,"{""name"": ""red""}"\n')
    assert 'got an object with "name" in line 3. Write' in refusal(lambda: load(file, label="tags"))


def test_ratings_in_words_without_a_known_order_are_refused():
    assert refusal(lambda: rating_order({"meh", "wow"}, "t.csv")) == (
        "the ratings of t.csv must be numbers or levels of a known scale, such as low, medium, high, got "
        '"meh" and "wow". Write numbers in place of words, or use --task classification.'
    )
    assert refusal(lambda: rating_order(set(map(str, range(31))), "t.csv")) == (
        "t.csv has 31 different ratings, more than 30. Take them as numbers with --task regression."
    )


def test_ratings_are_ordered_by_size_or_by_their_scale():
    assert rating_order({"10", "9", "-1", "2.5"}, "t.csv") == ("-1", "2.5", "9", "10")
    assert rating_order({"Good", "poor", "Excellent"}, "t.csv") == ("poor", "Good", "Excellent")


def test_columns_of_0_and_1_are_labels():
    column = read_indicators({"late": [1, "0", "yes"], "rude": ["0", "", "x"]}, "t.csv")
    assert column.cells == ["late", NO_LABEL, "late|rude"]
    assert column.notes == ('columns "late" and "rude" are the labels: any number of them may be right',)
    assert refusal(lambda: read_indicators({"late": ["1", "0"], "rude": ["0", "2"]}, "t.csv")) == (
        'column "rude" of t.csv is one of several labels and must hold 1 or 0 (or yes and no) in every row, got "2" in '
        "row 1. Correct it, or name a single column with --label."
    )


def test_a_label_that_holds_what_joins_labels_is_refused():
    assert refusal(lambda: read_column([["a|b"], ["c"]], "tags", None)) == (
        'a label must not contain "|", which stands between labels in answers, got "a|b". Rename it.'
    )


def test_a_cell_that_is_no_list_among_lists_is_left_out():
    column = read_column([["a", "b"], "a", ["b"], None], "tags", None)
    assert column.wrong == {1: "tags must be a list of labels, as in other rows, got 'a'"}
    assert column.cells == ["a|b", "", "b", ""]


def test_an_unknown_task_is_refused():
    with pytest.raises(OptionError) as caught:
        load(["a", "b"], labels=["x", "y"], task="spans")
    assert str(caught.value) == (
        "task must be one of classification, multilabel, ordinal, regression, tagging, events, defects, masks, boxes, "
        "got 'spans'. Choose one of these, or leave it out."
    )


@given(st.lists(st.text("abc ;,", min_size=1).map(str.strip).filter(bool), unique=True, max_size=4))
def test_labels_are_joined_and_parted_again(names):
    assert labels_in(join_labels(names)) == tuple(names)


@given(st.lists(st.one_of(st.text(max_size=12), st.floats(), st.integers(), st.none(), st.lists(st.text(max_size=4)))))
def test_any_column_is_read_or_refused_with_a_sentence(cells):
    try:
        column = read_column(cells, "label", None)
    except DataError as error:
        assert str(error).endswith(".")
        return
    assert len(column.cells) == len(cells)
    assert all(column.cells[i] == "" for i in column.wrong)


# Tables -----------------------------------------------------------------------------------------------------------


def table(file, header, rows):
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def test_several_columns_are_named_with_commas(tmp_path):
    rows = [f"some words {i},{i % 2},{i % 3 // 2},note {i}" for i in range(24)]
    data = load(table(tmp_path / "t.csv", "text,late,rude,remark", rows), label="late, rude", input="text")
    assert data.task == LABELS
    assert data.labels[:4] == (NO_LABEL, "late", "rude", "late")
    assert data.classes == ("late", "rude")
    assert data.counts == {"late": 12, "rude": 8}


def test_a_column_of_amounts_is_found_where_nothing_can_be_a_class(tmp_path):
    rows = [f"some words {i},{0.5 + i}" for i in range(24)]
    data = load(table(tmp_path / "t.csv", "text,hours", rows))
    assert (data.task, data.target, data.spread > 0) == (NUMBERS, "hours", True)


def test_all_targets_equal_are_refused(tmp_path):
    rows = [f"some words {i},3.5" for i in range(24)]
    path = table(tmp_path / "t.csv", "text,hours", rows)
    assert refusal(lambda: load(path, label="hours", task="regression")).endswith(
        'have the same label, "3.5" (column "hours"): nothing can be told apart. Choose another column with --label, '
        "or correct the labels."
    )


def test_a_label_on_every_row_and_one_that_occurs_once_are_said(tmp_path):
    rows = [f"some words {i},always;{'odd' if i % 2 else 'even'}{';once' * (i == 3)}" for i in range(24)]
    data = load(table(tmp_path / "t.csv", "text,tags", rows), task="multilabel")
    assert data.notes[-2:] == (
        '"always" is on every row, so that nothing is learned about it',
        'one row only has "once": whether it is recognised cannot be measured',
    )


def test_a_folder_holds_classes(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OptionError) as caught:
        load(tmp_path, task="regression")
    assert str(caught.value) == (
        f"task must be classification, defects, masks or boxes for a folder ({tmp_path}), whose sub-folders are "
        "classes, got regression. Write a table with the names of the files and their labels."
    )


def test_copies_contradict_each_other_where_numbers_are_far_apart():
    data = load([f"item {i}" for i in range(20)], labels=[float(i) + 0.5 for i in range(20)])
    assert data.task == NUMBERS
    assert not data.contradicts((0, 1)) and data.contradicts((0, 10))
    words = load(["a", "b", "c"] * 4, labels=["x", "y", "x"] * 4)
    assert words.contradicts((0, 1)) and not words.contradicts((0, 2))
