"""Objectives: every formula against explicit loops, and every make-up of a batch against nonsense."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handful.errors import OptionError
from handful.training.objectives import Batch, Outputs, alike_in
from handful.training.objectives.classify import CrossEntropy, Distillation
from handful.training.objectives.contrast import (
    PairwiseCosine,
    Prototypical,
    SupervisedContrastive,
    unit_rows,
)

CONTRASTIVE = [SupervisedContrastive(), PairwiseCosine(), Prototypical()]
EVERY = [CrossEntropy(), CrossEntropy(smoothing=0.1), Distillation(), *CONTRASTIVE]

# Two classes of two and three rows, and one that is alone.
ROWS = [[1.0, 2.0, 0.5], [0.5, 1.5, 1.0], [-1.0, 0.3, 2.0], [-0.5, 0.0, 1.0], [0.2, -0.1, 1.5], [2.0, -1.0, -0.7]]
CLASSES = [3, 3, 1, 1, 1, 0]
SCORES = [[2.0, 0.5, -1.0], [0.0, 1.0, 0.5], [-0.3, 0.2, 3.0], [1.0, 1.0, 1.0]]
TARGETS = [0, 2, 2, 1]


def features(rows) -> Outputs:
    return Outputs(torch.tensor(rows, dtype=torch.float64))


def scores(rows) -> Outputs:
    return Outputs(torch.zeros(len(rows), 2), torch.tensor(rows, dtype=torch.float64))


def classes(numbers, teacher=None) -> Batch:
    own = torch.tensor(numbers, dtype=torch.int64)
    return Batch(None, own, teacher, alike=(own[:, None] == own[None, :]).float())


def softmax(row) -> list[float]:
    powers = [math.exp(x) for x in row]
    return [x / sum(powers) for x in powers]


def unit(row) -> list[float]:
    length = math.sqrt(sum(x * x for x in row))
    return [x / length for x in row]


def dot(a, b) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_cross_entropy_by_hand():
    expected = [-math.log(softmax(row)[target]) for row, target in zip(SCORES, TARGETS, strict=True)]
    assert CrossEntropy()(scores(SCORES), classes(TARGETS)).item() == pytest.approx(sum(expected) / 4)


def test_smoothing_spreads_a_share_of_the_target_over_all_classes():
    expected = 0.0
    for row, target in zip(SCORES, TARGETS, strict=True):
        for c, p in enumerate(softmax(row)):
            expected -= (0.7 * (c == target) + 0.3 / 3) * math.log(p) / 4
    assert CrossEntropy(smoothing=0.3)(scores(SCORES), classes(TARGETS)).item() == pytest.approx(expected)


def test_mixed_rows_weigh_the_classes_by_their_shares():
    shares = [[0.7, 0.3, 0.0], [0.0, 0.5, 0.5], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]]
    expected = 0.0
    for row, share in zip(SCORES, shares, strict=True):
        expected -= sum(s * math.log(p) for s, p in zip(share, softmax(row), strict=True)) / 4
    assert CrossEntropy()(scores(SCORES), Batch(None, torch.tensor(shares))).item() == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2]))
def test_whole_shares_are_class_numbers(seed, smoothing):
    rng = np.random.default_rng(seed)
    outputs = scores(rng.normal(size=(5, 4)).tolist())
    targets = torch.from_numpy(rng.integers(4, size=5))
    hard = CrossEntropy(smoothing)(outputs, Batch(None, targets))
    soft = CrossEntropy(smoothing)(outputs, Batch(None, torch.nn.functional.one_hot(targets, 4).float()))
    assert hard.item() == pytest.approx(soft.item())


def test_tokens_are_rows_of_their_own():
    values = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))  # (B, T, V)
    targets = torch.tensor([[0, 4, 2], [1, 1, 3]])
    expected = sum(-math.log(softmax(values[b, t].tolist())[targets[b, t]]) for b in range(2) for t in range(3)) / 6
    outputs = Outputs(torch.zeros(2, 1), values)
    assert CrossEntropy()(outputs, Batch(None, targets)).item() == pytest.approx(expected, rel=1e-5)
    shares = torch.nn.functional.one_hot(targets, 5).float()
    assert CrossEntropy()(outputs, Batch(None, shares)).item() == pytest.approx(expected, rel=1e-5)


def distilled(temperature: float, weight: float, teacher) -> float:
    total = 0.0
    for row, wanted, target in zip(SCORES, teacher, TARGETS, strict=True):
        p = softmax([x / temperature for x in wanted])
        q = softmax([x / temperature for x in row])
        apart = sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
        total += weight * temperature**2 * apart - (1 - weight) * math.log(softmax(row)[target])
    return total / len(SCORES)


@pytest.mark.parametrize(("temperature", "weight"), [(2.0, 0.5), (1.0, 1.0), (4.0, 0.0), (3.0, 0.8)])
def test_distillation_by_hand(temperature, weight):
    teacher = [[1.0, 0.0, 0.0], [0.3, 0.1, 2.0], [0.0, 0.0, 0.0], [-1.0, 2.0, 0.5]]
    batch = Batch(None, torch.tensor(TARGETS), torch.tensor(teacher))
    loss = Distillation(temperature, weight)(scores(SCORES), batch)
    assert loss.item() == pytest.approx(distilled(temperature, weight, teacher))


def test_a_student_who_agrees_with_the_teacher_has_nothing_to_learn():
    batch = Batch(None, torch.tensor(TARGETS), torch.tensor(SCORES))
    assert Distillation(weight=1.0)(scores(SCORES), batch).item() == pytest.approx(0, abs=1e-6)


def test_the_teacher_is_not_taught():
    teacher = torch.tensor(SCORES, requires_grad=True)
    own = torch.zeros(4, 3, requires_grad=True)
    Distillation()(Outputs(torch.zeros(4, 2), own), Batch(None, torch.tensor(TARGETS), teacher)).backward()
    assert teacher.grad is None
    assert own.grad.abs().sum() > 0


def contrasted(rows, numbers, temperature: float) -> float:
    rows = [unit(row) for row in rows]
    losses = []
    for i, row in enumerate(rows):
        others = [j for j in range(len(rows)) if j != i]
        partners = [j for j in others if numbers[j] == numbers[i]]
        if not partners:
            continue
        below = sum(math.exp(dot(row, rows[j]) / temperature) for j in others)
        shares = [math.exp(dot(row, rows[j]) / temperature) / below for j in partners]
        losses.append(-sum(math.log(share) for share in shares) / len(partners))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_supervised_contrastive_by_hand(temperature):
    loss = SupervisedContrastive(temperature)(features(ROWS), classes(CLASSES))
    assert loss.item() == pytest.approx(contrasted(ROWS, CLASSES, temperature))


def test_pairwise_cosine_by_hand():
    same, other = [], []
    for i in range(6):
        for j in range(i + 1, 6):
            cosine = dot(unit(ROWS[i]), unit(ROWS[j]))
            (same if CLASSES[i] == CLASSES[j] else other).append(cosine)
    expected = sum((1 - c) ** 2 for c in same) / len(same) + sum(c**2 for c in other) / len(other)
    assert (len(same), len(other)) == (4, 11)
    assert PairwiseCosine()(features(ROWS), classes(CLASSES)).item() == pytest.approx(expected)


def prototyped(rows, numbers, temperature: float) -> float:
    rows = [unit(row) for row in rows]
    losses = []
    for i, row in enumerate(rows):
        scored = {}
        for c in set(numbers):
            others = [rows[j] for j in range(len(rows)) if j != i and numbers[j] == c]
            if others:
                mean = [sum(column) / len(others) for column in zip(*others, strict=True)]
                scored[c] = -sum((a - b) ** 2 for a, b in zip(row, mean, strict=True)) / temperature
        if numbers[i] in scored:
            below = sum(math.exp(value) for value in scored.values())
            losses.append(-math.log(math.exp(scored[numbers[i]]) / below))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.2, 2.0])
def test_prototypical_by_hand(temperature):
    loss = Prototypical(temperature)(features(ROWS), classes(CLASSES))
    assert loss.item() == pytest.approx(prototyped(ROWS, CLASSES, temperature))


def test_a_row_is_not_compared_with_itself():
    """With its own row in the mean, a row that lies with the other class would look half right."""
    rows, numbers = [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], [0, 0, 1, 1]
    assert Prototypical(0.05)(features(rows), classes(numbers)).item() == pytest.approx(prototyped(rows, numbers, 0.05))
    assert Prototypical(0.05)(features(rows), classes(numbers)).item() > 10


@pytest.mark.parametrize("objective", CONTRASTIVE, ids=lambda objective: type(objective).__name__)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_scale_and_names_of_classes_change_nothing(objective, seed):
    rng = np.random.default_rng(seed)
    rows, numbers = rng.normal(size=(7, 4)), rng.integers(3, size=7)
    loss = objective(features(rows), classes(numbers)).item()
    order = rng.permutation(7)
    changed = features(rows[order] * rng.uniform(0.1, 10, (7, 1)))
    assert objective(changed, classes(numbers[order] * 5 + 2)).item() == pytest.approx(loss)


@pytest.mark.parametrize("objective", CONTRASTIVE, ids=lambda objective: type(objective).__name__)
def test_classes_far_apart_cost_less_than_classes_in_one_place(objective):
    apart = objective(features([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]), classes([0, 0, 1, 1]))
    mixed = objective(features([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]]), classes([0, 0, 1, 1]))
    assert apart.item() < mixed.item()


MAKE_UPS = {
    "one row": ([[1.0, 2.0]], [0]),
    "no row": ([], []),
    "two rows without a partner": ([[1.0, 2.0], [0.5, -1.0]], [0, 1]),
    "all alone": ([[1.0, 2.0], [0.5, -1.0], [0.0, 1.0]], [2, 0, 1]),
    "one class": ([[1.0, 2.0], [0.5, -1.0], [0.0, 1.0]], [1, 1, 1]),
    "the same row again and again": ([[1.0, 2.0]] * 4, [0, 0, 1, 1]),
    "rows of zeros": ([[0.0, 0.0]] * 4, [0, 0, 1, 1]),
    "a row of zeros": ([[1.0, 2.0], [0.0, 0.0], [0.5, -1.0]], [0, 0, 1]),
    "rows that are almost zero": ([[1e-30, 0.0], [0.0, 1e-30], [1e-8, 1e-8], [1.0, 1.0]], [0, 0, 1, 1]),
    "opposite rows": ([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], [0, 0, 1, 1]),
    "large rows": ([[1e6, 0.0], [-1e6, 2e6], [3e6, 1e6], [0.0, 1.0]], [0, 0, 1, 1]),
}


@pytest.mark.parametrize("objective", EVERY, ids=repr)
@pytest.mark.parametrize("make_up", MAKE_UPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_batch_gives_a_finite_loss_and_gradient(objective, make_up, dtype):
    rows, numbers = MAKE_UPS[make_up]
    values = torch.tensor(rows).reshape(-1, 2).to(dtype).requires_grad_()
    head = torch.tensor([[1.0, 0.5, -1.0], [0.0, 2.0, 0.3]], dtype=dtype)
    batch = classes(numbers, torch.zeros(len(numbers), 3))
    loss = objective(Outputs(values, values @ head), batch)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    loss.backward()
    assert values.grad is not None
    assert values.grad.isfinite().all()
    assert values.grad.abs().max() < 100 if len(values) else True


@pytest.mark.parametrize("objective", [SupervisedContrastive(), Prototypical()], ids=lambda o: type(o).__name__)
def test_a_batch_without_any_pair_costs_nothing_and_moves_nothing(objective):
    values = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 1.0]], requires_grad=True)
    loss = objective(Outputs(values), classes([0, 1, 2]))
    loss.backward()
    assert loss.item() == 0
    assert values.grad.abs().sum() == 0


@pytest.mark.parametrize("objective", EVERY, ids=repr)
def test_the_gradient_is_the_slope(objective):
    rng = np.random.default_rng(3)
    teacher = torch.from_numpy(rng.normal(size=(6, 4)))
    batch = classes(CLASSES, teacher)
    head = torch.from_numpy(rng.normal(size=(3, 4)))
    values = torch.tensor(ROWS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: objective(Outputs(x, x @ head), batch), (values,))


@pytest.mark.parametrize("objective", EVERY, ids=repr)
def test_descending_lowers_the_loss(objective):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(8, 3, generator=generator, requires_grad=True)
    batch = classes([0, 0, 1, 1, 2, 2, 0, 1], torch.randn(8, 3, generator=generator))
    first = objective(Outputs(values, values), batch)
    (slope,) = torch.autograd.grad(first, values)
    second = objective(Outputs(values - 0.1 * slope, values - 0.1 * slope), batch)
    assert second.item() < first.item()


def test_rows_have_length_one_or_none():
    rows = unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0], [-2.0, 0.0]]))
    torch.testing.assert_close(rows, torch.tensor([[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]]))


def test_a_row_does_not_pair_with_itself():
    found = alike_in(classes([5, 2, 5]), PairwiseCosine())
    assert found.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_rows_that_are_alike_in_part_are_drawn_to_a_cosine_between():
    """Two rows that share half of their labels: the loss is least where their cosine is a half."""
    angles = torch.linspace(0, math.pi / 2, 91, dtype=torch.float64)
    batch = Batch(None, torch.zeros(2, 1), alike=torch.tensor([[1.0, 0.5], [0.5, 1.0]]))
    rows = [torch.stack([torch.tensor([1.0, 0.0]), torch.stack([a.cos(), a.sin()])]) for a in angles]
    least = min(range(91), key=lambda i: PairwiseCosine()(Outputs(rows[i]), batch).item())
    assert angles[least].cos().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("objective", [SupervisedContrastive(), PairwiseCosine()], ids=lambda o: type(o).__name__)
def test_a_batch_that_does_not_say_what_is_alike_is_refused(objective):
    with pytest.raises(OptionError) as error:
        objective(features(ROWS), Batch(None, torch.full((6, 4), 0.25)))
    assert str(error.value) == (
        f"The batches of {type(objective).__name__} must say how much the same is wanted of two rows, got none that do."
        " Give them alike=, or train with CrossEntropy."
    )


def test_a_model_without_a_head_is_refused_where_scores_are_needed():
    with pytest.raises(OptionError) as error:
        CrossEntropy()(features(ROWS), classes(CLASSES))
    assert str(error.value) == (
        "CrossEntropy must be given scores, got features only. "
        "Put a head on the model, or train with a contrastive objective."
    )


def test_distillation_without_a_teacher_is_refused():
    with pytest.raises(OptionError) as error:
        Distillation()(scores(SCORES), classes(TARGETS))
    assert str(error.value) == (
        "The batches of Distillation must carry scores of a teacher, got none. "
        "Score the rows with the teacher first, or train with CrossEntropy."
    )
