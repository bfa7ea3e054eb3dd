"""What is seen and heard at pixels: blocks with what lies around them, and first answers around each pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.features.pixels import FILTERS, REACH, blocks_of, heard, heard_columns


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 12))
def test_what_lies_around_a_block_changes_nothing_within(height, width, around):
    picture = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    (plain,), (wide,) = blocks_of(picture, None), blocks_of(picture, None, around)
    assert wide.grid(wide.features[FILTERS]).shape[:2] == (height + 2 * around, width + 2 * around)
    np.testing.assert_allclose(wide.within().features[FILTERS], plain.features[FILTERS], atol=1e-4)


def test_places_are_dealt_to_the_blocks_that_hold_them(monkeypatch):
    monkeypatch.setattr("handful.features.pixels.BLOCK", 16)
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    places = np.random.default_rng(1).choice(40 * 50, 70, replace=False)
    owners = np.zeros(70, int)
    for block in blocks_of(picture, None, 4):
        which, at = block.of_places(places, 50)
        owners[which] += 1
        assert np.array_equal(block.cut(picture)[at], picture.reshape(-1, 3)[places[which]])
    assert (owners == 1).all()


@pytest.mark.parametrize("classes", [2, 4])
def test_first_answers_are_heard_from_around(classes):
    scores = np.zeros((2 * REACH + 3, 2 * REACH + 5, classes), np.float32)
    quiet = heard(scores)
    assert quiet.shape == (3, 5, heard_columns(classes))
    scores[REACH - 6, REACH + 2, -1] = 9.0  # six rows above the first
    loud = heard(scores)
    own = slice(0, classes - 1)
    assert np.array_equal(loud[..., own], quiet[..., own])
    assert loud[0, 2].sum() > quiet[0, 2].sum() + 1e-4
    assert np.abs(loud[2] - quiet[2]).sum() < np.abs(loud[0] - quiet[0]).sum()
