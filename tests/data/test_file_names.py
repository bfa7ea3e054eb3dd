"""Names of files in tables: separators of another system, files elsewhere, and names without endings."""

import os

import pytest

from handful.data import file_names
from handful.data.items import make_items
from handful.data.readers import load
from handful.errors import DataError

posix = pytest.mark.skipif(os.sep == "\\", reason="there these are separators anyway")
WORDS = ["ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen"]


def photos(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def table(root, column, cells, name="rows.csv"):
    rows = "".join(f"{cell},{'ab'[i % 2]}\n" for i, cell in enumerate(cells))
    (root / name).write_text(f"{column},label\n{rows}")
    return root / name


def refusal(path, **options):
    with pytest.raises(DataError) as error:
        load(path, **options)
    return str(error.value).replace(f"{path.parent}/", "")


@posix
def test_separators_of_windows_are_understood(tmp_path):
    photos(tmp_path, *(f"set/one/{word}.jpg" for word in WORDS))
    data = load(table(tmp_path, "file", [f"set\\one\\{word}.jpg" for word in WORDS]))
    assert data.items[0] == tmp_path / "set" / "one" / "ant.jpg"
    assert data.unreadable == {}


@posix
def test_a_file_whose_name_holds_such_a_sign_is_itself(tmp_path):
    photos(tmp_path, "a\\b.jpg", "a/b.jpg")
    assert make_items(["a\\b.jpg"], "image", tmp_path)[0] == [tmp_path / "a\\b.jpg"]


def test_a_file_that_lies_deeper_is_offered(tmp_path):
    photos(tmp_path, *(f"photos/{word}.jpg" for word in WORDS))
    assert refusal(table(tmp_path, "file", [f"{word}.jpg" for word in WORDS])) == (
        "8 of 8 items in rows.csv cannot be read, more than a tenth; the first is ant.jpg: the file does not exist, "
        "but photos/ant.jpg does: write that. Repair or remove them."
    )


@pytest.mark.parametrize(
    "name", ["C:\\pictures\\ant.jpg", "/elsewhere/pictures/ant.jpg", "ANT.JPG", "../ant.jpg", "photos/x/ant.jpg"]
)
def test_whatever_leads_nowhere_is_looked_for_by_its_last_part(tmp_path, name):
    photos(tmp_path, "photos/ant.jpg")
    (problem,) = make_items([name], "image", tmp_path)[1].values()
    assert problem == "the file does not exist, but photos/ant.jpg does: write that"


def test_several_files_of_that_name(tmp_path):
    photos(tmp_path, *(f"{i}/ant.jpg" for i in range(5)))
    (problem,) = make_items(["ant.jpg"], "image", tmp_path)[1].values()
    assert problem == ("the file does not exist, but 0/ant.jpg, 1/ant.jpg and 2/ant.jpg do: write the one you mean")


def test_below_the_working_folder_nothing_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(photos(tmp_path, "photos/ant.jpg"))
    assert make_items(["ant.jpg"], "image", None)[1] == {0: "the file does not exist"}


def test_no_more_than_some_files_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(file_names, "_MOST_ENTRIES", 3)
    photos(tmp_path, "a/1.jpg", "a/2.jpg", "a/3.jpg", "b/ant.jpg")
    assert make_items(["ant.jpg"], "image", tmp_path)[1] == {0: "the file does not exist"}


@pytest.mark.parametrize(("column", "stems"), [("id", WORDS), ("id", [f"{i:03}" for i in range(8)]), ("text", WORDS)])
def test_names_without_endings_are_asked_about(tmp_path, column, stems):
    photos(tmp_path, *(f"photos/{stem}.jpg" for stem in stems))
    path = table(tmp_path, column, stems)
    assert refusal(path) == (
        f'column "{column}" of rows.csv holds names of images without their endings: "{stems[0]}" is '
        f'photos/{stems[0]}.jpg. Write the whole names into it, such as "photos/{stems[0]}.jpg"; to learn from the '
        "names themselves, add --as text (in Python modality='text')."
    )


def test_with_folders_before_them(tmp_path):
    photos(tmp_path, *(f"clips/{word}.wav" for word in WORDS))
    message = refusal(table(tmp_path, "id", [f"clips/{word}" for word in WORDS]))
    assert message.startswith(
        'column "id" of rows.csv holds names of sounds without their endings: "clips/ant" is clips/'
    )


def test_whoever_wants_the_names_themselves_says_so(tmp_path):
    photos(tmp_path, *(f"photos/{word}.jpg" for word in WORDS))
    data = load(table(tmp_path, "id", WORDS), modality="text", input="id")
    assert list(data.items) == WORDS


def test_texts_beside_pictures_are_texts(tmp_path):
    photos(tmp_path, *(f"{word}.jpg" for word in WORDS))
    data = load(table(tmp_path, "text", [f"a picture of one {word}" for word in WORDS]))
    assert data.modality == "text"


def test_a_few_words_that_are_names_too_are_words(tmp_path):
    photos(tmp_path, "ant.jpg", "bee.jpg")
    assert load(table(tmp_path, "word", WORDS)).modality == "text"
