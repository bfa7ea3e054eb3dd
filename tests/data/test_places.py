"""Rows are called what a person sees: a file, an ID, a line of the spreadsheet; a number from 0 where Python counts."""

import json
from pathlib import Path

import pytest

import handful
from handful.data.dataset import Dataset
from handful.data.places import Places, id_column, name_of


def called(source, count=4, **options):
    data = handful.load(source, **options)
    return [data.called(i) for i in range(count)]


def written(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_a_spreadsheet_counts_the_names_and_blank_lines_and_no_row_has_several_lines(tmp_path):
    file = written(tmp_path, "a.csv", 'text,label\nx,a\n\n"y\nz",b\nw,a\nv,b\n')
    assert called(file) == ["line 2", "line 4", "line 5", "line 6"]


def test_a_row_that_cannot_be_used_is_counted_too(tmp_path):
    rows = "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(20))
    file = written(tmp_path, "a.csv", f"text,label\n{rows[:9]}x,a,c\n{rows[9:]}")
    assert handful.load(file).unreadable == {1: "line 3 has 3 cells where the first line has 2"}
    assert called(file)[:2] == ["line 2", "line 4"]


def test_lines_of_json_are_counted_from_one_and_entries_of_a_list_too(tmp_path):
    rows = [json.dumps({"text": f"text {i}", "label": "ab"[i % 2]}) for i in range(4)]
    assert called(written(tmp_path, "a.jsonl", "\n\n".join(rows))) == ["line 1", "line 3", "line 5", "line 7"]
    assert called(written(tmp_path, "a.json", f"[{','.join(rows)}]"), 2) == ["entry 1", "entry 2"]


def test_what_has_no_lines_is_counted_as_python_does():
    data = handful.load(["a", "b", "c", "d"], labels=["x", "y"] * 2)
    assert data.called(3) == "row 3"


def test_an_id_comes_before_a_line(tmp_path):
    rows = "".join(f"{20300 + 7 * i},text {i},{'ab'[i % 2]}\n" for i in range(4))
    file = written(tmp_path, "a.csv", f"ticket_id,text,topic\n{rows}")
    assert called(file, 2) == ["ticket_id 20300", "ticket_id 20307"]
    assert handful.load(file).take([3]).called(0) == "ticket_id 20321"


def test_rows_of_instructions_are_called_in_the_same_way(tmp_path):
    rows = [json.dumps({"id": f"q{i}", "prompt": f"Ask {i}", "response": f"Say {i}"}) for i in range(6)]
    assert called(written(tmp_path, "a.jsonl", "\n".join(rows)), 2) == ["id q0", "id q1"]


@pytest.mark.parametrize("name", ["id", "ID", "ticket_id", "TicketID", "orderId", "Order No.", "number", "uuid"])
def test_columns_of_ids_are_known_by_their_names(name):
    assert id_column({"text": ["a", "b"], name: ["1", "2"]}, {"text"}) == name


@pytest.mark.parametrize("name", ["paid", "valid", "casino", "monkey", "text", "Grid"])
def test_other_columns_are_no_ids(name):
    assert id_column({name: ["1", "2"]}, set()) == ""


@pytest.mark.parametrize("values", [["1", "1"], ["1", ""], ["1", None], ["1", "x" * 41], ["1", [2]]])
def test_ids_are_there_short_and_different(values):
    assert id_column({"id": values}, set()) == ""


def test_a_column_that_is_used_names_no_rows():
    assert id_column({"speaker_id": ["1", "2"]}, {"speaker_id"}) == ""


@pytest.mark.parametrize(
    ("rows", "said"),
    [([3], "line 5"), ([3, 8], "lines 5 and 10"), (range(1, 7), "lines 3, 4, 5, 6, 7 and 8"),
     (range(1, 20), "lines 3, 4, 5, 6, 7, 8 and 13 more")],
)  # fmt: skip
def test_several_rows_share_one_noun(rows, said):
    assert Places(range(2, 40), "line").called_together(rows) == said


def test_entries_and_ids_are_told_together():
    assert Places(range(1, 9), "entry").called_together([0, 2]) == "entries 1 and 3"
    ids = Places(range(2, 9), "line", "id", {0: "A 1", 2: "B"})
    assert ids.called_together([0, 2]) == "id A 1 and B"
    assert ids.called_together([0, 1]) == "id A 1 and line 3"


def test_a_file_is_named_below_its_source():
    assert name_of(Path("photos/a/1.png"), 0, Places(), "photos") == "a/1.png"
    assert name_of(Path("photos/a/1.png"), 0, Places(), "table.csv") == "1.png"
    assert name_of(Path("photos/a/1.png"), 0, Places()) == "photos/a/1.png"
    assert "\x1b" not in name_of(Path("photos/\x1b.png"), 0, Places(), "photos")


def test_files_are_named_together_and_so_many_at_most():
    files = Dataset(tuple(Path(f"{i}.png") for i in range(4)), "image")
    assert files.called_together([0, 2]) == "0.png, 2.png"
    assert files.called_together([0, 1, 2, 3], 2) == "0.png, 1.png and 2 more"
    texts = Dataset(("a", "b", "c"), "text", rows=(4, 5, 6))
    assert texts.called_together([0, 2]) == "rows 4 and 6"
