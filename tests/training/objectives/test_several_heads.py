"""The loss of several heads on the same features: the mean of their own losses, on the rows that each has."""

from __future__ import annotations

import math

import pytest
import torch

from handful.errors import OptionError
from handful.training.objectives import Batch, Outputs
from handful.training.objectives.classify import BinaryCrossEntropy, CrossEntropy, SquaredError
from handful.training.objectives.several_heads import HeadLoss, SeveralHeads

LACKING = [math.nan, math.nan]
BOTH = SeveralHeads((HeadLoss(0, 2, CrossEntropy()), HeadLoss(2, 2, BinaryCrossEntropy())))
FIRST = [[1.0, 0.0], [0.0, 1.0], LACKING]
SECOND = [LACKING, [1.0, 1.0], [0.0, 1.0]]


@pytest.fixture
def outputs():
    scores = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Outputs(torch.zeros(3, 2), scores.requires_grad_())


def batch(first, second):
    return Batch(None, torch.cat([torch.tensor(first), torch.tensor(second)], 1))


def test_it_is_the_mean_of_the_losses_of_the_heads_each_on_the_rows_that_it_has(outputs):
    own = [
        CrossEntropy()(Outputs(outputs.features, outputs.scores[:2, :2]), Batch(None, torch.tensor(FIRST[:2]))),
        BinaryCrossEntropy()(Outputs(outputs.features, outputs.scores[1:, 2:]), Batch(None, torch.tensor(SECOND[1:]))),
    ]
    assert BOTH(outputs, batch(FIRST, SECOND)).item() == pytest.approx((own[0] + own[1]).item() / 2)


def test_nothing_flows_back_from_what_is_missing(outputs):
    BOTH(outputs, batch(FIRST, SECOND)).backward()
    assert outputs.scores.grad[2, :2].abs().sum() == 0
    assert outputs.scores.grad[0, 2:].abs().sum() == 0
    assert (outputs.scores.grad[:2, :2].abs() > 0).all()


def test_a_head_without_rows_in_a_batch_leaves_the_others_their_whole_weight(outputs):
    alone = BOTH(outputs, batch(FIRST, [LACKING] * 3))
    own = CrossEntropy()(Outputs(outputs.features, outputs.scores[:2, :2]), Batch(None, torch.tensor(FIRST[:2])))
    assert alone.item() == pytest.approx(own.item())


def test_a_batch_in_which_everything_is_missing_has_nothing_to_say(outputs):
    loss = BOTH(outputs, batch([LACKING] * 3, [LACKING] * 3))
    assert loss.item() == 0
    assert not loss.requires_grad


def test_one_head_that_has_all_rows_is_that_head(outputs):
    numbers = Outputs(outputs.features, outputs.scores[:, :1])
    wanted = Batch(None, torch.tensor([[1.0], [2.0], [0.5]]))
    assert SeveralHeads((HeadLoss(0, 1, SquaredError()),))(numbers, wanted) == SquaredError()(numbers, wanted)


def test_a_model_without_scores_is_refused():
    with pytest.raises(OptionError) as error:
        BOTH(Outputs(torch.zeros(3, 2)), batch(FIRST, SECOND))
    assert str(error.value) == (
        "SeveralHeads must be given scores, got features only. Put a head on the model, or train with a contrastive "
        "objective."
    )
