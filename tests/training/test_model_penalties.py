"""Penalties on a model while it moves: its weights stay near their start, its answers stay alike."""

import numpy as np
import pytest

from classified import targets_of
from handful.backbones.toy import ToyText
from handful.strategies.tuned.fit import adapt, start
from handful.strategies.tuned.methods.partial import Partial
from handful.strategies.tuned.methods.supcon import SupCon
from handful.training.activations import Activations
from small_backbones import SmallText

TEXTS = [f"{word} w{i}" for i in range(6) for word in ("apple", "saw")]
TRUTH = np.array([0, 1] * 6)


def moved(strategy) -> float:
    """How far the weights are from where they began."""
    activations = Activations.of(ToyText(), [TEXTS], 0)
    found = adapt(activations, np.arange(12), targets_of(TRUTH), strategy.recipe())
    before = dict(start(activations, strategy.recipe()).blocks.named_parameters())
    return sum(float((found.delta[name] - weight).square().sum()) for name, weight in before.items())


def test_l2_sp_keeps_weights_near_their_start():
    free, held = (
        moved(SupCon(trainable_fraction=1.0, learning_rate=1e-2, l2_sp=strength)) for strength in (0.0, 100.0)
    )
    assert 0 < held < 0.5 * free


def first_loss(strategy, backbone) -> float:
    """The loss of the first update."""
    activations = Activations.of(backbone, [TEXTS], 0)
    return adapt(activations, np.arange(12), targets_of(TRUTH), strategy.recipe()).log[0].loss


def test_the_loss_of_attacked_rows_is_added():
    plain, attacked = (first_loss(SupCon(trainable_fraction=1.0, adversary=far), ToyText()) for far in (0.0, 0.1))
    assert 1.5 * plain < attacked < np.inf


@pytest.mark.parametrize(("backbone", "drops"), [(SmallText(), True), (ToyText(), False)])
def test_r_drop_adds_how_far_two_passes_are_apart_and_nothing_where_none_drops(backbone, drops):
    # Next to no weight: the two passes are made, and how far they are apart is not added.
    plain, apart = (
        first_loss(Partial(trainable_fraction=1.0, r_drop=weight, updates=1), backbone) for weight in (1e-9, 9.0)
    )
    assert (apart > plain + 0.01) == drops
    assert drops or apart == pytest.approx(plain, rel=1e-4)
