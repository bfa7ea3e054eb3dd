"""What every task must do; and a toy task defined here, with which all that is written once for all tasks works."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.special import expit, logit

from handful.api import tune
from handful.backbones.toy import ToyText
from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.evaluation.curves import Needs
from handful.evaluation.metrics import Metric
from handful.evaluation.protocol import draw_folds, protocol_for
from handful.evaluation.scores import Scores
from handful.evaluation.verdicts import assemble
from handful.explanation import explain
from handful.export.bundle import Bundle
from handful.export.reference import Reference
from handful.features.feature_set import FeatureSet, extract_all
from handful.prediction import Doubts, answers
from handful.robustness import slices_of, unsettled
from handful.seeding import generator
from handful.strategies.frozen.learning_curve import forecast
from handful.strategies.frozen.rung import SearchTerms, run_frozen
from handful.strategies.tuned.ladder import Terms, run_ladder, shipped
from handful.tasks.base import Baseline, HeadTask, Targets
from handful.tasks.heads import SQUARED, Head
from handful.tasks.registry import TASKS
from small_backbones import Muted

NAMES = ("ants", "late")


def _answered(outputs, targets):
    """(N, 2): the share of repeats and of both questions that is answered right, and one."""
    right = ((outputs > 0.5) == targets.values).mean((0, 2))
    return np.stack([right, np.ones(len(right))], 1)


@dataclass(frozen=True)
class Questions(HeadTask):
    """Two questions about every item, each answered yes or no: outputs (..., N, 2) are probabilities of yes."""

    name: ClassVar[str] = "questions"
    metrics: ClassVar = {"answered": Metric("answered", _answered)}
    heads: ClassVar = {"ridge": Head("ridge", SQUARED, (10.0, 1.0, 0.1)), "centroid": Head("centroid")}
    main: ClassVar = heads["ridge"]
    reference: ClassVar = Baseline("usual", "giving the usual answers")

    def read(self, column: Sequence[Any], source: str = "items") -> Targets:
        return self.coded(column, NAMES)

    def coded(self, column, names):
        return Targets(self, np.array([[name in cell.split("|") for name in names] for cell in column]), tuple(names))

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
        return np.abs(outputs - 0.5).min(-1) + 0.5

    def own(self, outputs, targets):
        return np.where(targets.values, outputs, 1 - outputs).prod(1)

    def misfits(self, outputs, targets):
        return 1 - self.own(outputs.mean(0), targets)

    def within(self, outputs, limit, names):
        return self.words(outputs, names)

    def same(self, first, second):
        return ((first > 0.5) == (second > 0.5)).all(-1)

    def width(self, names):
        return len(names)

    def needs(self, outputs, targets):
        return Needs()

    def details(self, outputs, targets, groups):
        return {"questions": list(targets.names)}


def joined(ants, late):
    return "|".join(name for name, holds in zip(NAMES, (ants, late), strict=True) if holds)


# Name of a task → what a user would write for items that are about ants or not, and late or not.
WRITTEN = {
    "classification": lambda ants, late: "ants" if ants else "bees",
    "multilabel": lambda ants, late: joined(ants, late) or "(none)",
    "ordinal": lambda ants, late: str(1 + 2 * ants + late),
    "regression": lambda ants, late: f"{10 * ants + 3 * late}.5",
    "questions": joined,
}


def test_every_registered_task_is_tried_here():
    heads = {name for name, task in TASKS.items() if isinstance(task, HeadTask)}
    parts = {
        name for name, task in TASKS.items() if isinstance(task, HeadTask) and task.grain
    }  # tests/test_tune_spans.py
    assert set(WRITTEN) == {*heads, "questions"} - parts


def right(targets):
    """Answers that are right, and nearly sure."""
    task = targets.task
    if task.name == "regression":
        return np.stack([targets.values, np.full(len(targets), 0.1 * task.scale)], 1)
    return np.clip(task.design(targets), 0.02, 0.98).astype(float)


def gain(task, better, worse):
    """By how much one score is better than another."""
    return better - worse if task.headline.higher_is_better else worse - better


@pytest.fixture(params=WRITTEN)
def task(request):
    return Questions() if request.param == "questions" else TASKS[request.param]


def column(task, n=40):
    return [WRITTEN[task.name](i % 2 == 0, i // 2 % 2 == 0) for i in range(n)]


def seen(n=40, noise=0.4, seed=0):
    """Features from which both questions can be answered, unless the noise is infinite."""
    rng = np.random.default_rng(seed)
    i = np.arange(n)
    told = np.stack([i % 2 == 0, i // 2 % 2 == 0], 1) * 2.0 - 1
    x = rng.normal(size=(n, 12)) * (1 if np.isinf(noise) else noise)
    x[:, :2] += 0 if np.isinf(noise) else told
    part = ("toy", 1)
    data = Dataset([f"item {k}" for k in range(n)], "text")
    return data, FeatureSet({part: x.astype(np.float32)}, {}, {"toy": (1,)})


def climbed(task, *looked, strategies=None, seed=0):
    terms = SearchTerms(tuple(strategies or task.heads), 4.0, seed, Inline())
    return run_frozen(task.read(column(task, len(looked[0]))), *looked, terms)


# What the task says by itself ---------------------------------------------------------------------------------------


def test_what_is_written_is_read_and_written_again(task):
    targets = task.read(column(task))
    assert len(targets) == 40
    assert targets.task.name == task.name
    task = targets.task
    assert task.restored(task.settings) == task
    assert task.width(targets.names) == task.design(targets).shape[1]
    assert task.holds(targets.take([0, 3]))
    assert task.wanted(targets) == column(task)
    assert task.wanted(targets.take([3, 0])) == [column(task)[3], column(task)[0]]
    assert task.wanted(targets.take([3]).joined(targets.take([0]))) == [column(task)[3], column(task)[0]]


def test_answers_that_are_right_are_worded_as_they_were_written_and_cost_least(task):
    targets = task.read(column(task))
    task, answers = targets.task, right(targets)
    constant = np.broadcast_to(task.constant(targets), answers.shape)
    assert task.words(answers, targets.names) == column(task)
    assert (task.losses(answers, targets) < task.losses(constant, targets)).all()
    assert (task.own(answers, targets) > 0.9).all() and (task.confidence(answers) > 0.9).all()
    assert task.headline.of(answers[None], targets).value == float(task.headline.higher_is_better)
    assert task.same(answers, answers).all() and not task.same(answers, answers[::-1]).all()
    misfits = task.misfits(answers[None], targets)
    assert (misfits <= task.misfits(constant[None], targets)).all()
    assert len(task.within(answers, float(misfits.max()), targets.names)) == 40
    assert set(task.beside(answers, 1.0)) == set(task.columns)
    assert all(len(cells) == 40 for cells in task.beside(answers, None).values())


def test_names_that_a_model_has_never_seen_are_wrong_answers(task):
    targets = task.read(column(task))
    if task.name == "questions":
        return  # it knows its two names
    answers, wide = targets.task.against(right(targets), column(task), targets.names)
    np.testing.assert_array_equal(answers, right(targets))
    unknown = [*column(task)[:-1], "99"] if targets.names else column(task)
    answers, wide = targets.task.against(right(targets), unknown, targets.names)
    assert targets.task.wanted(wide)[:-1] == unknown[:-1]
    assert targets.task.words(answers, wide.names) == column(task)


def test_scores_and_outputs_are_each_others_inverse_at_any_sharpness(task):
    targets = task.read(column(task))
    task, rng = targets.task, np.random.default_rng(0)
    scores = 2 * rng.normal(size=(3, 40, task.design(targets).shape[1]))
    if task.name == "regression":
        scores[..., 1] = rng.uniform(0.2, 3, size=scores.shape[:-1])
    outputs = task.outputs(scores)
    np.testing.assert_allclose(task.outputs(task.scores(outputs)), outputs, atol=1e-5)
    plain = task.losses_at(scores, targets, np.array([0.5, 1.0]))
    assert plain.shape == (2, 3, 40)
    assert np.isfinite(plain).all()
    assert task.smoothing(scores, targets).shape == (3, 40)
    assert task.spread(scores) > 0


def test_two_items_of_which_the_same_is_wanted_are_alike(task):
    targets = task.read(column(task))
    task = targets.task
    alike, design = task.likeness(targets), task.design(targets)
    np.testing.assert_array_equal(alike, alike.T)
    assert alike.min() >= 0 and alike.max() <= 1
    same = (design[:, None] == design[None]).all(2)
    assert (alike[same] == 1).all() and (alike[~same] < 1).all()


def test_folds_keep_what_the_task_calls_strata_in_proportion(task):
    targets = task.read(column(task))
    strata = targets.task.strata(targets)
    protocol = protocol_for(strata, np.arange(40), False)
    shares = targets.task.shares(targets)
    (first, *_) = draw_folds(protocol, shares, np.arange(40), np.random.default_rng(0))
    assert np.ptp(np.bincount(first)) <= 1
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
    reference = next(arm for arm in scores.arms if arm.name == task.reference.name).estimate.value
    worst = scores.estimate.low if task.headline.higher_is_better else scores.estimate.high
    assert gain(task, worst, reference) > 0
    pooled = {"ensemble"} if len(task.heads) > 1 else set()
    assert {arm.name for arm in scores.arms} == {task.reference.name, *task.heads} | pooled
    assert scores.metric == task.headline.name
    json.dumps(scores.as_dict(), allow_nan=False)
    answers = found.rows.targets.task.held_out(found.whole, found.rows.targets, found.rows.positions)
    assert [answer.label for answer in answers] == column(task)
    again = found.answers(sight.items)
    fitted = task.headline.of(again[None], found.rows.targets).value
    assert gain(task, fitted, reference) > 0.6 * gain(task, float(task.headline.higher_is_better), reference)


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
    assert gain(task, curve.points[-1].score.value, curve.points[0].score.value) > 0
    again = type(curve).from_dict(json.loads(json.dumps(curve.as_dict())))
    assert again.sentence == curve.sentence and again.gain(40) == curve.gain(40)
    assert curve.doubled > 0


def test_the_tuned_rung_learns_what_the_frozen_one_cannot_and_is_shipped(task):
    items = [f"{'ants' if i % 2 == 0 else 'bees'} {i}" for i in range(32)]
    data, sight = extract_all(Dataset(items, "text"), {"muted": Muted()})
    # Whether an item is late cannot be seen in it at all; so all are.
    targets = task.read([WRITTEN[task.name](i % 2 == 0, True) for i in range(32)])
    frozen = run_frozen(targets, data, sight, SearchTerms(tuple(task.heads), 0.0, 0, Inline()))
    backbone = Muted()
    found = run_ladder(data, backbone, frozen, Terms(("contrastive",), named=True, budget=60.0))
    below, above = (task.headline.of(one[None], targets).value for one in (frozen.few.whole, found.rungs[0].outputs))
    assert gain(task, above, below) > 0.1
    assert found.chosen is found.rungs[0]
    model = shipped(found.chosen, frozen, "muted", 2, np.eye(32, 8, dtype=np.float32))
    assert model.coef.shape[1] == len(task.constant(targets))


def fitted(task):
    """Texts, their Dataset, the frozen rung on them and the features that it reads, and a bundle of it."""
    texts = [
        f"{'ants march' if i % 2 == 0 else 'bees buzz'} {'late' if i // 2 % 2 == 0 else 'early'}" for i in range(40)
    ]
    toy = ToyText()
    data, sight = extract_all(Dataset(texts, "text"), {toy.name: toy})
    frozen = climbed(task, data, sight)
    found, targets = frozen.model, frozen.rows.targets
    features = found.view.matrix(sight.items)
    model = Bundle(
        targets.task, "text", targets.names, found.view, {toy.name: toy.fingerprint}, "ridge",
        found.coef, found.intercept, witness=features[:8], loaded={toy.name: toy},
        reference=Reference.of(found.view, features, targets, frozen.whole, None),
    )  # fmt: skip
    return data, frozen, features, model


def test_a_model_answers_after_it_was_saved_and_loaded_as_before(task, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, task.name, task)
    data, frozen, features, model = fitted(task)
    texts, targets = data.items, frozen.rows.targets
    model.save(tmp_path / "model")
    again = Bundle.load(tmp_path / "model")
    assert again.task == targets.task
    np.testing.assert_array_equal(again.outputs_of(features), model.outputs_of(features))
    measured = task.headline.of(again.outputs(texts)[None], targets).value
    usual = task.headline.of(np.broadcast_to(targets.task.constant(targets), (1, 40, len(model.intercept))), targets)
    assert gain(task, measured, usual.value) > 0
    (answered,) = answers(again, written_rows(tmp_path / "new.csv", texts), doubts=Doubts(reject=0.1, level=0.9))
    assert answered.words == targets.task.words(again.outputs(texts), again.labels)
    assert answered.sets is not None and len(answered.sets) == 40
    assert answered.refused is not None and not answered.refused.all()
    assert [row.label for row in again.known_rows().like(features[:1], 3)[0]][0] == column(task)[0]


def test_rows_that_a_model_answers_are_checked_and_explained_in_its_own_words(task, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, task.name, task)
    data, frozen, _, model = fitted(task)
    texts, targets = data.items, frozen.rows.targets
    explained = explain(model, texts[0])
    assert explained.label == targets.task.words(model.outputs(texts[:1]), model.labels)[0]
    assert explained.parts and explained.lines({})
    changes = unsettled(model, None, data, data.take([]), None, 0)
    assert changes and all(0 <= change.same.value <= 1 for change in changes)
    parts = slices_of(data, frozen.whole, frozen.rows, 0)
    assert all(part.sentence for part in parts)


def written_rows(file, texts):
    file.write_text("\n".join(["text", *texts]) + "\n", encoding="utf-8")
    return file


def test_a_whole_run_of_it_has_scores_a_page_and_a_model(task, tmp_path, monkeypatch):
    """From rows to the folder of a run, as ``handful tune`` does it."""
    monkeypatch.setitem(TASKS, task.name, task)
    texts = [f"{'ants' if i % 2 == 0 else 'bees'} {'late' if i // 2 % 2 == 0 else 'soon'} row {i}" for i in range(40)]
    data = Dataset(tuple(texts), "text", labels=tuple(column(task)), task=task.name)
    run = tune(data, backbone="toy-text", budget=1)
    folder = run.save(tmp_path / "run")
    assert Scores.read(folder / "scores.json").task == task.name
    page = (folder / "report.html").read_text()
    assert all(f'<th scope="row">{arm.name}</th>' in page for arm in run.scores.arms)
    with (folder / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["predicted"] for row in rows] == [answer.predicted for answer in run.held_out]
    model = Bundle.load(folder)
    assert model.predict(texts[:4]) == run.model.predict(texts[:4])
    assert "How good it is" in (folder / "model" / "README.md").read_text()
