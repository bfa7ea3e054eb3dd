"""InfoNCE against an explicit loop, and every make-up of a batch against nonsense."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handful.training.objectives import Batch, Outputs
from handful.training.objectives.info_nce import InfoNCE

FIRST = [[1.0, 2.0, 0.5], [-1.0, 0.3, 2.0], [0.2, -0.1, 1.5]]
SECOND = [[1.1, 1.5, 0.7], [-0.5, 0.0, 1.0], [2.0, -1.0, -0.7]]


def loss_of(first, second, temperature=0.05):
    outputs = Outputs(torch.tensor([*first, *second], dtype=torch.float64, requires_grad=True))
    return outputs.features, InfoNCE(temperature)(outputs, Batch(None, torch.zeros(len(first), 0)))


def cosine(a, b):
    length = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / length if length else 0.0


def by_hand(first, second, temperature):
    near = [[cosine(a, b) / temperature for b in second] for a in first]
    across = list(map(list, zip(*near, strict=True)))
    losses = [math.log(sum(map(math.exp, row))) - row[i] for side in (near, across) for i, row in enumerate(side)]
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_the_loss_by_hand(temperature):
    _, loss = loss_of(FIRST, SECOND, temperature)
    assert loss.item() == pytest.approx(by_hand(FIRST, SECOND, temperature))


def test_views_that_belong_together_cost_less_than_those_of_others():
    assert loss_of(FIRST, FIRST)[1] < loss_of(FIRST, SECOND)[1] < loss_of(FIRST, FIRST[1:] + FIRST[:1])[1]


def test_an_item_alone_has_nothing_to_be_told_from():
    features, loss = loss_of(FIRST[:1], SECOND[:1])
    loss.backward()
    assert loss.item() == 0
    assert not features.grad.any()


def test_a_view_without_a_direction_gives_no_gradient():
    features, loss = loss_of([[0.0, 0.0, 0.0], FIRST[1]], SECOND[:2])
    loss.backward()
    assert features.grad.isfinite().all()
    assert not features.grad[0].any()


@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 2**30))
def test_any_batch_gives_a_finite_loss_and_gradient(count, width, seed):
    rows = torch.randn(2 * count, width, generator=torch.Generator().manual_seed(seed)).tolist()
    features, loss = loss_of(rows[:count], rows[count:])
    loss.backward()
    assert loss.item() >= 0
    assert features.grad.isfinite().all()


def test_an_odd_number_of_rows_is_no_doubled_batch():
    with pytest.raises(RuntimeError):
        loss_of(FIRST, SECOND[:2])
