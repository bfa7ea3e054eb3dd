"""Trials of settings: the worse half stops early, suggestions are seeded and stay in their space."""

import numpy as np
import pytest

from handful.errors import MachineError, TrainingError
from handful.strategies.tuned import hyperparameters
from handful.strategies.tuned.cross_fit import CrossFit
from handful.strategies.tuned.hyperparameters import Race, Trial, near, suggested
from handful.strategies.tuned.methods.contrastive import Contrastive
from handful.strategies.tuned.methods.lora import LoRA
from handful.strategies.tuned.methods.supcon import SupCon

TRUTH = np.array([0, 1] * 6)


def answered(right: float) -> CrossFit:
    """Held-out answers that give the true class so much."""
    proba = np.full((12, 2), 1 - right)
    proba[np.arange(12), TRUTH] = right
    return CrossFit(proba, 1.0, ((), (), ()), 1.0, 1.0, 10, 0.1, 0)


def losses(outputs: np.ndarray) -> np.ndarray:
    """What answers cost, each row alone."""
    return -np.log(outputs[np.arange(12), TRUTH])


def fit(right: float):
    """A fit whose loss is the same on every fold, and which asks after each whether to go on."""

    def run(strategy, go_on):
        each = np.full(4, -np.log(right))
        return answered(right) if all(go_on(done, each) for done in (2, 3)) else None

    return run


def test_the_worse_half_is_given_up_early():
    race = Race()
    found = [race.run(SupCon(learning_rate=right), fit(right), losses) for right in (0.7, 0.9, 0.6, 0.95, 0.8)]
    assert [trial.cross_fit is not None for trial in found] == [True, True, False, True, False]
    assert [trial.folds for trial in found] == [3, 3, 2, 3, 3]  # the last one after the third fold
    assert race.finished() == [found[0], found[1], found[3]]


@pytest.mark.parametrize("kind", [TrainingError, MachineError])
def test_a_trial_that_fails_counts_and_stops_nothing(kind):
    def run(strategy, go_on):
        raise kind("the loss must stay a finite number")

    race = Race()
    trial = race.run(SupCon(), run, losses)
    assert (trial.loss, trial.folds, trial.cross_fit) == (np.inf, 0, None)
    assert trial.record()["loss"] is None
    assert race.run(SupCon(), fit(0.9), losses).cross_fit is not None


def test_what_is_near_differs_from_the_start_in_one_or_two_options():
    start = SupCon()
    for other in near(start):
        changed = [k for k, v in other.get_params().items() if v != start.get_params()[k]]
        assert 1 <= len(changed) <= 2
    assert len(list(near(Contrastive()))) == len(list(near(start)))  # no temperature, but all of the way
    assert all(other.trainable_fraction <= 1 for other in near(Contrastive(trainable_fraction=0.9)))


def test_whether_versions_help_and_bold_ones_do_is_left_to_the_folds():
    tried = [(other.augment, other.strong_augment) for other in near(SupCon()) if other.augment]
    assert tried == [(4, False), (4, True)]
    assert all(other.augment == 2 for other in near(SupCon(augment=2)))  # decided by the user
    assert not any(other.augment for other in near(SupCon(), changes=False))  # words stand elsewhere in a version


def test_suggestions_are_the_same_for_a_seed_and_stay_in_their_space():
    pytest.importorskip("optuna")

    def settings(seed):
        told = Trial(SupCon(), 0.5, 3, None)
        return [strategy.get_params() for strategy in suggested([SupCon(), LoRA()], 6, seed, lambda: told)]

    assert settings(1) == settings(1) != settings(2)
    for options in settings(1):
        assert 0.2 <= options["trainable_fraction"] <= 1
        assert 8 <= options["updates"] <= 80
        assert options.get("rank", 8) in (2, 4, 8, 16)


def test_no_versions_are_suggested_where_items_may_not_change():
    pytest.importorskip("optuna")
    told = Trial(SupCon(), 0.5, 3, None)
    assert not any(one.augment for one in suggested([SupCon(learning_rate=1.0)], 6, 1, lambda: told, changes=False))


def test_suggestions_begin_at_the_settings_that_are_given():
    pytest.importorskip("optuna")
    told = Trial(SupCon(), 0.5, 3, None)
    (one,) = suggested([SupCon(learning_rate=1.0, temperature=0.5)], 1, 1, lambda: told)
    assert 0.1 <= one.learning_rate <= 10
    assert one.temperature == 0.5


def test_a_missing_optuna_is_said_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MachineError) as error:
        next(hyperparameters.suggested([SupCon()], 1, 0, lambda: None))
    assert str(error.value) == (
        "a search needs the package optuna, which is not installed. Run: pip install 'handful[search]'"
    )
