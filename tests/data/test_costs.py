"""Costs: small items all, of large ones a first part, and never fewer than asked for."""

import numpy as np

from handful.data.costs import affordable


def test_short_items_are_all_taken_in_their_order():
    assert affordable(["short"] * 60, "text", range(59, -1, -1), 4, 8) == list(range(59, -1, -1))


def test_of_long_ones_a_first_part_is_taken_and_some_whatever_they_cost():
    assert affordable(["long " * 1000] * 60, "text", range(60), 4, 8) == list(range(12))
    assert affordable(["long " * 1000] * 60, "text", range(60), 40, 3) == list(range(3))
    waves = [(np.zeros(16000 * 60, np.int16), 16000)] * 20
    assert affordable(waves, "sound", range(20), 3, 1) == [0, 1]
    assert len(affordable([None] * 90, "image", range(90), 5, 1)) == 50
