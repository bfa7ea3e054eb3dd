"""Tables of metadata beside files: labels from columns, parts of a split, and what is not named."""

import pytest

from handful.data.readers import load
from handful.errors import DataError


def fill(root, *names, **texts):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def described(root, text, name="metadata.csv", folder=""):
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / name).write_text(text)
    return root


FOUR = "file_name,label\n" + "".join(f"{i}.jpg,{'ab'[i % 2]}\n" for i in range(4))


@pytest.fixture
def four(tmp_path):
    return described(fill(tmp_path, *(f"{i}.jpg" for i in range(4))), FOUR)


def test_labels_come_from_the_table(four):
    data = load(four)
    assert (data.labels, data.modality) == (("a", "b", "a", "b"), "image")
    assert data.items[1] == four / "1.jpg"
    assert (data.input, data.target) == ("file_name", "label")
    assert data.notes[0] == 'files and labels are read from "metadata.csv"; the names of folders mean nothing'


def test_json_lines(tmp_path):
    fill(tmp_path, "a.wav", "b.wav", "c.wav", "d.wav")
    rows = "".join(
        f'{{"file_name": "{name}.wav", "word": "{word}"}}\n' for name, word in zip("abcd", "xyxy", strict=True)
    )
    assert load(described(tmp_path, rows, "metadata.jsonl"), label="word").labels == ("x", "y", "x", "y")


def test_a_table_in_each_part_of_a_split(tmp_path):
    for part, count in (("train", 4), ("test", 2)):
        fill(tmp_path, *(f"{part}/{i}.jpg" for i in range(count)))
        described(tmp_path, "\n".join(FOUR.splitlines()[: count + 1]), folder=part)
    data = load(tmp_path)
    assert sorted(zip(data.split, data.labels, strict=True)) == sorted(
        [*(("train", name) for name in "abab"), ("test", "a"), ("test", "b")]
    )
    assert data.items[0] == tmp_path / "test" / "0.jpg"
    assert 'column "split" is honoured as the split: 4 rows to train, 2 to test' in data.notes


def test_other_targets_than_classes(tmp_path):
    fill(tmp_path, *(f"{i}.jpg" for i in range(8)))
    rows = "file_name,weight\n" + "".join(f"{i}.jpg,{i / 2 + 0.25}\n" for i in range(8))
    assert load(described(tmp_path, rows)).task == "regression"


def test_files_that_are_not_named_are_said(four):
    assert load(fill(four, "more/9.jpg", "10.jpg")).notes[-1] == (
        '2 files are not named in the metadata and left out, such as "10.jpg"'
    )


def test_a_file_that_is_not_there(four):
    (four / "2.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 4 items in .* cannot be read.*2\.jpg: the file does not exist"):
        load(four)


def test_class_folders_say_more_than_a_table_without_labels(tmp_path):
    names = [f"{name}/{i}.jpg" for name in ("ants", "bees") for i in range(2)]
    fill(tmp_path, *names)
    described(tmp_path, "file_name,width\n" + "".join(f"{name},{i}.5\n" for i, name in enumerate(names)))
    data = load(tmp_path)
    assert data.labels == ("ants", "ants", "bees", "bees")
    assert any(note.startswith('"metadata.csv" not read, because the folders are the classes') for note in data.notes)
    assert load(tmp_path, label="width", task="regression").target == "width"


def test_a_table_with_labels_says_more_than_class_folders(tmp_path):
    names = [f"{name}/{i}.jpg" for name in ("one", "two") for i in range(2)]
    fill(tmp_path, *names)
    described(tmp_path, "file_name,label\n" + "".join(f"{name},{'ab'[i % 2]}\n" for i, name in enumerate(names)))
    assert load(tmp_path).labels == ("a", "b", "a", "b")


def test_a_table_without_names_of_files_is_none(tmp_path):
    fill(tmp_path, *(f"{name}/{i}.jpg" for name in ("ants", "bees") for i in range(2)))
    assert load(described(tmp_path, "name,label\nx,y\n")).classes == ("ants", "bees")


def test_two_tables_for_the_same_files(four):
    described(four, '{"file_name": "0.jpg", "label": "a"}\n', "metadata.jsonl")
    with pytest.raises(DataError) as error:
        load(four)
    assert str(error.value) == (
        f'{four} must hold one table of metadata, got "metadata.csv" and "metadata.jsonl". Remove all but one.'
    )
