"""Costs: small items are all taken, of large ones a first part, and what is too large is passed over."""

import numpy as np

from handful.data.costs import affordable


def wave(seconds):
    return np.zeros(16000 * seconds, np.int16), 16000


def test_short_items_are_all_taken_in_their_order():
    assert affordable(["short"] * 60, "text", range(59, -1, -1), 4) == list(range(59, -1, -1))


def test_of_long_ones_a_first_part_is_taken():
    assert affordable(["long " * 1000] * 60, "text", range(60), 4) == list(range(3))
    assert len(affordable([None] * 90, "image", range(90), 5)) == 24
    assert affordable([wave(60)] * 20, "sound", range(20), 2) == [0, 1]


def test_what_is_too_large_is_passed_over():
    assert affordable([wave(200), wave(10), wave(200), wave(20)], "sound", range(4), 4) == [1, 3]
