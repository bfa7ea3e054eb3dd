"""Rows and pairs in the loop: the loss is that of the answers, kept activations change nothing, pairs know a start."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from handful.backbones.toy_language import ToyLanguage
from handful.data.conversations import Conversation, Message
from handful.errors import OptionError
from handful.training import tokens as module
from handful.training.activations import Activations
from handful.training.loop import Settings, train
from handful.training.objectives import Batch, Outputs
from handful.training.objectives.classify import CrossEntropy
from handful.training.objectives.preference import DPO, IPO
from handful.training.tokens import AnswerBatches, PairBatches, TokenBody, asked_batch, chosen_gain, pieces
from handful.training.tuners import Blocks, LoRA
from rounding import rounding

# Two blocks, in each of which four sums over 32 numbers and one over 64 follow each other; then one over 100 letters.
NATS = rounding(steps=2 * (4 * 32 + 64) + 100, size=20.0)
TEXTS = [("say cat", "CAT"), ("say a very long thing that takes many letters", "OK"), ("dog", "DOG DOG"), ("x", "Y")]


@pytest.fixture(scope="module")
def toy():
    return ToyLanguage()


@pytest.fixture(scope="module")
def rows(toy):
    said = [Conversation((Message("user", asked),), answer) for asked, answer in TEXTS]
    return [toy.chat.tokens(row, toy.context) for row in said]


def test_the_loss_of_a_batch_is_that_of_its_answers(toy, rows):
    body = TokenBody(toy, 1)
    batch = asked_batch(Activations.of(toy, [rows], 1), rows, np.arange(4))
    nats, count = toy.losses(rows)
    with torch.no_grad():
        found = float(CrossEntropy()(body(batch.state), batch))
    assert found == pytest.approx(nats.sum() / count.sum(), rel=1e-5)
    assert batch.weight == count.sum()
    own = torch.bincount(batch.owner, minlength=4)
    assert own.tolist() == count.tolist()


def test_long_rows_give_the_same_gradient_with_less_memory(toy, rows, monkeypatch):
    found = []
    for long in (0, 1 << 20):
        monkeypatch.setattr(module, "LONG", long)
        body = TokenBody(toy, 0)
        groups = Blocks().prepare(body)
        batch = asked_batch(Activations.of(toy, [rows], 0), rows, np.arange(4))
        torch.autograd.backward(CrossEntropy()(body(batch.state), batch))
        found.append([weight.grad.clone() for group in groups for weight in group.weights])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second)


def test_parts_of_a_batch_add_up_to_the_whole(toy, rows):
    source = AnswerBatches(Activations.of(toy, [rows], 1), rows, np.arange(4), 4)
    (whole,), parts = source(0, 1), source(0, 3)
    assert whole.weight == sum(part.weight for part in parts)
    assert sorted(whole.targets.tolist()) == sorted(t for part in parts for t in part.targets.tolist())


def test_rows_to_keep_stand_beside_those_to_learn(toy, rows):
    source = AnswerBatches(Activations.of(toy, [rows], 1), rows, np.arange(2), 2, 0, np.arange(2, 4), 1)
    plain = AnswerBatches(Activations.of(toy, [rows], 1), rows, np.arange(2), 2)
    for update in range(2):
        (with_it,), (without,) = source(update, 1), plain(update, 1)
        extra = with_it.weight - without.weight
        assert extra in (rows[2].asked, rows[3].asked)


def test_answers_become_likelier(toy, rows):
    body = TokenBody(toy, 0)
    groups = LoRA().prepare(body)
    source = AnswerBatches(Activations.of(toy, [rows], 0), rows, np.arange(4), 4)
    log = train(body, CrossEntropy(), source, groups, Settings(updates=30, rate=2e-2, dropout=False))
    assert log[-1].loss < 0.8 * log[0].loss


def pairs_of(toy, count=3):
    chosen = [Conversation((Message("user", f"word {i}"),), "AB") for i in range(count)]
    rejected = [Conversation((Message("user", f"word {i}"),), "zyx") for i in range(count)]
    made = [toy.chat.tokens(row, toy.context) for row in chosen + rejected]
    nats, _ = toy.losses(made)
    return made, PairBatches(Activations.of(toy, [made], 0), made, -nats, np.arange(count), count)


def test_dpo_starts_at_the_logarithm_of_two_and_ipo_at_its_target(toy):
    _, source = pairs_of(toy)
    (batch,) = source(0, 1)
    with torch.no_grad():
        outputs = TokenBody(toy, 0)(batch.state)
    assert float(DPO()(outputs, batch)) == pytest.approx(math.log(2), abs=1e-4)
    assert float(IPO(beta=0.1)(outputs, batch)) == pytest.approx(25.0, abs=1e-2)
    assert batch.weight == 3


@pytest.mark.parametrize("objective", [DPO(beta=0.5), IPO(beta=0.5), DPO(beta=0.5, supervised=1.0)])
def test_preferences_raise_the_chosen_answer_over_the_rejected_one(toy, objective):
    made, source = pairs_of(toy)
    body = TokenBody(toy, 0)
    groups = LoRA().prepare(body)
    train(body, objective, source, groups, Settings(updates=25, rate=1e-2, dropout=False))
    (batch,) = source(0, 1)
    with torch.no_grad():
        scores = body(batch.state).scores
    each = -functional.cross_entropy(scores, batch.targets, reduction="none")
    gained = torch.zeros(6).index_add(0, batch.owner, each) - batch.reference
    assert (gained[:3] > gained[3:]).all()
    if objective.supervised:
        assert chosen_gain(body, source, 0) > 0


def test_pairs_without_a_start_are_refused():
    outputs = Outputs(torch.zeros(2, 3), torch.zeros(2, 5))
    with pytest.raises(OptionError, match="The batches of DPO must hold pairs of answers and how likely they were"):
        DPO()(outputs, Batch(None, torch.zeros(2, dtype=torch.long)))


@given(st.lists(st.integers(1, 900), min_size=1, max_size=12), st.integers(1, 1000), st.integers(1, 14))
def test_pieces_hold_every_item_once_and_no_more_than_they_may(lengths, most, parts):
    found = pieces(lengths, most, parts)
    assert sorted(i for piece in found for i in piece) == list(range(len(lengths)))
    assert len(found) >= min(parts, len(lengths)) or max(map(len, found)) <= -(-len(lengths) // parts)
    for piece in found:
        assert len(piece) == 1 or len(piece) * max(lengths[i] for i in piece) <= most
    # Of like length: none in a later piece is longer than any in an earlier one.
    for first, second in itertools.pairwise(found):
        assert min(lengths[i] for i in first) >= max(lengths[i] for i in second)


def test_long_rows_of_an_update_go_through_in_pieces_with_the_same_gradient(toy, rows, monkeypatch):
    found = []
    for part in (1, 10_000):
        monkeypatch.setattr(module, "PART", part)
        body = TokenBody(toy, 0)
        groups = Blocks().prepare(body)
        source = AnswerBatches(Activations.of(toy, [rows], 0), rows, np.arange(4), 4)
        assert len(source(0, 1)) == (4 if part == 1 else 1)
        train(body, CrossEntropy(), source, groups, Settings(updates=1, dropout=False, mixed=False))
        found.append([weight.detach().clone() for group in groups for weight in group.weights])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=2e-5)


def test_what_chosen_answers_gained_is_the_same_in_one_piece_and_in_several(toy, monkeypatch):
    body = TokenBody(toy, 0)
    LoRA().prepare(body)
    for name, weight in body.blocks.named_parameters():
        if "lora_B" in name:
            weight.data += 0.05
    _, source = pairs_of(toy)
    whole = chosen_gain(body, source, 0)
    monkeypatch.setattr(module, "PART", 1)
    assert len(source(0, 1)) == 3
    assert chosen_gain(body, source, 0) == pytest.approx(whole, abs=NATS)
    assert abs(whole) > 10 * NATS


@pytest.mark.parametrize("kind", ["rows", "pairs"])
def test_twice_the_parts_let_less_through_at_once_also_where_a_batch_is_in_pieces_already(toy, rows, monkeypatch, kind):
    monkeypatch.setattr(module, "PART", 128)
    source = AnswerBatches(Activations.of(toy, [rows * 4], 0), rows * 4, np.arange(16), 16)
    if kind == "pairs":
        _, source = pairs_of(toy, 16)

    def most(parts):
        return max(part.state.x[..., 0].numel() for batch in source(0, parts) for part in batch.state)

    assert len(source(0, 1)) > 2
    assert most(2) < most(1)
