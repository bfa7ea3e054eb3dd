"""Traits: size, format and length of items, and None where a file is damaged."""

import warnings

import numpy as np
import pytest
import soundfile
from PIL import Image

from handful.data.dataset import Dataset
from handful.data.traits import traits, traits_of
from handful.errors import DataError


def test_texts():
    assert traits("four", "text") == {"length": 4.0}


def test_pictures_in_memory():
    assert traits(np.zeros((4, 6, 3)), "image") == traits(Image.new("RGB", (6, 4)), "image")
    assert traits(np.zeros((4, 6)), "image") == {"width": 6.0, "height": 4.0}


def test_picture_files(tmp_path):
    file = tmp_path / "IMG-20_cat.jpg"
    Image.new("RGB", (10, 5)).save(file, quality=60)
    found = traits(file, "image")
    assert found.pop("bytes per pixel") == pytest.approx(file.stat().st_size / 50)
    assert found.pop("compression") > 10
    assert found == {
        "format": "JPEG", "width": 10.0, "height": 5.0, "name starts with": "img", "name ends with": "cat",
    }  # fmt: skip
    Image.new("RGB", (10, 5)).save(tmp_path / "7.png")
    assert set(traits(tmp_path / "7.png", "image")) == {"format", "width", "height", "bytes per pixel"}


def test_sounds(tmp_path):
    wave = 0.1 * np.ones(4000)
    assert traits((wave, 8000), "sound") == {"rate": 8000.0, "duration": 0.5, "level": pytest.approx(-20, abs=0.5)}
    assert "level" not in traits((wave, 8000), "sound", decode=False)
    soundfile.write(tmp_path / "a.wav", np.stack([wave, wave], axis=1), 8000)
    found = traits(tmp_path / "a.wav", "sound", decode=False)
    assert found == {
        "rate": 8000.0, "duration": 0.5, "channels": 2.0, "format": "WAV PCM_16",
        "name starts with": "a", "name ends with": "a",
    }  # fmt: skip
    soundfile.write(tmp_path / "b.ogg", wave, 8000)
    assert traits(tmp_path / "b.ogg", "sound")["bytes per second"] > 0


@pytest.mark.parametrize(
    ("name", "modality", "problem"),
    [("a.jpg", "image", "is not a picture in a known format."), ("a.wav", "sound", "cannot be read as a sound (")],
)
def test_damaged_files(tmp_path, name, modality, problem):
    (tmp_path / name).write_bytes(b"nothing of the sort")
    with pytest.raises(DataError) as error:
        traits(tmp_path / name, modality)
    assert str(error.value).startswith(f"{tmp_path / name} {problem}")
    assert str(error.value).endswith("remove it.")
    assert traits_of(Dataset([tmp_path / name, tmp_path / "gone"], modality)) == [{}, {}]


def test_the_size_of_a_huge_picture_is_read_without_a_warning(tmp_path):
    file = tmp_path / "huge.png"
    Image.new("1", (10_000, 9_500)).save(file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert traits(file, "image")["width"] == 10_000.0
