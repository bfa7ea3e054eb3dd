"""Slight changes: small, seeded, of the same kind, and the words that carry a label stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from handful.data.augment.slight import SLIGHT, dropped_words, other_case, typos


def rng(seed=0):
    return np.random.default_rng(seed)


@given(st.text(max_size=200), st.integers(0, 99))
def test_typos_only_move_letters_within_words(text, seed):
    changed = typos(text, rng(seed))
    assert len(changed) == len(text)
    for before, after in zip(text.split(" "), changed.split(" "), strict=True):
        assert sorted(before) == sorted(after)
        assert (before[:1], before[-1:]) == (after[:1], after[-1:])
    moved = sum(a != b for a, b in zip(text.split(" "), changed.split(" "), strict=True))
    assert moved <= 1 + len(text.split(" ")) // 8


def test_a_text_with_long_words_has_a_typo():
    text = "the parcel was delivered to another street"
    assert typos(text, rng()) != text
    assert typos("it is not so", rng()) == "it is not so"


def test_case_changes_either_way():
    assert other_case("Card charged", rng()) == "card charged"
    assert other_case("card charged", rng()) == "CARD CHARGED"


def test_a_dropped_word_is_never_a_negation():
    for seed in range(30):
        changed = dropped_words("this card was not charged twice by the new shop on that day", rng(seed))
        assert "not charged" in changed


def test_every_change_keeps_the_kind_of_item_and_changes_little():
    pixels = rng().integers(40, 200, (48, 64, 3)).astype(np.uint8)
    for change in SLIGHT["image"].values():
        changed = np.asarray(change(pixels, rng()))
        assert (changed.shape, changed.dtype) == (pixels.shape, pixels.dtype)
        assert not np.array_equal(changed, pixels)
    wave = (np.sin(np.arange(16000) / 5).astype(np.float32), 16000)
    for change in SLIGHT["sound"].values():
        samples, rate = change(wave, rng())
        assert (len(samples), rate) == (16000, 16000)
        assert np.abs(samples).max() <= 1
        assert np.corrcoef(samples, wave[0])[0, 1] > 0.98


@pytest.mark.parametrize("modality", ["text", "image", "sound"])
def test_the_same_seed_gives_the_same_change(modality):
    item = {
        "text": "the parcel was delivered to another street",
        "image": Image.fromarray(rng().integers(0, 255, (20, 20, 3)).astype(np.uint8)),
        "sound": (np.sin(np.arange(800) / 5).astype(np.float32), 8000),
    }[modality]
    for change in SLIGHT[modality].values():
        first, second = (change(item, rng(4)) for _ in range(2))
        if modality == "sound":
            first, second = first[0], second[0]
        assert np.array_equal(np.asarray(first), np.asarray(second))
