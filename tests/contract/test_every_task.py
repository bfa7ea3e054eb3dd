"""What every task must do; and a toy task defined here, with which all that is written once for all tasks works."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.special import expit, logit

from handful.backbones.toy import ToyText
from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.evaluation.curves import Needs
from handful.evaluation.metrics import Metric
from handful.evaluation.protocol import draw_folds, protocol_for
from handful.evaluation.verdicts import assemble, held_out_answers
from handful.export.bundle import Bundle
from handful.features.sight import Sight, look
from handful.prediction import answers
from handful.seeding import generator
from handful.strategies.curve import forecast
from handful.strategies.frozen import SearchTerms, climb
from handful.strategies.ladder import Terms, ascend, shipped
from handful.tasks.base import Reference, Targets, Task
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.heads import SQUARED, Head
from handful.tasks.registry import TASKS
from small_backbones import Muted

NAMES = ("ants", "late")


def _answered(outputs, targets):
    """(N, 2): the share of repeats and of both questions that is answered right, and one."""
    right = ((outputs > 0.5) == targets.values).mean((0, 2))
    return np.stack([right, np.ones(len(right))], 1)


@dataclass(frozen=True)
class Questions(Task):
    """Two questions about every item, each answered yes or no: outputs (..., N, 2) are probabilities of yes."""

    name: ClassVar[str] = "questions"
    metrics: ClassVar = {"answered": Metric("answered", _answered)}
    heads: ClassVar = {"ridge": Head("ridge", SQUARED, (10.0, 1.0, 0.1)), "centroid": Head("centroid")}
    main: ClassVar = heads["ridge"]
    reference: ClassVar = Reference("usual", "giving the usual answers")

    def read(self, column: Sequence[Any], source: str = "items") -> Targets:
        return Targets(self, np.array([[name in cell.split("|") for name in NAMES] for cell in column]), NAMES)

    def strata(self, targets):
        return targets.values @ np.array([1, 2])

    def wanted(self, targets):
        return ["|".join(np.array(NAMES)[row]) for row in targets.values]

    def design(self, targets):
        return targets.values.astype(np.float32)

    def likeness(self, targets):
        return (targets.values[:, None] == targets.values[None]).mean(2, dtype=np.float32)

    def named(self, targets):
        return replace(targets, values=np.eye(2, dtype=bool))

    def names_tell(self, similar, targets):
        return False

    def outputs(self, scores):
        return expit(np.asarray(scores, np.float64))

    def scores(self, outputs):
        return logit(np.clip(outputs, 1e-6, 1 - 1e-6))

    def losses(self, outputs, targets):
        n = outputs.shape[-2]
        own = np.where(targets.values, outputs, 1 - outputs)
        return -np.log((n * own + 0.5) / (n + 1)).sum(-1)

    def losses_at(self, scores, targets, factors):
        signs = np.where(targets.values, 1, -1)
        losses = [np.logaddexp(0, -factor * signs * scores).sum(-1) for factor in factors]
        return np.minimum(np.stack(losses), 30).astype(np.float32)

    def smoothing(self, scores, targets):
        return (np.where(targets.values, 1, -1) * scores).sum(-1)

    def spread(self, scores):
        return max(float(np.abs(np.maximum(scores, -10)).mean()), 1e-9)

    def constant(self, targets):
        return targets.values.mean(0)

    def words(self, outputs, names):
        return ["|".join(np.array(names)[row > 0.5]) for row in outputs]

    def confidence(self, outputs):
        return np.abs(outputs - 0.5).min(1) + 0.5

    def own(self, outputs, targets):
        return np.where(targets.values, outputs, 1 - outputs).prod(1)

    def needs(self, outputs, targets):
        return Needs()

    def details(self, outputs, targets, groups):
        return {"questions": list(targets.names)}


# Task → what a user would write for items that are about ants or not, and late or not.
WRITTEN = {
    CLASSIFICATION: lambda ants, late: "ants" if ants else "bees",
    Questions(): lambda ants, late: "|".join(name for name, holds in zip(NAMES, (ants, late), strict=True) if holds),
}


@pytest.fixture(params=WRITTEN, ids=lambda task: task.name)
def task(request):
    return request.param


def column(task, n=40):
    return [WRITTEN[task](i % 2 == 0, i // 2 % 2 == 0) for i in range(n)]


def seen(n=40, noise=0.4, seed=0):
    """Features from which both questions can be answered, unless the noise is infinite."""
    rng = np.random.default_rng(seed)
    i = np.arange(n)
    told = np.stack([i % 2 == 0, i // 2 % 2 == 0], 1) * 2.0 - 1
    x = rng.normal(size=(n, 12)) * (1 if np.isinf(noise) else noise)
    x[:, :2] += 0 if np.isinf(noise) else told
    part = ("toy", 1)
    data = Dataset([f"item {k}" for k in range(n)], "text")
    return data, Sight({part: x.astype(np.float32)}, {}, {"toy": (1,)})


def climbed(task, *looked, strategies=None, seed=0):
    terms = SearchTerms(tuple(strategies or task.heads), 4.0, seed, Inline())
    return climb(task.read(column(task, len(looked[0]))), *looked, terms)


# What the task says by itself ---------------------------------------------------------------------------------------


def test_what_is_written_is_read_and_written_again(task):
    targets = task.read(column(task))
    assert len(targets) == 40
    assert targets.task is task
    assert task.wanted(targets) == column(task)
    assert task.wanted(targets.take([3, 0])) == [column(task)[3], column(task)[0]]
    assert task.wanted(targets.take([3]).joined(targets.take([0]))) == [column(task)[3], column(task)[0]]


def test_answers_that_are_right_are_worded_as_they_were_written_and_cost_least(task):
    targets = task.read(column(task))
    right = np.clip(task.design(targets), 0.02, 0.98).astype(float)
    constant = np.broadcast_to(task.constant(targets), right.shape)
    assert task.words(right, targets.names) == column(task)
    assert (task.losses(right, targets) < task.losses(constant, targets)).all()
    assert (task.own(right, targets) > 0.9).all() and (task.confidence(right) > 0.9).all()
    assert task.headline.of(right[None], targets).value == 1.0


def test_scores_and_outputs_are_each_others_inverse_at_any_sharpness(task):
    targets = task.read(column(task))
    scores = 2 * np.random.default_rng(0).normal(size=(3, 40, task.design(targets).shape[1]))
    outputs = task.outputs(scores)
    np.testing.assert_allclose(task.outputs(task.scores(outputs)), outputs, atol=1e-5)
    plain = task.losses_at(scores, targets, np.array([0.5, 1.0]))
    assert plain.shape == (2, 3, 40)
    assert (plain >= 0).all()
    assert task.smoothing(scores, targets).shape == (3, 40)
    assert task.spread(scores) > 0


def test_two_items_of_which_the_same_is_wanted_are_alike(task):
    targets = task.read(column(task))
    alike, design = task.likeness(targets), task.design(targets)
    np.testing.assert_array_equal(alike, alike.T)
    assert alike.min() >= 0 and alike.max() <= 1
    same = (design[:, None] == design[None]).all(2)
    assert (alike[same] == 1).all() and (alike[~same] < 1).all()


def test_folds_keep_what_the_task_calls_strata_in_proportion(task):
    targets = task.read(column(task))
    strata = task.strata(targets)
    protocol = protocol_for(strata, np.arange(40), False)
    (first, *_) = draw_folds(protocol, strata, np.arange(40), np.random.default_rng(0))
    for stratum in np.unique(strata):
        counts = np.bincount(first[strata == stratum], minlength=5)
        assert counts.max() - counts.min() <= 1


# What is written once for all tasks --------------------------------------------------------------------------------


def scored(found):
    return assemble(
        found.arms, found.whole, found.arm, found.rows, metric=found.rows.targets.task.headline,
        protocol=found.protocol, rng=generator(0, "bootstrap"),
    )  # fmt: skip


def test_the_frozen_rung_learns_it_and_the_scores_say_so(task):
    data, sight = seen()
    found = climbed(task, data, sight)
    scores = scored(found)
    assert scores.estimate.low > next(arm for arm in scores.arms if arm.name == task.reference.name).estimate.value
    assert {arm.name for arm in scores.arms} == {task.reference.name, *task.heads, "ensemble"}
    assert scores.metric == task.headline.name
    json.dumps(scores.as_dict(), allow_nan=False)
    answers = held_out_answers(found.whole, found.rows)
    assert [answer.label for answer in answers] == column(task)
    assert np.mean([answer.label == answer.predicted for answer in answers]) > 0.8
    again = found.answers(sight.items)
    assert task.headline.of(again[None], found.rows.targets).value > 0.9


def test_noise_is_not_yet_better_than_the_reference(task):
    better = 0
    for seed in range(8):
        scores = scored(climbed(task, *seen(24, np.inf, seed), seed=seed))
        better += "not yet better than" not in scores.sentence
        assert better or task.reference.words in scores.sentence
    assert better <= 1


def test_the_learning_curve_rises(task):
    data, sight = seen(40, noise=1.5)
    curve = forecast(climbed(task, data, sight), sight, np.random.default_rng(0))
    assert curve.points[0].accuracy.value < curve.points[-1].accuracy.value
    assert curve.doubled > 0


def test_the_tuned_rung_learns_what_the_frozen_one_cannot_and_is_shipped(task):
    items = [f"{'ants' if i % 2 == 0 else 'bees'} {i}" for i in range(32)]
    data, sight = look(Dataset(items, "text"), {"muted": Muted()})
    # Whether an item is late cannot be seen in it at all; so all are.
    targets = task.read([WRITTEN[task](i % 2 == 0, True) for i in range(32)])
    frozen = climb(targets, data, sight, SearchTerms(tuple(task.heads), 0.0, 0, Inline()))
    backbone = Muted()
    found = ascend(data, backbone, frozen, Terms(("contrastive",), named=True, budget=60.0))
    below, above = (task.headline.of(one[None], targets).value for one in (frozen.few.whole, found.rungs[0].outputs))
    assert above > below + 0.1
    assert found.chosen is found.rungs[0]
    model = shipped(found.chosen, frozen, "muted", 2, np.eye(32, 8, dtype=np.float32))
    assert model.coef.shape[1] == len(task.constant(targets))


def test_a_model_answers_after_it_was_saved_and_loaded_as_before(task, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, task.name, task)
    texts = [
        f"{'ants march' if i % 2 == 0 else 'bees buzz'} {'late' if i // 2 % 2 == 0 else 'early'}" for i in range(40)
    ]
    toy = ToyText()
    data, sight = look(Dataset(texts, "text"), {toy.name: toy})
    found = climbed(task, data, sight).model
    features = found.view.matrix(sight.items)
    model = Bundle(
        task, "text", task.read(column(task)).names, found.view, {toy.name: toy.fingerprint}, "ridge",
        found.coef, found.intercept, witness=features[:8],
    )  # fmt: skip
    model.save(tmp_path / "model")
    again = Bundle.load(tmp_path / "model")
    assert again.task is task
    np.testing.assert_array_equal(again.outputs_of(features), model.outputs_of(features))
    assert np.mean([a == b for a, b in zip(again.predict(texts), column(task), strict=True)]) > 0.8
    (answered,) = answers(again, written_rows(tmp_path / "new.csv", texts))
    assert answered.words == again.predict(texts)
    assert (answered.confidence > 0.5).all()


def written_rows(file, texts):
    file.write_text("\n".join(["text", *texts]) + "\n", encoding="utf-8")
    return file
