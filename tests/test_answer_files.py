"""Answers beside what they belong to: columns kept, lines to join by, names that collide, every format."""

import csv
import json
from contextlib import closing

import numpy as np
import openpyxl
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.answer_files import Form, free_name, write_answers
from handful.backbones.toy import ToyImage, ToyText
from handful.data.typed_items import Typed
from handful.errors import OptionError
from handful.export.bundle import Bundle
from handful.features.view import View
from handful.prediction import Doubts, answers
from handful.tasks.classification import CLASSIFICATION


def model_of(modality="text", labels=("ants", "bees")):
    toy = {"text": ToyText, "image": ToyImage}[modality]()
    rng = np.random.default_rng(0)
    return Bundle(
        CLASSIFICATION, modality, labels, View(((toy.name, 2),)), {toy.name: toy.fingerprint}, "ridge",
        rng.normal(size=(32, len(labels))).astype(np.float32), np.zeros(len(labels), np.float32), input="text",
    )  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """Answer a source, with what was said; options as of ``Form``."""

    def write(source, name="out.csv", model=None, column="label", doubts=Doubts(), **options):  # noqa: B008 - frozen
        said = []
        found = answers(model or model_of(), source, doubts=doubts)
        write_answers(found, column, Form(tmp_path / name, **options), said.append)
        return tmp_path / name, said

    return write


def rows_in(file, delimiter=","):
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream, delimiter=delimiter))


def saved(path, text):
    path.write_text(text, encoding="utf-8")
    return path


TABLE = 'id,text,price\n007,ants march,1.50\n\n008,"bees,\nbuzz",2\n'


def test_every_column_is_kept_as_it_was_with_the_line_of_the_file(tmp_path, written):
    file, said = written(saved(tmp_path / "new.csv", TABLE))
    head, first, second = rows_in(file)
    assert head == ["line", "id", "text", "price", "label", "confidence"]
    assert first[:4] == ["2", "007", "ants march", "1.50"]
    assert second[:4] == ["4", "008", "bees,\nbuzz", "2"]
    assert said == []


def test_the_short_form_has_what_was_read_and_the_line(tmp_path, written):
    file, _ = written(saved(tmp_path / "new.csv", TABLE), short=True)
    assert [row[:2] for row in rows_in(file)] == [["line", "input"], ["2", "ants march"], ["4", "bees,\nbuzz"]]


def test_a_row_that_cannot_be_read_keeps_its_line(tmp_path, written):
    file, said = written(saved(tmp_path / "new.csv", "id,text\n1,a b\n2,c,d\n3,\n4,e f\n"))
    assert [row[:3] for row in rows_in(file)[1:]] == [
        ["2", "1", "a b"], ["3", "", ""], ["4", "3", ""], ["5", "4", "e f"],
    ]  # fmt: skip
    assert [bool(row[3]) for row in rows_in(file)[1:]] == [True, False, False, True]
    assert len(said) == 2


def test_a_name_that_the_table_has_is_kept_and_the_answer_is_called_otherwise(tmp_path, written):
    source = saved(tmp_path / "new.csv", "line,text,topic,confidence\n9,a b,x,high\n")
    file, said = written(source, column="topic")
    head, row = rows_in(file)
    assert head == [
        "file line", "line", "text", "topic", "confidence", "predicted topic", "predicted confidence",
    ]  # fmt: skip
    assert row[:5] == ["2", "9", "a b", "x", "high"]
    assert said == [
        'column "topic" of the table is kept; what is answered stands in "predicted topic"',
        'column "confidence" of the table is kept; what is answered stands in "predicted confidence"',
    ]


def test_answers_can_be_answered_again(tmp_path, written):
    source = saved(tmp_path / "new.csv", "id,text\n1,a b\n")
    for turn in range(4):
        source, _ = written(source, f"out{turn}.csv")
        assert len(set(rows_in(source)[0])) == len(rows_in(source)[0])


@given(st.lists(st.sampled_from(["a", "predicted a", "predicted a (2)", "predicted a (3)", "b"]), max_size=8))
def test_a_free_name_is_free(taken):
    name = free_name("a", taken)
    assert name not in taken
    assert "a" in taken or name == "a"


def test_no_cell_of_a_user_is_run_by_a_spreadsheet(tmp_path, written):
    source = saved(tmp_path / "new.csv", 'text,note,=head\na b,"=HYPERLINK(""x"")",-5\n')
    head, row = rows_in(written(source)[0])
    assert head[2:4] == ["note", "'=head"]
    assert row[2:4] == ['\'=HYPERLINK("x")', "-5"]


def test_json_lines_keep_what_they_hold(tmp_path, written):
    rows = [{"text": "=a b", "tags": ["x", "y"]}, {"text": "c d", "tags": [], "more": 1}]
    source = saved(tmp_path / "new.jsonl", "\n\n".join(map(json.dumps, rows)))
    file, said = written(source, "out.jsonl")
    first, second = map(json.loads, file.read_text("utf-8").splitlines())
    assert (first["line"], second["line"]) == (1, 3)
    assert (first["text"], first["tags"]) == ("=a b", ["x", "y"])
    assert isinstance(first["confidence"], float)
    assert said == []
    as_csv = rows_in(written(source)[0])
    assert as_csv[1][1:3] == ["'=a b", '["x", "y"]']


def test_columns_that_only_later_rows_have_are_told(tmp_path, written):
    lines = [json.dumps({"text": f"a {i}"}) for i in range(1001)] + [json.dumps({"text": "b", "late": 1})] * 2
    _, said = written(saved(tmp_path / "new.jsonl", "\n".join(lines)))
    assert said == ['line 1002 has "late", which the first rows lack: not kept']


def test_parquet_holds_numbers_as_numbers_and_labels_as_texts(tmp_path, written):
    texts = "".join(f"a {i}\n" for i in range(1500))
    file, _ = written(saved(tmp_path / "new.txt", texts), "out.parquet", model_of(labels=("1", "2")))
    found = pyarrow.parquet.read_table(file)
    assert found.column_names == ["line", "input", "label", "confidence"]
    assert [str(kind) for kind in found.schema.types] == ["int64", "string", "string", "double"]
    assert len(found) == 1500
    assert found["line"].to_pylist() == list(range(1, 1501))


def test_a_workbook_holds_texts_as_texts_and_numbers_as_numbers(tmp_path, written):
    source = saved(tmp_path / "new.csv", 'id,text,note\n007,a b,=1+1\n8,c d,"x\x07y"\n')
    file, _ = written(source, "out.xlsx")
    sheet = openpyxl.load_workbook(file).active
    (head, first, second) = ([(cell.value, cell.data_type) for cell in row] for row in sheet.iter_rows())
    assert [name for name, _ in head] == ["line", "id", "text", "note", "label", "confidence"]
    assert first[:4] == [(2, "n"), ("007", "s"), ("a b", "s"), ("=1+1", "s")]
    assert first[5][1] == "n"
    assert second[3] == (r"x\x07y", "s")


def test_what_a_workbook_would_cut_is_refused(tmp_path, written):
    with pytest.raises(OptionError) as error:
        written(saved(tmp_path / "new.csv", f"text,note\na b,{'x' * 40_000}\n"), "out.xlsx")
    assert str(error.value) == (
        "a cell of a workbook must have at most 32,767 characters, got 40,000. Write .csv instead."
    )
    assert not (tmp_path / "out.xlsx").exists()


def test_tabs_where_the_ending_says_so(tmp_path, written):
    file, _ = written(saved(tmp_path / "new.csv", TABLE), "out.tsv")
    assert rows_in(file, "\t")[1][:4] == ["2", "007", "ants march", "1.50"]


def test_rows_of_a_parquet_file_are_counted_from_0_as_in_messages(tmp_path, written):
    first, _ = written(saved(tmp_path / "new.csv", "text,n\na b,1\nc d,2\n"), "first.parquet")
    file, _ = written(first, "second.csv", short=True)
    assert [row[:2] for row in rows_in(file)] == [["row", "input"], ["0", "a b"], ["1", "c d"]]


def test_pictures_have_no_lines(pictures, written):
    file, _ = written(pictures(), model=model_of("image"))
    assert rows_in(file)[0] == ["input", "label", "confidence"]


def test_a_text_that_was_typed(written):
    assert rows_in(written(Typed("ants march"))[0])[1][0] == "ants march"


def test_a_typed_text_has_no_columns(written):
    with pytest.raises(OptionError) as error:
        next(answers(model_of(), Typed("a b"), input="text"))
    assert str(error.value) == "--input names a column of a table, but the text is none. Leave it out."


def test_a_row_of_two_kinds_cannot_go_into_parquet(tmp_path):
    from handful.data.row_files import ParquetRows

    with (tmp_path / "out.parquet").open("wb") as out, closing(ParquetRows(out)) as rows:
        rows.header(["n"])
        for value in [*range(1024), *["x"] * 1023]:
            rows.row([value])
        with pytest.raises(OptionError, match='^column "n" must hold values of one kind to be written as Parquet, got'):
            rows.row(["x"])
