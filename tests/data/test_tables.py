"""Tables: cells, names and records, from every kind of file."""

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from handful.data.cells import cell_text, is_missing, label_text, shown
from handful.data.delimited import Broken
from handful.data.in_memory import frame_table
from handful.data.tables import collect, open_table
from handful.errors import DataError, MachineError


def refusal(path, kind=DataError):
    with pytest.raises(kind) as error:
        collect(open_table(path))
    return str(error.value).replace(str(path.parent) + "/", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"), (1.0, "1"), (1.5, "1.5"), (-0.0, "0"), (True, "True"), (np.int64(3), "3"), (np.float32(2), "2"),
        (np.bool_(False), "False"), (1e300, str(int(1e300))), (float("inf"), "inf"), (None, None), (float("nan"), None),
        (pd.NA, None), (pd.NaT, None), (np.float64("nan"), None), ("NA", "NA"), ("nan", "nan"), (" x ", " x "),
        (decimal.Decimal("1.10"), "1.10"), (datetime.date(2024, 5, 1), "2024-05-01"), ("\ud83d!", "?!"), ([1], [1]),
    ],
)  # fmt: skip
def test_the_text_of_a_cell(value, text):
    assert cell_text(value) == text


def test_class_names():
    assert [label_text(value) for value in (" billing ", 1.0, True, None, float("nan"), "\u200b", "e\u0301")] == [
        "billing", "1", "True", "", "", "", "é",
    ]  # fmt: skip
    assert is_missing("\u00a0\t\u200b")
    assert not is_missing(" . ")


def test_names_made_of_other_bytes_can_be_shown():
    assert shown("caf\udce9") == "caf\ufffd"


def test_json_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": 1}\n\n{"label": true, "text": "b", "more": null}\n{"text": "c"}\n')
    table = open_table(path)
    assert table.columns == ("text", "label", "more")
    found = collect(table)
    assert found.cells == {"text": ["a", "b", "c"], "label": ["1", "True", None], "more": [None, None, None]}
    assert found.rows == (0, 1, 2)


def test_broken_json_lines_are_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"text": \n[1]\n' + "[" * 100_000 + '\n{"text": "b"}\n')
    found = collect(open_table(path))
    assert found.rows == (0, 4)
    assert found.broken[1] == "line 2 is not JSON (Expecting value: line 2 column 1 (char 10))"
    assert found.broken[2] == "line 3 must be an object with names and values, got list"
    assert found.broken[3].startswith("line 4 is not JSON (")


def test_names_that_first_come_late_are_columns_too(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n' * 1500 + '{"text": "b", "label": "x"}\n')
    assert collect(open_table(path)).cells["label"] == [None] * 1500 + ["x"]


def test_a_json_list_of_objects(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": "a"}, 3, {"text": "b"}], indent=1))
    found = collect(open_table(path))
    assert found.cells == {"text": ["a", "b"]}
    assert found.broken == {1: "entry 2 must be an object with names and values, got int"}


def test_a_broken_json_list(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"text": "a"},')
    assert refusal(path) == (
        "a.json begins like a JSON list but is not one (Expecting value: line 1 column 16 (char 15)). "
        "Repair it, or write one object per line."
    )


def test_json_in_another_encoding(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "ä"}\n', "utf-16")
    table = open_table(path)
    assert collect(table).cells["text"] == ["ä"]
    assert table.notes == ("a.jsonl is read as UTF-16, because it is not UTF-8",)


def test_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    columns = {"text": ["a", "b", None], "label": [1.0, 2.0, None], "deep": [[1], [2], []]}
    pq.write_table(pa.table(columns), path, row_group_size=2)
    found = collect(open_table(path))
    assert found.cells == {"text": ["a", "b", None], "label": ["1", "2", None], "deep": [[1], [2], []]}


def test_damaged_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 nothing else")
    message = refusal(path)
    assert message.startswith("a.parquet cannot be read as a Parquet file (")
    assert message.endswith("). Write it again.")
    path.write_bytes(b"")
    assert refusal(path) == "a.parquet is empty (0 bytes). Give a file with rows."


def test_parquet_that_is_damaged_inside(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(5000)]}), path, compression="gzip")
    content = bytearray(path.read_bytes())
    content[100:3000] = b"\xff" * 2900
    path.write_bytes(content)
    assert refusal(path).startswith("a.parquet cannot be read as a Parquet file (")


def test_a_forbidden_parquet_file(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"x")

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pq, "ParquetFile", refuse)
    assert refusal(path, MachineError) == "a.parquet cannot be opened: Permission denied. Check its permissions."


def test_a_frame():
    frame = pd.DataFrame({"text": ["a", "b"], 7: [1, None]}, index=["x", "y"])
    found = collect(frame_table(frame))
    assert found.cells == {"text": ["a", "b"], "7": ["1", None]}


def test_a_frame_with_two_columns_of_one_name():
    with pytest.raises(DataError) as error:
        frame_table(pd.DataFrame([[1, 2]], columns=["text", "text"]))
    assert str(error.value) == 'the DataFrame has several columns called "text". Rename all but one.'


def test_only_the_start(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "x\n" * 100)
    assert len(collect(open_table(path), 7)) == 7


def test_broken_rows_keep_their_place(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,b\nc\nd,e\n")
    found = collect(open_table(path))
    assert found.rows == (0, 2)
    assert found.broken == {1: "line 3 has 1 cell where the first line has 2"}
    assert Broken("x") == Broken("x")
