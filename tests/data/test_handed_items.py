"""Items to be answered, handed over as a list or as a table."""

import numpy as np
import pandas as pd
import pytest

from handful.data.handed_items import handed_items
from handful.errors import DataError

ROWS = [{"premise": f"a{i}", "hypothesis": f"b{i}", "id": i} for i in range(3)]


@pytest.mark.parametrize("make", [lambda rows: rows, pd.DataFrame, lambda rows: pd.DataFrame(rows).to_dict("list")])
def test_two_columns_give_pairs(make):
    assert handed_items(make(ROWS), "premise,hypothesis") == [("a0", "b0"), ("a1", "b1"), ("a2", "b2")]
    assert handed_items(make(ROWS), "premise") == ["a0", "a1", "a2"]


def test_a_dataset_of_hugging_face():
    hub = pytest.importorskip("datasets")
    assert handed_items(hub.Dataset.from_list(ROWS), "premise") == ["a0", "a1", "a2"]


def test_sounds_and_pictures_that_are_dictionaries_are_items():
    sounds = [{"array": np.zeros(9), "sampling_rate": 8000}]
    assert handed_items(sounds, "text") == sounds


def refusal(source, column="text", **options):
    with pytest.raises(DataError) as error:
        handed_items(source, column, **options)
    return str(error.value)


def test_what_is_no_list_of_items():
    assert refusal("x", verb="transform") == "transform needs a list of items, got one str. Wrap it: [item]."
    assert refusal({}) == refusal({"text": "x"}) == "predict needs a list of items, got one dict. Wrap it: [item]."
    assert refusal({"text": ["a"], "b": ["a", "b"]}) == (
        "predict needs columns of one length, got text 1, b 2. Correct them."
    )
    assert refusal(ROWS, "premises,hypothesis") == (
        'the list must have the column "premises", which was learned from, got columns: premise, hypothesis, id. '
        "Did you mean 'premise'?"
    )
