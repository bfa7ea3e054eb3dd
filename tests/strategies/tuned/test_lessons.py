"""Lessons: which areas names have, which rows are easy, and that a curriculum learns them first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.strategies.tuned.lessons import areas_of, easier_half, in_areas
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.multilabel import MULTILABEL
from handful.tasks.ordinal import ORDINAL


@pytest.mark.parametrize(("names", "areas"), [
    (("bill/late", "bill/wrong", "box/late", "box/lost"), ("bill", "bill", "box", "box")),
    (("card_lost", "card_stolen", "cash_limit", "cash_fee"), ("card", "card", "cash", "cash")),
    (("ants", "bees", "wasps"), ()),
    (("red ant", "red bee"), ()),
    (("a x", "b y", "c z", "d q", "d r"), ()),
    ((), ()),
])  # fmt: skip
def test_names_have_areas_where_several_share_them(names, areas):
    assert areas_of(names) == areas


def test_rows_are_told_apart_by_area():
    labels = ["box/lost", "bill/late", "box/late", "bill/wrong", "box/late"]
    targets = CLASSIFICATION.read(labels)
    coarse = in_areas(targets)
    assert coarse.names == ("bill", "box")
    assert CLASSIFICATION.wanted(coarse) == ["box", "bill", "box", "bill", "box"]


def test_where_names_have_none_or_several_may_be_right_there_are_no_areas():
    assert in_areas(CLASSIFICATION.read(["ants", "bees"] * 3)) is None
    assert in_areas(ORDINAL.read(["1", "2", "3"] * 3)) is None
    assert in_areas(MULTILABEL.read(["a/x|a/y", "b/x", "b/y", "a/x"])) is None


def test_rows_near_their_own_class_are_easy():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal((9, 0, 0), 0.3, (4, 3)), rng.normal((0, 9, 0), 0.3, (4, 3))]).astype(np.float32)
    x[1], x[6] = (1, 9, 0), (9, 1, 0)  # each lies among the others
    easy = easier_half(x, np.repeat([0, 1], 4))
    assert not {1, 6} & set(easy.tolist())
    assert len(easy) == 4


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.integers(0, 10))
def test_every_class_keeps_rows_whatever_their_number(strata, seed):
    own = np.array(strata)
    easy = easier_half(np.random.default_rng(seed).normal(size=(len(own), 4)).astype(np.float32), own)
    assert (np.diff(easy) > 0).all()
    for one in set(strata):
        rows = strata.count(one)
        assert (own[easy] == one).sum() == max(min(2, rows), -(-rows // 2))


def test_a_curriculum_makes_as_many_updates_in_two_lessons(monkeypatch):
    from handful.strategies.tuned import fit
    from handful.strategies.tuned.methods.curriculum import Curriculum

    taught = []
    plain = fit._once

    def spied(activations, rows, targets, recipe, *rest):
        taught.append((targets.names, len(rows), recipe.settings.updates, recipe.begin is not None))
        return plain(activations, rows, targets, recipe, *rest)

    monkeypatch.setattr(fit, "_once", spied)
    items = [f"{word} number {i}" for i in range(4) for word in ("hill", "leaf", "hive", "wing")]
    labels = ["ants/nest", "ants/food", "bees/nest", "bees/body"] * 4
    Curriculum(backbone="toy-text", updates=5, label_name_weight=0).fit(items, labels)
    assert taught == [
        (("ants", "bees"), 16, 2, False),
        (("ants/food", "ants/nest", "bees/body", "bees/nest"), 16, 3, True),
    ]
    taught.clear()
    Curriculum(backbone="toy-text", updates=5, label_name_weight=0, lesson="easy").fit(items, labels)
    assert [(rows, updates) for _, rows, updates, _ in taught] == [(8, 2), (16, 3)]
