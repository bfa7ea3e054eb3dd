"""The quick fit: what its closed form says of held-out rows is what fits without these rows say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from handful.errors import OptionError
from handful.features.view import unit_rows
from handful.regimes.active.quick_fit import QuickFit, learnable, quick_head
from handful.strategies.frozen.solver import fit_head
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.classification.task import Classification
from handful.tasks.multilabel import MULTILABEL
from handful.tasks.ordinal import ORDINAL
from handful.tasks.regression import REGRESSION

LABELS = {
    CLASSIFICATION: ["a", "b", "c"], ORDINAL: ["1", "2", "3"], MULTILABEL: ["a|b", "b", "(none)"],
    REGRESSION: ["0.5", "1.5", "3"],
}  # fmt: skip


def some_rows(count, width, seed=0):
    """Rows of three kinds, and which kind each is of."""
    rng = np.random.default_rng(seed)
    kind = np.arange(count) % 3
    return unit_rows(rng.normal(size=(3, width))[kind] + 0.7 * rng.normal(size=(count, width))), kind


@pytest.mark.parametrize("width", [5, 60])
def test_held_out_answers_are_those_of_fits_without_the_row(width):
    x, kind = some_rows(24, width)
    targets = CLASSIFICATION.read([LABELS[CLASSIFICATION][k] for k in kind])
    fit = QuickFit.on(x, targets)
    head, design = quick_head(CLASSIFICATION), CLASSIFICATION.design(targets)
    weights = 1 - np.eye(24, dtype=np.float32)
    penalty = head.penalties[fit.best]
    coef, intercept = fit_head(head, x, design, weights, (penalty,))
    without = np.einsum("nd,ndk->nk", x, coef[:, :, 0]) + intercept[:, 0]
    said = CLASSIFICATION.scores(fit.held_out)
    apart = without - without.mean(1, keepdims=True), said - said.mean(1, keepdims=True)
    sharp = (apart[0] * apart[1]).sum(1) / (apart[0] ** 2).sum(1)  # one sharpness per part of the rows
    assert apart[1] == pytest.approx(sharp[:, None] * apart[0], abs=2e-3 * np.abs(apart[1]).max())
    assert len(np.unique(sharp.round(2))) <= 5


@pytest.mark.parametrize("task", list(LABELS), ids=lambda task: task.name)
def test_every_task_learns_what_there_is_to_learn(task):
    x, kind = some_rows(60, 20)
    targets = task.read([LABELS[task][k] for k in kind])
    fit = QuickFit.on(x, targets)
    headline = task.headline
    known = headline.of(fit.held_out[None], targets).value
    blind = headline.of(np.broadcast_to(targets.task.constant(targets), fit.held_out.shape)[None], targets).value
    assert (known - blind) * (1 if headline.higher_is_better else -1) > 0.25
    assert fit.knows
    assert fit.outputs(x).shape == fit.held_out.shape
    assert len(fit.arms(x)) == len(quick_head(task).penalties)


def test_labels_that_say_nothing_are_known_to_say_nothing():
    x, _ = some_rows(40, 20)
    targets = CLASSIFICATION.read(np.random.default_rng(1).choice(["a", "b"], 40).tolist())
    assert not QuickFit.on(x, targets).knows


def test_rows_that_are_all_the_same_are_answered_alike():
    x = np.ones((6, 4), np.float32) / 2
    outputs = QuickFit.on(x, CLASSIFICATION.read(list("aaabbb"))).outputs(x)
    assert np.isfinite(outputs).all()
    assert outputs == pytest.approx(np.full((6, 2), 0.5), abs=1e-3)


def test_nothing_can_be_learned_from_one_class_or_two_labels():
    assert learnable(CLASSIFICATION, ["a", "a", "a"]) is None
    assert learnable(CLASSIFICATION, ["a", "b"]) is None
    assert learnable(CLASSIFICATION, ["a", "b", "a"]) is not None
    assert learnable(REGRESSION, ["1", "1", "1"]) is None


def test_a_task_without_a_head_in_closed_form_is_refused():
    @dataclass(frozen=True)
    class Iterated(Classification):
        heads: ClassVar = {"logistic": CLASSIFICATION.heads["logistic"]}

    with pytest.raises(OptionError) as error:
        quick_head(Iterated())
    assert str(error.value) == (
        "a task that asks for labels must have a head of squared loss, which is solved in one step, got classification "
        "with logistic. Give the task one, or label its items without handful."
    )
