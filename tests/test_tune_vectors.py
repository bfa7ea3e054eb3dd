"""Vectors through the whole of a run: learned from, saved, answered by name, shown; and what is refused."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import handful as library
from handful.errors import BundleError, DataError, OptionError

QUICK = {"budget": 0}
CLASSES = ["active", "inert", "toxic"]
COUNT = 24


def write_table(path: Path, header: list[str], rows: list[tuple]) -> Path:
    """Write a CSV file."""
    pd.DataFrame(rows, columns=header).to_csv(path, index=False)
    return path


def numbers(count=COUNT, seed=0):
    """(N, 5) numbers of which two tell three classes apart, and N names of these."""
    rng = np.random.default_rng(seed)
    which = np.arange(count) % 3
    rows = rng.normal(size=(count, 5)) * [0.3, 1, 30, 0.01, 1]
    rows[:, 0] += 8 * (which == 1)
    rows[:, 2] += 800 * (which == 2)
    return rows, [CLASSES[i] for i in which]


NAMES = ["logp", "rings", "mass", "charge", "bonds"]


def write_vectors(path: Path, rows, first=0) -> Path:
    frame = pd.DataFrame(rows, columns=NAMES)
    frame.insert(0, "molecule", [f"m{first + i}" for i in range(len(rows))])
    frame.to_parquet(path, index=False)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run of labels and vectors in two files, and new vectors beside it."""
    folder = tmp_path_factory.mktemp("vectors")
    rows, labels = numbers()
    labels[3] = CLASSES[1]  # a mistake, to be shown
    vectors = write_vectors(folder / "vectors.parquet", rows)
    table = write_table(folder / "labels.csv", ["molecule", "effect"], [(f"m{i}", x) for i, x in enumerate(labels)])
    write_vectors(folder / "new.parquet", numbers(9, seed=1)[0], 100)
    library.tune(table, label="effect", features=vectors, out=folder / "run", **QUICK)
    return folder


def test_a_run_is_saved_answers_files_and_keeps_ids(place, handful, tmp_path):
    ended = handful("predict", place / "run", place / "new.parquet", "--out", "answers.csv", "--conformal", "80%")
    assert (ended.code, ended.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "answers.csv").read_text())))
    assert list(rows[0]) == ["row", "molecule", "effect", "confidence", "set"]
    assert [row["molecule"] for row in rows] == [f"m{100 + i}" for i in range(9)]
    assert [row["effect"] for row in rows] == numbers(9, seed=1)[1]


def test_a_model_answers_arrays_frames_and_columns_in_another_order(place):
    model, (rows, labels) = library.Bundle.load(place / "run"), numbers(9, seed=1)
    frame = pd.read_parquet(place / "new.parquet")
    turned = frame[["bonds", "molecule", *NAMES[:-1]]].assign(price=3.0)
    assert model.predict(rows) == labels
    for other in (frame, turned):
        assert np.array_equal(model.outputs(other), model.outputs(rows))
    assert model.input == "molecule"


def test_what_was_learned_of_the_columns_travels_with_the_model(place, tmp_path):
    model, rows = library.Bundle.load(place / "run"), numbers(9, seed=1)[0]
    model.save(tmp_path / "copy")
    assert np.array_equal(library.Bundle.load(tmp_path / "copy").outputs(rows), model.outputs(rows))
    (tmp_path / "copy" / "backbones" / "0" / "columns.json").write_text("[]")
    with pytest.raises(BundleError, match="columns.json is missing or was changed after it was written"):
        library.Bundle.load(tmp_path / "copy").outputs(rows)


def test_predictions_and_report_show_ids_and_first_numbers(place):
    rows = list(csv.DictReader(io.StringIO((place / "run" / "predictions.csv").read_text())))
    assert rows[3]["input"] == "m3"
    page = (place / "run" / "report.html").read_text()
    assert "molecule m" in page
    assert "logp " in page
    assert "new.parquet" in page


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([["ring", "acid"] if i % 3 else ["acid"] if i % 2 else ["ring"] for i in range(COUNT)], "multilabel"),
        ([1 + i % 3 for i in range(COUNT)], "ordinal"),
        ([0.5 + 2.0 * (i % 3) for i in range(COUNT)], "regression"),
    ],
)
def test_every_kind_of_target_of_heads_can_be_learned(values, task, tmp_path):
    rows = numbers()[0]
    run = library.tune(rows, values, task=task, out=tmp_path / "run", **QUICK)
    assert len(run.held_out) == COUNT
    assert len(library.Bundle.load(tmp_path / "run").predict(rows[:2])) == 2


def test_several_targets_of_the_same_vectors(place, handful, tmp_path):
    rows = [(f"m{i}", CLASSES[i % 3], i % 3 + 0.5) for i in range(COUNT)]
    write_table(tmp_path / "both.csv", ["molecule", "effect", "dose"], rows)
    ended = handful(
        "tune", "both.csv", "--label", "effect,dose", "--features", place / "vectors.parquet", "--budget", "0",
        "--out", "run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    ended = handful("predict", "run", place / "new.parquet")
    assert ended.out.splitlines()[0].startswith("row,molecule,effect,")


def test_rows_without_labels_and_copies_are_known(place, tmp_path):
    rows, labels = numbers(30)
    rows[29], labels[29] = rows[28] * (1 + 1e-9), labels[28]
    data = library.load(rows, [label if i % 10 else "" for i, label in enumerate(labels)])
    assert len(data.unlabelled) == 3
    kinds = [finding.kind for finding in library.inspect(rows, labels)]
    assert "near_duplicate" in kinds


def test_vectors_without_labels_are_learned_from_too(place, tmp_path):
    rows, labels = numbers(30)
    table = [(f"m{i}", "" if i > 21 else label) for i, label in enumerate(labels)]
    some, vectors = write_table(tmp_path / "some.csv", ["molecule", "effect"], table), tmp_path / "v.parquet"
    write_vectors(vectors, rows)
    run = library.tune(some, label="effect", unlabelled=place / "new.parquet", features=vectors, **QUICK)
    assert "self-training" in [arm.name for arm in run.scores.arms]
    assert len(run.data.unlabelled) == 8


def test_inspection_says_how_many_numbers_a_vector_has(place, handful):
    ended = handful("inspect", place / "labels.csv", "--label", "effect", "--features", place / "vectors.parquet")
    assert ended.code == 0, ended.err
    assert "numbers per vector: 5" in ended.out
    assert "24 rows of vectors in 3 classes" in ended.out


def test_a_model_is_checked_with_labelled_new_rows(place, handful, tmp_path):
    rows, labels = numbers(30, seed=2)
    frame = pd.read_parquet(write_vectors(tmp_path / "v.parquet", rows)).assign(effect=labels)
    frame.to_csv(tmp_path / "labelled.csv", index=False)
    ended = handful("check", place / "run", "labelled.csv")
    assert ended.code == 0, ended.err + ended.out
    assert "effect" in ended.err + ended.out


def test_vectors_of_another_program_are_refused(place, handful, tmp_path):
    np.save(tmp_path / "wide.npy", np.zeros((3, 7)))
    ended = handful("predict", place / "run", "wide.npy")
    assert ended.code == 1
    assert ended.err.endswith(
        "vectors must have 5 numbers, as those that were learned from, got 7. Give vectors that were made in the same "
        "way.\n"
    )
    pd.DataFrame({"molecule": ["m1"], "logp": [1.0], "rings": [2.0]}).to_csv(tmp_path / "few.csv", index=False)
    ended = handful("predict", place / "run", "few.csv")
    assert ended.code == 1
    assert 'few.csv must have the column "mass" of numbers, which was learned from, got "molecule", "logp"' in ended.err
    ended = handful("predict", place / "run", "a text")
    assert ended.code == 1
    assert "vectors" in ended.err


def test_vectors_alone_are_no_labels_and_teach_no_backbone(place, handful, tmp_path):
    np.save(tmp_path / "v.npy", np.zeros((3, 7)))
    ended = handful("tune", "v.npy")
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "handful: v.npy holds vectors without labels. Give a table of labels, and the vectors beside it: handful tune "
        "labels.csv --features v.npy."
    )
    ended = handful("adapt", place / "new.parquet", "--backbone", "vectors", "--out", "base")
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "handful: backbone 'vectors' must read texts, images or sounds to be adapted, got one for vectors. Choose "
        "another, such as minilm-l6."
    )


REFUSED = {
    "explain": (
        "explain hides parts of an item and sees how its answer changes, got a model of vectors, whose numbers mean "
        "what the program that made them says. Look at the rows in its report instead."
    ),
    "serve": (
        "serve reads texts, pictures and sounds, got a model of vectors ({run}). Answer files of vectors with `"
        "handful predict`, or in Python with handful.Bundle.load(run).predict(vectors)."
    ),
    "update": (
        "{run} must be a run of texts, pictures, sounds or of a language model to be updated, got one of vectors. Put "
        "old and new rows into one table, and old and new vectors into one file, and tune again."
    ),
    "export": (
        "--format onnx is for models of texts, pictures and sounds, got one of vectors. Export without it, for handful."
    ),
}


@pytest.mark.parametrize(
    ("command", "rest"),
    [
        ("explain", ["new.parquet"]),
        ("serve", ["--port", "0"]),
        ("update", ["labels.csv"]),
        ("export", ["--format", "onnx", "--out", "copy"]),
    ],
)
def test_what_a_model_of_vectors_cannot_do(place, handful, command, rest):
    rest = [place / word if "." in word else word for word in rest]
    ended = handful(command, place / "run", *rest)
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == "handful: " + REFUSED[command].format(run=place / "run")


def test_no_weights_of_vectors_move_and_no_defects_are_found():
    rows, labels = numbers()
    with pytest.raises(OptionError) as error:
        library.tune(rows, labels, strategies="lora", **QUICK)
    assert str(error.value) == (
        "strategies lora move the weights of a backbone, got vectors, which come from another program. Leave them out."
    )
    with pytest.raises(OptionError) as error:
        library.tune(rows, ["good"] * 20 + ["bad"] * 4, task="defects", **QUICK)
    assert str(error.value) == (
        "defects are found in pictures, sounds and texts, got vectors in the list. Learn classes with --task "
        "classification."
    )
    with pytest.raises(OptionError) as error:
        library.tune(rows, labels, related="labels.csv")
    assert str(error.value) == "--with is for labelled texts, pictures and sounds, got vectors. Leave it out."
    with pytest.raises(OptionError, match="backbone 'minilm-l6' is for text, but the items are vectors: choose one of"):
        library.tune(rows, labels, backbone="minilm-l6", **QUICK)
    with pytest.raises(DataError, match="vectors must all have as many numbers as the first"):
        library.tune([*rows[:-1], np.zeros(3)], labels, **QUICK)


def test_no_graph_is_made_of_vectors(place, tmp_path):
    from handful.export.onnx.exporting import ExportOptions, KnownRows, export_onnx

    with pytest.raises(OptionError) as error:
        export_onnx(library.Bundle.load(place / "run"), tmp_path / "copy", KnownRows(), ExportOptions())
    assert str(error.value) == (
        "a model of vectors must be answered by handful, got a wish for ONNX, whose folders prepare texts, pictures "
        "and sounds. Export without --format."
    )


def test_a_text_is_no_vector(place, handful):
    ended = handful("predict", place / "run", "a loose foot")
    assert ended.err == (
        "handful: a loose foot does not exist, and no text is an item for a model of vectors. Name a file, a folder or "
        "a table.\n"
    )
