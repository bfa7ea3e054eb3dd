"""Tasks of Label Studio as rows."""

import json

import pytest

from handful.data.label_studio import task_row
from handful.data.readers import load
from handful.data.streams import stream
from handful.errors import DataError


def task(i, *annotations, kind="choices", name="topic"):
    said = [
        {"was_cancelled": False, "result": [{"from_name": name, "to_name": "t", "type": kind, "value": {kind: found}}]}
        for found in annotations
    ]
    return {"id": i, "data": {"text": f"some words {i}"}, "annotations": said, "predictions": []}


@pytest.fixture
def write(tmp_path):
    def written(rows):
        (tmp_path / "a.json").write_text(json.dumps(rows, indent=1))
        return tmp_path / "a.json"

    return written


def test_what_was_chosen_is_the_label(write):
    cancelled = {**task(8, ["ants"]), "annotations": [{"was_cancelled": True, "result": []}]}
    path = write([task(i, [["ants"], ["bees"]][i % 2]) for i in range(8)] + [cancelled])
    data = load(path)
    assert (data.counts, data.unlabelled) == ({"ants": 4, "bees": 4}, ("some words 8",))
    (chunk,) = stream(path, modality="text", input="text")
    assert chunk.items[8] == "some words 8"


def test_several_choices_and_stars(write):
    assert load(write([task(i, [["a"], ["a", "b"]][i % 2]) for i in range(8)])).task == "multilabel"
    assert load(write([task(i, i % 3 + 1, kind="rating", name="stars") for i in range(9)])).task == "ordinal"


def test_annotators_that_do_not_agree(write):
    assert task_row(task(1, ["a"], ["a"]), "entry 1") == {"text": "some words 1", "topic": ["a"]}
    assert task_row(task(1, ["a"], ["b"]), "entry 1").reason == 'entry 1: annotators do not agree about "topic"'


def test_marks_on_parts_of_an_item(write):
    with pytest.raises(DataError) as error:
        load(write([task(i, ["a"], kind="rectanglelabels") for i in range(4)]))
    assert str(error.value).endswith(
        'the first is entry 1 marks parts of the item ("rectanglelabels"); only "choices" or "rating" or "number" say '
        "what it is. Repair or remove them."
    )


def test_other_rows_with_such_names_stay_as_they_are():
    assert task_row({"data": "x", "annotations": []}, "line 1") == {"data": "x", "annotations": []}
