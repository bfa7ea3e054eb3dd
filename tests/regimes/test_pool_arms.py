"""A run with items that have no labels: arms in the scores, what ships, what is refused, and that nothing leaks."""

from __future__ import annotations

import json

import numpy as np
import pytest

import handful
from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.errors import OptionError
from handful.features.feature_set import FeatureSet
from handful.regimes.part import Part
from handful.regimes.self_training import SelfTraining
from handful.regimes.unlabelled import PoolTerms, affordable, folds_of, learn_from_pool, told_for_pool
from handful.strategies.frozen.rung import SearchTerms, run_frozen
from handful.tasks.registry import head_task
from pool_parts import KEY, clouds, unit

QUICK = {"backbone": "toy-text", "budget": 0}
WORDS = {"ants": "hill march leaf crumb", "bees": "hive buzz wing honey"}


def texts(count, start=0):
    rng = np.random.default_rng(start)
    labels = ["ants", "bees"] * count
    return [f"{' '.join(rng.permutation(WORDS[label].split())[:2])} row {start + i}" for i, label in enumerate(labels)]


ROWS = texts(12)
POOL = texts(40, 100)
LABELS = ["ants", "bees"] * 12


def tuned(pool=POOL, labels=LABELS, task=None, **more):
    return handful.tune(handful.load(ROWS, labels=labels, task=task), **{**QUICK, "unlabelled": pool, **more})


TAUGHT = (SelfTraining(sure=0.3),)


def outcome(rows, y, pool, arms=TAUGHT, **terms):
    """Rung 0 on features, and what a pool did to it."""
    labels = tuple(str(c) for c in y)
    data = Dataset([f"row {i}" for i in range(len(y))], "text", labels=labels)
    sight = FeatureSet({KEY: rows}, {}, {KEY[0]: (KEY[1],)})
    targets = head_task("classification").read(labels)
    frozen = run_frozen(targets, data, sight, SearchTerms(("majority", "ridge", "logistic"), 0, 0, Inline()))
    return frozen, sight, learn_from_pool(frozen, sight, {KEY: pool}, PoolTerms("text", arms=arms, **terms))


def test_every_arm_that_was_tried_stands_in_the_scores(tmp_path):
    run = tuned()
    names = [arm.name for arm in run.scores.arms]
    assert "self-training" in names
    arm = next(arm for arm in run.scores.arms if arm.name == "self-training")
    assert arm.setting["learned from"] == "80 unlabelled items"
    assert "its loss is" in arm.reason
    assert any(note.startswith("self-training ") for note in run.notes)
    folder = run.save(tmp_path / "run")
    assert json.loads((folder / "scores.json").read_text())["chosen"] == run.scores.chosen
    assert handful.Bundle.load(folder).predict(["hill march"]) in (["ants"], ["bees"])


def test_without_a_pool_nothing_is_tried():
    assert "self-training" not in [arm.name for arm in tuned(None).scores.arms]


def test_rows_without_a_label_teach_too(table):
    source = table([*zip(ROWS, LABELS, strict=True), *((text, "") for text in POOL)])
    run = handful.tune(source, **QUICK)
    assert "self-training" in [arm.name for arm in run.scores.arms]
    assert "80 rows without a label are used as unlabelled items" in run.data.notes


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_tasks_without_classes_say_why_arms_are_left_out(task):
    labels = [i % 4 + 0.5 for i in range(24)] if task == "regression" else [["a"], ["a", "b"], []] * 8
    run = tuned(labels=labels, task=task)
    assert f"self-training was left out: what is answered in {task} is no label to learn from." in run.notes


def test_ratings_teach_themselves():
    run = tuned(labels=["1", "2", "3"] * 8, task="ordinal")
    assert "self-training" in [arm.name for arm in run.scores.arms]


def test_a_pool_like_the_rows_ships_where_it_helps_beyond_doubt():
    rows, y = clouds([6] * 4, spread=0.55, seed=0)
    pool, _ = clouds([200] * 4, spread=0.4, seed=1)
    frozen, _, learned = outcome(rows, y, pool)
    assert learned.frozen.arm == "self-training"
    assert learned.notes[-1] == "self-training takes the place of the heads."
    assert learned.frozen.whole.shape == (1, 24, 4)
    assert learned.frozen.protocol == frozen.few.protocol == learned.frozen.few.protocol
    assert learned.frozen.rows.folds == 3
    new, truth = clouds([300] * 4, spread=0.4, seed=2)
    before, after = ((one.answers({KEY: new}).argmax(1) == truth).mean() for one in (frozen, learned.frozen))
    assert after >= before


@pytest.mark.parametrize("seed", range(3))
def test_a_pool_of_other_things_changes_nothing(seed):
    rows, y = clouds([6] * 3, spread=0.5, seed=seed)
    poison = unit(-np.abs(np.random.default_rng(seed).normal(size=(300, 8))))
    frozen, _, learned = outcome(rows, y, poison, arms=PoolTerms("text").arms)
    assert learned.frozen.arm == frozen.arm
    assert np.array_equal(learned.frozen.model.coef, frozen.model.coef)
    assert learned.notes[0].startswith("100% of the unlabelled items are stranger than 95 % of the rows: what learning")
    assert [trial.arm.name for trial in learned.trials] == ["self-training"]


def test_labels_that_mean_nothing_are_not_learned_from_a_pool():
    passed = 0
    for seed in range(10):
        rows, _ = clouds([12, 12], seed=seed)
        y = np.random.default_rng(seed).permutation(np.repeat([0, 1], 12))
        _, _, learned = outcome(rows, y, clouds([100, 100], seed=seed + 50)[0])
        passed += learned.frozen.arm == "self-training"
    assert passed <= 1


def test_no_fit_sees_the_rows_that_it_answers():
    rows, y = clouds([6] * 3, spread=0.5)
    frozen, sight, _ = outcome(rows, y, clouds([20] * 3, seed=1)[0])
    folds = folds_of(frozen, sight, {KEY: clouds([20] * 3, seed=1)[0]}, 0)
    for k, (part, own) in enumerate(zip(folds.parts, folds.held, strict=True)):
        assert np.array_equal(own.items[KEY], rows[folds.fold == k])
        assert np.array_equal(part.items[KEY], rows[folds.fold != k])
        assert isinstance(part, Part)


def test_the_plain_model_of_a_fold_answers_as_the_search_did():
    rows, y = clouds([6] * 3, spread=0.5)
    frozen, sight, _ = outcome(rows, y, clouds([20] * 3, seed=1)[0])
    folds = folds_of(frozen, sight, {KEY: rows}, 0)
    for k, (part, own) in enumerate(zip(folds.parts, folds.held, strict=True)):
        assert part.answered(part.plain, own.items) == pytest.approx(frozen.few.whole[folds.fold == k], abs=1e-3)


def test_a_scarce_class_and_another_mixture_are_tried_where_there_are_any():
    rows, y = clouds([12, 3, 12], spread=0.4)
    pool, _ = clouds([400, 50, 50], spread=0.4, seed=1)
    _, _, learned = outcome(rows, y, pool, arms=PoolTerms("text").arms)
    names = [trial.arm.name for trial in learned.trials]
    assert names[:3] == ["self-training", "synthetic-rows", "label-shift"]
    assert any("unlabelled items are" in note for note in learned.notes)


def test_the_score_for_a_shifted_pool_is_told_apart_from_that_of_the_rows():
    rows, y = clouds([15, 15], spread=0.3)
    pool, _ = clouds([490, 10], spread=0.3, seed=1)
    _, _, learned = outcome(rows, y, pool)
    assert learned.weights is not None
    (said,) = told_for_pool(learned, head_task("classification").headline, np.random.default_rng(0))
    assert said.startswith("With held-out rows weighted as the unlabelled items have their like (worth ")
    assert said.endswith("; the scores are those of the rows as they are.")
    _, _, alike = outcome(rows, y, clouds([100, 100], spread=0.3, seed=1)[0])
    assert told_for_pool(alike, head_task("classification").headline, np.random.default_rng(0)) == []


def test_the_same_seed_gives_the_same_numbers():
    first, second = tuned(), tuned()
    assert first.scores.arms[-1].estimate == second.scores.arms[-1].estimate
    assert np.array_equal(first.model.coef, second.model.coef)


def test_how_many_items_fit_into_a_budget():
    short, long = (Dataset(["x" * n] * 3, "text") for n in (20, 2000))
    assert (affordable(short, 60), affordable(long, 90), affordable(long, 0)) == (1000, 112, 100)
    assert affordable(Dataset([0], "image"), 60) == 150


def test_rows_for_a_language_model_are_taught_nothing_by_a_pool():
    rows = [{"prompt": f"say {i}", "response": str(i)} for i in range(6)]
    with pytest.raises(OptionError) as error:
        handful.tune(rows, unlabelled=POOL)
    assert str(error.value) == (
        "unlabelled items teach heads on frozen features, got rows for a language model. Leave unlabelled out."
    )


def test_a_pool_beside_a_plan_belongs_into_the_plan(tmp_path):
    plan = handful.Plan.resolve({**QUICK, "unlabelled": str(tmp_path / "new.txt")}, "test")
    (tmp_path / "new.txt").write_text("\n".join(POOL))
    data = handful.load(ROWS, labels=LABELS)
    assert "self-training" in [arm.name for arm in handful.tune(data, plan=plan).scores.arms]
    with pytest.raises(OptionError, match="unlabelled must be given in the plan, got both"):
        handful.tune(data, plan=plan, unlabelled=POOL)


def test_the_command_line_learns_from_a_pool(handful, table, tmp_path):
    source = table(list(zip(ROWS, LABELS, strict=True)))
    (tmp_path / "new.txt").write_text("\n".join([*POOL, ROWS[0]]))
    ended = handful(
        "tune", source, "--unlabelled", "new.txt", "--backbone", "toy-text", "--budget", "0", "--out", "out", "-v"
    )
    assert ended.code == 0
    assert "self-training" in ended.out
    assert "1 item of the pool is a labelled row too and is left out of it." in ended.err
    assert "unlabelled" in (tmp_path / "out/plan.yaml").read_text()
    missing = handful("tune", source, "--unlabelled", "nowhere.txt", "--backbone", "toy-text", "--out", "out")
    assert (missing.code, missing.err.splitlines()[-1]) == (
        1,
        "handful: nowhere.txt does not exist. Did you mean 'new.txt'?",
    )


def test_the_command_line_answers_together(handful, table, tmp_path):
    table(list(zip(ROWS, LABELS, strict=True)))
    handful("tune", "insects.csv", "--backbone", "toy-text", "--budget", "0", "--out", "out")
    (tmp_path / "new.txt").write_text("\n".join(POOL))
    ended = handful("predict", "out", "new.txt", "--together")
    assert (ended.code, len(ended.out.splitlines())) == (0, 81)
    assert "answered together: 80 inputs say how frequent the classes are" in ended.err
