"""Parts of items: shared cells go to the window that sees most around them, and nothing in an item is missed."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image

from handful.backbones import frames, tiles
from handful.backbones.catalog import load
from handful.backbones.char_ngrams import CharNgrams
from handful.backbones.parts import PartsBatch, owners, starts
from handful.backbones.speech_embedding import reach
from handful.errors import OptionError


def test_one_window_is_enough_for_as_many_cells_as_it_has():
    assert starts(14, 14, 2).tolist() == [0]
    assert starts(3, 14, 2).tolist() == [0]


def test_windows_cover_all_cells_and_end_with_the_last():
    for cells in range(15, 90):
        begins = starts(cells, 14, 2)
        assert begins[0] == 0
        assert begins[-1] == cells - 14
        assert (np.diff(begins) <= 10).all()


def test_a_cell_belongs_to_the_window_that_sees_most_around_it():
    assert owners([0, 6], [10, 16], 16).tolist() == [0] * 8 + [1] * 8
    assert owners([0], [5], 5).tolist() == [0] * 5


def test_a_part_of_a_batch_keeps_its_numbers_straight():
    batch = PartsBatch(
        torch.arange(4), 4, np.array([0, 1, 2, 2, 3]), np.arange(5), np.array([0, 0, 1, 1, 1]), np.zeros((5, 2))
    )
    some, at = batch.some(1, 3)
    assert some.batch.tolist() == [1, 2]
    assert at.tolist() == [1, 2, 3]
    assert some.window.tolist() == [0, 1, 1]


@pytest.mark.parametrize("size", [(100, 60), (224, 224), (500, 300), (3000, 200), (17, 400)])
def test_tiles_cover_every_pixel_of_a_picture_of_any_shape(size):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    found = tiles.tiles_of(picture, 224, 896)
    assert len(found.pixels) == tiles.count_of(*size, 224, 896)
    seen = np.zeros((size[1], size[0]), int)
    for left, top, right, bottom in np.round(found.place).astype(int):
        seen[top:bottom, left:right] += 1
    assert (seen > 0).all()
    assert found.place.min() == 0
    assert found.place.max(0)[2:].round(9).tolist() == list(size)


def test_a_patch_is_read_from_the_tile_that_shows_it():
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[320:336, 400:416] = 255  # one patch
    found = tiles.tiles_of(pixels, 224, 896)
    (bright,) = (
        i
        for i, (window, cell) in enumerate(zip(found.window, found.cell, strict=True))
        if found.pixels[window][cell // 14 * 16 : cell // 14 * 16 + 16, cell % 14 * 16 : cell % 14 * 16 + 16].min()
        == 255
    )
    assert found.place[bright].tolist() == [400, 320, 416, 336]


def test_a_large_picture_is_scaled_down_to_what_was_asked_for_and_its_places_are_those_of_the_file(tmp_path):
    Image.fromarray(np.zeros((3000, 4000, 3), np.uint8)).save(tmp_path / "large.jpg")
    found = tiles.tiles_of(tmp_path / "large.jpg", 224, 448)
    assert len(found.pixels) == tiles.count_of(4000, 3000, 224, 448) == 3 * 4
    assert found.place.max(0)[2:].round(9).tolist() == [4000, 3000]


def test_maps_of_every_resolution_become_the_same_patches():
    for side in (28, 14, 7):
        assert tiles.patch_vectors(torch.rand(2, 5, side, side), 14).shape == (2, 196, 5)


def test_stretches_hold_what_lies_around_them_and_no_frame_is_missed():
    sound = np.arange(1, 1001, dtype=np.float32)
    found = frames.Cuts(10, 40, before=2, after=15).of(sound, 100)
    assert [len(piece) for piece in found.sounds] == [415, 20 + 415, 20 + 215]
    assert found.sounds[1][0] == 381  # two frames before the forty-first
    assert found.window.tolist() == [0] * 40 + [1] * 40 + [2] * 20
    assert found.cell[[0, 39, 40, 99]].tolist() == [0, 39, 2, 21]
    assert_array_equal(found.place[[0, 99]], [[0, 0.1], [9.9, 10.0]])


def test_silence_goes_before_and_after_a_sound_where_it_is_wanted():
    found = frames.Cuts(10, 40, before=2, after=5, silence=True).of(np.ones(25, np.float32), 100)
    assert found.sounds[0].tolist() == [0] * 20 + [1] * 25 + [0] * 10
    assert found.place[-1].tolist() == [0.2, 0.25]


def test_the_reach_of_the_speech_embedding_is_that_of_the_original():
    assert reach(6) == (8, 76)


def test_a_backbone_that_counts_says_that_it_has_no_parts():
    with pytest.raises(OptionError) as caught:
        CharNgrams("char-ngrams").parts(["one text"], (0,))
    assert str(caught.value) == (
        "backbone char-ngrams must tell of the parts of text items, got one that sees each as a whole. Choose another "
        "with --backbone, or leave it out."
    )


def test_a_loud_frame_of_a_sound_is_found_where_it_is():
    samples = np.zeros(16_000, np.float32)
    samples[8000:9600] = 0.5 * np.sin(np.arange(1600))
    found = load("toy-sound", "sound").parts([(samples, 16_000)], (1,))
    other = np.abs(found.vectors[1] - found.vectors[1][0]).sum(1)
    assert found.place[int(other.argmax())].tolist() == [0.5, 0.6]
