"""Vectors: numbers that another program made, read from arrays and tables and joined with labelled rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from handful.data.readers import load
from handful.data.streams import stream
from handful.data.vectors import VECTORS, NoVector, Vector, make_vector, numbers_among, vector_of_cells
from handful.errors import DataError, OptionError

NUMBERS = np.arange(12.0).reshape(4, 3)
LABELS = ["ants", "bees", "ants", "bees"]
IDS = ["m1", "m2", "m3", "m4"]


def write_table(path: Path, header: list[str], rows: list[tuple]) -> Path:
    """Write a CSV file."""
    pd.DataFrame(rows, columns=header).to_csv(path, index=False)
    return path


@pytest.fixture
def labelled(tmp_path):
    """A table of IDs and labels, in another order than the vectors."""
    return write_table(tmp_path / "labels.csv", ["id", "label"], list(zip(IDS, LABELS, strict=True))[::-1])


@pytest.fixture
def vectors(tmp_path):
    """Write vectors as a table whose ending says of what kind."""

    def make(name="v.csv", ids=IDS, numbers=NUMBERS, **more):
        frame = pd.DataFrame({"id": ids} if ids is not None else {})
        for i, column in enumerate(np.asarray(numbers, object).T):
            frame["abcdef"[i]] = column
        frame = frame.assign(**more)
        path = tmp_path / name
        if path.suffix == ".parquet":
            frame.infer_objects().to_parquet(path, index=False)
        elif path.suffix == ".xlsx":
            frame.to_excel(path, index=False)
        else:
            frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
        return path

    return make


@pytest.fixture
def refusal(tmp_path):
    def refused(source, kind=DataError, **options):
        with pytest.raises(kind) as error:
            load(source, **options)
        return str(error.value).replace(f"{tmp_path}/", "")

    return refused


def test_an_array_is_a_list_of_vectors():
    data = load(NUMBERS, LABELS)
    assert data.modality == VECTORS
    assert [item.values.tolist() for item in data.items] == NUMBERS.tolist()
    assert repr(data) == "Dataset(4 vectors from the list, classification: ants 2, bees 2)"


@pytest.mark.parametrize("name", ["v.csv", "v.tsv", "v.parquet", "v.xlsx"])
def test_tables_are_joined_by_the_column_that_both_have(name, labelled, vectors):
    data = load(labelled, features=vectors(name))
    assert [item.name for item in data.items] == IDS[::-1]
    assert [item.values.tolist() for item in data.items] == NUMBERS[::-1].tolist()
    assert data.items[0].columns == ("a", "b", "c")
    assert (data.input, data.target, data.labels) == ("id", "label", tuple(LABELS[::-1]))
    assert data.called(0) == "id m4"
    assert 'joined with the rows by column "id"' in data.notes[0]
    assert not any("not used" in note for note in data.notes)


def test_files_of_numpy_are_joined_by_their_ids_or_by_order(tmp_path, labelled):
    np.savez(tmp_path / "v.npz", vectors=NUMBERS, ids=np.array(IDS))
    np.save(tmp_path / "v.npy", NUMBERS)
    by_id, by_order = (load(labelled, features=tmp_path / name) for name in ("v.npz", "v.npy"))
    assert [item.values.tolist() for item in by_id.items] == NUMBERS[::-1].tolist()
    assert (by_id.input, by_order.input) == ("id", None)
    assert [item.values.tolist() for item in by_order.items] == NUMBERS.tolist()
    assert "joined with the rows by their order, since no column of IDs is in both" in by_order.notes[0]


def test_numbers_of_the_table_itself_and_lists_in_a_column(tmp_path):
    frame = pd.DataFrame({"id": IDS, "a": [1, 2, 3, 4], "b": ["0.5", "1e3", "-2", "0"], "label": LABELS, "who": "xyxy"})
    data = load(frame.assign(who=list("xyxy")), features="columns", label="label")
    assert [item.values.tolist() for item in data.items] == [[1, 0.5], [2, 1000], [3, -2], [4, 0]]
    assert data.items[1].name == "m2"
    assert '2 columns of numbers are taken as the features: "a" and "b"' in data.notes
    listed = pd.DataFrame({"id": IDS, "embedding": NUMBERS.tolist()})
    listed.to_parquet(tmp_path / "v.parquet")
    data = load(frame[["id", "label"]], features=tmp_path / "v.parquet")
    assert data.items[1].columns == ("embedding[0]", "embedding[1]", "embedding[2]")
    assert data.items[1].values.tolist() == [3, 4, 5]


def test_a_column_that_labels_have_too_is_no_feature(labelled, vectors):
    data = load(labelled, features=vectors(label=LABELS))
    assert data.items[0].columns == ("a", "b", "c")


def test_the_column_of_ids_may_be_called_anything(tmp_path):
    rows = write_table(
        tmp_path / "l.csv", ["wine", "vineyard", "label"], [[i, "v", x] for i, x in zip(IDS, LABELS, strict=True)]
    )
    pd.DataFrame({"wine": IDS, "vineyard": list("vvvv"), "a": 1.5}).to_csv(tmp_path / "v.csv", index=False)
    with pytest.raises(OptionError, match='could be "wine" or "vineyard". Choose with --input.'):
        load(rows, features=tmp_path / "v.csv")
    assert load(rows, features=tmp_path / "v.csv", input="wine").items[2].name == "m3"


def test_ids_twice_none_and_without_a_vector(labelled, vectors, refusal, tmp_path):
    assert refusal(labelled, features=vectors(ids=["m1", "m2", "m3", "m3"])) == (
        'v.csv must hold every ID once, got "m3" more than once (column "id"). Keep one row of each.'
    )
    assert refusal(labelled, features=vectors(ids=["x1", "x2", "x3", "x4"])) == (
        'v.csv must hold vectors for the IDs of labels.csv (column "id", such as "m4"), got none of them (it has IDs '
        'such as "x1"). Choose another column with --input.'
    )
    assert refusal(labelled, features=vectors(ids=["m1", "m2", "m3", "x4"])) == (
        "1 of 4 items in labels.csv cannot be read, more than a tenth; the first is id m4: v.csv has no vector of it. "
        "Repair or remove them."
    )
    np.save(tmp_path / "v.npy", NUMBERS[:3])
    assert refusal(labelled, features=tmp_path / "v.npy") == (
        "v.npy must have a column of IDs that labels.csv has too, or as many rows as it (4), got 3 rows and no such "
        "column. Add the IDs to both files, and name their column with --input."
    )
    assert refusal(labelled, OptionError, features=tmp_path / "v.npy", input="id") == (
        'column "id", given as the input, must hold IDs in both files, got v.npy without IDs. Save them beside the '
        "vectors: np.savez(file, vectors=array, ids=names)."
    )
    assert refusal(labelled, OptionError, features=vectors(ids=None), input="id") == (
        'column "id", given as the input, must hold IDs in both files, got v.csv without it ("a", "b" '
        'and "c"). Name one that both have.'
    )
    assert refusal(labelled, OptionError, features=vectors(), input="idd") == (
        'column "idd", given as the input, is not in labels.csv ("id" and "label"). With features it '
        "names the column of IDs. Did you mean 'id'?"
    )


def test_a_few_ids_without_a_vector_are_skipped_and_said(tmp_path, vectors):
    rows = [[f"m{i}", LABELS[i % 2]] for i in range(20)]
    labelled = write_table(tmp_path / "l.csv", ["id", "label"], rows)
    data = load(labelled, features=vectors(ids=[f"m{i}" for i in range(1, 20)], numbers=np.ones((19, 2))))
    assert len(data) == 19
    assert list(data.unreadable.values())[0].endswith("v.csv has no vector of it")


def test_numbers_that_are_none(labelled, vectors, refusal, tmp_path):
    broken = NUMBERS.astype(object)
    for value, said in ((np.nan, "an empty cell"), ("x", "'x'"), (np.inf, "'inf'")):
        broken[3, 1] = value
        assert refusal(labelled, features=vectors(numbers=broken)).startswith(
            f'1 of 4 items in labels.csv cannot be read, more than a tenth; the first is id m4: column "b" must be a '
            f"finite number, got {said}"
        )
    assert refusal(labelled, features=vectors(d=["C", "CC", "CO", "N"])) == (
        'column "d" of v.csv must hold numbers, got something else. Leave it out of the file; a column of IDs needs '
        "the same name in both files, or --input names it."
    )
    odd = NUMBERS.copy()
    odd[2, 0] = np.nan
    assert "row 2: number 0 must be a finite number, got nan" in refusal(odd, labels=LABELS)
    pd.DataFrame({"id": IDS, "name": IDS}).to_csv(tmp_path / "v.csv", index=False)
    assert refusal(labelled, features=tmp_path / "v.csv") == (
        'v.csv must have columns of numbers, one row for each item, got none ("id" and "name"). Give '
        "the table that holds the vectors."
    )
    assert refusal(labelled, features="columns") == (
        'labels.csv must have columns of numbers beside its labels, got none ("id" and "label"). Leave '
        "--features out, or name the file that holds the numbers."
    )


def test_files_that_hold_no_vectors(labelled, refusal, tmp_path):
    def refused(name):
        return refusal(labelled, features=tmp_path / name)

    np.save(tmp_path / "o.npy", np.array([[1, "a"], [None, 2]], object), allow_pickle=True)
    assert refused("o.npy") == (
        "o.npy must hold numbers, got Python objects, which may run code when they are read. Save an array of "
        "numbers: np.save(file, array.astype(float))."
    )
    np.savez(tmp_path / "o.npz", vectors=NUMBERS, ids=np.array(IDS, object))
    assert refused("o.npz").startswith("o.npz must hold numbers, got Python objects, which may run code")
    np.save(tmp_path / "flat.npy", np.zeros(4))
    assert refused("flat.npy") == (
        "flat.npy must hold numbers with two axes, a row for each item and a column for each number, got an array of "
        "float64 with shape (4,). Save one vector per row."
    )
    for name in ("empty.npy", "empty.csv"):
        (tmp_path / name).touch()
    assert refused("empty.npy") == "empty.npy is empty (0 bytes). Give a file with vectors."
    assert "empty.csv is empty" in refused("empty.csv")
    (tmp_path / "junk.npy").write_bytes(b"junk")
    assert refused("junk.npy") == (
        "junk.npy must be a file of numpy, got something else. Write it with np.save or np.savez."
    )
    (tmp_path / "junk.npz").write_bytes(b"PKjunk")
    assert refused("junk.npz").startswith("junk.npz cannot be read as a file of numpy (")
    np.savez(tmp_path / "two.npz", a=NUMBERS, b=NUMBERS)
    assert refused("two.npz") == (
        'two.npz must hold one array with two axes, the vectors, and at most one with one axis, their IDs, got "a" and '
        '"b". '
        "Save it with np.savez(file, vectors=array, ids=names)."
    )
    np.savez(tmp_path / "few.npz", a=NUMBERS, ids=np.array(IDS[:3]))
    assert refused("few.npz") == "few.npz must hold one ID for each of 4 vectors, got 3. Correct it."
    (tmp_path / "v.txt").write_text("1 2 3")
    assert refused("v.txt") == (
        "features must be in a file that ends with .npy, .npz, .csv, .tsv, .tab, .jsonl, .ndjson, .json, .parquet, "
        ".pq, .xlsx, .xlsm, got a file with the suffix '.txt' (v.txt). Write them as one of these."
    )
    assert refusal(labelled, features=3) == (
        "features must be a file, an array with two axes or a DataFrame, got int. Give one of these."
    )


def test_features_beside_what_they_do_not_belong_to(labelled, refusal, tmp_path):
    assert refusal(["a", "b"], OptionError, labels=["x", "y"], features=NUMBERS) == (
        "features= belong to a table of labels, got a list. Give tune(vectors, labels) instead."
    )
    assert refusal(labelled, OptionError, features=NUMBERS, modality="language") == (
        "features are vectors, got rows of language. Leave one of the two out."
    )
    (tmp_path / "photos").mkdir()
    assert refusal(tmp_path / "photos", OptionError, features=NUMBERS) == (
        "features belong to a table of labels (.csv, .tsv, .tab, .jsonl, .ndjson, .json, .parquet, .pq, .xlsx, .xlsm), "
        "got photos. Write the IDs and the labels as one."
    )


def test_a_value_that_is_no_row_of_numbers():
    assert make_vector(np.zeros((2, 2)))[1] == (
        "this must be one row of numbers, an array with one axis, got an array of shape (2, 2)"
    )
    assert make_vector("a")[1] == "this must be one row of numbers, an array with one axis, got str"
    assert make_vector(np.zeros(0))[1] == "there is no number in it"
    assert isinstance(vector_of_cells([None], "", ("a",)), NoVector)


def test_a_vector_says_how_it_begins():
    assert str(Vector(np.arange(3.0), "m1")) == "m1"
    assert Vector(np.arange(3.0), "m1", ("a", "b", "c")).begins == "a 0, b 1, c 2"
    assert Vector(np.arange(100.0)).begins == "0, 1, 2, 3, 4, 5, … (100 numbers)"


def test_new_rows_keep_their_other_columns(vectors):
    (chunk,) = stream(vectors(price=[7, 8, 9, 10], note=list("wxyz")), modality=VECTORS, numbers=("b", "a"))
    assert chunk.names == tuple(IDS)
    assert chunk.columns == ("id", "c", "price", "note")
    assert chunk.items[1].values.tolist() == [4, 3]
    assert chunk.cells[1] == {"id": "m2", "c": "5.0", "price": "8", "note": "x"}


def test_new_rows_of_arrays_are_called_by_their_ids_or_numbers(tmp_path):
    np.savez(tmp_path / "v.npz", vectors=NUMBERS, ids=np.array(IDS))
    np.save(tmp_path / "v.npy", NUMBERS)
    first, second = (next(stream(tmp_path / name, modality=VECTORS)) for name in ("v.npz", "v.npy"))
    assert first.names == tuple(IDS)
    assert second.names == ("row 0", "row 1", "row 2", "row 3")
    assert second.items[3].values.tolist() == NUMBERS[3].tolist()


def test_new_rows_without_a_column_that_was_learned_from(vectors, tmp_path):
    with pytest.raises(DataError) as error:
        list(stream(vectors(), modality=VECTORS, numbers=("a", "bb")))
    assert str(error.value).replace(f"{tmp_path}/", "") == (
        'v.csv must have the column "bb" of numbers, which was learned from, got "id", "a", "b" and "c". Did '
        "you mean 'b'?"
    )


@pytest.mark.parametrize("said", [(True, False), ("true", "false")])
def test_truth_values_are_ones_and_zeros(said):
    columns = {"a": [1.5, 2.5], "b": list(said)}
    assert numbers_among(columns, []) == ("a", "b")
    made = [vector_of_cells(cells, "", ("a", "b")) for cells in zip(*columns.values(), strict=True)]
    assert [one.values.tolist() for one in made] == [[1.5, 1.0], [2.5, 0.0]]


def test_the_table_of_labels_as_its_own_features(labelled, refusal):
    table = labelled.with_name("both.csv")
    pd.read_csv(labelled).assign(a=range(len(IDS))).to_csv(table, index=False)
    with pytest.raises(DataError) as error:
        load(table, features=table)
    assert "got numbers only in columns that the labels have too" in str(error.value)
    assert "--features columns" in str(error.value)
