"""Pictures and sounds with nothing in them are named; whatever shows a little is not."""

import numpy as np
import pytest
import soundfile
from PIL import Image, ImageDraw

from handful.api import inspect
from handful.data.dataset import Dataset
from handful.inspection.empty_items import empty_items

RATE = 8000


def told(modality, items):
    return [(found.rows, found.message) for found in empty_items(Dataset(items, modality))]


def drawn(size, colour="white", line=True):
    picture = Image.new("RGB", size, colour)
    if line:
        ImageDraw.Draw(picture).line((2, 2, size[0] - 3, size[1] - 3), "black", 2)
    return picture


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif", ".gif", ".avif"])
@pytest.mark.parametrize("size", [(16, 16), (900, 700)])
def test_pictures_of_one_colour(tmp_path, suffix, size):
    paths = [tmp_path / f"{name}{suffix}" for name in ("blank", "drawn", "grey")]
    drawn(size, line=False).save(paths[0])
    drawn(size).save(paths[1])
    drawn(size, (90, 90, 91), line=False).save(paths[2])
    assert told("image", paths) == [((0, 2), f"2 of 3 images show one colour and nothing else: {paths[0]}, {paths[2]}")]


def test_a_photograph_is_not_even_decoded(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    monkeypatch.setattr("handful.data.images.load_image", lambda *args, **options: 1 / 0)
    assert told("image", [tmp_path / "a.jpg"]) == []


def test_pictures_that_are_not_files():
    grey = np.full((20, 20), 7, np.uint8)
    assert told("image", [grey, drawn((20, 20)), drawn((20, 20), line=False)]) == [
        ((0, 2), "2 of 3 images show one colour and nothing else: row 0, row 2")
    ]


def test_sounds(tmp_path):
    tone = 0.1 * np.sin(np.arange(RATE) / 5)
    late = np.concatenate([np.zeros(20 * RATE), tone])
    dither = np.random.default_rng(0).choice([0, 1 / 32768], RATE)
    names = {
        "silent": np.zeros(RATE), "constant": np.full(RATE, 0.25), "short": tone[: int(0.08 * RATE)], "tone": tone,
        "late": late, "dither": dither, "faint": tone / 100,
    }  # fmt: skip
    paths = [tmp_path / f"{name}.wav" for name in names]
    for path, samples in zip(paths, names.values(), strict=True):
        soundfile.write(path, samples, RATE)
    assert told("sound", paths) == [
        ((0, 5), f"2 of 7 sounds are silent: {paths[0]}, {paths[5]}"),
        ((1,), f"1 of 7 sounds never changes: {paths[1]}"),
        ((2,), f"1 of 7 sounds is shorter than 0.1 seconds: {paths[2]}"),
    ]


def test_three_are_named_and_the_others_counted():
    silent = [(np.zeros(RATE), RATE)] * 5
    ((rows, message),) = told("sound", silent)
    assert (rows, message) == ((0, 1, 2, 3, 4), "5 of 5 sounds are silent: row 0, row 1, row 2 and 2 more")


def test_files_that_cannot_be_read_are_told_elsewhere(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert told("sound", [tmp_path / "a.wav", tmp_path / "gone.wav"]) == []
    assert told("image", [tmp_path / "a.png", tmp_path / "gone.png"]) == []


def test_texts_are_not_looked_at():
    assert told("text", ["", " "]) == []


def test_inspect_tells_them(tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for i in range(6):
            noise = np.random.default_rng(i).integers(0, 255, (30, 30, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f"{i}.png")
    drawn((30, 30), line=False).save(tmp_path / "dogs" / "3.png")
    found = [finding for finding in inspect(tmp_path, backbone="none") if finding.kind == "empty"]
    assert [finding.rows for finding in found] == [(9,)]
