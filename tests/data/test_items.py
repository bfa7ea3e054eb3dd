"""Items that a user hands over: which kind each is, and what can be wrong with it."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.data.items import kind_of, make_items, media_problem
from handful.data.media_names import media_kind

SOUND = (np.zeros(100), 16000)
GRID = np.zeros((8, 8, 3), np.uint8)


def png():
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "PNG")
    return file.getvalue()


def wav():
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.zeros(160), 16000, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["hello", "bye."], "text"),
        ([None, "  ", "hello"], "text"),
        ([None, "", "\u200b"], ""),
        ([], ""),
        (["a.jpg", "b.PNG"], "image"),
        (["a.jpg"] * 9 + ["no suffix"], "image"),
        (["a.jpg"] * 8 + ["one", "two"], "text"),
        (["a.wav", "b.flac"], "sound"),
        (["a.wav", "b.png"], "mixed"),
        (["See e.g. photo.jpg", "It is fine.", "ok"], "text"),
        ([Path("a.jpg"), Path("b.jpg")], "image"),
        ([Path("a.txt")], "other"),
        ([Image.new("L", (2, 2)), GRID], "image"),
        ([GRID[:, :, 0]], "image"),
        ([SOUND, (np.zeros((10, 2)), 8000.0)], "sound"),
        ([{"array": [0.0], "sampling_rate": 8000}], "sound"),
        ([{"bytes": png(), "path": None}], "image"),
        ([{"bytes": wav(), "path": None}], "sound"),
        ([{"bytes": None, "path": "a.jpg"}], "image"),
        ([["tokens"], ["more"]], "other"),
        ([[[1, [2, 3]], 4]], "other"),
        ([np.zeros(5)], "vectors"),
        ([np.array(["a", "b"])], "other"),
        (["text", GRID], "mixed"),
    ],
)
def test_what_values_are(values, kind):
    assert kind_of(values) == kind


def test_kinds_of_files():
    assert [media_kind(name) for name in ("a.JPG", "b.flac", "c.txt", "jpg", ".", "x.j pg", "")] == [
        "image", "sound", "", "", "", "", "",
    ]  # fmt: skip


def test_texts_are_kept_as_they_are():
    assert make_items(["  a ", "\u200b", None, [3]], "text", None) == (
        ["  a ", "", "", [3]],
        {1: "the text is empty", 2: "the text is empty", 3: "this must be a text, got list"},
    )


def test_names_of_files_start_from_the_folder_of_the_table(tmp_path):
    (tmp_path / "a b.jpg").write_bytes(b"x")
    found, failed = make_items([" a b.jpg", "gone.jpg", None, str(tmp_path / "a b.jpg")], "image", tmp_path)
    assert found == [tmp_path / "a b.jpg", tmp_path / "gone.jpg", "", tmp_path / "a b.jpg"]
    assert failed == {1: "the file does not exist", 2: "there is no file name"}


def test_what_can_be_wrong_with_a_file(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "note.txt").write_bytes(b"x")
    (tmp_path / "call.wav").write_bytes(b"x")
    assert [
        media_problem(tmp_path / name, "image") for name in ("folder.jpg", "empty.jpg", "note.txt", "call.wav")
    ] == [
        "this is a folder, not a file",
        "the file is empty (0 bytes)",
        "the suffix '.txt' is not one of images",
        "the suffix '.wav' is not one of images",
    ]
    assert media_problem(Path("nul\0.jpg"), "image") == "this is not the name of a file"
    assert media_problem(tmp_path / ("x" * 300 + ".jpg"), "image") == "the file cannot be opened (File name too long)"


def test_objects_pass_through():
    picture = Image.new("RGB", (2, 2))
    assert make_items([picture, GRID], "image", None)[0][0] is picture
    (samples, rate), *_ = make_items([([0.0, 1.0] and np.array([0.0, 1.0]), np.int64(8000))], "sound", None)[0]
    assert (samples.tolist(), rate, type(rate)) == ([0.0, 1.0], 8000, int)


def test_objects_of_another_kind_are_named():
    assert make_items([3, SOUND], "image", None)[1] == {
        0: "this must be the name of a picture file, a Pillow picture or an array of pixels, got int",
        1: "this must be the name of a picture file, a Pillow picture or an array of pixels, got tuple",
    }
    assert make_items([(16000, np.zeros(3))], "sound", None)[1] == {
        0: "this must be the name of a sound file or a pair (samples, rate), got tuple"
    }


def test_pictures_and_sounds_as_bytes(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    found, failed = make_items(
        [{"bytes": png(), "path": "gone.png"}, {"bytes": None, "path": "a.png"}], "image", tmp_path
    )
    assert found[0].convert("RGB").getpixel((0, 0)) == (255, 0, 0)
    assert found[1] == tmp_path / "a.png"
    assert failed == {}
    found, _ = make_items([{"bytes": wav(), "path": None}, {"array": [0.5], "sampling_rate": 8000}], "sound", None)
    assert [(len(samples), rate) for samples, rate in found] == [(160, 16000), (1, 8000)]


def test_bytes_that_are_nothing():
    broken = {"bytes": b"\xff\xd8 nothing", "path": None}
    _, failed = make_items([broken, {"bytes": None, "path": "gone.png"}], "image", None)
    assert failed[0].startswith("its bytes cannot be read as image (cannot identify image file")
    assert failed[1] == "the file 'gone.png' does not exist and its bytes are not in the table"
    assert make_items([broken], "sound", None)[1][0].startswith("its bytes cannot be read as sound (Error opening")
