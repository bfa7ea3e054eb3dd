"""Cells that are too long: measured as the csv module would, and called so, with their row, column and length."""

import csv
import io
import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.data import delimited, json_files, long_cells, streams
from handful.data.long_cells import measured, whole_lines
from handful.data.streams import stream
from handful.data.tables import collect, open_table
from handful.errors import DataError

CELLS = st.lists(st.text(st.sampled_from('a",\n\r ü')), min_size=1)


@pytest.fixture
def short(monkeypatch):
    """Let ten characters be the most of a cell, and forty of a line."""
    for module in (delimited, long_cells, streams):
        monkeypatch.setattr(module, "LONGEST", 10)
    for module in (long_cells, json_files):
        monkeypatch.setattr(module, "LONGEST_LINE", 40)


def write(path, *rows, end="\n"):
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    return path


@given(CELLS, st.integers(1, 5))
def test_a_row_is_measured_as_it_is_read(cells, size):
    file = io.StringIO(newline="")
    csv.writer(file).writerow(cells)
    text = file.getvalue()
    parts = [text[i : i + size] for i in range(0, len(text), size)]
    at, length, closed = measured(iter([*parts, "the next row"]), ",", True)
    (read,) = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert (length, closed) == (max(map(len, read)), True)
    assert len(read[at]) == length


@pytest.mark.parametrize(
    ("text", "quoted", "spaced", "found"),
    [
        ('a,"bcd', True, False, (1, 3, False)),
        ('a,"bcd\n', False, False, (1, 4, True)),
        ('a, "b,cd"\n', True, True, (1, 5, True)),
        ('ab"c,d\n', True, False, (0, 4, True)),
        ("abc", True, False, (0, 3, True)),
    ],
)
def test_other_rows(text, quoted, spaced, found):
    assert measured([text], ",", quoted, spaced) == found


def test_no_more_is_taken_than_the_row_has():
    left = iter(["a,b\n", "c,d\n"])
    measured(left, ",", True)
    assert list(left) == ["c,d\n"]


@given(st.text(st.sampled_from("ab\n\r"), max_size=200))
def test_lines_of_which_long_ones_are_cut(text):
    found = list(whole_lines(io.StringIO(text, newline="")))
    assert found == [(line, len(line)) for line in io.StringIO(text, newline="")]


def test_a_line_longer_than_what_is_read_at_a_time(short):
    found = list(whole_lines(io.StringIO("x" * 100 + "\n" + "y" * 40 + "\nz", newline="")))
    assert found == [("x" * 40, 101), ("y" * 40, 41), ("z", 1)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("filler", ["b", "b ", 'b"', "b,", "b\n"])
def test_a_long_cell_of_a_csv_file(short, tmp_path, end, filler):
    path = write(tmp_path / "a.csv", ("a", "x"), (filler * 30, "y"), ("c", "z"), ("d" * 10, "x"), end=end)
    found = collect(open_table(path))
    assert found.cells["text"] == ["a", "c", "d" * 10]
    assert list(found.broken) == [1]
    assert found.broken[1] == (
        f'line 3: the cell in column "text" must have at most 10 characters, got {30 * len(filler)}'
    )


def test_lines_are_counted_on_after_a_long_cell(short, tmp_path):
    path = write(tmp_path / "a.csv", ("b\n" * 30, "y"), ("c", "z"), ("d", "e", "f"))
    assert list(collect(open_table(path)).broken.values())[1] == "line 34 has 3 cells where the first line has 2"


def test_a_long_cell_that_is_never_closed(short, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"a",x\na,"b\n' + "c,d\n" * 30000)
    with pytest.raises(DataError, match=r"line 3 of .* opens a quotation mark that is never closed\."):
        collect(open_table(path))


def test_a_long_name_of_a_column(short, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text" * 25 + "\na,b\n")
    with pytest.raises(DataError) as error:
        open_table(path)
    assert str(error.value) == (
        f"the first line of {path} must hold the names of the columns, but line 1: the cell in column 1 must have at "
        "most 10 characters, got 100. Write them there, for example: text,label"
    )


def test_a_long_cell_of_json_lines(short, tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [{"text": "a"}, {"text": "b" * 11}, {"text": "c" * 99}, {"text": "d"}]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert collect(open_table(path)).broken == {
        1: 'line 2: the cell in column "text" must have at most 10 characters, got 11',
        2: "line 3 must have at most 40 characters, got 112",
    }


def test_a_long_cell_of_a_parquet_file(short, tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b" * 11]}), tmp_path / "a.parquet")
    assert collect(open_table(tmp_path / "a.parquet")).broken == {
        1: 'row 1: the cell in column "text" must have at most 10 characters, got 11'
    }


def test_a_long_line_of_a_text_file(short, tmp_path):
    (tmp_path / "a.txt").write_text("a\n" + "b" * 99 + "\nc\n")
    (chunk,) = stream(tmp_path / "a.txt", modality="text")
    assert chunk.names == ("a", "line 2", "c")
    assert chunk.failed == {1: "line 2 must have at most 10 characters, got 100"}


def test_a_cell_of_fifty_million_characters_is_called_that(tmp_path):
    path = write(tmp_path / "a.csv", ("a", "x"), ("b" * 50_000_000, "y"))
    assert collect(open_table(path)).broken == {
        1: 'line 3: the cell in column "text" must have at most 16,777,216 characters, got 50,000,000'
    }
