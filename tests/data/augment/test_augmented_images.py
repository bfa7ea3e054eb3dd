"""Tests of changed pictures: sizes stay, strengths are the ones asked for, and one pixel survives."""

import numpy as np
import pytest

from handful.data.augment.images import change_image, cut_out, flip, jitter, resized_crop, rotate
from handful.data.augment.options import ImageChanges

EVERYTHING = ImageChanges(flip=True, brightness=0.5, contrast=0.5, saturation=0.5)
CHANGES = {
    "crop": resized_crop,
    "flip": flip,
    "rotate": rotate,
    "jitter": jitter,
    "cut out": cut_out,
    "all": lambda pixels, rng: change_image(pixels, rng, EVERYTHING),
    "defaults": lambda pixels, rng: change_image(pixels, rng, ImageChanges()),
}


def dice(seed=0):
    return np.random.default_rng(seed)


def noise(height, width):
    return dice().integers(0, 256, (height, width, 3), np.uint8)


def ramp(height=60, width=80):
    """Red grows to the right, green to the bottom."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return pixels


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (2, 2), (24, 31)])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_size_survives(change, size):
    pixels = noise(*size)
    before = pixels.copy()
    for seed in range(10):
        changed = change(pixels, dice(seed))
        assert changed.shape == pixels.shape and changed.dtype == np.uint8 and changed.flags.writeable
        assert not np.shares_memory(changed, pixels)
        np.testing.assert_array_equal(changed, change(pixels, dice(seed)))
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_dice_give_another_picture(change):
    versions = {change(noise(24, 31), dice(seed)).tobytes() for seed in range(12)}
    assert len(versions) >= (2 if change is flip else 11)


@pytest.mark.parametrize("change", [resized_crop, rotate, cut_out])
def test_an_even_picture_keeps_its_colour(change):
    even = np.full((20, 30, 3), (10, 200, 90), np.uint8)
    np.testing.assert_array_equal(change(even, dice()), even)


def test_a_crop_keeps_the_share_of_the_area_and_nearly_the_shape():
    for seed in range(50):
        cropped = resized_crop(ramp(), dice(seed), 0.6)
        wide, high = (np.ptp(cropped[..., channel].astype(float)) / 255 for channel in (0, 1))
        assert 0.57 < wide * high <= 1
        assert 0.72 < wide / high < 1.4


def test_crops_reach_every_side():
    sides = [resized_crop(ramp(), dice(seed))[[0, -1], [0, -1], :2] for seed in range(60)]
    lowest, highest = np.min(sides, 0), np.max(sides, 0)
    assert (highest[0] > 25).all() and (lowest[1] < 230).all() and (lowest[0] < 6).all() and (highest[1] > 249).all()


def test_the_smallest_crop_of_everything_is_the_picture():
    np.testing.assert_array_equal(resized_crop(ramp(), dice(), 1.0), ramp())


def test_a_flip_mirrors_left_and_right_about_half_of_the_time():
    pixels = noise(3, 4)
    flipped = [np.array_equal(flip(pixels, dice(seed)), pixels[:, ::-1]) for seed in range(200)]
    assert 70 < sum(flipped) < 130
    np.testing.assert_array_equal(flip(pixels, dice(), 0.0), pixels)


def test_a_tilt_leaves_no_black_corner_and_stays_small():
    pixels = np.full((40, 40, 3), 200, np.uint8)
    pixels[19:21] = 100  # a level line
    tilted = rotate(pixels, dice(1), 8.0)
    assert tilted.min() > 80
    line = tilted[..., 0].argmin(0)
    slope = np.degrees(np.arctan(np.polyfit(np.arange(40), line, 1)[0]))
    assert 0.5 < abs(slope) < 8.5


def test_jitter_changes_one_thing_at_a_time():
    pixels = ramp()
    brighter = jitter(pixels, dice(2), 0.4, 0, 0).astype(float)
    factor = brighter.mean() / pixels.mean()
    assert 0.6 <= factor <= 1.4 and abs(factor - 1) > 0.05
    np.testing.assert_array_equal(jitter(pixels, dice(), 0, 0, 0), pixels)
    grey = np.full((4, 4, 3), 77, np.uint8)
    np.testing.assert_array_equal(jitter(grey, dice(), 0, 0.5, 0.5), grey)


def test_a_rectangle_is_covered_with_the_mean_colour():
    pixels = noise(40, 50)
    covered = cut_out(pixels, dice(3), 0.5)
    hidden = (covered != pixels).any(2)
    rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
    assert 0 < len(rows) <= 20 and 0 < len(columns) <= 25
    assert (covered[hidden] == np.rint(pixels.mean((0, 1)))).all()
    assert hidden[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.98


def test_the_defaults_neither_mirror_nor_change_colours():
    defaults = ImageChanges()
    assert not (defaults.flip or defaults.brightness or defaults.contrast or defaults.saturation)
    pixels = ramp()
    for seed in range(20):
        changed = change_image(pixels, dice(seed), ImageChanges(cut_out=0)).astype(int)
        assert changed[:, -20:, 0].mean() > changed[:, :20, 0].mean() + 50
        assert not changed[..., 2].any()


def test_switched_off_means_unchanged():
    off = ImageChanges(smallest_crop=1, rotation=0, cut_out=0)
    changed = change_image(ramp(), dice(), off)
    np.testing.assert_array_equal(changed, ramp())
    assert changed.flags.writeable
