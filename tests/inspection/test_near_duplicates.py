"""Likeness of pictures and sounds: crops and cuts are alike, others are not."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, zoom

from handful.data.fingerprints import SIDE, picture_print
from handful.inspection.near_duplicates import pictures_alike, sounds_alike


def scene(seed, side=160):
    noise = np.random.default_rng(seed).normal(size=(side, side))
    return sum(gaussian_filter(noise, 2**k) * 2**k for k in range(1, 5)).astype(np.float32)


def shrunk(picture):
    grey = zoom(picture, (SIDE / picture.shape[0], SIDE / picture.shape[1]), order=1, grid_mode=True, mode="nearest")
    return np.repeat(gaussian_filter(grey, 1)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("window", [(0, 0, 160, 160), (5, 9, 147, 141), (20, 0, 138, 150), (3, 17, 157, 143)])
def test_a_crop_is_alike(window):
    whole = scene(0)
    top, left, height, width = window
    part = 3 * whole[top : top + height, left : left + width] + 1
    assert pictures_alike(shrunk(whole), shrunk(part)) > 0.985
    assert pictures_alike(shrunk(part), shrunk(whole)) > 0.985


def test_another_picture_is_not():
    assert pictures_alike(shrunk(scene(0)), shrunk(scene(1))) < 0.9


def test_an_empty_picture_is_like_nothing():
    flat = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    assert pictures_alike(flat, shrunk(scene(0))) == 0
    assert pictures_alike(flat, flat) == 0


def drawing(box, fill="red", shape="rectangle", size=(200, 200), paper="white"):
    picture = Image.new("RGB", size, paper)
    getattr(ImageDraw.Draw(picture), shape)(box, fill=fill)
    return picture


SQUARE = (60, 60, 120, 120)


@pytest.mark.parametrize(
    "other",
    [
        drawing(SQUARE, "green"),  # as bright as red
        drawing(SQUARE, paper="yellow"),
        drawing((20, 60, 80, 120)),
        drawing((60, 60, 150, 150)),
        drawing((70, 70, 110, 110)),
        drawing(SQUARE, shape="ellipse"),
    ],
)
def test_plain_drawings_of_other_colour_size_place_or_shape_are_not_alike(other):
    assert pictures_alike(picture_print(drawing(SQUARE)), picture_print(other)) == 0


@pytest.mark.parametrize("size", [(100, 100), (150, 130), (431, 431)])
def test_a_plain_drawing_is_known_again_at_another_size_and_after_compression(size):
    small = drawing(SQUARE).resize(size, Image.Resampling.BICUBIC)
    packed = io.BytesIO()
    small.save(packed, "JPEG", quality=60)
    assert pictures_alike(picture_print(drawing(SQUARE)), picture_print(Image.open(packed))) == 1


@settings(max_examples=50)
@given(boxes=st.tuples(*[st.tuples(st.integers(5, 120), st.integers(5, 120), st.integers(10, 70))] * 2))
def test_two_squares_are_alike_only_where_they_are_one(boxes):
    first, second = (drawing((x, y, x + side, y + side)) for x, y, side in boxes)
    apart = max(abs(a - b) for a, b in zip(*boxes, strict=True))
    if apart >= 10:  # of 200 pixels
        assert pictures_alike(picture_print(first), picture_print(second)) == 0


def tone(seed, length=2400):
    rng = np.random.default_rng(seed)
    return gaussian_filter(rng.normal(size=8 * length), 12).astype(np.float32)


@pytest.mark.parametrize("cut", [0, 800, 803])  # 803 of the fine samples is 100.375 of the coarse ones
def test_a_cut_is_alike_also_between_samples(cut):
    fine = tone(0)
    whole, part = fine[::8], 0.2 * fine[cut : cut + 16000 : 8]
    assert sounds_alike(whole, part) > 0.98
    assert sounds_alike(part, whole) > 0.98


def test_another_sound_and_silence_are_not():
    assert sounds_alike(tone(0)[::8], tone(1)[::8]) < 0.5
    assert sounds_alike(np.zeros(100, np.float32), tone(0)[::8]) == 0


def test_a_short_overlap_does_not_count():
    fine = tone(0)[::8]
    assert sounds_alike(fine[:1500], fine[1200:2400]) < 0.6
