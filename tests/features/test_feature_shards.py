"""Features that workers compute are those of one process, and what the cache holds is not computed again."""

from __future__ import annotations

import numpy as np
import pytest

from handful.backbones.toy import ToyImage, ToyText
from handful.data.pairs import Pair
from handful.engines import Inline
from handful.features import shards
from handful.features.cache import FeatureCache
from handful.features.extract import extract
from handful.features.shards import Looked, Piece, fill, seen

TEXTS = [f"word{number % 7} and {number}" for number in range(23)]


@pytest.fixture
def cache(tmp_path):
    made = FeatureCache(tmp_path / "features.sqlite")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(shards, "SIZE", 4)


def test_the_cache_holds_what_one_process_sees(cache):
    toy, told = ToyText(), []
    assert fill(cache, toy, TEXTS, (1, 2), Inline(), lambda done, total: told.append((done, total))) == 23
    assert told == [(min(done, 23), 23) for done in range(4, 25, 4)]
    filled, plain = extract(toy, TEXTS, (1, 2), cache), extract(toy, TEXTS, (1, 2))
    assert filled.computed == 0
    for depth in (1, 2):
        np.testing.assert_allclose(filled.matrices[depth], plain.matrices[depth], atol=1e-6)


def test_what_ended_before_goes_on_where_it_was(cache, monkeypatch):
    toy, real, done = ToyText(), shards.seen, []

    def stopped(what, piece):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(piece)
        return real(what, piece)

    monkeypatch.setattr(shards, "seen", stopped)
    with pytest.raises(KeyboardInterrupt):
        fill(cache, toy, TEXTS, (2,), Inline())
    monkeypatch.setattr(shards, "seen", real)
    assert fill(cache, toy, TEXTS, (2,), Inline()) == 23 - 8


def test_texts_of_pairs_are_seen_once_each(cache):
    pairs = [Pair("a", "b"), Pair("b", "c"), Pair("a", "c")]
    assert fill(cache, ToyText(), pairs, (2,), Inline()) == 3
    assert extract(ToyText(), pairs, (2,), cache).computed == 0


def test_what_cannot_be_read_is_left_to_who_says_so(cache, tmp_path):
    broken, missing = tmp_path / "a.png", tmp_path / "b.png"
    broken.write_bytes(b"nonsense")
    items = [broken, missing, np.zeros((9, 9, 3), np.uint8)]
    assert fill(cache, ToyImage(), items, (2,), Inline()) == 2
    assert set(extract(ToyImage(), items, (2,), cache).failed) == {0, 1}


def test_a_piece_says_what_it_is():
    piece = Piece(8, ("a", "b"), ("x", "y"))
    assert repr(piece) == "items 8 to 9"
    matrices, failed = seen(Looked(ToyText(), (2,)), piece)
    assert matrices[2].shape == (2, 32)
    assert failed == ()
