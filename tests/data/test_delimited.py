"""CSV and TSV: delimiters, quotes and line ends as programs write them; broken rows are named by their line."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handful.data.delimited import Broken, Dialect, open_delimited, sniff
from handful.errors import DataError


def read(tmp_path, content, name="a.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    file = open_delimited(path)
    return file, list(file.records())


def refusal(tmp_path, content):
    with pytest.raises(DataError) as error:
        read(tmp_path, content)
    return str(error.value).replace(str(tmp_path) + "/", "")


def test_a_plain_file(tmp_path):
    file, rows = read(tmp_path, "text,label\nhello,a\nbye,b\n")
    assert file.columns == ("text", "label")
    assert rows == [{"text": "hello", "label": "a"}, {"text": "bye", "label": "b"}]
    assert file.notes == ()


@pytest.mark.parametrize(("delimiter", "name"), [(";", "a semicolon"), ("\t", "a tab"), ("|", "a vertical bar")])
def test_other_delimiters_are_found_and_said(tmp_path, delimiter, name):
    file, rows = read(tmp_path, f'text{delimiter}label\n"Hello, you; there"{delimiter}a\n')
    assert rows == [{"text": "Hello, you; there", "label": "a"}]
    assert file.notes == (f"columns in a.csv are separated by {name}",)


def test_a_tab_in_a_tsv_needs_no_saying(tmp_path):
    assert read(tmp_path, "text\tlabel\na, b\tc\n", "a.tsv")[0].notes == ()


def test_commas_in_every_text_do_not_win_over_the_true_delimiter(tmp_path):
    _, rows = read(tmp_path, "text;label\none, two;a\nthree, four;b\n")
    assert [row["label"] for row in rows] == ["a", "b"]


def test_one_column_without_any_delimiter_may_hold_commas(tmp_path):
    file, rows = read(tmp_path, 'text\nHello, you\n"quoted, too"\nHe said "no"\n')
    assert [row["text"] for row in rows] == ["Hello, you", "quoted, too", 'He said "no"']
    assert file.notes == ()


def test_quoted_line_ends_and_doubled_marks(tmp_path):
    _, rows = read(tmp_path, 'text,label\n"two\r\nlines, and ""marks""",a\nx,b\n')
    assert rows[0]["text"] == 'two\r\nlines, and "marks"'
    assert len(rows) == 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end(tmp_path, end):
    _, rows = read(tmp_path, end.join(["text,label", "x,a", "", "y,b", ""]))
    assert rows == [{"text": "x", "label": "a"}, {"text": "y", "label": "b"}]


def test_other_line_separators_of_unicode_stay_inside_a_cell(tmp_path):
    _, rows = read(tmp_path, "text,label\na\u2028b\x0bc\x85d,x\n")
    assert rows == [{"text": "a\u2028b\x0bc\x85d", "label": "x"}]


def test_blanks_after_the_delimiters_outside_quotes(tmp_path):
    file, rows = read(tmp_path, '"text", "label"\n"Hello, you", "a"\n')
    assert file.columns == ("text", "label")
    assert rows == [{"text": "Hello, you", "label": "a"}]


def test_lone_quotation_marks_in_a_tab_separated_corpus(tmp_path):
    file, rows = read(tmp_path, 'text\tlabel\n"Great, he said\tpos\nbad\tneg\n"Awful\tneg\n', "a.tsv")
    assert [row["text"] for row in rows] == ['"Great, he said', "bad", '"Awful']
    assert file.notes == ("quotation marks in a.tsv are read as ordinary characters",)


def test_one_lone_quotation_mark_where_nothing_else_is_quoted(tmp_path):
    _, rows = read(tmp_path, 'text,label\nx,a\n"y,b\nz,a\n')
    assert [row["text"] for row in rows] == ["x", '"y', "z"]


def test_ragged_rows_are_named_by_line(tmp_path):
    _, rows = read(tmp_path, 'text,label\n"two\nlines",a\nx\ny,b,c\nz,d\n')
    assert rows[1:3] == [
        Broken("line 4 has 1 cell where the first line has 2"),
        Broken("line 5 has 3 cells where the first line has 2"),
    ]
    assert rows[3] == {"text": "z", "label": "d"}


def test_empty_cells_beyond_the_last_column_do_no_harm(tmp_path):
    file, rows = read(tmp_path, "text,label,,\nx,a,,\ny,b\n")
    assert file.columns == ("text", "label")
    assert rows == [{"text": "x", "label": "a"}, {"text": "y", "label": "b"}]


def test_a_quotation_mark_that_is_never_closed(tmp_path):
    assert refusal(tmp_path, 'text,label\n"x",a\n"y,b\nz,a\n') == (
        "line 3 of a.csv opens a quotation mark that is never closed. "
        "Close it, or write every quotation mark inside a cell twice."
    )


def test_a_quotation_mark_that_is_not_doubled(tmp_path):
    content = 'text,label\nx,a\n"say "hi", you",b\n"begins\nhere "and" ends",b\ny,b\n'
    _, rows = read(tmp_path, content)
    assert rows[1] == Broken("line 3: a quotation mark inside a cell is not doubled")
    assert rows[2] == Broken("lines 4 to 5: a quotation mark inside a cell is not doubled")
    assert rows[-1] == {"text": "y", "label": "b"}


def test_nul_characters_are_named_by_line(tmp_path):
    _, rows = read(tmp_path, b"text,label\nx,a\ny\0y,b\n")
    assert rows[1] == Broken("line 3 holds a NUL character, which no text has")


def test_a_first_line_that_is_repeated_is_no_row(tmp_path):
    _, rows = read(tmp_path, "text,label\nx,a\ntext,label\ny,b\n")
    assert rows[1] == Broken("line 3 repeats the names of the columns")


def test_very_long_cells_are_read_and_the_limit_of_the_process_is_kept(tmp_path):
    before = csv.field_size_limit()
    _, rows = read(tmp_path, "text,label\n" + "word " * 100_000 + ",a\n")
    assert len(rows[0]["text"]) == 500_000
    assert csv.field_size_limit() == before


def test_names_that_are_missing_or_repeated(tmp_path):
    file, _ = read(tmp_path, ",text, text,text\n0,a,b,c\n")
    assert file.columns == ("column 1", "text", "text (2)", "text (3)")


@pytest.mark.parametrize("content", ["\n\n", " , \nx,y\n", "\ufeff"])
def test_no_names_of_columns(tmp_path, content):
    assert refusal(tmp_path, content) == (
        "the first line of a.csv must hold the names of the columns, got nothing readable. "
        "Write them there, for example: text,label"
    )


def test_notes_name_an_unusual_encoding(tmp_path):
    file, rows = read(tmp_path, "text,label\nnaïve,a\n".encode("latin-1"))
    (note,) = file.notes
    assert note.startswith('a.csv is read as Windows-1252, because it is not UTF-8: "naïve,a"')
    assert rows[0]["text"] == "naïve"


def test_a_sample_that_ends_inside_a_row_still_gives_the_delimiter():
    assert sniff('a;b\n1;2\n3;"4\n5', whole=False) == Dialect(";")


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=12), st.sampled_from(",;\t|"))
def test_whatever_the_csv_module_writes_is_read_back(tmp_path, rows, delimiter):
    rows = [row for row in rows if row != ("one", "two", "three")]
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([("one", "two", "three"), *rows])
    _, found = read(tmp_path, file.getvalue())
    assert [tuple(row.values()) for row in found] == rows
