"""Held-out scores of trainings, and how far to go from the frozen weights to the tuned ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handful.evaluation.calibration import hedged_losses
from handful.evaluation.selection import choose
from handful.strategies import held_out
from handful.strategies.adaptation import start
from handful.strategies.held_out import hold_out
from handful.strategies.recipe import Recipe
from handful.training.activations import Activations
from handful.training.loop import Settings
from handful.training.objectives.contrast import PairwiseCosine
from small_backbones import SmallText

THINGS = ["house", "tree", "car", "boat", "cup", "hat", "bird", "stone"]
TEXTS = [f"{colour} {thing}" for colour in ("red", "green", "blue") for thing in THINGS]
TRUTH = np.arange(24) % 2
FOLDS = np.arange(24) // 2 % 3
RECIPE = Recipe(PairwiseCosine(), settings=Settings(updates=3, rate=1e-3))


@pytest.fixture(scope="module")
def kept():
    return Activations.of(SmallText(), [TEXTS], RECIPE.first(SmallText()))


def test_one_share_is_what_the_recipe_says(kept):
    for fade in (1.0, 0.5):
        one = hold_out(kept, TRUTH, FOLDS, replace(RECIPE, fade=fade))
        same = hold_out(kept, TRUTH, FOLDS, replace(RECIPE, fade=fade, fades=(fade,)))
        assert (one.fade, same.fade) == (fade, fade)
        np.testing.assert_allclose(one.proba, same.proba)


def test_none_of_the_way_is_the_frozen_model(kept):
    none = hold_out(kept, TRUTH, FOLDS, replace(RECIPE, fade=0.0))
    still = hold_out(kept, TRUTH, FOLDS, replace(RECIPE, settings=replace(RECIPE.settings, rate=1e-12)))
    np.testing.assert_allclose(none.proba, still.proba, atol=1e-4)


def test_several_shares_cost_one_training_per_fold_and_another_than_its_own_has_to_be_better(kept, monkeypatch):
    trained = []
    real = held_out.adapt
    monkeypatch.setattr(held_out, "adapt", lambda *args, **more: trained.append(args) or real(*args, **more))
    shares = (0.0, 0.5, 1.0)
    found = hold_out(kept, TRUTH, FOLDS, replace(RECIPE, fades=shares))
    assert len(trained) == 3
    alone = [hold_out(kept, TRUTH, FOLDS, replace(RECIPE, fade=fade)) for fade in shares]
    best = choose(np.stack([hedged_losses(one.proba, TRUTH) for one in alone]), [1, 1, 0])
    assert (found.fade, found.sharpness) == (shares[best], alone[best].sharpness)


def test_a_training_that_went_too_far_is_gone_only_part_of_the_way(kept, monkeypatch):
    """At the end of the way all rows look alike; nearer to where it began they do not."""
    real = held_out.adapt

    def adapt(activations, rows, truth, recipe, **more):
        tried = real(activations, rows, truth, recipe, **more)
        body = start(activations, recipe)
        with torch.no_grad():
            for weight in body.blocks.parameters():
                weight.zero_()
        return replace(tried, body=body.eval(), delta=recipe.tuner.delta(body))

    monkeypatch.setattr(held_out, "adapt", adapt)
    first = SmallText().encode(TEXTS, [2])[2][:, 0]
    known = (first > np.median(first)).astype(int)  # what the frozen model tells apart
    part, whole = (hold_out(kept, known, FOLDS, replace(RECIPE, fades=fades)) for fades in ((0.25, 1.0), ()))
    assert (part.fade, whole.fade) == (0.25, 1.0)
    assert hedged_losses(part.proba, known).mean() < hedged_losses(whole.proba, known).mean()


def test_its_own_share_is_asked_about_whatever_else_is():
    assert replace(RECIPE, fade=0.4, fades=(0.5, 1.0)).shares == (0.4, 0.5, 1.0)
    assert replace(RECIPE, fade=1.0, fades=(0.5, 1.0)).shares == (1.0, 0.5)
    assert replace(RECIPE, fade=0.4).shares == (0.4,)
