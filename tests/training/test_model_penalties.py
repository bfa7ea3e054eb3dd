"""Penalties on a model while it moves: its weights stay near their start, its answers stay alike."""

import numpy as np
import pytest

from classified import targets_of
from handful.backbones.toy import ToyText
from handful.strategies.tuned.fit import adapt, start
from handful.strategies.tuned.partial import Partial
from handful.strategies.tuned.supcon import SupCon
from handful.training.activations import Activations

TEXTS = [f"{word} w{i}" for i in range(6) for word in ("apple", "saw")]
TRUTH = np.array([0, 1] * 6)


def moved(strategy) -> float:
    """How far the weights are from where they began."""
    activations = Activations.of(ToyText(), [TEXTS], 0)
    found = adapt(activations, np.arange(12), targets_of(TRUTH), strategy.recipe())
    before = dict(start(activations, strategy.recipe()).blocks.named_parameters())
    return sum(float((found.delta[name] - weight).square().sum()) for name, weight in before.items())


def test_l2_sp_keeps_weights_near_their_start():
    free, held = (moved(SupCon(share=1.0, rate=1e-2, l2_sp=strength)) for strength in (0.0, 100.0))
    assert 0 < held < 0.5 * free


@pytest.mark.parametrize("strategy", [SupCon(share=1.0, adversary=0.1), Partial(share=1.0, r_drop=1.0, updates=10)])
def test_adversaries_and_r_drop_change_what_is_learned(strategy):
    plain = type(strategy)(
        **{**strategy.get_params(), "adversary": 0.0, **({"r_drop": 0.0} if "r_drop" in strategy.get_params() else {})}
    )
    activations = Activations.of(ToyText(), [TEXTS], 0)
    with_it, without = (adapt(activations, np.arange(12), targets_of(TRUTH), s.recipe()) for s in (strategy, plain))
    assert all(np.isfinite([update.loss for update in with_it.log]))
    if strategy.adversary:
        assert with_it.log[0].loss > 1.5 * without.log[0].loss  # the loss of the attacked rows is added
    else:  # the toy has no dropout, so that two passes agree and nothing is added
        assert with_it.log[0].loss == pytest.approx(without.log[0].loss, rel=1e-4)
