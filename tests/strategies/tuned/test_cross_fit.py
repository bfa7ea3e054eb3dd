"""Held-out scores of trainings, as far as these go from the frozen weights to the tuned ones."""

from dataclasses import replace

import numpy as np
import pytest

from classified import targets_of
from handful.strategies.tuned.cross_fit import cross_fit
from handful.strategies.tuned.fit import adapt, scored
from handful.strategies.tuned.recipe import ItemRecipe
from handful.training.activations import Activations
from handful.training.loop import Settings
from handful.training.objectives.classify import CrossEntropy
from handful.training.objectives.contrast import PairwiseCosine
from small_backbones import SmallText

THINGS = ["house", "tree", "car", "boat", "cup", "hat", "bird", "stone"]
TEXTS = [f"{colour} {thing}" for colour in ("red", "green", "blue") for thing in THINGS]
TRUTH = np.arange(24) % 2
FOLDS = np.arange(24) // 2 % 3
RECIPE = ItemRecipe(objective=PairwiseCosine(), settings=Settings(updates=3, rate=1e-3))


@pytest.fixture(scope="module")
def kept():
    return Activations.of(SmallText(), [TEXTS], RECIPE.first(SmallText()))


def test_none_of_the_way_is_the_frozen_model(kept):
    none = cross_fit(targets_of(TRUTH), kept, FOLDS, replace(RECIPE, wise_alpha=0.0))
    still = cross_fit(targets_of(TRUTH), kept, FOLDS, replace(RECIPE, settings=replace(RECIPE.settings, rate=1e-12)))
    np.testing.assert_allclose(none.outputs, still.outputs, atol=1e-4)


def test_a_fold_is_answered_by_a_training_without_its_rows_that_went_as_far_as_the_recipe_says(kept):
    part = replace(RECIPE, wise_alpha=0.5)
    found = cross_fit(targets_of(TRUTH), kept, FOLDS, part)
    for k in range(3):
        own = np.equal(FOLDS, k)
        rows = np.flatnonzero(~own)
        alone = scored(
            adapt(kept, rows, targets_of(TRUTH).take(rows), part).body, kept, ~own, targets_of(TRUTH), part.penalty
        )
        np.testing.assert_array_equal(found.outputs[own].argmax(1), alone[own].argmax(1))


def test_the_heads_that_trainings_start_from_share_one_pass_over_all_rows(monkeypatch):
    passes, seen_by = [], Activations.seen_by

    def counted(self, top, rows):
        passes.append(len(rows))
        return seen_by(self, top, rows)

    monkeypatch.setattr(Activations, "seen_by", counted)
    recipe = replace(RECIPE, objective=CrossEntropy())
    cross_fit(
        targets_of(TRUTH),
        Activations.of(SmallText(), [TEXTS], recipe.first(SmallText())),
        FOLDS,
        recipe,
    )
    assert passes == [24] * 4  # the frozen blocks once, then the answers of each fold


def test_it_says_in_how_many_folds_names_were_learned_from():
    items = [f"{name} {thing}" for thing in THINGS for name in ("red cars", "green cups")]
    truth, folds = np.arange(16) % 2, np.arange(16) // 2 % 3
    for names, count in ((("red cars", "green cups"), 3), (("stone", "cloud"), 0)):
        activations = Activations.of(SmallText(), [items], RECIPE.first(SmallText()), names=names)
        assert cross_fit(targets_of(truth), activations, folds, replace(RECIPE, label_name_weight=2)).named == count
        assert cross_fit(targets_of(truth), activations, folds, RECIPE).named == 0
