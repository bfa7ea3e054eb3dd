"""Pictures with texts: told from pairs of texts, read from two columns, refused where one of the two is wrong."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from handful.data.dataset import item_hash
from handful.data.image_text import IMAGE_TEXT, ImageText, of_side
from handful.data.items import kind_of, make_items
from handful.data.places import input_of
from handful.data.readers import load
from handful.data.streams import stream
from handful.data.traits import traits
from handful.errors import DataError, OptionError


def picture(shade: int = 0) -> np.ndarray:
    return np.full((8, 8, 3), shade, np.uint8)


def write(folder: Path, header: str, rows: list[tuple]) -> Path:
    """A table of so many rows, beside the pictures that its first twenty name."""
    for i in range(20):
        Image.fromarray(picture(i)).save(folder / f"{i}.png")
    with (folder / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return folder / "t.csv"


ROWS = [(f"{i}.png", f"text {i}", "ab"[i % 2]) for i in range(20)]


def refused(kind, *args, **options) -> str:
    with pytest.raises(kind) as error:
        load(*args, **options)
    return str(error.value)


@pytest.mark.parametrize("named", ["photo,story", "story, photo", ["story", "photo"]])
def test_two_columns_of_which_one_names_pictures(tmp_path, named):
    data = load(write(tmp_path, "photo,story,label", ROWS), input=named)
    assert (data.modality, data.input) == (IMAGE_TEXT, "photo,story")
    assert (data.items[3].image, data.items[3].text) == (tmp_path / "3.png", "text 3")
    assert repr(data).startswith("Dataset(20 images with texts from ")
    assert data.called(3) == "line 5"
    assert input_of(data.items[3], 3) == f"{tmp_path / '3.png'} | text 3"


def test_names_of_pictures_are_texts_where_that_is_said(tmp_path):
    data = load(write(tmp_path, "photo,story,label", ROWS), input="photo,story", modality="text")
    assert data.pairs and data.items[0].first == "0.png"


def test_an_empty_text_is_a_text_and_a_missing_picture_is_none(tmp_path):
    rows = [*ROWS, ("", "no picture", "a"), ("3.png", "", "b"), ("4.png", " ", "b")]
    data = load(write(tmp_path, "photo,story,label", rows), input="photo,story")
    assert [item.text for item in data.items[-2:]] == ["", ""]
    assert data.unreadable == {20: "line 22: its picture cannot be used: there is no file name"}
    assert data.notes[-1] == "2 rows have an empty text, which is taken as one that says nothing"
    rows = [*ROWS, ("none.png", "gone", "a"), ("3.png", "", "b")]
    data = load(write(tmp_path, "photo,story,label", rows), input="photo,story")
    assert data.unreadable == {20: "line 22: its picture none.png cannot be used: the file does not exist"}
    assert data.notes[-1] == "1 row has an empty text, which is taken as one that says nothing"


def test_many_missing_pictures_are_an_error_that_names_the_first(tmp_path):
    rows = [*ROWS[:15], *((f"gone{i}.png", "x", "ab"[i % 2]) for i in range(5))]
    path = write(tmp_path, "photo,story,label", rows)
    assert refused(DataError, path, input="photo,story") == (
        f"5 of 20 items in {path} cannot be read, more than a tenth; the first is line 17: its picture gone0.png "
        "cannot be used: the file does not exist. Repair or remove them."
    )


def test_columns_that_cannot_be(tmp_path):
    rows = [(f"no {i}", f"{i}.png", f"{i}.png", f"{i}.wav", f"text {i}", "ab"[i % 2]) for i in range(20)]
    path = write(tmp_path, "id,photo,back,sound,story,label", rows)
    must = "must hold names of images and texts, or two texts, got"
    rest = "Name others with --input, or take names of files as texts with --as text."
    for named, got in (("photo,back", "images and images"), ("sound,story", "sounds and texts")):
        one, two = named.split(",")
        told = refused(OptionError, path, input=named)
        assert told == f'columns "{one}" and "{two}" of {path} {must} {got}. {rest}'
    told = refused(OptionError, path, input="back,sound", modality=IMAGE_TEXT)
    assert told == f'columns "back" and "sound" of {path} {must} images and sounds. {rest}'
    told = refused(OptionError, path, input="id,story", modality=IMAGE_TEXT)
    assert told == f'columns "id" and "story" of {path} {must} texts and texts. {rest}'
    assert refused(OptionError, path, input="photo,photo") == (
        f'--input names column "photo" of {path} twice. Name another for one of the two.'
    )
    assert refused(OptionError, path, input="photo,story,back") == (
        "--input names one column, or two that belong together (texts, or images and their texts), got 3. Name two."
    )
    assert refused(OptionError, path, modality=IMAGE_TEXT) == (
        f"images with texts stand in two columns, and none are named of {path} (columns: id, photo, back, sound, "
        "story, label). Name both, as in --input IMAGE,TEXT."
    )
    assert refused(OptionError, path, input="story", modality=IMAGE_TEXT) == (
        f'column "story" of {path} must hold images with texts, got texts. Choose another with --input.'
    )


def test_a_folder_of_pictures_has_no_columns(tmp_path):
    for i in range(4):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.fromarray(picture(i)).save(tmp_path / "ab"[i % 2] / f"{i}.png")
    assert refused(OptionError, tmp_path, input="photo,story") == (
        f"label=, input=, group= and split= name columns of a table, but {tmp_path} is a folder: its sub-folders are "
        "the labels. Leave them out."
    )


def test_a_folder_whose_metadata_hold_the_texts(tmp_path):
    write(tmp_path, "file_name,story,label", ROWS[:18]).rename(tmp_path / "metadata.csv")
    data = load(tmp_path, input="file_name,story", label="label")
    assert (data.modality, len(data)) == (IMAGE_TEXT, 18)
    assert '2 files are not named in the metadata and left out, such as "18.png"' in data.notes


def test_lists_of_pictures_with_texts():
    pairs, labels = [(picture(i), f"text {i}") for i in range(6)], ["a", "b"] * 3
    data = load(pairs, labels)
    assert (data.modality, data.items[1].text, data.input) == (IMAGE_TEXT, "text 1", None)
    assert load(data.items, labels).items[1].image is data.items[1].image
    frame = pd.DataFrame({"photo": [image for image, _ in pairs], "story": "x", "label": labels})
    assert load(frame, label="label", input=["photo", "story"]).modality == IMAGE_TEXT
    assert refused(OptionError, [("a.png", "x"), ("b.png", "y")], ["a", "b"]) == (
        "the list holds names of images as texts, with a text each. Say modality='image+text' to read the files, or "
        "modality='text' to take the names themselves."
    )
    assert load([("a.png", "x"), ("b.png", "y")] * 2, ["a", "b"] * 2, modality="text").pairs
    assert refused(DataError, [*pairs[:5], (picture(), "x", "y")], labels) == (
        "the list must hold texts, images, sounds, vectors or images with texts, all of one kind, got different kinds. "
        "Change it."
    )


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ((picture(), "x", "y"), "this must be a picture with its text, as (picture, text), got 3 values"),
        ("a text", "this must be a picture with its text, as (picture, text), got str"),
        (("x", picture()), "the picture must come first, as (picture, text), got it behind the text"),
        ((picture(), 3), "its text must be a text, got int"),
        ((3.5, "x"), "its picture cannot be used: this must be the name of a picture file, a Pillow picture or an "
                     "array of pixels, got float"),
        (("a.txt", "x"), "its picture a.txt cannot be used: the file does not exist"),
    ],
)  # fmt: skip
def test_values_that_are_no_picture_with_a_text(value, why):
    assert make_items([value], IMAGE_TEXT, None)[1] == {0: why}


def test_what_values_are():
    assert kind_of([(picture(), "x"), ImageText(picture(), "y")]) == IMAGE_TEXT
    assert kind_of([(Path("a.png"), "x")]) == IMAGE_TEXT
    assert kind_of([("a.png", "x")]) == "text"
    assert kind_of([(np.zeros(5), 8000)]) == "sound"
    assert kind_of([(Path("a.wav"), "x")]) == "other"


def test_a_side_is_seen_and_named_as_if_it_were_alone():
    item = ImageText(picture(), "x")
    assert of_side([item, item], "text") == ["x", "x"]
    assert of_side(["a", "b"], "text") == ["a", "b"]
    other = ImageText(picture(), "y")
    assert len({item_hash(one) for one in (item, other, ImageText(picture(1), "x"))}) == 3
    assert item_hash(item) == item_hash(ImageText(picture(), "x"))
    assert traits(item, IMAGE_TEXT) == {"width": 8.0, "height": 8.0, "length": 1.0}
    assert str(item) == "a picture | x"


def test_rows_to_answer_are_read_from_both_columns(tmp_path):
    path = write(tmp_path, "id,story,photo", [(i, text, name) for i, (name, text, _) in enumerate(ROWS[:3])])
    with path.open("a") as file:
        file.write("3,,gone.png\n")
    (chunk,) = stream(path, modality=IMAGE_TEXT, input="photo,story")
    assert chunk.items[1].text == "text 1"
    assert chunk.names[1] == "1.png | text 1"
    assert chunk.failed == {3: "its picture gone.png cannot be used: the file does not exist"}
    assert chunk.columns == ("id", "story", "photo")
    (turned,) = stream(path, modality=IMAGE_TEXT, input="story,photo")
    assert turned.items[1].text == "text 1"


def test_sources_without_both_columns(tmp_path):
    path = write(tmp_path, "photo,text,label", ROWS)

    def why(source, named=None):
        with pytest.raises(DataError) as error:
            list(stream(source, modality=IMAGE_TEXT, input=named))
        return str(error.value)

    assert why(path, "photo,story") == (
        f'{path} must have the column "story", got columns: photo, text, label. Name both with --input IMAGE,TEXT.'
    )
    assert why(path) == (
        f"{path} must have a column of images and one of texts, got columns: photo, text, label. Name both with "
        "--input IMAGE,TEXT."
    )
    assert why(tmp_path / "3.png", "photo,text").startswith(
        f"the model reads images with texts, but {tmp_path / '3.png'} is no table. Give a table (.csv, "
    )
    (tmp_path / "empty.csv").write_text("photo,text\n")
    assert why(tmp_path / "empty.csv", "photo,text").endswith("holds no rows. Add rows below the names of the columns.")
