"""Rung 0 as a whole: what cannot be compared is refused, what is repeated stays together, noise is called a tie."""

from dataclasses import replace

import numpy as np
import pytest

from handful.choices import STRATEGIES
from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.errors import DataError, OptionError
from handful.evaluation.verdicts import assemble
from handful.features.feature_set import FeatureSet
from handful.seeding import generator
from handful.strategies.frozen.rung import SearchTerms, run_frozen
from handful.tasks.classification import CLASSIFICATION


def seen(n, classes, seed=0, noise=0.3):
    """Rows of C classes whose features hold the class, or nothing where the noise is infinite."""
    rng = np.random.default_rng(seed)
    labels = tuple(f"class {i % classes}" for i in range(n))
    signal = np.zeros((n, 8)) if np.isinf(noise) else np.eye(8)[np.arange(n) % classes]
    features = signal + (1 if np.isinf(noise) else noise) * rng.normal(size=(n, 8))
    data = Dataset([f"text {i}" for i in range(n)], "text", labels, source="t.csv")
    return data, FeatureSet({("toy", 2): features.astype(np.float32)}, {}, {"toy": (2,)})


def climbed(data, sight, strategies=STRATEGIES, budget=0.0, seed=0):
    return run_frozen(CLASSIFICATION.read(data.labels), data, sight, SearchTerms(strategies, budget, seed, Inline()))


def test_the_chosen_head_answers_and_every_arm_is_measured():
    found = climbed(*seen(30, 3))
    assert [arm.name for arm in found.arms] == ["majority", "centroid", "ridge", "logistic", "svm", "ensemble"]
    assert found.whole.shape == (5, 30, 3)
    assert (found.whole.argmax(2) == found.rows.targets.values).mean() > 0.9
    assert found.rows.targets.names == ("class 0", "class 1", "class 2")


def test_only_the_arms_asked_for_are_tried():
    assert [arm.name for arm in climbed(*seen(12, 2), ("centroid",)).arms] == ["majority", "centroid"]


def test_penalties_of_many_numbers_of_another_program_are_lighter():
    data, sight = seen(12, 2)
    wide = {part: np.tile(x, 50) for part, x in sight.items.items()}  # 400 columns
    ridges = []
    for own in (sight, replace(sight, handed=True), replace(sight, items=wide, handed=True)):
        settings = climbed(data, own, ("ridge",), budget=60.0).search.settings
        ridges.append(np.array([setting.penalty for setting in settings]))
    assert np.array_equal(ridges[0], ridges[1])
    assert np.allclose(ridges[2], ridges[0] / 4)


def test_always_answering_the_same_class_scores_the_share_of_that_class():
    """Held-out rows do not count against it: left out, a row makes its own class the rarer one."""
    data, sight = seen(20, 2)
    found = climbed(data, sight)
    assert found.arms[0].measured(found.rows, CLASSIFICATION.headline).value == 0.5


def test_noise_is_never_called_better_than_always_the_same_answer():
    """20 rows, left out one by one: of 20 sets of pure noise at most one may look better by chance."""
    better = 0
    for seed in range(20):
        found = climbed(*seen(20, 2, seed, noise=np.inf))
        scores = assemble(
            found.arms, found.whole, found.arm, found.rows,
            metric=CLASSIFICATION.headline, protocol=found.protocol, rng=generator(0, "bootstrap"),
        )  # fmt: skip
        chosen = next(arm for arm in scores.arms if arm.verdict == "chosen")
        better += not chosen.difference.holds_zero and chosen.difference.value > 0
    assert better <= 1


def test_rows_with_the_same_content_share_a_fold():
    data, sight = seen(40, 2)
    items = [f"Text  {i // 2}" if i % 2 else f"text {i // 2}" for i in range(40)]
    data = Dataset(items, "text", data.labels, source="t.csv")
    folds = climbed(data, sight).search.folds
    assert (folds[:, ::2] == folds[:, 1::2]).all()


def test_rows_of_a_group_share_a_fold_even_where_repeats_join_groups():
    data, sight = seen(40, 2)
    groups = [f"g{i // 4}" for i in range(40)]
    items = list(data.items)
    items[39] = items[0]  # joins the first group to the last
    data = Dataset(items, "text", data.labels, tuple(groups), source="t.csv")
    folds = climbed(data, sight).search.folds
    assert all(len(set(folds[r, i : i + 4])) == 1 for r in range(len(folds)) for i in range(0, 40, 4))
    assert (folds[:, 0] == folds[:, 39]).all()


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_groups_cannot_be_nested(count):
    data, sight = seen(20, 2)
    groups = tuple(f"speaker {i % count}" for i in range(20))
    with pytest.raises(DataError) as error:
        climbed(Dataset(data.items, "text", data.labels, groups, source="t.csv"), sight)
    assert str(error.value) == (
        f"the rows of t.csv must come from at least 3 groups, got {count}: one to learn from, one to choose by and one "
        "to be scored on. Add rows of other groups, or use none (--group '')."
    )


def test_fewer_than_three_different_items_cannot_be_nested():
    data, sight = seen(20, 2)
    with pytest.raises(DataError) as error:
        climbed(Dataset(["a b", "c d"] * 10, "text", data.labels, source="t.csv"), sight)
    assert str(error.value) == (
        "the rows of t.csv must be at least 3 different items, got 2: one to learn from, one to choose by and one "
        "to be scored on. Add other items."
    )


def test_three_groups_are_enough():
    data, sight = seen(20, 2)
    groups = tuple(f"speaker {i % 3}" for i in range(20))
    found = climbed(Dataset(data.items, "text", data.labels, groups, source="t.csv"), sight)
    assert found.protocol == "nested leave-one-group-out"
    assert np.isfinite(found.whole).all()


def test_zero_shot_alone_needs_names_that_say_something():
    with pytest.raises(OptionError) as error:
        climbed(*seen(20, 2), ("zero-shot", "majority"))
    assert str(error.value) == (
        "strategies must name more than zero-shot for t.csv, because zero-shot needs texts, and classes that are "
        "called by words. Add centroid or another."
    )
