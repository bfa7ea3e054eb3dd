"""Labels that are handed over beside a table, or as columns of one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from handful.data.readers import load
from handful.errors import OptionError

TEXTS = [f"{'ants' if i % 2 else 'bees'} number {i}" for i in range(8)]
TOPICS = ["ants" if i % 2 else "bees" for i in range(8)]


def test_a_table_and_a_list_are_one_table():
    data = load(pd.DataFrame({"what": TEXTS, "count": range(8)}), TOPICS)
    assert (data.items, data.labels, data.input, data.target) == (TEXTS, tuple(TOPICS), "what", "label")


def test_a_named_column_of_labels_keeps_its_name_and_its_order():
    topics = pd.Series(TOPICS, name="kind", index=range(7, -1, -1))  # rows belong together by place, not by index
    data = load(pd.DataFrame({"what": TEXTS}), topics)
    assert (data.labels, data.target) == (tuple(TOPICS), "kind")


def test_a_column_of_the_same_name_in_the_table_is_another():
    data = load(pd.DataFrame({"what": TEXTS, "label": ["x"] * 8}), TOPICS, input="what")
    assert (data.labels, data.target) == (tuple(TOPICS), "label_")


@pytest.mark.parametrize("items", [TEXTS, np.array(TEXTS), pd.Series(TEXTS)], ids=["list", "array", "series"])
@pytest.mark.parametrize("labels", [TOPICS, np.array(TOPICS), pd.Series(TOPICS)], ids=["list", "array", "series"])
def test_lists_arrays_and_columns_are_read_alike(items, labels):
    data = load(items, labels)
    assert (list(data.items), data.labels, data.source) == (TEXTS, tuple(TOPICS), "the list")


@pytest.mark.parametrize("items", [TEXTS, pd.DataFrame({"what": TEXTS})], ids=["list", "table"])
def test_several_columns_of_truths_are_several_labels(items):
    truths = pd.DataFrame({"six": [i % 2 for i in range(8)], "wings": [i // 2 % 2 for i in range(8)]})
    data = load(items, truths)
    assert data.task == "multilabel"
    assert data.targets == ("six", "wings")
    assert [data.labels[i] for i in (1, 2, 3)] == ["six", "wings", "six|wings"]


def test_one_column_of_labels_beside_a_list():
    assert load(TEXTS, pd.DataFrame({"kind": TOPICS})).labels == tuple(TOPICS)


def test_what_does_not_fit_is_told():
    frame = pd.DataFrame({"what": TEXTS})
    with pytest.raises(OptionError) as error:
        load(frame, TOPICS[:5])
    assert str(error.value) == "labels= must have one entry per row (8), got 5. Correct it."
    with pytest.raises(OptionError) as error:
        load(frame, TOPICS, label="what")
    assert str(error.value) == (
        "label= names a column and labels= holds the labels themselves, got both. Leave one out."
    )
    with pytest.raises(OptionError, match=r"labels= belongs to a list"):
        load("rows.csv", TOPICS)
