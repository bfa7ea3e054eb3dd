"""One training for several heads: what each learns from, where it begins, and that what is held out is held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from classified import targets_of
from handful.engines import Inline
from handful.strategies.tuned.cross_fit import cross_fit
from handful.strategies.tuned.fit import adapt
from handful.strategies.tuned.methods.partial import Partial
from handful.strategies.tuned.shared import (
    HeadsSetup,
    HeadTargets,
    Shared,
    adapt_heads,
    answered_heads,
    cross_fit_heads,
    moved_heads,
)
from handful.strategies.tuned.trainings import Part
from handful.tasks.multilabel import MULTILABEL
from handful.tasks.regression import REGRESSION
from handful.training.activations import Activations
from kept import pickled
from small_backbones import SmallText

THINGS = ["house", "tree", "car", "boat"]
TEXTS = [f"{colour} {thing}" for colour in ("red", "green", "blue") for thing in THINGS]
COLOURS, KINDS = np.arange(12) // 4, np.arange(12) % 2
FOLDS = np.arange(12) // 2 % 3
RECIPE = replace(Shared(updates=3, label_name_weight=0).recipe(), batch=12)
NONE = np.arange(0)


@pytest.fixture(scope="module")
def kept():
    return Activations.of(SmallText(), [TEXTS], RECIPE.first(SmallText()))


def head(truth, rows=None):
    at = np.arange(12) if rows is None else np.array(rows)
    return HeadTargets(targets_of(truth).take(at), at, NONE)


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_it_is_partial_for_several_targets():
    own, other = Shared().recipe(), Partial().recipe()
    assert own == other


def test_one_head_alone_is_a_training_of_its_own(kept):
    alone = adapt(kept, np.arange(12), targets_of(COLOURS), RECIPE)
    shared = adapt_heads(HeadsSetup([head(COLOURS)], kept, RECIPE), np.arange(12))
    assert same(alone.delta, shared.delta)
    assert [update.loss for update in alone.log] == [update.loss for update in shared.log]
    assert (alone.moved, alone.named) == (shared.moved, shared.named)


def test_one_head_held_out_is_held_out_as_ever(kept):
    setup = HeadsSetup([head(COLOURS)], kept, RECIPE)
    (shared,) = cross_fit_heads(setup, FOLDS, Inline())
    alone = cross_fit(targets_of(COLOURS), kept, FOLDS, RECIPE)
    np.testing.assert_array_equal(shared.outputs, alone.outputs)
    assert (shared.train, shared.held, shared.sharpness) == (alone.train, alone.held, alone.sharpness)


def test_another_head_moves_the_weights_elsewhere(kept):
    alone = adapt_heads(HeadsSetup([head(COLOURS)], kept, RECIPE), np.arange(12))
    both = adapt_heads(HeadsSetup([head(COLOURS), head(KINDS)], kept, RECIPE), np.arange(12))
    assert not same(alone.delta, both.delta)
    assert both.moved == alone.moved


def test_a_missing_cell_changes_what_is_learned_and_rows_without_any_target_nothing(kept):
    fewer = [head(COLOURS), head(KINDS, rows=range(8))]
    whole = adapt_heads(HeadsSetup([head(COLOURS), head(KINDS)], kept, RECIPE), np.arange(12))
    some = adapt_heads(HeadsSetup(fewer, kept, RECIPE), np.arange(12))
    assert not same(whole.delta, some.delta)
    apart = [head(COLOURS, rows=range(4, 12)), head(KINDS, rows=range(4, 12))]
    without = adapt_heads(HeadsSetup(apart, kept, RECIPE), np.arange(12))
    assert same(without.delta, adapt_heads(HeadsSetup(apart, kept, RECIPE), np.arange(4, 12)).delta)


def test_no_label_of_a_held_out_row_of_any_head_is_seen(kept):
    part = Part(np.flatnonzero(FOLDS != 0), 0)
    found = answered_heads(None, HeadsSetup([head(COLOURS), head(KINDS)], kept, RECIPE), part)
    held = np.equal(FOLDS, 0)
    others = [np.where(held, (truth + 1) % (truth.max() + 1), truth) for truth in (COLOURS, KINDS)]
    again = answered_heads(None, HeadsSetup([head(other) for other in others], kept, RECIPE), part)
    for one, other in zip(found.scores, again.scores, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_head_that_has_nothing_to_tell_apart_without_a_fold_is_left_out_of_that_training(kept):
    rare = HeadTargets(targets_of([1, 0, 0]), np.array([0, 2, 3]), NONE)  # of folds 0, 1 and 1
    found = answered_heads(None, HeadsSetup([head(COLOURS), rare], kept, RECIPE), Part(np.flatnonzero(FOLDS != 0), 0))
    assert found.scores[1] is None
    assert found.scores[0].shape == (12, 3)
    whole, few = cross_fit_heads(HeadsSetup([head(COLOURS), rare], kept, RECIPE), FOLDS, Inline())
    assert (len(whole.curves), len(few.curves)) == (3, 0)
    np.testing.assert_allclose(few.outputs, 0.5)
    assert whole.seconds == few.seconds


def test_targets_of_all_kinds_share_weights(kept):
    labels = MULTILABEL.read([f"{TEXTS[i].split()[0]}|{'even' if i % 2 else 'odd'}" for i in range(12)])
    numbers = REGRESSION.read([str(i / 3) for i in range(12)])
    rows = np.arange(12)
    heads = [head(KINDS), HeadTargets(labels, rows, NONE), HeadTargets(numbers, rows, NONE)]
    kinds, several, measured = cross_fit_heads(HeadsSetup(heads, kept, RECIPE), FOLDS, Inline())
    assert (kinds.outputs.shape, several.outputs.shape) == ((12, 2), (12, len(labels.names)))
    assert len(measured.outputs) == 12
    assert all(np.isfinite(one.outputs).all() for one in (kinds, several, measured))


def test_names_of_classes_are_learned_from_by_their_own_head():
    names = ["red", "green", "blue", "house"]
    kept = Activations.of(SmallText(), [TEXTS], RECIPE.first(SmallText()), names=names)
    recipe = replace(RECIPE, label_name_weight=2)
    first = HeadTargets(targets_of(COLOURS), np.arange(12), np.array([12, 13, 14]))
    named = adapt_heads(HeadsSetup([first, head(KINDS)], kept, recipe), np.arange(12))
    plain = adapt_heads(HeadsSetup([head(COLOURS), head(KINDS)], kept, recipe), np.arange(12))
    assert (named.named, plain.named) == (True, False)
    assert not same(named.delta, plain.delta)


def test_what_is_kept_of_all_rows_is_what_moved(kept):
    setup = HeadsSetup([head(COLOURS), head(KINDS)], kept, RECIPE)
    told = []
    final = moved_heads(lambda part, update: told.append(update.number), setup, Part(np.arange(12)))
    assert same(final.delta, adapt_heads(setup, np.arange(12)).delta)
    assert told == [0, 1, 2]


def test_a_training_that_goes_to_another_process_and_comes_back_is_the_same(kept):
    setup, part = HeadsSetup([head(COLOURS), head(KINDS, rows=range(8))], kept, RECIPE), Part(np.arange(12))
    there = pickled(moved_heads(None, *pickled((setup, part))))
    assert same(moved_heads(None, setup, part).delta, there.delta)


def test_only_a_share_of_the_way_is_gone_where_the_recipe_says_so(kept):
    setup = HeadsSetup([head(COLOURS), head(KINDS)], kept, RECIPE)
    whole, half = (adapt_heads(replace(setup, recipe=replace(RECIPE, wise_alpha=share)), np.arange(12))
                   for share in (1.0, 0.5))  # fmt: skip
    assert not same(whole.delta, half.delta)
