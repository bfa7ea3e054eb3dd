"""Doubled batches: two views of each item in the same order, different versions where there are several."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handful.backbones.toy import ToyText
from handful.training.activations import Activations
from handful.training.body import Body
from handful.training.view_pairs import ViewPairs, two_of
from rounding import TOY
from small_backbones import KINDS

TEXTS = [" ".join(f"w{i}{j}" for j in range(1 + i % 5)) for i in range(20)]


@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 99), st.integers(0, 2**40))
def test_the_two_versions_of_an_item_are_different_ones(versions, count, update, seed):
    first, second = two_of(versions, count, update, seed)
    assert len(first) == len(second) == count
    assert (first != second).all()
    assert set(np.r_[first, second].tolist()) <= set(range(versions))
    np.testing.assert_array_equal(first, two_of(versions, count, update, seed)[0])


def test_the_only_version_is_taken_twice():
    first, second = two_of(1, 3, 0, 0)
    assert first.tolist() == second.tolist() == [0, 0, 0]


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_batch_are_first_views_and_then_the_second_ones(kind, parts):
    make, items = KINDS[kind]
    backbone = make()
    activations = Activations.of(backbone, [items(8), items(8)[::-1]], 1)
    batches = ViewPairs(activations, 6)(0, parts)
    assert sum(batch.weight for batch in batches) == 6
    each = activations.seen_by(Body(backbone, 1).seen, range(8))
    for batch in batches:
        with torch.no_grad():
            features = Body(backbone, 1)(batch.state).features.numpy()
        assert len(features) == 2 * batch.weight
        for view, other in zip(features[: batch.weight], features[batch.weight :], strict=True):
            near = np.abs(each[:, None] - np.stack([view, other])).max(2) < TOY
            assert near.any(0).all()  # each view is that of an item
    again = ViewPairs(activations, 6)(0, parts)
    assert all(torch.equal(a.state[0].x, b.state[0].x) for a, b in zip(batches, again, strict=True))


def test_items_have_their_turn_before_one_comes_again():
    source = ViewPairs(Activations.of(ToyText(), [TEXTS], 1), 5)
    rows = [state.x for update in range(4) for batch in source(update, 1) for state in batch.state]
    assert len({tuple(x.flatten(1)[i].tolist()) for x in rows for i in range(len(x))}) == len(TEXTS)
