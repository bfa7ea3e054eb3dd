"""The rows most worth learning from: they cover the rest, hard ones first, and what looks wrong comes last."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import handful
from handful.backbones.toy_language import ToyLanguage
from handful.errors import OptionError
from handful.strategies.language.data_selection import covering, hardness

ANIMALS = [f"which animal is {size} and has {part}?" for size in ("big", "small") for part in ("fur", "fins", "wings")]
SUMS = [f"{a} plus {b}" for a, b in itertools.combinations(range(2, 6), 2)]
ROWS = [{"prompt": prompt, "response": f"answer {i}"} for i, prompt in enumerate([*ANIMALS, *SUMS])]


def test_hand_computed_rows_cover_the_others():
    # Two clusters, {0, 1, 2} around 1 and {3, 4}: 1 covers 1.8 + 0.8 of the first, then 3 adds 1.7.
    alike = np.eye(5)
    for i, j, likeness in ((0, 1, 0.8), (1, 2, 0.8), (3, 4, 0.7)):
        alike[i, j] = alike[j, i] = likeness
    assert covering(alike, np.ones(5), 3).tolist() == [1, 3, 4]
    assert covering(alike, np.array([1.0, 1.0, 1.0, 4.0, 4.0]), 1).tolist() == [3]
    assert covering(alike, np.ones(5), 5, last=[1]).tolist()[-1] == 1
    assert covering(alike, np.ones(5), 2, last=[1, 0, 2]).tolist() == [3, 4]
    assert covering(alike, np.ones(5), 4, last=[1, 0, 2]).tolist() == [3, 4, 0, 1]


def test_picks_come_from_every_kind_in_the_order_of_the_source():
    picked = handful.pick(ROWS, 4, backbone=None)
    assert list(picked.rows) == sorted(picked.rows)
    kinds = [row < len(ANIMALS) for row in picked.rows]
    assert 0 < sum(kinds) < 4


def test_what_inspection_doubts_is_picked_last():
    wrong = [
        {"prompt": ANIMALS[0], "response": "answer 0"},  # again
        {"prompt": ANIMALS[1], "response": "no, something else entirely"},  # contradicts
        {"prompt": "Please repeat this sentence", "response": "please repeat this sentence!"},
        {"prompt": "long", "response": "word " * 400},
    ]
    some = handful.pick([*ROWS, *wrong], len(ROWS) - 1, backbone=None)
    doubted = {1, len(ROWS), len(ROWS) + 1, len(ROWS) + 2, len(ROWS) + 3}
    assert set(some.rows) == set(range(len(ROWS))) - {1}
    everything = handful.pick([*ROWS, *wrong], len(ROWS) + 1, backbone=None)
    assert len(set(everything.rows) & doubted) == 2


def test_hard_rows_count_for_more_and_none_for_everything():
    toy = ToyLanguage()
    data = handful.load(ROWS)
    found = hardness(data, toy)
    assert found.min() >= 0.5
    assert found.max() <= 2.0
    assert np.median(found) == pytest.approx(1.0)
    assert (hardness(data, None) == 1).all()
    assert (hardness(data, "toy-language") == found).all()


def test_test_rows_stay_and_are_never_picked():
    rows = [{**row, "split": "test" if i % 4 == 0 else "train"} for i, row in enumerate(ROWS)]
    picked = handful.pick(rows, 3, backbone=None)
    assert picked.split.count("test") == 3
    assert picked.split.count("train") == 3


def test_pairs_can_be_picked():
    pairs = [{"prompt": row["prompt"], "chosen": row["response"], "rejected": "no"} for row in ROWS]
    assert len(handful.pick(pairs, 5, backbone="toy-language")) == 5


@pytest.mark.parametrize("n", [0, 13, 2.5, True])
def test_a_number_that_cannot_be_picked_is_refused(n):
    with pytest.raises(OptionError, match=r"n must be a whole number from 1 to 12, the rows that are there, got"):
        handful.pick(ROWS, n, backbone=None)


def test_labelled_items_are_not_picked():
    data = handful.load(["a b", "c d", "e f", "g h"], labels=["x", "x", "y", "y"])
    with pytest.raises(OptionError, match="rows to pick from must have prompts and answers, got text"):
        handful.pick(data, 2)
