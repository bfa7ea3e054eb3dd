"""Tests of covering: every part is hidden once, and the rest stays as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from handful.data.occlusion import PARTS, covered


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=5), min_size=2, max_size=80), st.integers(2, 30))
def test_every_word_is_left_out_once(words, most):
    parts, copies = covered(" ".join(words), "text", most)
    assert len(parts) == len(copies) == min(most, len(words))
    assert [word for part in parts for word in part.name.split()] == words
    for part, copy in zip(parts, copies, strict=True):
        a, b = round(part.start[0] * len(words)), round(part.end[0] * len(words))
        assert copy.split() == words[:a] + words[b:]


def test_a_picture_is_covered_field_by_field():
    pixels = np.random.default_rng(0).integers(0, 256, (23, 31, 3)).astype(np.uint8)
    parts, copies = covered(Image.fromarray(pixels), "image", 9)
    assert [part.name for part in parts] == [f"row {i} of 3, column {j} of 3" for i in (1, 2, 3) for j in (1, 2, 3)]
    mean = pixels.reshape(-1, 3).mean(0).round().astype(np.uint8)
    changed = np.zeros((23, 31), int)
    for part, copy in zip(parts, copies, strict=True):
        (left, top), (right, bottom) = part.start, part.end
        inside = np.zeros((23, 31), bool)
        inside[round(top * 23) : round(bottom * 23), round(left * 31) : round(right * 31)] = True
        found = np.asarray(copy)
        assert (found[inside] == mean).all()
        np.testing.assert_array_equal(found[~inside], pixels[~inside])
        changed += inside
    assert (changed == 1).all()


def test_a_sound_falls_silent_stretch_by_stretch():
    samples = np.sin(np.arange(16000) / 7).astype(np.float32) + 2
    parts, copies = covered((samples, 16000), "sound", 4)
    assert [part.name for part in parts] == ["0.0 to 0.2 s", "0.2 to 0.5 s", "0.5 to 0.8 s", "0.8 to 1.0 s"]
    silent = [np.flatnonzero(copy == 0) for copy, rate in copies]
    assert np.concatenate(silent).tolist() == list(range(16000))


@pytest.mark.parametrize(
    ("item", "modality"),
    [("word", "text"), (np.zeros((1, 1, 3), np.uint8), "image"), ((np.ones(800, np.float32), 16000), "sound")],
)
def test_what_is_one_part_is_not_cut(item, modality):
    assert covered(item, modality) == ([], [])


def test_long_items_are_cut_into_no_more_than_so_many_parts():
    assert len(covered("word " * 5000, "text")[0]) == PARTS
    assert len(covered((np.ones(160000, np.float32), 16000), "sound")[0]) == PARTS
