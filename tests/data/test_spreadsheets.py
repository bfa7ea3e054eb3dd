"""Workbooks: cells of every type, several sheets, what is empty, and what is none."""

import datetime
import io
import zipfile

import openpyxl
import pytest
from openpyxl.styles import Font

from handful.data.readers import load
from handful.data.spreadsheets import open_spreadsheet
from handful.data.streams import stream
from handful.errors import DataError

ROWS = [("text", "label"), ("it was charged twice", "billing"), ("the app crashes", "bug")]


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def records(path):
    return list(open_spreadsheet(path).records())


def refusal(path):
    with pytest.raises(DataError) as error:
        open_spreadsheet(path)
    return str(error.value).replace(str(path), "it")


def test_rows_and_columns(tmp_path):
    sheet = open_spreadsheet(workbook(tmp_path / "a.xlsx", Tickets=ROWS))
    assert (sheet.sheet, sheet.columns, sheet.notes) == ("Tickets", ("text", "label"), ())
    assert list(sheet.records()) == [{"text": text, "label": label} for text, label in ROWS[1:]]


def test_a_workbook_is_learned_from_and_asked(tmp_path):
    rows = [("Text", "Topic"), *[(f"the {what} number {i}", what) for i in range(5) for what in ("bill", "crash")]]
    path = workbook(tmp_path / "a.xlsx", Tickets=rows)
    data = load(path)
    assert (data.classes, len(data), data.input, data.target) == (("bill", "crash"), 10, "Text", "Topic")
    (chunk,) = stream(path, modality="text", input="Text")
    assert chunk.items[0] == "the bill number 0"


def test_cells_of_every_type_are_their_texts(tmp_path):
    day, hour = datetime.datetime(2026, 5, 17), datetime.datetime(2026, 5, 17, 8, 30)
    path = workbook(
        tmp_path / "a.xlsx", A=[("a", "b", "c", "d", "e"), (1.0, 2.5, True, day, None), ("x", None, None, hour)]
    )
    assert records(path) == [
        {"a": "1", "b": "2.5", "c": "True", "d": "2026-05-17", "e": None},
        {"a": "x", "b": None, "c": None, "d": "2026-05-17 08:30:00", "e": None},
    ]


def test_a_formula_is_the_value_it_had_and_one_that_failed_is_none(tmp_path):
    path = workbook(tmp_path / "a.xlsx", A=[("a", "b"), ("=1+1", "#N/A"), ("x", "#REF!")])
    assert [record["b"] for record in records(path)] == [None]  # a formula that was never worked out has no value


def test_the_first_sheet_that_holds_something_is_taken_and_said(tmp_path):
    path = workbook(tmp_path / "a.xlsx", Cover=[], Tickets=ROWS, Old=ROWS)
    sheet = open_spreadsheet(path)
    assert sheet.sheet == "Tickets"
    assert sheet.notes == (
        'sheet "Tickets" of a.xlsx is read, and "Cover" and "Old" not; save another sheet as a file of its own to '
        "learn from it",
    )


def test_a_hidden_sheet_is_not_read(tmp_path):
    path = workbook(tmp_path / "a.xlsx", Hidden=ROWS, Tickets=ROWS)
    book = openpyxl.load_workbook(path)
    book["Hidden"].sheet_state = "hidden"
    book.save(path)
    assert open_spreadsheet(path).sheet == "Tickets"


def test_empty_rows_and_lines_above_the_names_are_passed_by(tmp_path):
    path = workbook(tmp_path / "a.xlsx", A=[(), (None, " "), ROWS[0], (), ROWS[1], (None, None), ROWS[2]])
    assert [record["label"] for record in records(path)] == ["billing", "bug"]


def test_rows_that_are_only_formatted_have_an_end(tmp_path):
    path = workbook(tmp_path / "a.xlsx", A=ROWS)
    book = openpyxl.load_workbook(path)
    book["A"].cell(200_000, 1).font = Font(bold=True)
    book.save(path)
    assert len(records(path)) == 2


def test_a_value_beside_the_columns_is_a_broken_row(tmp_path):
    path = workbook(tmp_path / "a.xlsx", A=[*ROWS, ("one", "bug", None, "a remark")])
    assert records(path)[-1].reason == "row 4 has a value in column 4, which has no name"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty (0 bytes). Give a file with rows."),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "it is protected by a password, or an old workbook. Save it as .xlsx without one.",
        ),
        (
            b"text,label\na,b\n",
            "it cannot be read as an Excel workbook (File is not a zip file). Save it again, or as CSV.",
        ),
    ],
)
def test_what_is_no_workbook_is_refused(tmp_path, content, message):
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    assert refusal(path) == message


def test_a_workbook_without_a_value(tmp_path):
    assert refusal(workbook(tmp_path / "a.xlsx", A=[], B=[(None, "")])) == (
        "it holds no rows: every sheet is empty. Write names of columns, and rows below them."
    )


def test_a_workbook_that_is_cut_off(tmp_path):
    path = workbook(tmp_path / "a.xlsx", A=ROWS)
    path.write_bytes(path.read_bytes()[:-400])
    assert refusal(path).startswith("it cannot be read as an Excel workbook (")


def test_a_zip_file_that_is_no_workbook(tmp_path):
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    assert refusal(path).startswith("it cannot be read as an Excel workbook (")


def test_a_workbook_that_would_fill_the_memory_is_refused_before_it_is_unpacked(tmp_path):
    path = workbook(tmp_path / "a.xlsx", A=ROWS)
    packed = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", bytes(150_000_000))
    path.write_bytes(packed.getvalue())
    assert "must grow at most 200 times when it is unpacked, got " in refusal(path)
