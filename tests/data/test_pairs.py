"""Pairs: two texts that are one item, read from tables and lists, seen, answered and explained."""

import copy
import pickle

import numpy as np
import pytest

import handful
from handful.backbones.base import LIKENESS
from handful.backbones.toy import ToyText
from handful.data.items import make_items
from handful.data.occlusion import covered
from handful.data.pairs import Pair, paired_columns
from handful.data.readers import load
from handful.data.streams import stream
from handful.errors import DataError, OptionError
from handful.export.bundle import Bundle
from handful.features.extract import extract, paired

ROWS = [("ants march", f"bees buzz {i}", "other") for i in range(12)] + [
    (f"ants march {i}", f"ants march {i}", "same") for i in range(12)
]


def table(file, header, rows):
    file.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def source(tmp_path):
    return table(tmp_path / "t.csv", "premise,hypothesis,label", ROWS)


def test_a_pair_is_a_text_that_knows_both():
    pair = Pair("a b", "c")
    assert (pair, pair.first, pair.second) == ("a b | c", "a b", "c")
    for again in (copy.deepcopy(pair), pickle.loads(pickle.dumps(pair))):  # noqa: S301 - our own
        assert (type(again), again.first, again.second) == (Pair, "a b", "c")


def test_columns_that_are_known_to_be_a_pair_are_taken_as_one(source):
    data = load(source)
    assert data.pairs and data.input == "premise,hypothesis"
    assert data.items[0] == Pair("ants march", "bees buzz 0")
    assert data.notes[1] == (
        'columns "premise" and "hypothesis" are taken as two texts that belong together; use --input to choose another'
    )
    assert not load(source, input="premise").pairs
    assert paired_columns(["Sentence2", "x", "Sentence1"]) == ("Sentence1", "Sentence2")
    assert paired_columns(["text", "label"]) is None


def test_two_columns_are_named_with_a_comma(tmp_path):
    path = table(tmp_path / "t.csv", "title,story,label", ROWS)
    assert load(path, input="title, story").items[0].second == "bees buzz 0"
    with pytest.raises(OptionError) as caught:
        load(path, input="title,stroy")
    assert str(caught.value).startswith('column "title,stroy", given as the input, is not in')
    with pytest.raises(OptionError) as caught:
        load(path, input="title,story,label")
    assert str(caught.value) == (
        "--input names one column, or two that belong together (texts, or images and their texts), got 3. Name two."
    )


def test_a_pair_with_one_side_empty_is_left_out_with_the_reason(tmp_path):
    path = table(tmp_path / "t.csv", "premise,hypothesis,label", [*ROWS, ("alone", "", "other")])
    data = load(path)
    assert len(data) == 24
    assert data.unreadable == {24: "line 26: the second text is empty"}


def test_tuples_of_texts_are_pairs():
    items, failed = make_items([("a", "b"), ("a", " "), ("a", 3)], "text", None)
    assert (type(items[0]), failed) == (
        Pair,
        {1: "the second text is empty", 2: "the second of two must be a text, got int"},
    )
    data = load([(a, b) for a, b, _ in ROWS], labels=[label for _, _, label in ROWS])
    assert data.pairs


def test_what_is_seen_in_a_pair_by_hand():
    u, v = np.array([[3.0, 0.0]], np.float32), np.array([[0.0, 2.0]], np.float32)
    np.testing.assert_allclose(paired(u, v), [[0.5, 0.5, 0.5, 0.5, 0, 0, 0, LIKENESS]], atol=1e-6)
    np.testing.assert_allclose(paired(u, u), [[1, 0, 0, 0, np.sqrt(2 / 3), 0, LIKENESS, 0]], atol=1e-3)


def test_what_is_seen_in_a_pair_does_not_depend_on_its_order_nor_on_the_company():
    toy, pairs = ToyText(), [Pair("ants march", "bees buzz"), Pair("bees", "ants")]
    seen = extract(toy, pairs, (2,)).matrices[2]
    turned = extract(toy, [Pair(pairs[0].second, pairs[0].first)], (2,)).matrices[2]
    np.testing.assert_allclose(turned[0], seen[0], atol=1e-6)
    assert seen.shape == (2, 3 * toy.encode(["a"], (2,))[2].shape[1] + 2)


def test_words_of_either_text_are_hidden_while_the_other_stays():
    parts, copies = covered(Pair("a b", "c d"), "text")
    assert [part.name for part in parts] == ["a", "b", "c", "d"]
    assert [(copy.first, copy.second) for copy in copies] == [("b", "c d"), ("a", "c d"), ("a b", "d"), ("a b", "c")]
    assert all(0 <= part.start[0] < part.end[0] <= 1 for part in parts)


def test_rows_to_answer_are_read_from_both_columns(tmp_path):
    path = table(tmp_path / "new.csv", "hypothesis,premise", [("x", "y"), ("", "z")])
    (chunk,) = stream(path, modality="text", input="premise,hypothesis")
    assert chunk.items[0] == Pair("y", "x")
    assert chunk.names == ("y | x", "line 3")
    assert chunk.failed == {1: "the second text is empty"}


def test_a_run_on_pairs_is_saved_answers_and_explains(source, tmp_path):
    run = handful.tune(source, backbone="toy-text", budget="5s", strategies="ridge,logistic")
    assert run.scores.estimate.value > 0.9
    run.save(tmp_path / "run")
    model = Bundle.load(tmp_path / "run")
    assert model.pairs and model.input == "premise,hypothesis"
    assert model.predict([("bees hum", "bees hum"), ("ants", "wasps fly")]) == ["same", "other"]
    assert handful.explain(model, ("ants march", "bees buzz")).parts
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "model.predict([(&#34;A text&#34;, &#34;another one&#34;)])" in page
    with pytest.raises(DataError) as caught:
        model.predict(["one text"])
    assert str(caught.value) == (
        "item 0 must be two texts, as (first, second), got one. Give items like those that were learned from; of a "
        "table --input names the column, or both of them joined by a comma."
    )


def test_what_moves_weights_reads_one_text(source):
    with pytest.raises(OptionError) as caught:
        handful.tune(source, backbone="toy-text", strategies="ridge,contrastive")
    assert str(caught.value) == (
        f"strategies contrastive read one text, got pairs of texts from {source}. Leave them out."
    )
