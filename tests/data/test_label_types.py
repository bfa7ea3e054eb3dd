"""Labels come back in the type in which they came."""

import datetime
import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handful.data.cells import label_text
from handful.data.label_types import LABEL_TYPES, are_decimal, as_given, as_written, is_written, type_of, types_in
from handful.data.readers import load
from handful.data.target_column import read_column

TEXTS = [f"some words {i}" for i in range(12)]


@pytest.mark.parametrize(
    ("labels", "label_type"),
    [
        ([0, 1] * 6, "int"), ([True, False] * 6, "bool"), ([0.5, 1.0] * 6, "float"), (["0", "1"] * 6, "text"),
        (np.array([0, 1] * 6), "int"), (np.array([True, False] * 6), "bool"), (torch.tensor([3, 4] * 6), "int"),
        (pd.Series([1, 2, None] * 4), "float"), (pd.Series([1, 2, None] * 4, dtype="Int64"), "int"),
        (pd.Series(["a", "b"] * 6, dtype="category"), "text"), ([0, "1"] * 6, "text"), ([True, 0] * 6, "text"),
        ([[1], [2, 3]] * 6, "int"), ([0, 1.5] * 6, "float"), ([datetime.date(2024, 1, d) for d in (1, 2)] * 6, "text"),
    ],
)  # fmt: skip
def test_the_type_of_labels(labels, label_type):
    data = load(TEXTS, labels=labels)
    assert data.label_type == label_type
    assert load([{"text": text, "label": label} for text, label in zip(TEXTS, labels, strict=True)]).label_type in (
        label_type,
        type_of(kind for label in labels for kind in types_in(label)),
    )


def test_the_type_of_a_column_of_a_frame_or_file(tmp_path):
    frame = pd.DataFrame({"text": TEXTS, "label": [3, 4] * 6})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "a.parquet")
    assert load(frame).label_type == "int"
    assert load(frame.assign(label=[True, False] * 6)).label_type == "bool"
    assert [load(tmp_path / f"a.{kind}").label_type for kind in ("csv", "jsonl", "parquet")] == ["text", "int", "int"]


def test_large_cells_are_not_looked_through():
    assert types_in(np.zeros((4, 4))) == types_in(list(range(2000))) == {"text"}


@given(st.integers() | st.booleans() | st.floats(allow_nan=False) | st.text(min_size=1))
def test_a_label_comes_back(label):
    kind, text = type_of(types_in(label)), label_text(label)
    if isinstance(label, str):
        assert kind == "text"
        return
    back = as_given(text, kind)
    assert (back, type(back)) == (label, type(label))
    assert as_given([text], kind) == [label]
    assert is_written(text, kind)


def test_what_is_no_label_of_a_type():
    assert [is_written("x", kind) for kind in LABEL_TYPES] == [True, False, False, False]
    assert math.isclose(as_given(2.5, "int"), 2.5)  # a number that was predicted


def test_ratings_with_a_point_come_back_with_one():
    column = read_column(["1.0", "2.0", "3.0", "4.5", ""] * 6, "stars", "ordinal")
    assert (column.cells[0], column.label_type) == ("1", "float")
    assert [as_written(name, "float") for name in ("1", "4.5")] == ["1.0", "4.5"]
    assert [as_written(name, "text") for name in ("1", "4.5")] == ["1", "4.5"]
    assert [as_written(name, "bool") for name in ("True", "False")] == ["True", "False"]
    for mixed in (["1", "2", "3"], ["1.0", "2", "3"], ["1.00", "2.00", "3.00"], ["low", "medium", "high"]):
        assert read_column(mixed * 6, "stars", "ordinal").label_type == "text"


@given(st.integers(0, 999999), st.integers(0, 9999))
def test_what_is_written_again_is_as_it_was(whole, part):
    text = f"{whole}.{part}"
    assert not are_decimal([text]) or as_written(text, "float") == text
