"""Fingerprints: alike for one item at two sizes or levels."""

import numpy as np
import pytest
from PIL import Image

from handful.data.fingerprints import RATE, SIDE, picture_print, plain_text, sound_print


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Where's my  PARCEL?!", "wheresmyparcel"),
        ("Größe: ½ ﬁle", "grösse12file"),
        ("أين طردي؟", "أينطردي"),
        (" :-) ", ":-)"),
        ("", ""),
    ],
)
def test_plain_texts(text, plain):
    assert plain_text(text) == plain


def test_a_picture_at_two_sizes_has_one_print():
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (12, 12, 3)).astype(np.uint8)).resize((300, 200), 3)
    first, second = picture_print(picture), picture_print(picture.resize((150, 100), 4))
    assert first.shape == (SIDE, SIDE, 3)
    assert first.dtype == np.float32
    assert first == pytest.approx(second, abs=0.06)
    assert 0 <= first.min() < first.max() <= 1


def test_a_sound_at_two_levels_has_one_print():
    wave = np.sin(np.arange(16000) / 20)
    first, second = sound_print((wave, 8000)), sound_print((0.1 * wave, 8000))
    assert first.shape == (2 * RATE,)
    assert first == pytest.approx(second, abs=1e-3)
    assert np.abs(sound_print((np.zeros(8000), 8000))).max() == 0
