"""Several targets that share a training: rows held out together, what is decided for each, what is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.errors import TrainingError
from handful.features.feature_set import extract_all
from handful.regimes import multitask
from handful.regimes.multitask import SharedTraining, items_of
from handful.strategies.frozen.rung import SearchTerms, run_frozen
from handful.strategies.tuned.cost import Pace
from handful.strategies.tuned.ladder import Terms, run_ladder
from handful.strategies.tuned.shared import Shared
from handful.tasks.registry import head_task
from small_backbones import Muted, SmallText

QUIET = Terms((), named=True, budget=600.0)
# So far does the muted number of the toy come back within a few updates.
FAST = Shared(updates=6, learning_rate=0.1, label_name_weight=0)


def silent(stage, done, total):
    """Say nothing."""


def datasets(count=48, **more):
    """Two targets, of which each has a half of the rows and some of the other's; both are told by the first word."""
    items = [f"{'ants' if i % 2 else 'bees'} {i}" for i in range(count)]
    places = {"kind": range(28), "size": range(20, count)}
    names = {"kind": ("bee", "ant"), "size": ("large", "small")}
    return {
        name: Dataset(
            [items[i] for i in at], "text", tuple(names[name][i % 2] for i in at), rows=tuple(at), target=name, **more
        )
        for name, at in places.items()
    }


def frozen_of(data, backbone, folds):
    data, sight = extract_all(data, {backbone.name: backbone})
    terms = SearchTerms(("centroid", "logistic"), 0.0, 0, Inline(), few=folds)
    return run_frozen(head_task(data.task).read(data.labels), data, replace(sight, names={}), terms)


def decided(shared, heads, backbone, terms=QUIET):
    """What the shared training comes to for each target."""
    found = {}
    for name, data in heads.items():
        frozen = frozen_of(data, backbone, shared.folds(name, data, {backbone.name: backbone}, silent))
        own = run_ladder(data, backbone, frozen, replace(terms, wanted=()))
        found[name] = shared.faced(name, own, frozen, {backbone.name: backbone}, terms)
    return found


# Items and folds ---------------------------------------------------------------------------------------------------


def test_every_item_is_there_once_and_every_target_knows_its_own():
    heads = datasets()
    items = items_of(heads, {"muted": Muted()}, 0, silent)
    assert items.data.rows == tuple(range(48))
    assert items.data.labels is None
    for name, data in heads.items():
        assert [items.data.items[i] for i in items.places(name)] == list(data.items)


def test_the_rows_of_every_target_are_spread_over_the_folds():
    heads = datasets()
    items = items_of(heads, {"muted": Muted()}, 0, silent)
    for name, data in heads.items():
        folds = items.folds[items.places(name)]
        for label in data.classes:
            own = np.bincount(folds[np.array(data.labels) == label], minlength=3)
            assert own.max() - own.min() <= 1
    np.testing.assert_array_equal(items.folds, items_of(heads, {"muted": Muted()}, 0, silent).folds)
    assert (items.folds != items_of(heads, {"muted": Muted()}, 1, silent).folds).any()


def test_a_group_is_held_out_from_all_targets_at_once():
    heads = datasets()
    heads = {name: replace(data, groups=tuple(str(row // 6) for row in data.rows)) for name, data in heads.items()}
    items = items_of(heads, {"muted": Muted()}, 0, silent)
    for start in range(0, 48, 6):
        assert len(set(items.folds[start : start + 6])) == 1


def test_same_texts_are_held_out_together():
    heads = datasets()
    heads["size"] = replace(heads["size"], items=[*heads["size"].items[:-1], heads["kind"].items[0].upper()])
    items = items_of(heads, {"muted": Muted()}, 0, silent)
    assert items.folds[47] == items.folds[0]


# What is decided ---------------------------------------------------------------------------------------------------


def test_each_target_ships_shared_weights_where_its_rows_say_so():
    found = decided(SharedTraining(datasets(), 600.0, FAST), datasets(), Muted())
    for one in found.values():
        assert one.chosen is one.rungs[-1]
        assert one.chosen.name == "shared"
        assert one.chosen.decided.gain.low > 0
        assert one.base[0] == "muted"
        assert one.notes[-1] == "shared takes the place of the model before it."
        assert one.notes[-2].startswith("One training for 2 targets without each fold took ")
        assert [arm.name for arm in one.arms][-1] == "shared"
        assert one.whole.shape == (1, 28, 2)
    assert found["kind"].final is found["size"].final  # one training on all rows, and one delta


def test_a_target_that_the_weights_do_not_help_keeps_its_own_model():
    heads = datasets()
    shuffled = tuple(np.random.default_rng(0).permutation(heads["size"].labels).tolist())
    heads["size"] = replace(heads["size"], labels=shuffled)
    found = decided(SharedTraining(heads, 600.0, FAST), heads, Muted())
    assert found["kind"].chosen is not None
    assert found["size"].chosen is None
    assert found["size"].final is None
    assert found["size"].notes[-1] == "shared stays a trial."


def test_what_its_own_training_won_stands_unless_the_shared_one_is_better(monkeypatch):
    heads, backbone = datasets(), Muted()
    shared = SharedTraining(heads, 600.0, FAST)
    frozen = frozen_of(heads["kind"], backbone, shared.folds("kind", heads["kind"], {"muted": backbone}, silent))
    own = run_ladder(heads["kind"], backbone, frozen, replace(QUIET, wanted=("contrastive",)))
    assert own.chosen is not None
    found = shared.faced("kind", own, frozen, {"muted": backbone}, QUIET)
    assert found.chosen is own.chosen
    assert found.final is own.final
    assert [rung.name for rung in found.rungs] == ["contrastive", "shared"]
    assert [arm.name for arm in found.arms].count("contrastive") == 1


def test_the_training_is_made_once_for_all_targets(monkeypatch):
    calls = []
    plain = multitask.cross_fit_heads
    monkeypatch.setattr(multitask, "cross_fit_heads", lambda *a, **k: calls.append(1) or plain(*a, **k))
    decided(SharedTraining(datasets(), 600.0, FAST), datasets(), Muted())
    assert calls == [1]


def test_what_it_takes_is_told_by_the_rows_that_an_update_sees_not_by_how_many_targets_they_have(monkeypatch):
    monkeypatch.setattr(multitask, "pace_of", lambda *given: (Pace(around=0.0, each=1.0), False))
    every = datasets()["kind"]
    both = {"kind": every, "size": replace(every, target="size")}
    apart = {"kind": every.take(range(14)), "size": every.take(range(14, 28))}
    told = {}
    for name, heads in (("both", both), ("apart", apart)):
        items = items_of(heads, {"muted": Muted()}, 0, silent)
        told[name] = multitask._seconds(multitask.heads_setup(items, Muted(), replace(FAST, batch=8)))
    assert told["both"] == pytest.approx(6 * 8 + 32 / 3)  # 6 updates of 8 rows; then 28 rows and 4 names go through
    assert told["apart"] == pytest.approx(6 * 16 + 32 / 3)


# What is left out, and what fails ----------------------------------------------------------------------------------


def test_without_time_it_is_left_out_and_said():
    found = decided(SharedTraining(datasets(), 0.0, FAST), datasets(), Muted())
    for one in found.values():
        assert one.rungs == ()
        assert one.notes[-1].startswith("shared: 4 fits of 6 updates for 2 targets, about ")
        assert one.notes[-1].endswith(" s, was left out: 0 s of the budget were left.")


def test_a_training_that_runs_away_takes_no_target_along(monkeypatch):
    def away(*args, **more):
        raise TrainingError("the loss must stay a finite number, got inf. Try a rate ten times lower.")

    monkeypatch.setattr(multitask, "cross_fit_heads", away)
    found = decided(SharedTraining(datasets(), 600.0, FAST), datasets(), Muted())
    assert [one.notes[-1] for one in found.values()] == [
        "shared failed and was given up: the loss must stay a finite number, got inf. Try a rate ten times lower."
    ] * 2


def test_where_it_fails_on_all_rows_what_stood_before_stays(monkeypatch):
    def away(*args, **more):
        raise TrainingError("it ran away")

    monkeypatch.setattr(multitask, "moved_heads", away)
    found = decided(SharedTraining(datasets(), 600.0, FAST), datasets(), Muted())
    for one in found.values():
        assert one.chosen is None
        assert one.whole is None
        assert one.notes[-1] == "shared failed on all rows, so what stood before it stays: it ran away"


def test_a_backbone_that_cannot_move_is_named():
    class Still(SmallText):
        def __init__(self):
            super().__init__()
            self.blocks, self.search_depths = (), (0,)

    found = decided(SharedTraining(datasets(), 600.0, FAST), datasets(), Still())
    assert found["kind"].notes[-1] == "shared was left out: small-text has no blocks that could move."


def test_a_target_of_too_few_rows_to_be_held_out_with_the_others_is_named():
    heads = datasets()
    shared = SharedTraining(heads, 600.0, FAST)
    shared.folds("kind", heads["kind"], {"muted": Muted()}, silent)
    fewer = heads["size"].take(range(20))  # what was read now is not what was dealt
    assert shared.folds("size", fewer, {"muted": Muted()}, silent) is None
    frozen = frozen_of(fewer, Muted(), None)
    own = run_ladder(fewer, Muted(), frozen, QUIET)
    found = shared.faced("size", own, frozen, {"muted": Muted()}, QUIET)
    assert found.notes[-1] == "shared was left out: rows of size cannot be held out with those of others."


def test_a_run_that_was_killed_goes_on_where_its_trainings_stood(tmp_path):
    heads, terms = datasets(), replace(QUIET, checkpoints=tmp_path)
    first = decided(SharedTraining(heads, 600.0, FAST), heads, Muted(), terms)
    files = sorted(file.name for file in tmp_path.glob("shared-*.safetensors"))
    assert len(files) == 4
    again = decided(SharedTraining(heads, 600.0, FAST), heads, Muted(), terms)
    assert [u.seconds for u in first["kind"].final.log] == [u.seconds for u in again["kind"].final.log]  # not anew
    assert all(torch.equal(first["kind"].final.delta[k], v) for k, v in again["kind"].final.delta.items())
    other = {**heads, "size": replace(heads["size"], labels=heads["size"].labels[::-1])}
    decided(SharedTraining(other, 600.0, FAST), other, Muted(), terms)
    assert len(list(tmp_path.glob("shared-*.safetensors"))) > 4
