"""Views of a pool through the frozen blocks: the same however they are cut, and no longer than asked for."""

from __future__ import annotations

import pytest
import torch

from handful.data.augment.options import Augmentation, TextChanges
from handful.regimes import pool_views as module
from handful.regimes.pool_views import Changes, pool_views
from handful.training.activations import Activations
from rounding import TOY
from small_backbones import KINDS, SmallText, texts

STRONG = Changes(3, Augmentation(text=TextChanges(drops=0.4)))


def all_of(backbone, items, changes=STRONG, **options):
    return pool_views(backbone, items, 1, changes, 0, lambda count: True, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_any_size_give_the_same(kind, monkeypatch):
    make, items = KINDS[kind]
    whole = all_of(make(), items(10)).activations
    monkeypatch.setattr(module, "_CHUNK", 3)
    cut = all_of(make(), items(10)).activations
    assert (len(cut), len(cut.versions), cut.cached) == (10, 3, True)
    for version in range(3):
        for row in range(10):
            torch.testing.assert_close(
                cut.state([row], [version]).x, whole.state([row], [version]).x, atol=TOY, rtol=TOY
            )


def test_without_changes_the_items_themselves_are_seen():
    found = all_of(SmallText(), texts(), Changes()).activations
    expected = Activations.of(SmallText(), [texts()], 1)
    assert len(found.versions) == 1
    for row in range(6):
        torch.testing.assert_close(found.state([row]).x, expected.state([row]).x, atol=TOY, rtol=TOY)


def test_texts_are_kept_up_to_so_many_tokens():
    found = all_of(SmallText(), texts(), Changes(), tokens=2).activations
    assert found.state(range(6)).x.shape[1] == 2
    assert all(one[0].untyped_storage().size() == one[0].numel() * 4 for one in found.slices)


def test_it_ends_where_no_more_items_are_wanted(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 2)
    told = []
    found = pool_views(SmallText(), texts(), 1, Changes(), 0, lambda count: count < 4, lambda *step: told.append(step))
    assert found.at == (0, 1, 2, 3)
    assert told == [(2, 6), (4, 6)]
