"""Parts, extracted once: the same from the cache and computed, in bounded memory, and unreadable items by name."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from handful.backbones.catalog import load
from handful.features.cache import FeatureCache
from handful.features.parts import each_parts, extract_parts

TEXTS = ["Ada met Grace.", "", "In Paris, again", "Ada met Grace."]


@pytest.fixture
def backbone():
    return load("toy-text", "text")


def test_parts_come_from_the_cache_as_they_were_computed(backbone, tmp_path, monkeypatch):
    cache = FeatureCache(tmp_path / "features.sqlite")
    first = extract_parts(backbone, TEXTS, (1, 2), cache)
    assert first.item.tolist() == [0, 0, 0, 0, 2, 2, 2, 2, 3, 3, 3, 3]
    assert first.vectors[1].dtype == np.float16
    monkeypatch.setattr(type(backbone), "encode_parts", None)
    again = extract_parts(backbone, TEXTS, (1, 2), cache)
    assert_array_equal(again.item, first.item)
    assert_array_equal(again.place, first.place)
    for depth in (1, 2):
        assert_array_equal(again.vectors[depth], first.vectors[depth])


def test_parts_are_those_of_the_backbone_in_half_precision(backbone):
    found, exact = extract_parts(backbone, TEXTS, (2,)), backbone.parts(TEXTS, (2,))
    assert_array_equal(found.place, exact.place)
    assert_allclose(found.vectors[2], exact.vectors[2], rtol=2**-10)


def test_a_damaged_entry_is_computed_anew(backbone, tmp_path):
    cache = FeatureCache(tmp_path / "features.sqlite")
    first = extract_parts(backbone, TEXTS[:1], (1,), cache)
    cache._open(cache.file).execute("UPDATE parts SET vectors = zeroblob(40) WHERE depth = 1").connection.commit()
    assert_array_equal(extract_parts(backbone, TEXTS[:1], (1,), cache).vectors[1], first.vectors[1])


def test_what_a_backbone_saw_of_parts_is_forgotten_with_it(backbone, tmp_path):
    cache = FeatureCache(tmp_path / "features.sqlite")
    extract_parts(backbone, TEXTS[:1], (1,), cache)
    cache.forget(backbone.fingerprint)
    assert cache._open(cache.file).execute("SELECT count(*) FROM parts").fetchone() == (0,)


def test_an_unreadable_item_is_named_and_the_others_have_their_parts(tmp_path):
    backbone = load("toy-image", "image")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    good = np.zeros((16, 24, 3), np.uint8)
    found = extract_parts(backbone, [good, tmp_path / "broken.png", tmp_path / "gone.png", good], (1,))
    assert found.item.tolist() == [0] * 6 + [3] * 6
    assert "broken.png" in found.failed[1]
    assert found.failed[2] == "cannot be opened (No such file or directory)"


def test_a_few_windows_are_held_at_once_however_many_items_there_are(backbone, monkeypatch):
    monkeypatch.setattr(backbone, "batch_items", 2)
    held = []
    prepare = backbone.prepare_parts
    monkeypatch.setattr(backbone, "prepare_parts", lambda items: held.append(len(items)) or prepare(items))
    items = [f"text number {i}" for i in range(30)]
    seen = []
    found = each_parts(backbone, items, (1,), progress=lambda done, total: seen.append((done, total)))
    assert sum(len(one) for one in found) == 90
    assert max(held) == 8
    assert seen[-1] == (30, 30)
