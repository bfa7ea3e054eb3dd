"""Pools of heads: scaled, added up over layers, joined with a tuned model."""

import numpy as np
import pytest

from classified import one_hot
from handful.features.view import MOVED, View, unit_rows
from handful.strategies.frozen.ensemble import ALONE, Linear, Member, added, describe, pooled, pooled_with
from handful.strategies.frozen.heads import Centroid, Logistic, Ridge
from handful.strategies.frozen.search_space import Setting

LAST, LOWER = ("toy", 2), ("toy", 1)
LABELS = ["ants", "bees", "wasps"] * 6
KINDS = {kind.head: kind for kind in (Centroid, Ridge, Logistic)}
DESIGN = one_hot([0, 1, 2] * 6)


@pytest.fixture
def items():
    rng = np.random.default_rng(0)
    return {LAST: rng.normal(size=(18, 6)).astype(np.float32), LOWER: rng.normal(size=(18, 4)).astype(np.float32)}


def member(part, head=Ridge, penalty=1.0, weight=1.0, sharpness=1.0, name_weight=0.0):
    return Member(Setting(head.name, head.head, View((part,)), penalty, name_weight), weight, sharpness)


def test_one_member_is_its_head_sharpened(items):
    model = pooled([member(LAST, sharpness=3.0)], items, {}, DESIGN)
    head = Ridge(1.0).fit(items[LAST], LABELS)
    np.testing.assert_allclose(model.scores(items[LAST]), 3 * head.decision_function(items[LAST]), atol=1e-5)


def test_members_on_several_layers_add_up_on_what_all_of_them_read(items):
    members = [
        member(LAST, Ridge, 1.0, 0.5, 2.0), member(LOWER, Logistic, 0.1, 0.3), member(LAST, Ridge, 0.1, 0.1),
        member(LOWER, Centroid, 0.0, 0.1, 5.0),
    ]  # fmt: skip
    model = pooled(members, items, {}, DESIGN)
    assert model.view == View((LAST, LOWER))
    expected = sum(
        m.weight * m.sharpness * KINDS[m.setting.head](*[m.setting.penalty][: bool(m.setting.penalty)]).fit(
            items[m.setting.view.parts[0]], LABELS
        ).decision_function(items[m.setting.view.parts[0]])
        for m in members
    )  # fmt: skip
    np.testing.assert_allclose(model.scores(model.view.matrix(items)), expected, atol=1e-4)


def test_names_count_as_rows_or_alone(items):
    names = {
        part: np.random.default_rng(1).normal(size=(3, x.shape[1])).astype(np.float32) for part, x in items.items()
    }
    alone = pooled([member(LAST, Centroid, 0.0, name_weight=np.inf)], items, names, DESIGN)
    np.testing.assert_allclose(alone.scores(items[LAST]), unit_rows(items[LAST]) @ unit_rows(names[LAST]).T, atol=1e-6)
    beside = pooled([member(LAST, name_weight=2.0)], items, names, DESIGN)
    rows = np.concatenate([items[LAST], names[LAST]])
    weights = np.r_[np.ones(18), np.full(3, 2.0)]
    head = Ridge(1.0).fit(rows, [*LABELS, "ants", "bees", "wasps"], sample_weight=weights)
    np.testing.assert_allclose(beside.scores(items[LAST]), head.decision_function(items[LAST]), atol=1e-5)


def test_views_of_several_backbones_keep_their_scale(items):
    other = ("other", 3)
    items[other] = np.random.default_rng(2).normal(size=(18, 5)).astype(np.float32)
    joined = View((LAST, other))
    setting = Setting("ridge", Ridge.head, joined, 1.0)
    model = pooled([Member(setting, 1.0, 1.0)], items, {}, DESIGN)
    head = Ridge(1.0).fit(joined.matrix(items), LABELS)
    np.testing.assert_allclose(
        model.scores(joined.matrix(items)), head.decision_function(joined.matrix(items)), atol=1e-5
    )


def test_a_tuned_model_is_pooled_with_the_frozen_one_unless_it_is_nearly_all(items):
    moved = ("toy" + MOVED, 2)
    items[moved] = np.random.default_rng(3).normal(size=(18, 6)).astype(np.float32)
    frozen, tuned = (
        Linear.of(View((part,)), items, np.random.default_rng(4).normal(size=(6, 2)), np.ones(2))
        for part in (LAST, moved)
    )
    both = pooled_with(frozen, tuned, 0.75)
    assert both.view == View((LAST, moved))
    expected = 0.25 * frozen.scores(items[LAST]) + 0.75 * tuned.scores(items[moved])
    np.testing.assert_allclose(both.scores(both.view.matrix(items)), expected, atol=1e-5)
    assert pooled_with(frozen, tuned, ALONE + 0.01) is tuned


def test_what_is_read_twice_is_read_once(items):
    part = Linear.of(View((LAST,)), items, np.ones((6, 2)), np.zeros(2))
    assert added([1.0, 1.0], [part, part]).coef.shape == (6, 2)


def test_an_ensemble_is_described_by_its_shares():
    members = [member(LAST, weight=0.6), member(LOWER, Logistic, 0.1, 0.3), member(LOWER, weight=0.1)]
    assert describe(members) == {
        "settings pooled": 3, "heads": "ridge 70 %, logistic 30 %", "reads": "toy@2 60 %, toy@1 40 %",
    }  # fmt: skip
    assert describe(members[:1])["heads"] == "ridge"
