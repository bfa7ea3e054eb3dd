"""Parts, extracted once: the same from the cache and computed, in bounded memory, and unreadable items by name."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from handful.backbones.catalog import load
from handful.features.cache import FeatureCache
from handful.features.parts import each_parts

TEXTS = ["Ada met Grace.", "", "In Paris, again", "Ada met Grace."]


@pytest.fixture
def backbone():
    return load("toy-text", "text")


def test_parts_come_from_the_cache_as_they_were_computed(backbone, tmp_path, monkeypatch):
    cache = FeatureCache(tmp_path / "features.sqlite")
    first = list(each_parts(backbone, TEXTS, (1, 2), cache))
    assert [len(one) for one in first] == [4, 0, 4, 4]
    assert first[0].vectors[1].dtype == np.float16
    monkeypatch.setattr(type(backbone), "encode_parts", None)
    for one, before in zip(each_parts(backbone, TEXTS, (1, 2), cache), first, strict=True):
        assert_array_equal(one.place, before.place)
        for depth in (1, 2):
            assert_array_equal(one.vectors[depth], before.vectors[depth])


def test_parts_are_those_of_the_backbone_in_half_precision(backbone):
    found, exact = list(each_parts(backbone, TEXTS, (2,))), backbone.parts(TEXTS, (2,))
    some = [one for one in found if len(one)]
    assert_array_equal(np.concatenate([one.place for one in some]), exact.place)
    assert_allclose(np.concatenate([one.vectors[2] for one in some]), exact.vectors[2], rtol=2**-10)


def test_a_damaged_entry_is_computed_anew(backbone, tmp_path):
    cache = FeatureCache(tmp_path / "features.sqlite")
    (first,) = each_parts(backbone, TEXTS[:1], (1,), cache)
    cache._open(cache.file).execute("UPDATE parts SET vectors = zeroblob(40) WHERE depth = 1").connection.commit()
    (again,) = each_parts(backbone, TEXTS[:1], (1,), cache)
    assert_array_equal(again.vectors[1], first.vectors[1])


def test_what_a_backbone_saw_of_parts_is_forgotten_with_it(backbone, tmp_path):
    cache = FeatureCache(tmp_path / "features.sqlite")
    list(each_parts(backbone, TEXTS[:1], (1,), cache))
    cache.forget(backbone.fingerprint)
    assert cache._open(cache.file).execute("SELECT count(*) FROM parts").fetchone() == (0,)


def test_an_unreadable_item_is_named_and_the_others_have_their_parts(tmp_path):
    backbone = load("toy-image", "image")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    good = np.zeros((16, 24, 3), np.uint8)
    found = list(each_parts(backbone, [good, tmp_path / "broken.png", tmp_path / "gone.png", good], (1,)))
    assert [len(one) for one in found] == [6, 0, 0, 6]
    assert "broken.png" in found[1].failed
    assert found[2].failed == "cannot be opened (No such file or directory)"


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
