"""Penalties: distances, divergences and directions by hand, and at the numbers where a plain division fails."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handful.errors import OptionError
from handful.training.objectives import Batch, Outputs
from handful.training.objectives.classify import CrossEntropy
from handful.training.objectives.contrast import SupervisedContrastive
from handful.training.objectives.penalties import RDrop, adversarial_direction, l2_sp, symmetric_divergence

FIRST = [[2.0, 0.5, -1.0], [0.0, 1.0, 0.5]]
SECOND = [[1.0, 1.5, 0.0], [0.5, 0.5, 0.5]]
TARGETS = [0, 2]


def softmax(row) -> list[float]:
    powers = [math.exp(x) for x in row]
    return [x / sum(powers) for x in powers]


def divergence(p, q) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def batch_of(numbers) -> Batch:
    own = torch.tensor(numbers)
    return Batch(None, own, alike=(own[:, None] == own[None, :]).float())


def doubled(first=FIRST, second=SECOND) -> tuple[Outputs, Batch]:
    scores = torch.tensor([*first, *second], dtype=torch.float64)
    return Outputs(torch.zeros(len(scores), 2), scores), batch_of(TARGETS * 2)


def test_distance_to_the_start_by_hand():
    now = [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([5.0])]
    start = [torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.tensor([2.0])]
    expected = 0.1 / 2 * (0 + 1 + 4 + 9 + 9)
    assert l2_sp(now, start, strength=0.1).item() == pytest.approx(expected)


def test_the_pull_is_strength_times_distance_and_leaves_the_start_alone():
    now = torch.tensor([1.0, -2.0], requires_grad=True)
    start = torch.tensor([0.5, 1.0], requires_grad=True)
    l2_sp([now], [start], strength=0.2).backward()
    torch.testing.assert_close(now.grad, 0.2 * torch.tensor([0.5, -3.0]))
    assert start.grad is None


def test_weights_that_have_not_moved_cost_nothing():
    now = torch.tensor([1.0, -2.0], requires_grad=True)
    loss = l2_sp([now], [now.detach().clone()], strength=3.0)
    loss.backward()
    assert loss.item() == 0
    assert now.grad.tolist() == [0, 0]


def test_no_weights_are_no_distance():
    assert l2_sp([], [], strength=1.0).item() == 0


def test_a_start_of_other_weights_is_refused():
    with pytest.raises(ValueError, match="zip"):
        l2_sp([torch.zeros(1), torch.zeros(1)], [torch.zeros(1)], strength=1.0)


def test_divergence_by_hand():
    expected = []
    for a, b in zip(FIRST, SECOND, strict=True):
        p, q = softmax(a), softmax(b)
        expected.append((divergence(p, q) + divergence(q, p)) / 2)
    torch.testing.assert_close(symmetric_divergence(torch.tensor(FIRST), torch.tensor(SECOND)), torch.tensor(expected))


@pytest.mark.parametrize("strength", [0.0, 1.0, 4.0])
def test_two_passes_by_hand(strength):
    base, apart = 0.0, 0.0
    for a, b, target in zip(FIRST, SECOND, TARGETS, strict=True):
        p, q = softmax(a), softmax(b)
        base -= (math.log(p[target]) + math.log(q[target])) / 2
        apart += (divergence(p, q) + divergence(q, p)) / 2
    loss = RDrop(CrossEntropy(), strength)(*doubled())
    assert loss.item() == pytest.approx((base + strength * apart) / 2)


def test_two_passes_that_agree_cost_what_one_costs():
    outputs, batch = doubled(FIRST, FIRST)
    one = CrossEntropy()(Outputs(outputs.features[:2], outputs.scores[:2]), Batch(None, batch.targets[:2]))
    assert RDrop(CrossEntropy(), 5.0)(outputs, batch).item() == pytest.approx(one.item())


def test_any_objective_can_be_the_base():
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.2], [0.2, 1.0]])
    outputs = Outputs(features, doubled()[0].scores)
    batch = doubled()[1]
    gap = RDrop(SupervisedContrastive())(outputs, batch) - SupervisedContrastive()(outputs, batch)
    expected = symmetric_divergence(torch.tensor(FIRST), torch.tensor(SECOND)).mean()
    assert gap.item() == pytest.approx(expected.item(), rel=1e-5)


def test_tokens_agree_one_by_one():
    scores = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))  # two passes of (B, T, V)
    batch = Batch(None, torch.tensor([[0, 4, 2], [1, 1, 3]] * 2))
    outputs = Outputs(torch.zeros(4, 2), scores)
    gap = RDrop(CrossEntropy())(outputs, batch) - CrossEntropy()(outputs, batch)
    apart = [symmetric_divergence(scores[b, t], scores[b + 2, t]).item() for b in range(2) for t in range(3)]
    assert gap.item() == pytest.approx(sum(apart) / 6, rel=1e-5)


@pytest.mark.parametrize("scores", [[[0.0, 0.0]] * 2, [[1e4, -1e4], [-1e4, 1e4]], [[1.0]] * 2, [[3.0, 1.0]] * 4])
def test_any_doubled_batch_gives_a_finite_loss_and_gradient(scores):
    values = torch.tensor(scores, requires_grad=True)
    loss = RDrop(CrossEntropy())(Outputs(values, values), Batch(None, torch.zeros(len(scores), dtype=torch.int64)))
    loss.backward()
    assert loss.shape == ()
    assert loss.isfinite()
    assert values.grad.isfinite().all()


def test_the_gradient_of_two_passes_is_the_slope():
    outputs, batch = doubled()
    values = outputs.scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: RDrop(CrossEntropy(), 2.0)(Outputs(x, x), batch), (values,))


def test_a_batch_that_was_not_doubled_is_refused():
    scores = torch.zeros(3, 2)
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        RDrop(CrossEntropy())(Outputs(scores, scores), Batch(None, torch.tensor([0, 1, 0])))


def test_two_passes_need_scores():
    with pytest.raises(OptionError) as error:
        RDrop(SupervisedContrastive())(Outputs(torch.zeros(2, 2)), Batch(None, torch.tensor([0, 0])))
    assert str(error.value) == (
        "RDrop must be given scores, got features only. Put a head on the model, or train with a contrastive objective."
    )


def test_direction_by_hand():
    gradient = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, -2.0]]])  # (B, T, D)
    expected = torch.tensor([[[0.3, 0.0], [0.0, 0.4]], [[0.0, 0.0], [0.0, -0.5]]])
    torch.testing.assert_close(adversarial_direction(gradient, radius=0.5), expected)


def test_an_item_without_gradient_is_left_where_it_is():
    step = adversarial_direction(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), radius=2.0)
    assert step.tolist() == [[0.0, 0.0], [2.0, 0.0]]


@given(st.integers(0, 2**31), st.floats(-35, 35), st.floats(0.01, 10))
def test_every_item_steps_the_radius_however_small_or_large_its_gradient(seed, power, radius):
    gradient = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(seed)) * 10**power
    step = adversarial_direction(gradient, radius)
    torch.testing.assert_close(step.flatten(1).norm(dim=1), torch.full((3,), radius))


def test_the_step_raises_the_loss_and_carries_no_graph():
    outputs, batch = doubled()
    scores = outputs.scores.requires_grad_()
    loss = CrossEntropy()(outputs, batch)
    (gradient,) = torch.autograd.grad(loss, scores)
    step = adversarial_direction(gradient, radius=0.1)
    assert not step.requires_grad
    assert step.dtype == scores.dtype
    assert CrossEntropy()(Outputs(outputs.features, scores + step), batch) > loss


def test_the_step_does_not_lead_back_to_the_gradient():
    assert not adversarial_direction(torch.ones(2, 3, requires_grad=True), radius=0.1).requires_grad


def test_half_precision_stays_half():
    step = adversarial_direction(torch.full((1, 4), 1e-3, dtype=torch.bfloat16), radius=1.0)
    assert step.dtype == torch.bfloat16
    assert step.tolist() == [[0.5] * 4]
