"""Kept activations: the same numbers as a full pass, for every kind of state, whatever the company."""

import pickle

import numpy as np
import pytest
import torch

from classified import wanted_of
from handful.backbones import catalog
from handful.backbones.base import State
from handful.backbones.toy import ToyText
from handful.training.activations import Activations
from handful.training.batches import Balanced
from handful.training.body import Body, features_of
from handful.training.loop import Settings, train
from handful.training.objectives.contrast import PairwiseCosine
from handful.training.tuners import Blocks
from rounding import parted
from small_backbones import KINDS

CLOSE = dict(rtol=1e-4, atol=1e-5)
REAL = [
    pytest.param(pair, marks=pytest.mark.integration)
    for pair in [
        ("minilm-l6", "text"),
        ("efficientnet-lite0", "image"),
        ("voice-encoder", "sound"),
        ("whisper-tiny-en", "sound"),
    ]  # fmt: skip
]


@pytest.fixture(params=KINDS)
def small(request):
    """A backbone and six items."""
    kind, make = KINDS[request.param]
    return kind(), make()


@pytest.fixture(scope="module", params=REAL, ids=lambda pair: pair[0])
def real(request):
    """A backbone with its real weights and six items."""
    name, modality = request.param
    items = {
        "text": [f"card number {i} " + "was charged twice " * (i % 4) for i in range(6)],
        "image": KINDS["toy-image"][1](),
        "sound": [(np.tile(samples, 200), rate) for samples, rate in KINDS["small-voice"][1]()],
    }
    return catalog.load(name, modality), items[modality]


def both(backbone, items, depth):
    kept, full = (Activations.of(backbone, [items], depth, most=most) for most in (1 << 30, 0))
    assert kept.cached
    assert not full.cached
    assert full.slices == [None] * len(items)
    return kept, full


def passed(backbone, items, depth):
    kept, full = both(backbone, items, depth)
    body, rows = Body(backbone, depth), range(len(items))
    expected = backbone.encode(items, [len(backbone.blocks)])[len(backbone.blocks)]
    scale = max(1.0, float(np.abs(expected).max()))
    for found in (features_of(body, kept, rows), features_of(body, full, rows)):
        np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=2e-5)


def learned(activations, depth, updates=4, size=6):
    torch.manual_seed(0)
    body = Body(activations.backbone, depth)
    groups = Blocks().prepare(body)
    truth = np.arange(len(activations)) % 2
    source = Balanced(activations, np.arange(len(activations)), wanted_of(truth), size)
    with body.learning():
        train(body, PairwiseCosine(), source, groups, Settings(updates=updates, rate=1e-3, mixed=False))
    return body


@pytest.mark.parametrize("depth", [0, 1])
def test_kept_and_computed_again_are_what_the_backbone_gives(small, depth):
    passed(*small, depth)


def test_kept_and_computed_again_learn_the_same(small):
    kept, full = both(*small, 1)
    first, second = learned(kept, 1), learned(full, 1)
    untouched = Body(small[0], 1).state_dict()
    assert parted(first.state_dict(), second.state_dict(), untouched) < 0.1
    rows = range(len(small[1]))
    np.testing.assert_allclose(features_of(first, kept, rows), features_of(second, full, rows), rtol=1e-3, atol=1e-3)


def test_real_ones_too(real):
    depth = len(real[0].blocks) // 2
    passed(*real, depth)


def test_real_ones_learn_the_same(real):
    depth = len(real[0].blocks) - 1
    kept, full = both(*real, depth)
    first, second = learned(kept, depth, 2), learned(full, depth, 2)
    rows = range(6)
    np.testing.assert_allclose(features_of(first, kept, rows), features_of(second, full, rows), rtol=1e-2, atol=1e-3)


def test_nothing_that_is_kept_is_padding(small):
    backbone, items = small
    for item, (x, mask) in zip(items, Activations.of(backbone, [items], 1).slices, strict=True):
        alone = backbone.run(backbone.prepare([item]), 1)
        assert x.shape == (alone.x.shape if alone.owner is not None else alone.x.shape[1:])
        torch.testing.assert_close(x, alone.x if alone.owner is not None else alone.x[0], **CLOSE)
        assert mask is None or mask.bool().any()


def test_the_company_of_a_row_does_not_change_its_features(small):
    backbone, items = small
    activations, body = Activations.of(backbone, [items], 1), Body(backbone, 1)
    together = body.seen(activations.state(range(len(items))))
    backwards = body.seen(activations.state(range(len(items))[::-1])).flip(0)
    alone = torch.cat([body.seen(activations.state([i])) for i in range(len(items))])
    torch.testing.assert_close(alone, together, **CLOSE)
    torch.testing.assert_close(backwards, together, **CLOSE)


def test_what_stands_in_the_padding_does_not_matter():
    kind, make = KINDS["small-text"]
    backbone, items = kind(), make()
    state, body = Activations.of(backbone, [items], 1).state(range(len(items))), Body(kind(), 1)
    assert (state.mask == 0).any()
    filled = State(torch.where(state.mask[:, :, None] == 0, 7.0, state.x), state.mask)
    torch.testing.assert_close(body.seen(filled), body.seen(state), **CLOSE)


def test_a_row_may_come_twice_and_in_any_order(small):
    backbone, items = small
    activations, body = Activations.of(backbone, [items], 1), Body(backbone, 1)
    z = body.seen(activations.state([3, 1, 3]))
    torch.testing.assert_close(z[0], z[2])
    torch.testing.assert_close(z[1], body.seen(activations.state([1]))[0], **CLOSE)


@pytest.mark.parametrize("most", [1 << 30, 0])
def test_versions_of_a_row_are_found_by_number(most):
    backbone = ToyText()
    versions = [["ants on a hill", "a bee"], ["ants on a big hill", "the bee"], ["ants", "one bee more"]]
    activations, body = Activations.of(backbone, versions, 1, most=most), Body(backbone, 1)
    assert len(activations) == 2
    z = body.seen(activations.state([1, 0, 1, 0], [2, 0, 0, 1]))
    expected = backbone.encode(["one bee more", "ants on a hill", "a bee", "ants on a big hill"], [2])[2]
    np.testing.assert_allclose(z.detach(), expected, **CLOSE)


def test_activations_that_are_kept_do_not_change_while_a_body_learns(small):
    backbone, items = small
    activations = Activations.of(backbone, [items], 1)
    before = [x.clone() for x, _ in activations.slices]
    learned(activations, 1)
    assert all(torch.equal(x, was) for (x, _), was in zip(activations.slices, before, strict=True))


def test_the_limit_is_in_bytes():
    items = ["ants", "bees"]  # a word each: 32 numbers and a mask of one, 4 bytes each
    assert Activations.of(ToyText(), [items], 1, most=2 * 33 * 4).cached
    assert not Activations.of(ToyText(), [items], 1, most=2 * 33 * 4 - 1).cached


def test_progress_is_told_up_to_the_end(small):
    backbone, items = small
    told = []
    Activations.of(backbone, [items, items], 1, progress=lambda *step: told.append(step))
    assert told[-1] == (12, 12)
    assert told == sorted(told)


# Rows of about equal length ----------------------------------------------------------------------------------------


def test_alike_loses_no_row_and_keeps_lengths_together():
    backbone, rng = ToyText(), np.random.default_rng(0)
    items = [" ".join(f"w{i}" for i in range(n)) for n in rng.integers(1, 40, size=30)]
    activations = Activations.of(backbone, [items], 1)
    rows = rng.permutation(30)[:20].tolist()
    groups = activations.alike(rows)
    assert sorted(i for group in groups for i in group) == list(range(20))
    assert len(groups) > 1
    for group in groups:
        lengths = [len(items[rows[i]].split()) for i in group]
        assert max(lengths) <= 1.5 * min(lengths)


def test_rows_so_short_that_padding_costs_nothing_are_one_group():
    backbone = ToyText()
    items = [" ".join(["w"] * n) for n in (1, 3, 9, 10, 30)]
    backbone.pads_up_to = 10
    assert Activations.of(backbone, [items], 1).alike(range(5)) == [[4], [3, 2, 1, 0]]
    backbone.pads_up_to = 9
    assert Activations.of(backbone, [items], 1).alike(range(5)) == [[4], [3, 2], [1, 0]]


def test_alike_is_one_group_where_nothing_is_padded_or_nothing_is_kept():
    for name in ("small-image", "small-voice"):
        kind, make = KINDS[name]
        assert Activations.of(kind(), [make()], 1).alike([4, 0, 2]) == [[0, 1, 2]]
    kind, make = KINDS["small-text"]
    assert Activations.of(kind(), [make()], 1, most=0).alike([4, 0, 2]) == [[0, 1, 2]]


def test_states_go_through_every_row_once(small):
    backbone, items = small
    activations, rows = Activations.of(backbone, [items], 1), [5, 0, 3, 2, 1]
    seen = {}
    for at, state in activations.states(rows):
        assert len(at) <= backbone.batch_items
        seen.update(zip(at, Body(backbone, 1).seen(state), strict=True))
    assert sorted(seen) == list(range(5))
    expected = backbone.encode([items[i] for i in rows], [2])[2]
    found = torch.stack([seen[i] for i in range(5)]).detach()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * max(1, np.abs(expected).max()))


def test_they_go_to_another_process_without_items_that_nobody_reads_again(small):
    backbone, items = small
    for kept in both(backbone, items, 1):
        there = pickle.loads(pickle.dumps(kept))  # noqa: S301 - made here
        assert (len(there), len(there.versions), there.cached) == (6, 1, kept.cached)
        assert ("ants" in str(there.versions)) == ("ants" in str(items) and not kept.cached)
        assert torch.equal(there.state([4, 1]).x, kept.state([4, 1]).x)
        np.testing.assert_array_equal(there.frozen, kept.frozen)
