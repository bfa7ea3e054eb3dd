"""Class names that stand beside the numbers of a table."""

import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from handful.data.class_labels import named_features, named_in, with_names
from handful.data.readers import load

NAMES = {"names": ["no", "yes"], "_type": "ClassLabel"}
TEXTS = [f"some words {i}" for i in range(12)]


def test_features_of_every_age():
    features = {
        "a": NAMES, "b": {"feature": NAMES, "_type": "Sequence"}, "c": [NAMES], "d": {"dtype": "string"},
        "e": {"names": [1], "_type": "ClassLabel"}, "f": "odd",
    }  # fmt: skip
    assert named_features(features) == dict.fromkeys("abc", ("no", "yes"))
    assert named_features(None) == {}


def test_numbers_become_names_and_minus_one_is_missing():
    row = {"a": 1, "b": [0, 1, -1], "c": 5, "d": None, "e": 1}
    names = dict.fromkeys("abcd", ("no", "yes"))
    assert with_names(row, names) == {"a": "yes", "b": ["no", "yes", None], "c": 5, "d": None, "e": 1}


@pytest.mark.parametrize("told", [b"{", b"[]", b'{"info": 3}', b'{"info": {"features": [1]}}', b"[" * 100_000])
def test_metadata_of_others_says_nothing(told):
    assert named_in({b"huggingface": told}) == {}
    assert named_in(None) == {}


def test_a_parquet_file_with_names(tmp_path):
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": NAMES}
    table = pa.table({"text": TEXTS, "label": [0, 1] * 6})
    told = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    pa.parquet.write_table(table.replace_schema_metadata(told), tmp_path / "a.parquet")
    data = load(tmp_path / "a.parquet")
    assert (data.counts, data.label_type) == ({"no": 6, "yes": 6}, "text")


@pytest.mark.filterwarnings("ignore")
def test_lists_of_class_labels_in_memory_and_in_a_file(tmp_path):
    hub = pytest.importorskip("datasets")
    features = hub.Features({"text": hub.Value("string"), "tags": hub.List(hub.ClassLabel(names=["late", "rude"]))})
    made = hub.Dataset.from_dict({"text": TEXTS, "tags": [[0], [0, 1], []] * 4}, features=features)
    made.to_parquet(str(tmp_path / "a.parquet"))
    for source in (made, tmp_path / "a.parquet"):
        data = load(source)
        assert (data.task, data.labels[:3]) == ("multilabel", ("late", "late|rude", "(none)"))
