"""What every backbone must do: the toys in milliseconds, those of the catalogue with their real weights."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from handful.backbones import catalog, entries
from handful.backbones.base import Backbone
from handful.backbones.chat import Tokens
from handful.backbones.parts import PLACED, TOKENS
from handful.data.vectors import VECTORS
from rounding import rounding

TOYS = [("toy-text", "text"), ("toy-image", "image"), ("toy-sound", "sound"), ("toy-language", "language")]
# That of vectors has no weights, and is made of the rows of a run: see tests/backbones/test_vectors_backbone.py.
LOADED = [(entry.name, entry.modality) for entry in entries.ENTRIES if entry.modality != VECTORS]
REAL = [pytest.param(pair, marks=pytest.mark.integration) for pair in LOADED]
# What batching or fusing may change in a feature, relative to the largest one of the item: as many terms as minilm-l6
# adds up through all its blocks.
CLOSE = rounding(steps=20_736, size=1.0)


def texts():
    return [
        "Card was charged twice.",
        "Where is my parcel? It should have been here on Friday, and the courier does not answer.",
        "a",
        "¿Dónde está? 日本 🙂",
        "word " * 70,
    ]


def pictures():
    rng = np.random.default_rng(0)
    sizes = [(64, 64), (300, 120), (31, 97), (1, 1), (256, 256)]  # width, height
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


def clips():
    rng = np.random.default_rng(0)
    found = []
    for seconds, rate, pitch in [(0.5, 16000, 220), (2.3, 16000, 440), (0.05, 16000, 330), (1.0, 8000, 150)]:
        t = np.arange(int(seconds * rate)) / rate
        found.append(((0.3 * np.sin(2 * np.pi * pitch * t) + 0.02 * rng.normal(size=t.size)).astype(np.float32), rate))
    return found


def conversations():
    rng = np.random.default_rng(0)
    return [Tokens(tuple(rng.integers(5, 100, size=n).tolist()), n) for n in (12, 40, 1, 7, 25)]


ITEMS = {"text": texts, "image": pictures, "sound": clips, "language": conversations}


@pytest.fixture(scope="module", params=[*TOYS, *REAL], ids=lambda pair: pair[0])
def backbone(request) -> Backbone:
    """One backbone at a time, loaded once for all of its tests."""
    return catalog.load(*request.param)


@pytest.fixture
def items(backbone):
    return ITEMS[backbone.modality]()


def every_depth(backbone):
    return range(len(backbone.blocks) + 1)


def assert_close(found, expected):
    assert_allclose(found, expected, rtol=0, atol=CLOSE * max(1, float(np.abs(expected).max())))


def test_it_says_who_it_is(backbone, request):
    name, modality = request.node.callspec.params["backbone"]
    assert (backbone.name, backbone.modality) == (name, modality)
    assert backbone.batch_items >= 1


def test_features_are_one_row_of_finite_float32_per_item_at_every_depth(backbone, items):
    found = backbone.encode(items, list(every_depth(backbone)))
    assert sorted(found) == list(every_depth(backbone))
    for depth, vectors in found.items():
        assert vectors.dtype == np.float32
        assert vectors.ndim == 2
        assert len(vectors) == len(items)
        assert np.isfinite(vectors).all(), f"depth {depth}"


def test_it_can_go_to_another_process(backbone, items):
    """Where trainings run; language models train where they are."""
    if backbone.modality == "language":
        pytest.skip("trainings of language models stay in this process")
    there = pickle.loads(pickle.dumps(backbone))  # noqa: S301 - made here
    assert there.fingerprint == backbone.fingerprint
    depth = backbone.search_depths[0]
    assert_close(there.encode(items, [depth])[depth], backbone.encode(items, [depth])[depth])


def test_the_depths_worth_trying_exist_last_layer_first(backbone):
    depths = backbone.search_depths
    assert depths[0] == len(backbone.blocks)
    assert list(depths) == sorted(set(depths), reverse=True)
    assert set(depths) <= set(every_depth(backbone))


def test_a_depth_is_what_comes_out_of_so_many_blocks(backbone, items):
    found = backbone.encode(items, list(every_depth(backbone)))
    with torch.inference_mode():
        state = backbone.stem(backbone.prepare(items))
        for depth in every_depth(backbone):
            if depth:
                state = backbone.blocks[depth - 1](state)
            assert_close(found[depth], backbone.pool(state).float().cpu().numpy())


def test_several_depths_in_one_pass_equal_each_alone(backbone, items):
    together = backbone.encode(items, list(backbone.search_depths))
    for depth in backbone.search_depths:
        alone = backbone.encode(items, [depth])
        assert list(alone) == [depth]
        assert_array_equal(together[depth], alone[depth])


def test_the_company_of_an_item_does_not_change_its_features(backbone, items):
    depths = list(backbone.search_depths)
    together = backbone.encode(items, depths)
    backwards = backbone.encode(items[::-1], depths)
    for i, item in enumerate(items):
        alone = backbone.encode([item], depths)
        for depth in depths:
            assert_close(alone[depth][0], together[depth][i])
            assert_close(backwards[depth][::-1][i], together[depth][i])


def test_the_same_items_give_the_same_numbers(backbone, items):
    depth = len(backbone.blocks)
    assert_array_equal(backbone.encode(items, [depth])[depth], backbone.encode(items, [depth])[depth])


def test_different_items_give_different_features(backbone, items):
    depth = len(backbone.blocks)
    vectors = backbone.encode(items, [depth])[depth]
    assert len(np.unique(vectors, axis=0)) == len(items)


def test_items_are_not_changed(backbone, items):
    before = copy.deepcopy(items)
    backbone.encode(items, [len(backbone.blocks)])
    for item, kept in zip(items, before, strict=True):
        if backbone.modality == "sound":
            assert_array_equal(item[0], kept[0])
        else:
            assert item == kept


def test_work_is_in_proportion_to_an_item_and_never_nothing(backbone, items):
    assert all(backbone.size(item) >= 1 for item in items)


def test_loading_again_gives_the_same_fingerprint_and_the_same_features(backbone, items):
    again = catalog.load(backbone.name, backbone.modality)
    assert backbone.fingerprint
    assert again.fingerprint == backbone.fingerprint
    depth = len(backbone.blocks)
    assert_array_equal(again.encode(items, [depth])[depth], backbone.encode(items, [depth])[depth])


def test_a_state_has_one_mask_row_and_one_owner_per_activation_row(backbone, items):
    with torch.inference_mode():
        state = backbone.stem(backbone.prepare(items))
    if state.owner is None:
        assert len(state.x) == len(items)
    else:
        assert state.owner.shape == (len(state.x),)
        assert set(state.owner.tolist()) == set(range(len(items)))
    assert state.mask is None or state.mask.shape[0] == len(state.x)


def test_a_gradient_reaches_every_block(backbone, items):
    with torch.no_grad():
        state = backbone.stem(backbone.prepare(items[:2]))
    blocks = [list(block.parameters()) for block in backbone.blocks]
    weights = [weight for block in blocks for weight in block]
    needed = [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(True)
        for block in backbone.blocks:
            state = block(state)
        loss = backbone.pool(state).square().sum()
        slopes = torch.autograd.grad(loss, weights, allow_unused=True) if weights else ()
    finally:
        for weight, before in zip(weights, needed, strict=True):
            weight.requires_grad_(before)
    reached = {id(w) for w, slope in zip(weights, slopes, strict=True) if slope is not None and slope.abs().max() > 0}
    for number, block in enumerate(blocks, start=1):
        assert not block or reached & {id(weight) for weight in block}, f"block {number}"


def test_no_two_backbones_share_a_fingerprint():
    found = [catalog.load(*pair).fingerprint for pair in TOYS]
    assert len(set(found)) == len(TOYS)


def covered(backbone, item, place):
    """What parts leave uncovered of an item, as a share of it."""
    if backbone.modality == "text":
        seen = np.zeros(len(item), bool)
        for first, end in place.astype(int):
            seen[first:end] = True
        real = np.array([not sign.isspace() for sign in item])
        return seen[real].mean() if real.any() else 1.0
    if backbone.modality == "image":
        seen = np.zeros(item.size[::-1], bool)
        for left, top, right, bottom in np.round(place).astype(int):
            seen[top:bottom, left:right] = True
        return seen.mean()
    return (place[:, 1] - place[:, 0]).sum() / (len(item[0]) / item[1])


def test_parts_cover_all_of_every_item_and_are_the_same_alone_and_in_a_batch(backbone, items):
    if not backbone.grain:
        pytest.skip("it has no parts, and says so")
    if backbone.modality == "text":
        items = [*items, "far more words than it reads at once " * 120]
    depths = backbone.part_depths
    together = backbone.parts(items, depths)
    assert set(together.vectors) == set(depths)
    assert together.place.shape == (len(together), PLACED[backbone.grain])
    for i, item in enumerate(items):
        alone = backbone.parts([item], depths)
        own = together.item == i
        assert_array_equal(alone.place, together.place[own])
        assert covered(backbone, item, alone.place) > 0.99
        for depth in depths:
            assert_close(together.vectors[depth][own], alone.vectors[depth])


def test_parts_of_a_short_text_are_the_states_that_are_pooled(backbone):
    if backbone.grain != TOKENS or backbone.name.startswith("toy"):
        pytest.skip("it has no tokens")
    text, depth = "where is my parcel", backbone.part_depths[0]
    state = backbone.run(backbone.prepare([text]), depth)
    found = backbone.parts([text], (depth,))
    real = [int((state.x[0] - torch.from_numpy(row)).abs().sum(1).argmin()) for row in found.vectors[depth]]
    assert_close(found.vectors[depth], state.x[0, real].detach().numpy())
    assert real == sorted(real)
    assert len(real) == len(set(real))
