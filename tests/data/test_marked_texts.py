"""Marked texts: words, spans on them, tags of every scheme, the files of every tool, and what is wrong with them."""

import copy
import json

import numpy as np
import pytest

from handful.data.readers import load
from handful.data.sentences import Sentence, text_of_tokens, words_of
from handful.data.spans import Marked, Repairs, marked, spans_of_tags
from handful.errors import DataError, OptionError

ADA = {"text": "Ada met Grace in Paris.", "spans": [{"start": 0, "end": 3, "label": "person"}]}
NOBODY = {"text": "Nobody came.", "spans": []}
PARIS = {"text": "In Paris it rained.", "spans": [{"start": 3, "end": 8, "label": "place"}]}


def lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def spans(data):
    return [list(Marked.of_cell(cell).spans) for cell in data.labels]


# Words ----------------------------------------------------------------------------------------------------------------


def test_words_are_runs_of_letters_and_single_signs():
    assert words_of("Don't pay $5, Ada_1!") == ["Don", "'", "t", "pay", "$", "5", ",", "Ada_1", "!"]
    assert words_of("   ") == []


def test_marks_stay_with_what_they_change():
    assert words_of("Cafe\u0301 नमस्ते") == ["Cafe\u0301", "नमस्ते"]
    assert words_of("👩\u200d👩\u200d👧 ok 👍🏽") == ["👩\u200d👩\u200d👧", "ok", "👍", "🏽"]


def test_scripts_without_blanks_have_a_word_per_character():
    assert words_of("東京に Ada") == ["東", "京", "に", "Ada"]


def test_tokens_are_the_words_of_a_text_that_came_as_tokens():
    text = text_of_tokens(["U.S.", "New York", "'s"])
    assert text == "U.S. New\u00a0York 's"
    assert words_of(text) == ["U.S.", "New\u00a0York", "'s"]
    again = copy.deepcopy(text)  # as it goes to another process
    assert isinstance(again, Sentence)
    assert again.bounds == text.bounds


# Spans ----------------------------------------------------------------------------------------------------------------


def test_spans_are_widened_to_words_and_of_overlapping_ones_the_longest_is_kept():
    repairs = Repairs()
    found = marked(
        "Ada Lovelace met him", [(1, 12, "person"), (4, 12, "name"), (13, 17, "verb"), (3, 4, "gap")], repairs
    )
    assert found.spans == ((0, 12, "person"), (13, 16, "verb"))
    assert (repairs.widened, repairs.dropped) == (1, 2)
    assert repairs.notes() == [
        "1 span begin or end within a word: they are widened to whole words",
        "2 spans overlap a longer one or lie within it: the longest is kept, since a word has one label",
    ]


def test_what_is_marked_survives_being_written():
    found = marked("Ada met Grace", [(0, 3, "person"), (8, 13, "person")], Repairs())
    assert Marked.of_cell(found.cell) == found
    assert found.tags(["person"]) == [1, 0, 1]


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        (["B-x", "I-x", "O", "B-x", "B-x"], [(0, 2), (3, 4), (4, 5)]),
        (["B-x", "L-x", "O", "U-x", "U-x"], [(0, 2), (3, 4), (4, 5)]),
        (["B-x", "E-x", "O", "S-x", "S-x"], [(0, 2), (3, 4), (4, 5)]),
        (["x", "x", "O", "x", "O"], [(0, 2), (3, 4)]),
        (["I-x", "I-x", "O", "I-x", "O"], [(0, 2), (3, 4)]),
    ],
)
def test_tags_of_every_scheme_are_spans(tags, wanted):
    bounds = np.array([[2 * i, 2 * i + 1] for i in range(5)])
    found = spans_of_tags(tags, bounds, Repairs())
    assert [(first // 2, end // 2 + 1) for first, end, _ in found] == wanted


def test_a_tag_that_goes_on_from_nothing_begins_a_span_and_that_is_counted():
    bounds, repairs = np.array([[0, 1], [2, 3], [4, 5]]), Repairs()
    assert spans_of_tags(["B-x", "O", "I-y"], bounds, repairs) == [(0, 1, "x"), (4, 5, "y")]
    assert "1 span begin with a tag that says that they go on" in repairs.notes()[0]


# Files ----------------------------------------------------------------------------------------------------------------


def test_texts_with_spans_are_recognised_and_that_is_said(tmp_path):
    data = load(lines(tmp_path / "s.jsonl", [ADA, NOBODY, PARIS]))
    assert data.task == "tagging"
    assert data.classes == ("person", "place")
    assert spans(data) == [[(0, 3, "person")], [], [(3, 8, "place")]]
    assert data.notes[0].startswith('column "spans" marks parts of the texts in column "text"')


def triples(row):
    return [[span["start"], span["end"], span["label"]] for span in row["spans"]]


def studied(row):
    marks = [{"start": first, "end": end, "labels": [label]} for first, end, label in triples(row)]
    results = [{"from_name": "label", "type": "labels", "value": mark} for mark in marks]
    return {"data": {"text": row["text"]}, "annotations": [{"result": results}]}


DOCCANO = [{"id": 1, "text": row["text"], "label": triples(row)} for row in (ADA, NOBODY, PARIS)]
TOKEN = {"text": "Ada", "start": 0, "end": 3, "id": 0}
PRODIGY = [{**row, "answer": "accept", "_task_hash": 1, "tokens": [TOKEN]} for row in (ADA, NOBODY, PARIS)]
SPACY = [[row["text"], {"entities": triples(row)}] for row in (ADA, NOBODY, PARIS)]
STUDIO = [studied(row) for row in (ADA, ADA, PARIS)]


@pytest.mark.parametrize("rows", [DOCCANO, PRODIGY], ids=["doccano", "prodigy"])
def test_the_files_of_tools_are_read(tmp_path, rows):
    assert spans(load(lines(tmp_path / "s.jsonl", rows))) == [[(0, 3, "person")], [], [(3, 8, "place")]]


def test_what_is_given_to_spacy_is_read(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(SPACY), "utf-8")
    assert spans(load(tmp_path / "s.json")) == [[(0, 3, "person")], [], [(3, 8, "place")]]


def test_what_label_studio_exports_is_read(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(STUDIO), "utf-8")
    assert spans(load(tmp_path / "s.json")) == [[(0, 3, "person")]] * 2 + [[(3, 8, "place")]]


def test_tokens_with_tags_are_read(tmp_path):
    rows = [{"tokens": ["Ada", "left", "."], "tags": ["B-person", "O", "O"]}] * 3
    data = load(lines(tmp_path / "s.jsonl", rows))
    assert spans(data)[0] == [(0, 3, "person")]
    assert isinstance(data.items[0], Sentence)


def test_a_conll_file_is_read(tmp_path):
    (tmp_path / "s.conll").write_text(
        "-DOCSTART- O\n\n# a comment\nAda NN B-person\nleft VB O\n\nRome\tB-place\n\n\nIn O\nOslo I-place\n", "utf-8"
    )
    data = load(tmp_path / "s.conll")
    assert list(data.items) == ["Ada left", "Rome", "In Oslo"]
    assert spans(data) == [[(0, 3, "person")], [(0, 4, "place")], [(3, 7, "place")]]
    assert data.called(1) == "line 7"


# What is wrong with them --------------------------------------------------------------------------------------------


def refusal(tmp_path, rows, **options):
    with pytest.raises((DataError, OptionError)) as caught:
        load(lines(tmp_path / "s.jsonl", rows), **options)
    return str(caught.value)


def test_a_span_outside_its_text_is_refused_by_its_line(tmp_path):
    wrong = {"text": "Ada left.", "spans": [{"start": 0, "end": 30, "label": "person"}]}
    assert refusal(tmp_path, [wrong, ADA, PARIS]) == (
        f"1 of 3 rows in {tmp_path / 's.jsonl'} cannot be used, more than a tenth; the first is line 1: a span must "
        "lie within its text of 9 characters, got 0 to 30. Repair or remove them."
    )


def in_units(text, first, end, label, encoding, size):
    counts = [len(text[:at].encode(encoding)) // size for at in (first, end)]
    return {"text": text, "spans": [{"start": counts[0], "end": counts[1], "label": label}]}


@pytest.mark.parametrize(("encoding", "size", "unit"), [("utf-8", 1, "bytes"), ("utf-16-le", 2, "UTF-16 units")])
def test_spans_counted_in_other_units_are_put_right_and_that_is_said(tmp_path, encoding, size, unit):
    texts = ["😀 Ada a quitté Paris", "😀😀 Grace à Paris", "🎉 in Paris là"]
    rows = [in_units(text, text.index("Paris"), text.index("Paris") + 5, "place", encoding, size) for text in texts]
    data = load(lines(tmp_path / "s.jsonl", rows))
    assert [text[a:b] for text, ((a, b, _),) in zip(texts, spans(data), strict=True)] == ["Paris"] * 3
    assert f"spans are counted in {unit}, not in characters: they are put right" in data.notes


def test_spans_over_emoji_and_combining_marks_are_characters(tmp_path):
    text = "😀 Zoe\u0308 left"
    rows = [{"text": text, "spans": [[2, 6, "person"]]}, ADA, PARIS]
    assert spans(load(lines(tmp_path / "s.jsonl", rows)))[0] == [(2, 6, "person")]


def test_as_many_tags_as_tokens_are_wanted(tmp_path):
    rows = [{"tokens": ["Ada", "left"], "tags": ["B-person", "O"]}] * 2 + [{"tokens": ["Ada"], "tags": ["O", "O"]}]
    assert "line 3: it must have a tag per token, got 1 tokens and 2 tags" in refusal(tmp_path, rows)


def test_texts_without_any_span_are_refused(tmp_path):
    assert refusal(tmp_path, [NOBODY] * 3, task="tagging").startswith(
        f"{tmp_path / 's.jsonl'} must hold texts with marked spans, got columns"
    )


def test_two_texts_are_too_few(tmp_path):
    assert "must have 3 texts at least and spans in some of them, got 2 texts. Mark more." in refusal(
        tmp_path, [ADA, PARIS]
    )


def test_a_label_that_one_text_has_is_said(tmp_path):
    data = load(lines(tmp_path / "s.jsonl", [ADA, NOBODY, PARIS]))
    assert 'one text only has "person" and "place": whether that is found cannot be measured' in data.notes


def test_a_conll_file_knows_no_columns(tmp_path):
    (tmp_path / "s.conll").write_text("Ada B-person\n\n" * 3, "utf-8")
    with pytest.raises(OptionError, match="holds tokens and their tags, of which nothing but spans can be learned"):
        load(tmp_path / "s.conll", label="tags")


def test_another_task_takes_the_table_as_it_is(tmp_path):
    rows = [{"text": f"text {i}", "spans": [[0, 4, "x"]], "label": "ab"[i % 2]} for i in range(4)]
    assert load(lines(tmp_path / "s.jsonl", rows), label="label").task == "classification"
