"""Which rows an update learns from: drawn from its number, every class alike, none lost."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classified import wanted_of
from handful.backbones.toy import ToyImage, ToyText
from handful.training.activations import Activations
from handful.training.batches import Balanced, drawn, rows_of, rows_of_heads
from handful.training.body import Body
from rounding import TOY

TEXTS = [" ".join(f"w{i}{j}" for j in range(1 + i % 5)) for i in range(20)]
TRUTH = np.arange(20) % 4


@pytest.fixture
def activations():
    return Activations.of(ToyText(), [TEXTS], 1)


@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=12), st.integers(2, 40), st.integers(0, 99), st.integers(0, 2**40)
)
def test_rows_are_different_ones_and_as_many_of_each_class_as_it_has(counts, size, update, seed):
    truth = np.repeat(np.arange(len(counts)), counts)
    rows = rows_of(update, truth, size, seed)
    assert len(np.unique(rows)) == len(rows) <= max(size, 4, len(truth) * (len(truth) <= size))
    assert ((rows >= 0) & (rows < len(truth))).all()
    np.testing.assert_array_equal(rows, rows_of(update, truth, size, seed))
    if len(truth) <= size:
        np.testing.assert_array_equal(rows, np.arange(len(truth)))
        return
    drawn = np.bincount(truth[rows], minlength=len(counts))
    each = max(2, size // len(counts))
    assert all(n in (0, min(each, count)) for n, count in zip(drawn, counts, strict=True))
    assert (drawn > 0).sum() == min(len(counts), max(2, size // each))


def test_another_update_and_another_seed_draw_others():
    truth = np.arange(100) % 2
    draws = {tuple(rows_of(update, truth, 8, seed)) for update in range(10) for seed in range(3)}
    assert len(draws) == 30


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**40))
def test_every_row_has_its_turn_before_one_comes_again_and_none_twice_in_an_update(count, size, seed):
    seen = [drawn(update, count, size, seed) for update in range(12)]
    assert all(len(np.unique(rows)) == len(rows) == min(size, count) for rows in seen)
    in_a_row = np.concatenate(seen)
    for start in range(0, len(in_a_row) - count + 1, count):
        assert sorted(in_a_row[start : start + count]) == list(range(count))


def test_orders_are_new_ones():
    orders = {tuple(drawn(turn, 20, 20, seed, what)) for turn in range(3) for seed in range(3) for what in ("", "x")}
    assert len(orders) == 18


@given(st.integers(2, 9), st.integers(1, 9), st.integers(4, 24), st.integers(0, 99))
def test_all_classes_come_before_one_comes_again_and_all_rows_of_each(classes, rows, size, seed):
    truth = np.tile(np.arange(classes), rows)
    seen = [rows_of(update, truth, size, seed) for update in range(25)]
    for drawn_rows in (np.concatenate(seen[:n]) for n in range(1, 26)):
        by_class = np.bincount(truth[drawn_rows], minlength=classes)
        by_row = np.bincount(drawn_rows, minlength=len(truth))
        assert by_class.max() - by_class.min() <= max(2, size // classes)
        assert all(np.ptp(by_row[truth == c]) <= 1 for c in range(classes))


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 50])
def test_parts_hold_every_row_once_with_its_class(activations, parts):
    source, body = Balanced(activations, np.arange(20), wanted_of(TRUTH), 8, seed=3), Body(ToyText(), 1)
    rows = rows_of(5, TRUTH, 8, 3)
    batches = source(5, parts)
    assert len(batches) == min(parts, 8)
    z = torch.cat([body(batch.state).features for batch in batches]).detach().numpy()
    targets = torch.cat([batch.targets.argmax(1) for batch in batches]).numpy()
    expected = ToyText().encode(TEXTS, [2])[2]
    at = [int(np.abs(expected - vector).sum(1).argmin()) for vector in z]
    assert sorted(at) == sorted(rows)
    np.testing.assert_allclose(z, expected[at], atol=TOY)
    np.testing.assert_array_equal(targets, TRUTH[at])


def test_rows_are_positions_of_items_and_truth_goes_with_them(activations):
    rows = np.array([19, 3, 8])
    (batch,) = Balanced(activations, rows, wanted_of([0, 1, 1]), 16)(0, 1)
    z = Body(ToyText(), 1)(batch.state).features.detach().numpy()
    expected = ToyText().encode([TEXTS[i] for i in rows], [2])[2]
    order = [int(np.abs(expected - vector).sum(1).argmin()) for vector in z]
    assert sorted(order) == [0, 1, 2]
    assert batch.targets.argmax(1).tolist() == [[0, 1, 1][i] for i in order]


def test_the_second_time_comes_after_the_first_in_the_same_order(activations):
    (batch,) = Balanced(activations, np.arange(20), wanted_of(TRUTH), 8, twice=True)(0, 1)
    z = Body(ToyText(), 1)(batch.state).features
    assert len(z) == 16
    torch.testing.assert_close(z[:8], z[8:], rtol=0, atol=TOY)
    assert torch.equal(batch.targets[:8], batch.targets[8:])


def test_versions_are_drawn_for_each_row_and_update():
    versions = [[f"{text} v{v}" for text in TEXTS] for v in range(3)]
    source = Balanced(Activations.of(ToyText(), versions, 1), np.arange(20), wanted_of(TRUTH), 20)
    every = ToyText().encode([text for version in versions for text in version], [2])[2]
    drawn = []
    for update in range(6):
        (batch,) = source(update, 1)
        z = Body(ToyText(), 1)(batch.state).features.detach().numpy()
        at = np.array([int(np.abs(every - vector).sum(1).argmin()) for vector in z])
        np.testing.assert_array_equal(TRUTH[at % 20], batch.targets.argmax(1))
        assert sorted(at % 20) == list(range(20))
        drawn.append(tuple(sorted(at)))
    assert len(set(drawn)) == 6
    assert {i // 20 for draw in drawn for i in draw} == {0, 1, 2}
    np.testing.assert_array_equal(source(4, 1)[0].targets, source(4, 1)[0].targets)


@pytest.mark.parametrize("most", [1 << 30, 0], ids=["kept", "computed again"])
def test_an_update_sees_the_first_tokens_of_a_text(most):
    texts = [" ".join(["word"] * n) for n in (3, 9, 20, 12)]
    activations = Activations.of(ToyText(), [texts], 1, most=most)
    whole = activations.state([1, 2])
    (batch,) = Balanced(activations, np.arange(4), wanted_of([0, 0, 1, 1]), 4, tokens=10)(0, 1)
    seen = [int(row.sum()) for state in batch.state for row in state.mask]
    lengths = [int(activations.state([i]).mask.sum()) for i in range(4)]
    assert sorted(seen) == sorted(min(10, length) for length in lengths)
    assert max(lengths) > 10
    torch.testing.assert_close(activations.state([1, 2], tokens=5).x, whole.x[:, :5], rtol=0, atol=TOY)


def test_pictures_have_no_first_tokens():
    backbone = ToyImage()
    activations = Activations.of(backbone, [[np.zeros((8, 8, 3), np.uint8)] * 2], 1)
    assert torch.equal(activations.state([0, 1], tokens=1).x, activations.state([0, 1]).x)


# Several heads -----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.lists(st.integers(-1, 3), min_size=30, max_size=30), min_size=1, max_size=4), st.integers(1, 12),
    st.integers(0, 30),
)  # fmt: skip
def test_every_head_has_as_many_rows_of_its_own_as_are_wanted_or_there_are(strata, size, update):
    strata = np.array(strata)
    rows = rows_of_heads(update, strata, size, seed=0)
    assert len(np.unique(rows)) == len(rows)
    np.testing.assert_array_equal(rows, rows_of_heads(update, strata, size, seed=0))
    for own in strata:  # of a class two come together, so that a head may have some rows less than are wanted
        have, there = int((own[rows] >= 0).sum()), int((own >= 0).sum())
        assert have >= min(there, size) - 2 * 4
    assert (strata[:, rows] >= 0).any(0).all()


def test_rows_that_have_all_targets_count_for_every_head():
    strata = np.stack([np.arange(40) % 2, np.arange(40) // 20])
    assert len(rows_of_heads(0, strata, 8, seed=0)) == 8


def test_rows_that_have_one_target_each_are_seen_by_their_head_alone():
    strata = np.where(np.arange(40) % 2 == np.array([[0], [1]]), np.arange(40) // 2 % 2, -1)
    rows = rows_of_heads(3, strata, 8, seed=0)
    assert [int((own[rows] >= 0).sum()) for own in strata] == [8, 8]
    assert [np.bincount(own[rows][own[rows] >= 0]).tolist() for own in strata] == [[4, 4], [4, 4]]


def test_the_heads_take_turns_in_who_has_as_many_rows_of_each_class():
    rare = np.array([1, 1] + [0] * 38)  # a class of two rows, which chance hardly ever draws
    strata = np.stack([np.zeros(40, int), rare])
    drawn_rare = [int((rare[rows_of_heads(update, strata, 8, seed=0)] == 1).sum()) for update in range(20)]
    assert drawn_rare[1::2] == [2] * 10
    assert sum(drawn_rare[0::2]) < 20
