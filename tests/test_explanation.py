"""Tests of explanations: what decides is found, by a model whose reasons are known."""

from dataclasses import replace

import numpy as np
import pytest

import handful
from handful.errors import DataError, OptionError
from handful.explanation import explain_all


@pytest.fixture(scope="module")
def model():
    texts = [f"the {'ants march' if i % 2 else 'bees buzz'} on day {i}" for i in range(24)]
    labels = ["ants" if i % 2 else "bees" for i in range(24)]
    return handful.tune(texts, labels=labels, backbone="toy-text", budget=0).model


def test_the_words_that_decide_come_first(model):
    found = handful.explain(model, "on this day the ants were here")
    assert found.label == "ants"
    assert found.confidence == pytest.approx(model.predict_proba(["on this day the ants were here"]).max())
    assert found.parts[0].part.name == "ants"
    assert found.parts[0].weight > 0
    weights = [carried.weight for carried in found.parts]
    assert weights == sorted(weights, reverse=True)
    assert len(weights) == 7


def test_a_weight_is_how_far_the_probability_falls(model):
    found = handful.explain(model, "ants march", label="bees")
    whole = model.predict_proba(["ants march"])[0]
    without = dict(zip(("ants", "march"), model.predict_proba(["march", "ants"]), strict=True))
    c = model.labels.index("bees")
    assert found.confidence == pytest.approx(whole[c])
    for carried in found.parts:
        assert carried.weight == pytest.approx(whole[c] - without[carried.part.name][c], abs=1e-6)


def test_an_item_of_one_part_has_an_answer_and_no_parts(model):
    assert handful.explain(model, "ants").parts == ()


def test_an_unknown_class(model):
    with pytest.raises(OptionError) as error:
        handful.explain(model, "ants march", label="ant")
    assert (
        str(error.value)
        == "label must be a class of the model (\"ants\" and \"bees\"), got 'ant'. Did you mean 'ants'?"
    )
    with pytest.raises(OptionError) as error:
        handful.explain(model, "ants march", label="wasp sting")
    assert str(error.value).endswith("got 'wasp sting'. Leave it out.")


def test_an_item_that_cannot_be_read(model):
    with pytest.raises(DataError) as error:
        handful.explain(model, np.zeros((4, 4)))
    assert "cannot be read: " in str(error.value)


def test_the_training_rows_most_like_an_item_are_named(model):
    found = handful.explain(model, "the ants march on day 7")
    first, *_ = found.alike
    assert (first.row, first.label) == (7, "ants")
    assert first.similarity == pytest.approx(1, abs=1e-3)
    assert len(found.alike) == 3
    similar = [row.similarity for row in found.alike]
    assert similar == sorted(similar, reverse=True)
    assert first.record() == {"row": 7, "label": "ants", "similarity": round(first.similarity, 6)}


def test_a_model_that_keeps_no_rows_names_none(model):
    bare = replace(model, reference=None)
    assert handful.explain(bare, "ants march").alike == ()


def test_many_items_are_explained_as_one_by_one(model):
    items = ["ants march on day 3", "bees", "the bees buzz"]
    many = explain_all(model, items, [None, "ants", "bees"])
    for item, label, found in zip(items, [None, "ants", "bees"], many, strict=True):
        alone = handful.explain(model, item, label=label)
        assert (found.label, [c.part for c in found.parts]) == (alone.label, [c.part for c in alone.parts])
        assert [c.weight for c in found.parts] == pytest.approx([c.weight for c in alone.parts], abs=1e-6)
        assert [row.row for row in found.alike] == [row.row for row in alone.alike]
