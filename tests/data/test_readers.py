"""Readers: columns found or named, and every source that cannot be learned from refused in a sentence."""

import csv
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from handful.data.cells import is_blank, label_text
from handful.data.readers import load
from handful.errors import DataError, HandfulError, OptionError

ANIMALS = [(f"sentence number {i} about {name}", name) for i in range(6) for name in ("ants", "bees")]
LABEL_NOTE = 'column "label" is taken as the label: 2 different values in 12 rows; use --label to choose another'
TEXT_NOTE = 'column "text" is taken as the text; use --input to choose another'


def table(path, header, rows, **options):
    with path.open("w", newline="", encoding=options.pop("encoding", "utf-8")) as file:
        writer = csv.writer(file, **options)
        writer.writerow(header)
        writer.writerows(rows)
    return path


@pytest.fixture
def animals(tmp_path):
    return table(tmp_path / "animals.csv", ("text", "label"), ANIMALS)


@pytest.fixture
def make(tmp_path):
    return lambda header, rows, **options: table(tmp_path / "t.csv", header, rows, **options)


@pytest.fixture
def refusal(tmp_path):
    def refused(source, kind=DataError, **options):
        with pytest.raises(kind) as error:
            load(source, **options)
        return str(error.value).replace(str(tmp_path) + "/", "")

    return refused


# Tables ------------------------------------------------------------------------------------------------------------


def test_a_table_of_texts(animals):
    data = load(str(animals))
    assert data.items == [text for text, _ in ANIMALS]
    assert data.labels == tuple(label for _, label in ANIMALS)
    assert (data.modality, data.groups, data.split, data.unreadable) == ("text", None, None, {})
    assert data.rows == tuple(range(12))
    assert data.source == str(animals)
    assert data.notes == (LABEL_NOTE, TEXT_NOTE)


def test_named_columns_are_not_explained(animals):
    assert load(animals, label="label", input="text").notes == ()


def test_the_note_names_the_chosen_column(make):
    data = load(make(("question", "topic"), [(f"why {i}", f"t{i % 5}") for i in range(60)]))
    assert data.notes[0] == (
        'column "topic" is taken as the label: 5 different values in 60 rows; use --label to choose another'
    )


@pytest.mark.parametrize(
    ("header", "label", "text"),
    [
        (("what", "kind"), "kind", "what"),
        (("Text", "LABEL"), "LABEL", "Text"),
        (("text", "topic"), "topic", "text"),
        (("topic", "what"), "topic", "what"),
        (("column 1", "text", "label"), "label", "text"),
    ],
)
def test_columns_are_found(make, header, label, text):
    values = {"column 1": "0123456789ab", label: ["x", "y"] * 6, text: [f"some words {i}" for i in range(12)]}
    data = load(make(header, zip(*[values[name] for name in header], strict=True)))
    assert data.counts == {"x": 6, "y": 6}
    assert data.items[0] == "some words 0"


def test_the_much_longer_of_two_texts_is_the_text(make):
    rows = [(f"id {i}", f"a long story with many more words {i}" * 3, "xy"[i % 2]) for i in range(12)]
    data = load(make(("subject line", "story", "label"), rows))
    assert data.items[0].startswith("a long story")
    assert 'column not used: "subject line"' in data.notes


def test_two_equally_long_texts_are_refused(make, refusal):
    rows = [(f"first words {i}", f"other words {i}", "xy"[i % 2]) for i in range(12)]
    assert refusal(make(("one", "two", "label"), rows), OptionError) == (
        'the input of t.csv could be "one" or "two" (columns: one, two, label). Choose with --input.'
    )


def test_a_missing_label_column_is_refused_with_the_nearest_name(animals, refusal):
    assert refusal(animals, OptionError, label="lable") == (
        "column \"lable\", given as the label, is not in animals.csv (columns: text, label). Did you mean 'label'?"
    )
    assert refusal(animals, OptionError, input="zzz") == (
        'column "zzz", given as the input, is not in animals.csv (columns: text, label). Name one of these.'
    )


def test_one_column_for_two_things_is_refused(animals, refusal):
    assert refusal(animals, OptionError, label="text", input="text") == (
        'column "text" is named for two things at once. Name another column for one of them.'
    )


def test_no_column_that_can_be_the_label(make, refusal):
    rows = [(f"some words {i}", f"2024-05-{i + 1:02}") for i in range(12)]
    assert refusal(make(("text", "date"), rows)) == (
        "t.csv has no column that can be the label (columns: text, date). "
        "Add a column with the class of each row, or name it with --label; from texts without labels `handful adapt` "
        "learns."
    )


def test_an_unlabelled_table(make, refusal):
    assert refusal(make(("text",), [("some words",), ("more words",)])) == (
        "t.csv has no column that can be the label (columns: text). "
        "Add a column with the class of each row, or name it with --label; from texts without labels `handful adapt` "
        "learns."
    )


def test_an_ambiguous_label_column(make, refusal):
    rows = [(f"some words {i}", "xy"[i % 2], "pqr"[i % 3]) for i in range(12)]
    message = 'the label of t.csv could be "{}" or "{}" (columns: text, {}, {}). Choose with --label.'
    for names in (("colour", "size"), ("class", "topic")):
        assert refusal(make(("text", *names), rows), OptionError) == message.format(*names, *names)
    assert load(make(("text", "topic", "size"), rows)).classes == ("x", "y")


def test_several_columns_of_0_and_1_could_be_the_labels_together(make, refusal):
    rows = [(f"some words {i}", int(i % 2), int(i % 3 == 0)) for i in range(12)]
    assert refusal(make(("text", "late", "rude"), rows), OptionError) == (
        'the label of t.csv could be "late" or "rude" (columns: text, late, rude). Choose with --label. Where any '
        "number of them may be right, name them all: --label late,rude."
    )


def test_as_many_labels_as_rows(make, refusal):
    rows = [(f"some words {i}", f"id{i}") for i in range(12)]
    assert refusal(make(("text", "label"), rows)) == (
        't.csv has as many different labels as items (12; column "label"): that is a name for every item, not a class. '
        "Choose another column with --label, or correct the labels."
    )


def test_as_many_numbers_as_rows(make, refusal):
    rows = [(f"some words {i}", 100 + 7 * i) for i in range(12)]
    message = (
        't.csv has as many different labels as items (12; column "label"): that is a name for every item, not a class. '
        "If they are amounts, predict them with --task regression. Choose another column with --label, or correct the "
        "labels."
    )
    assert refusal(make(("text", "label"), rows)) == message
    rows = [(text, number / 10) for text, number in rows]
    assert refusal(make(("text", "label"), rows), task="classification") == message


def test_one_class_only(make, refusal):
    assert refusal(make(("text", "label"), [(f"some words {i}", "x") for i in range(12)])) == (
        'all 12 items of t.csv have the same label, "x" (column "label"); at least two classes are needed. '
        "Choose another column with --label, or correct the labels."
    )


def test_measurements_are_not_taken_for_classes(make, refusal):
    rows = [(f"some words {i}", f"{i % 25 / 10}") for i in range(100)]
    path = make(("text", "label"), rows)
    data = load(path)
    assert (data.task, data.classes) == ("regression", ())
    assert data.notes[2] == (
        'column "label" holds numbers: a number is predicted; use --task classification or ordinal to take them '
        "otherwise"
    )
    assert len(load(path, task="classification").classes) == 25


def test_a_class_with_one_row_is_kept_and_said(make):
    data = load(make(("text", "label"), [*ANIMALS, ("a wasp", "wasp")]))
    assert data.counts["wasp"] == 1
    assert data.notes[-1] == ('class "wasp" has one row only: kept and learned from, but not used for stratifying')


def test_classes_that_differ_in_capitals_only_are_kept_apart_and_said(make):
    data = load(make(("text", "label"), [*ANIMALS, ("x y", "Bees"), ("z w", "Bees")]))
    assert data.notes[-1] == 'classes "Bees" and "bees" differ in capital letters only: they are kept apart'


def test_white_space_around_labels_does_not_count(make):
    assert load(make(("text", "label"), [(text, f" {name}\t") for text, name in ANIMALS])).classes == ("ants", "bees")


def test_words_that_other_readers_take_for_missing_are_labels(make):
    rows = [(f"some words {i}", ("NA", "None", "null", "nan")[i % 4]) for i in range(12)]
    assert load(make(("text", "label"), rows)).classes == ("NA", "None", "nan", "null")


def test_rows_without_a_label_are_unlabelled_items(make):
    data = load(make(("text", "label"), [*ANIMALS, ("who", " ")]))
    assert (len(data), data.unlabelled, dict(data.unreadable)) == (12, ("who",), {})
    assert data.notes[-1] == "1 row without a label is used as unlabelled item"
    many = load(make(("text", "label"), [*ANIMALS, *[(f"who {i}", "") for i in range(12)]]))
    assert (len(many), len(many.unlabelled)) == (12, 12)
    assert many.notes[-1] == "12 rows without a label are used as unlabelled items"


def test_rows_without_a_label_that_cannot_be_read_either_are_listed(make, refusal):
    data = load(make(("text", "label"), [*ANIMALS, (" ", ""), ("who", "")]))
    assert data.unreadable == {12: "line 14: the label is empty, and the text is empty"}
    assert data.unlabelled == ("who",)
    assert refusal(make(("text", "label"), [*ANIMALS, ("", ""), ("", "")])) == (
        "2 of 14 rows in t.csv cannot be used, more than a tenth; the first is line 14: the label is empty, and the "
        "text is empty. Repair or remove them."
    )


def test_a_test_row_without_a_label_is_left_out(make):
    rows = [(text, label, "test" if i % 3 == 2 else "train") for i, (text, label) in enumerate(ANIMALS)]
    data = load(make(("text", "label", "split"), [*rows, ("who", "", "test"), ("what", "", "train")]))
    assert data.unreadable == {12: "line 14: the label is empty"}
    assert data.unlabelled == ("what",)


def test_a_language_model_learns_nothing_from_rows_without_a_label(make):
    data = load(make(("text", "label"), [*ANIMALS, ("who", "")]), modality="language")
    assert (len(data), data.unlabelled) == (12, ())
    assert "1 row without a label is left out: a language model learns from answers alone" in data.notes


def test_no_labels_at_all(make, refusal):
    assert refusal(make(("text", "label"), [(text, "") for text, _ in ANIMALS])) == (
        't.csv has no labels: column "label" is empty in every row. '
        "Choose another column with --label, or correct the labels."
    )


@pytest.mark.parametrize("empty", ["", "   ", "\u00a0\u200b\t"])
def test_a_few_empty_texts_are_listed(make, empty):
    data = load(make(("text", "label"), [(empty, "ants"), *ANIMALS]))
    assert data.unreadable == {0: "line 2: the text is empty"}
    assert data.rows == tuple(range(1, 13))


def test_many_empty_texts_are_an_error(make, refusal):
    assert refusal(make(("text", "label"), [("", "ants"), (" ", "bees"), *ANIMALS])) == (
        "2 of 14 items in t.csv cannot be read, more than a tenth; the first is line 2: the text is empty. "
        "Repair or remove them."
    )


def test_a_class_whose_texts_are_all_empty_is_an_error(make, refusal):
    assert refusal(make(("text", "label"), [*ANIMALS, ("", "wasps")])) == (
        "class 'wasps' in t.csv has no readable item left; the first unreadable one is line 14: the text is empty. "
        "Repair its files or remove the class."
    )


def test_a_few_ragged_rows_are_listed(animals):
    with animals.open("a") as file:
        file.write("one,too,many\n")
    data = load(animals)
    assert data.unreadable == {12: "line 14 has 3 cells where the first line has 2"}
    assert len(data) == 12


def test_many_ragged_rows_are_an_error(animals, refusal):
    with animals.open("a") as file:
        file.write("one,too,many\ntwo\n")
    assert refusal(animals) == (
        "2 of 14 rows in animals.csv cannot be used, more than a tenth; "
        "the first is line 14 has 3 cells where the first line has 2. Repair or remove them."
    )


def test_ragged_rows_and_empty_labels_count_together(animals, refusal):
    with animals.open("a") as file:
        file.write("one,too,many\n,\n")
    assert refusal(animals).startswith("2 of 14 rows in animals.csv cannot be used")


def test_a_table_without_rows(make, refusal):
    assert refusal(make(("text", "label"), [])) == "t.csv holds no rows. Add rows below the names of the columns."


def test_a_table_without_names_of_columns(make, refusal):
    assert refusal(
        make(*[("it was charged twice", "billing")], [("some words here", "billing"), ("x y", "bug")] * 4)
    ) == (
        'the first line of t.csv looks like a row, not like names of columns: "billing" is also a value. '
        "Add a first line with names, for example: text,label"
    )


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", ()),
        ("utf-8-sig", ()),
        ("utf-16", ("t.csv is read as UTF-16, because it is not UTF-8",)),
        (
            "latin-1",
            ('t.csv is read as Windows-1252, because it is not UTF-8: "Das Gerät ist schön 0,süß"',),
        ),
    ],
)
def test_encodings(make, encoding, note):
    rows = [(f"Das Gerät ist schön {i}", ("süß", "herb")[i % 2]) for i in range(8)]
    data = load(make(("text", "label"), rows, encoding=encoding), label="label", input="text")
    assert data.classes == ("herb", "süß")
    assert data.items[0] == "Das Gerät ist schön 0"
    assert data.notes == note


def test_tsv_parquet_and_json_lines_give_the_same(tmp_path, animals):
    frame = pd.read_csv(animals)
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    for name in ("a.parquet", "a.jsonl", "a.tsv"):
        data = load(tmp_path / name)
        assert (data.items, data.labels) == (load(animals).items, load(animals).labels)
        assert data.notes == (LABEL_NOTE, TEXT_NOTE)


def test_numbers_as_labels_are_text(tmp_path):
    frame = pd.DataFrame({"text": [f"some words {i}" for i in range(9)], "label": [0.0, 1.0, 2.0] * 3})
    frame.to_parquet(tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet").classes == ("0", "1", "2")
    assert load(frame.assign(label=[True, False, True] * 3)).classes == ("False", "True")


def test_a_column_of_lists_is_no_text(tmp_path, refusal):
    path = tmp_path / "a.jsonl"
    path.write_text('{"tokens": ["a"], "label": "x"}\n{"tokens": ["b"], "label": "y"}\n{"tokens": [], "label": "y"}\n')
    assert refusal(path, OptionError, input="tokens") == (
        'column "tokens" of a.jsonl must hold texts, images or sounds, got lists or objects. '
        "Choose another with --input."
    )
    assert refusal(path) == (
        "a.jsonl has no column with texts or names of files (columns: tokens, label). Add one, or name it with --input."
    )


# Split and group ---------------------------------------------------------------------------------------------------


def test_a_split_column_is_honoured(make):
    parts = ["train", "Test", "dev", "validation", "val ", "training"] * 2
    data = load(make(("text", "label", "split"), [(*row, part) for row, part in zip(ANIMALS, parts, strict=True)]))
    assert data.split == ("train", "test", "train", "train", "train", "train") * 2
    assert data.notes[2] == (
        'column "split" is honoured as the split: 10 rows to train, 2 to test; '
        '"dev", "val" and "validation" rows are used for training'
    )


def test_a_split_without_test_rows_is_none(make):
    data = load(make(("text", "label", "split"), [(*row, "train") for row in ANIMALS]))
    assert data.split is None
    assert data.notes[2] == 'column "split" is honoured as the split: 12 rows to train, 0 to test'


def test_a_split_column_that_says_something_else(make, refusal):
    path = make(("text", "label", "split"), [(*row, "holdout") for row in ANIMALS])
    assert refusal(path, OptionError) == (
        'column "split" of t.csv says which rows are for training and which for testing; it must hold '
        '"train" or "test" in every row, got "holdout". Correct it, or rename it to have it ignored.'
    )
    assert load(path, split="").split is None


@pytest.mark.parametrize("name", ["part", "Subset", "usage"])
def test_a_split_column_by_another_name_is_known_by_what_it_says(make, name):
    parts = ["Train", "test", "val", "train"] * 3
    data = load(make(("text", "label", name), [(*row, part) for row, part in zip(ANIMALS, parts, strict=True)]))
    assert (len(data.part("test")), data.target) == (3, "label")
    assert f'column "{name}" is honoured as the split: 9 rows to train, 3 to test' in data.notes[2]


def test_names_of_parts_of_a_split_are_no_labels(make, refusal):
    rows = [(text, part) for (text, _), part in zip(ANIMALS, ["train", "test"] * 6, strict=True)]
    for name in ("split", "subset"):
        message = refusal(make(("text", name), rows))
        assert message.startswith(f"t.csv has no column that can be the label (columns: text, {name}).")
    kept = [(*row, part) for row, part in zip(ANIMALS, ["train", "val"] * 6, strict=True)]
    data = load(make(("text", "sort", "subset"), kept))  # nothing is tested on: it says nothing
    assert (data.target, data.split) == ("sort", None)


def test_a_column_of_days_and_hours_is_not_the_text(make):
    rows = [(text, label, f"2026-05-{i + 1:02} 08:30:00") for i, (text, label) in enumerate(ANIMALS)]
    assert load(make(("what", "sort", "when"), rows)).input == "what"


def test_nothing_to_train_on(make, refusal):
    assert refusal(make(("text", "label", "split"), [(*row, "test") for row in ANIMALS])) == (
        "no row of t.csv is for training: the split of every row is test. Add train rows."
    )


def test_one_class_to_train_on(make, refusal):
    rows = [(text, name, "train" if name == "ants" else "test") for text, name in ANIMALS]
    assert refusal(make(("text", "label", "split"), rows)) == (
        'all 6 training items of t.csv have the same label, "ants" (column "label"); '
        "at least two classes are needed. Choose another column with --label, or correct the labels."
    )


def test_a_class_that_is_only_tested_is_said(make):
    rows = [(*row, "train") for row in ANIMALS] + [("a wasp", "wasps", "test")]
    assert load(make(("text", "label", "split"), rows)).notes[-1] == (
        'classes in the test rows that no training row has: "wasps"'
    )


@pytest.mark.parametrize("name", ["group", "Speaker", "patient", "document", "patient_id"])
def test_a_group_column_is_honoured(make, name):
    data = load(make(("text", "label", name), [(*row, f"p{i % 4}") for i, row in enumerate(ANIMALS)]))
    assert data.groups == tuple(f"p{i % 4}" for i in range(12))
    assert data.notes[2] == (
        f'column "{name}" is taken as the group: 4 different values in 12 rows, never split across folds; '
        "use --group to choose another"
    )


def test_only_well_known_names_are_groups(make):
    data = load(make(("text", "label", "city"), [(*row, f"p{i % 4}") for i, row in enumerate(ANIMALS)]))
    assert data.groups is None
    assert load(data.source, group="city").groups is not None


@pytest.mark.parametrize(
    ("value", "says"), [("p", "the same value in every row"), ("p{}", "a value of its own in every row")]
)
def test_a_group_column_that_parts_nothing_is_said(make, value, says):
    path = make(("text", "label", "speaker"), [(*row, value.format(i)) for i, row in enumerate(ANIMALS)])
    data = load(path)
    assert data.groups is None
    assert f'column "speaker" is not taken as the group: it has {says}' in data.notes
    assert not any("not taken" in note for note in load(path, group="").notes)


def test_a_group_column_of_a_frame_without_any_value_is_said():
    columns = {"text": [f"a text {i}" for i in range(6)], "label": ["x", "y"] * 3, "speaker": [None] * 6}
    notes = load(pd.DataFrame(columns)).notes
    assert 'column "speaker" is not taken as the group: it has the same value in every row' in notes


def test_a_group_may_be_declined(make):
    path = make(("text", "label", "speaker"), [(*row, f"p{i % 4}") for i, row in enumerate(ANIMALS)])
    assert load(path, group="").groups is None
    assert load(path, label="speaker").classes == ("p0", "p1", "p2", "p3")


def test_a_row_without_a_group_belongs_to_nobody_else(make):
    data = load(make(("text", "label", "group"), [(*row, ("a", "b", "")[i % 3]) for i, row in enumerate(ANIMALS)]))
    assert data.groups[:6] == ("a", "b", "(row 2)", "a", "b", "(row 5)")


def test_two_possible_groups_are_refused(make, refusal):
    rows = [(*row, f"p{i % 4}", f"d{i % 3}") for i, row in enumerate(ANIMALS)]
    assert refusal(make(("text", "label", "speaker", "document"), rows), OptionError) == (
        'the group of t.csv could be "speaker" or "document" (columns: text, label, speaker, document). '
        "Choose with --group."
    )


def test_a_document_that_is_the_text_is_no_group(make):
    assert load(make(("document", "label"), ANIMALS)).groups is None


# Files named in a table --------------------------------------------------------------------------------------------


@pytest.fixture
def clips(tmp_path):
    (tmp_path / "clips").mkdir()
    rows = [(f"clips/it's {i}.wav", ("yes", "no")[i % 2], f"s{i % 3}") for i in range(12)]
    for name, *_ in rows:
        (tmp_path / name).write_bytes(b"x")
    return table(tmp_path / "clips.csv", ("file", "word", "speaker"), rows)


def test_a_table_of_files(clips, tmp_path):
    data = load(clips)
    assert data.modality == "sound"
    assert data.items[0] == tmp_path / "clips/it's 0.wav"
    assert data.labels[:2] == ("yes", "no")
    assert data.groups[:3] == ("s0", "s1", "s2")
    assert data.notes[1] == 'column "file" is taken as the sound; use --input to choose another'


def test_a_missing_file_is_listed(clips, tmp_path):
    (tmp_path / "clips/it's 3.wav").unlink()
    assert load(clips).unreadable == {3: f"{tmp_path}/clips/it's 3.wav: the file does not exist"}


def test_files_that_are_all_elsewhere(clips, tmp_path, refusal):
    (tmp_path / "clips").rename(tmp_path / "sounds")
    assert refusal(clips) == (
        "12 of 12 items in clips.csv cannot be read, more than a tenth; "
        "the first is clips/it's 0.wav: the file does not exist, but sounds/it's 0.wav does: "
        "write that. Repair or remove them."
    )


def test_names_of_files_taken_as_texts(clips):
    data = load(clips, modality="text")
    assert (data.modality, data.items[0]) == ("text", "clips/it's 0.wav")
    assert load(clips, modality="text", input="file").items == data.items


def test_files_and_texts_in_one_table(tmp_path, refusal):
    rows = [(f"{i}.jpg", f"a caption {i}", "xy"[i % 2]) for i in range(12)]
    for name, *_ in rows:
        (tmp_path / name).write_bytes(b"x")
    path = table(tmp_path / "t.csv", ("file", "text", "label"), rows)
    assert refusal(path, OptionError) == (
        'the input of t.csv could be "file" or "text" (columns: file, text, label). Choose with --input, or name both, '
        "joined by a comma, if images and texts belong together."
    )
    assert load(path, modality="image").modality == "image"
    assert load(path, input="text").modality == "text"
    assert refusal(path, OptionError, input="file", modality="sound") == (
        'column "file" of t.csv must hold sounds, got images. Choose another with --input.'
    )
    assert refusal(path, modality="sound") == (
        "t.csv has no column with names of sounds (columns: file, text, label). Add one, or name it with --input."
    )


# Lists and frames --------------------------------------------------------------------------------------------------


def test_a_list_of_texts():
    data = load(["good", "bad", "fine", "awful"], labels=[1, 0, 1.0, False])
    assert data.items == ["good", "bad", "fine", "awful"]
    assert data.labels == ("1", "0", "1", "False")
    assert (data.source, data.notes) == (
        "the list",
        ('classes "0" and "False" have one row only: kept and learned from, but not used for stratifying',),
    )


def test_lists_of_pictures_and_sounds(tmp_path):
    labels = ["a", "b", "a", "b"]
    picture, pixels, sound = Image.new("L", (4, 4)), np.zeros((4, 4, 3)), (np.zeros(100), 8000)
    (tmp_path / "a.png").write_bytes(b"x")
    assert load([picture, pixels, tmp_path / "a.png", picture], labels=labels).modality == "image"
    assert load(np.zeros((4, 8, 8)), labels=labels).modality == "image"
    assert load([sound] * 4, labels=labels).modality == "sound"


def test_series_and_arrays_of_texts():
    data = load(pd.Series(["a b", "c d", "e f"], index=[5, 6, 7]), labels=pd.Series([0, 1, 0]))
    assert data.labels == ("0", "1", "0")
    assert load(np.array(["a b", "c d", "e f"]), labels=np.array([0, 1, 0])).items == ["a b", "c d", "e f"]


def test_groups_and_splits_of_a_list(refusal):
    texts, labels = ["a", "b", "c", "d"], [0, 1, 0, 1]
    data = load(texts, labels=labels, group=[7, 7, None, 8], split=["train", "train", "train", "test"])
    assert data.groups == ("7", "7", "(row 2)", "8")
    assert data.split == ("train", "train", "train", "test")
    assert refusal(texts, OptionError, labels=labels, split=["train", "x", "train", "test"]) == (
        'split= must hold "train" or "test" for every item, got \'x\' for item 1. Correct it.'
    )
    assert refusal(texts, OptionError, labels=labels, group="speaker") == (
        "group= names a column of a table, got 'speaker' with a list. Give a list."
    )


def test_lists_that_cannot_be(refusal):
    assert refusal([], labels=[]) == "the list is empty. Give at least two items of each class."
    assert refusal(["a", "b"], OptionError) == ("labels= is missing: a list of 2 items needs 2 labels. Give them.")
    assert refusal(["a", "b"], OptionError, labels=["x"]) == (
        "labels= must have one entry per item (2), got 1. Correct it."
    )
    assert refusal(["a", "b"], labels=["x", "x"]) == (
        'all 2 items of the list have the same label, "x" (labels=); at least two classes are needed. '
        "Correct the labels."
    )
    assert refusal(["a", "b"], labels=["x", "y"]) == (
        "the list has as many different labels as items (2; labels=): that is a name for every item, not a class. "
        "Correct the labels."
    )
    assert refusal(["a", "b"], labels=[None, ""]) == (
        "the list has no labels: labels= is empty in every row. Correct the labels."
    )
    assert refusal(["a", np.zeros((2, 2))], labels=["x", "y"]) == (
        "the list must hold texts, images, sounds, vectors or images with texts, all of one kind, got different kinds. "
        "Change it."
    )
    assert refusal([None, " "], labels=["x", "y"]) == (
        "the list must hold texts, images, sounds, vectors or images with texts, all of one kind, got nothing but "
        "missing values. Change it."
    )
    assert refusal(np.full((4, 9), "x"), labels=[0, 1, 0, 1]) == (
        "the list must hold texts, images, sounds, vectors or images with texts, all of one kind, got ndarray. "
        "Change it."
    )
    assert refusal(["a.jpg", "b.jpg"], OptionError, labels=["x", "y"]) == (
        "the list holds names of images as texts. Say modality='image' to read the files, or modality='text' "
        "to take the names themselves."
    )
    assert refusal(["a", "b"], OptionError, labels=[0, 1], label="x") == (
        "label= and input= name columns of a table; a list has none. Give labels=[…] instead."
    )


def test_labels_that_are_no_list(refusal):
    assert refusal(["a", "b"], OptionError, labels="xy") == (
        "labels= must be a list with one label per item, got str. Give one column or list."
    )


def test_names_in_a_list_are_read_when_asked(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(b"x")
    names = [str(tmp_path / f"{name}.jpg") for name in "abc"]
    assert load(names, labels=[0, 1, 0], modality="image").items[0] == tmp_path / "a.jpg"
    assert load(names, labels=[0, 1, 0], modality="text").items == names


def test_a_frame():
    data = load(pd.DataFrame(ANIMALS, columns=["text", "label"]))
    assert (data.source, len(data), data.notes) == ("the DataFrame", 12, (LABEL_NOTE, TEXT_NOTE))


def test_a_frame_of_pictures():
    frame = pd.DataFrame({"picture": [Image.new("L", (2, 2))] * 6, "label": ["a", "b"] * 3})
    assert load(frame).modality == "image"


@pytest.mark.filterwarnings("ignore")
def test_hugging_face_data():
    hub = pytest.importorskip("datasets")
    features = hub.Features({"text": hub.Value("string"), "label": hub.ClassLabel(names=["no", "yes"])})
    rows = {"text": [f"some words {i}" for i in range(21)], "label": [0, 1] * 10 + [-1]}
    part = hub.Dataset.from_dict(rows, features=features)
    data = load(part)
    assert data.counts == {"no": 10, "yes": 10}
    assert data.unlabelled == ("some words 20",)
    assert data.source == "the datasets.Dataset"
    both = load(hub.DatasetDict({"train": part, "validation": part, "test": part}))
    assert len(both.part("test")) == 20
    assert both.rows[20:22] == (21, 22)
    assert load(part["text"], labels=part["label"]).classes == ("-1", "0", "1")


@pytest.mark.filterwarnings("ignore")
def test_hugging_face_pictures(tmp_path):
    hub = pytest.importorskip("datasets")
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.png")
    features = hub.Features({"image": hub.Image(), "label": hub.Value("string")})
    rows = {"image": [str(tmp_path / "a.png"), Image.new("RGB", (4, 4))] * 2, "label": ["a", "b"] * 2}
    data = load(hub.Dataset.from_dict(rows, features=features))
    assert data.modality == "image"
    assert data.items[0] == tmp_path / "a.png"
    assert data.items[1].size == (4, 4)


# Sources that cannot be --------------------------------------------------------------------------------------------


def test_a_source_that_does_not_exist(animals, refusal):
    assert (
        refusal(str(animals).replace("animals", "animal")) == "animal.csv does not exist. Did you mean 'animals.csv'?"
    )
    assert refusal("no/such/thing.csv") == "no/such/thing.csv does not exist. Check the path."
    assert refusal("a\0b") == "a\\x00b does not exist. Check the path."
    assert refusal("x" * 5000).endswith("x does not exist. Check the path.")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jpg", "a.jpg is one image; learning needs several per class. Give a folder with one sub-folder per class."),
        ("a.WAV", "a.WAV is one sound; learning needs several per class. Give a folder with one sub-folder per class."),
        (
            "a.txt",
            "a.txt holds texts without labels. Write a CSV file with one column of texts and one of labels; or learn "
            "from texts alone with `handful adapt`.",
        ),
        (
            "a.tm",
            "a.tm is a project of Teachable Machine. Open it there, choose Download Samples in the menu of each class, "
            "unpack what comes, and give a folder with one sub-folder per class.",
        ),
        ("a.7z", "a.7z is an archive. Unpack it, and give the folder or table that was in it."),
        ("a.ods", "a.ods is a spreadsheet of a kind that is not read. Save it as .xlsx or CSV, and give that file."),
        (
            "a.doc",
            "a.doc must be a folder or a table (.csv, .tsv, .tab, .jsonl, .ndjson, .json, .parquet, .pq, .xlsx, "
            ".xlsm), got .doc. Rename it.",
        ),
    ],
)
def test_files_of_another_kind(tmp_path, refusal, name, message):
    (tmp_path / name).write_bytes(b"x")
    assert refusal(tmp_path / name) == message


def test_an_empty_table(tmp_path, refusal):
    (tmp_path / "a.csv").touch()
    assert refusal(tmp_path / "a.csv") == "a.csv is empty (0 bytes). Give a file with rows."


def test_arguments_that_do_not_fit(tmp_path, animals, refusal):
    assert refusal(animals, OptionError, modality="texts") == (
        "modality must be text, image, sound, vectors, image+text or language, got 'texts'. Did you mean 'text'?"
    )
    assert refusal(animals, OptionError, labels=["x"]) == (
        "labels= belongs to a list; a table or folder holds its own. Name the column with label=."
    )
    assert refusal(animals, OptionError, group=["x"]) == (
        "group= and split= must be names of columns for a table, got lists. Name the columns."
    )
    assert refusal(tmp_path, OptionError, label="x") == (
        f"label=, input=, group= and split= name columns of a table, but {tmp_path} is a folder: "
        "its sub-folders are the labels. Leave them out."
    )
    assert refusal(tmp_path, OptionError, modality="text") == (
        f"modality must be image or sound for a folder ({tmp_path}), got 'text'. "
        "Write the texts into a CSV file with one column of texts and one of labels."
    )
    assert refusal(3, OptionError) == (
        "the source must be a path, a list, a pandas DataFrame or a datasets.Dataset, got int. Give one of these."
    )


# Real data -----------------------------------------------------------------------------------------------------------


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "classes", "train", "test"),
    [
        ("trec6", 6, 5380, 500),
        ("banking77", 77, 10003, 3080),
        ("masakhanews_yor", 5, 1639, 411),
        ("sst5", 5, 9634, 2210),
    ],
)
def test_the_documented_counts_of_real_tables(name, classes, train, test):
    beside = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("HANDFUL_BENCH_DATA", beside)) / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    data = load(path)
    assert (len(data.classes), len(data.part("train")), len(data.part("test"))) == (classes, train, test)
    assert data.unreadable == {}


# Properties --------------------------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15)
seen = words.filter(lambda text: not is_blank(text))
timeless = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@timeless
@given(st.lists(seen, min_size=2, max_size=4, unique_by=label_text), st.data())
def test_any_table_of_texts_comes_back(tmp_path, classes, data):
    rows = [(data.draw(seen), name) for name in [*classes, *classes]]
    rows = [row for row in rows if row != ("text", "label")]
    if len({name for _, name in rows}) in (len(rows), 1):
        return
    found = load(table(tmp_path / "t.csv", ("text", "label"), rows), input="text", label="label", modality="text")
    assert found.items == [text for text, _ in rows]
    assert found.labels == tuple(label_text(name) for _, name in rows)
    assert found.unreadable == {}


@timeless
@given(st.binary(max_size=200), st.sampled_from([".csv", ".tsv", ".jsonl", ".json", ".parquet"]))
def test_arbitrary_bytes_are_read_or_refused(tmp_path, content, suffix):
    path = tmp_path.joinpath(f"t{suffix}")
    path.write_bytes(content)
    try:
        load(path)
    except HandfulError as error:
        assert str(error).endswith((".", "?", "text,label", "per line."))


@timeless
@given(st.text(st.sampled_from('a,";\t|\n\r \0é'), max_size=80))
def test_arbitrary_punctuation_is_read_or_refused(tmp_path, content):
    path = tmp_path.joinpath("t.csv")
    path.write_text("text,label\n" + content, "utf-8", newline="")
    try:
        load(path)
    except HandfulError as error:
        assert str(error)
