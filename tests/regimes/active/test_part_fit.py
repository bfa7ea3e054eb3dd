"""Asking for marked texts: a fit of words that leaves out whole texts, and a learner that asks by it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.data.spans import Repairs, marked
from handful.errors import DataError, OptionError
from handful.regimes.active import ActiveLearner
from handful.regimes.active.part_fit import PartFit
from handful.regimes.active.part_rows import PartRows
from handful.regimes.active.quick_fit import quick_head
from handful.strategies.frozen.solver import fit_head
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.tagging.task import TAGGING

NAMES = ("Anna", "Bert", "Cleo", "Dora")
REST = ("sees", "the", "hill", "and", "walks", "home")


def sentence(n: int) -> str:
    """A text in which one of four names stands somewhere, or none does."""
    words = [REST[(n + i) % len(REST)] for i in range(4 + n % 3)]
    if n % 5:
        words.insert(n % 4, NAMES[n % 4])
    return " ".join(words)


def cell(text: str) -> str:
    """The names of a text as a label."""
    found = [(text.index(name), text.index(name) + len(name), "person") for name in NAMES if name in text]
    return marked(text, found, Repairs()).cell


def rows(count: int, noise: float = 0.3, seed: int = 0) -> tuple[PartRows, list[str]]:
    """Texts with noisy vectors of their words, and their labels."""
    rng = np.random.default_rng(seed)
    texts = [sentence(n) for n in range(count)]
    of_word = dict(zip((*NAMES, *REST), rng.normal(size=(10, 12)) / 4, strict=True))
    towards = rng.normal(size=12) / 2
    vectors = [
        np.stack([of_word[w] + towards * (w in NAMES) + noise * rng.normal(size=12) / 4 for w in text.split()])
        for text in texts
    ]
    return PartRows.of(vectors, texts), [cell(text) for text in texts]


def test_held_out_answers_are_those_of_fits_without_the_text():
    x, labels = rows(20)
    targets = TAGGING.read(labels)
    words = TAGGING.row_targets(targets)
    fit = PartFit.on(x, targets).parts
    head = quick_head(CLASSIFICATION)
    weights = (np.arange(len(x))[:, None] != x.item).astype(np.float32)  # one fit without each text
    coef, intercept = fit_head(head, x.exact, CLASSIFICATION.design(words), weights, (head.penalties[fit.best],))
    without = np.einsum("pd,pdk->pk", x.exact, coef[x.item, :, 0]) + intercept[x.item, 0]
    without, said = without[:, :2], CLASSIFICATION.scores(fit.held_out)[:, :2]  # no name has a second word
    apart = without - without.mean(1, keepdims=True), said - said.mean(1, keepdims=True)
    sharp = (apart[0] * apart[1]).sum(1) / (apart[0] ** 2).sum(1)
    assert apart[1] == pytest.approx(sharp[:, None] * apart[0], abs=5e-3 * np.abs(apart[1]).max())


def test_an_answer_to_a_text_that_was_learned_is_that_of_a_fit_without_it():
    x, labels = rows(20)
    targets = TAGGING.read(labels)
    fit = PartFit.on(x, targets)
    known = fit.unaware(x[[3, 4]], [3, None])
    width = known.shape[1]
    assert known[0] == pytest.approx(fit.held_out[3][:width])
    assert known[1] == pytest.approx(fit.outputs(x)[4:5][0][:width], abs=1e-6)
    assert len(fit.outputs(x)) == 20


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_means_are_those_of_each_item_and_nothing_where_there_are_no_parts(counts):
    rng = np.random.default_rng(sum(counts))
    vectors = [rng.normal(size=(count, 3)) for count in counts]
    x = PartRows.of(vectors, ["text"] * len(counts))
    numbers = rng.random(sum(counts))
    expected = [part.mean() if len(part) else 0.0 for part in np.split(numbers, np.cumsum(counts)[:-1])]
    assert x.per_item(numbers) == pytest.approx(expected)
    assert np.linalg.norm(x.means, axis=1) == pytest.approx([float(count > 0) for count in counts], abs=1e-3)
    assert x[[len(counts) - 1]].counts.tolist() == [counts[-1]]


def test_a_learner_asks_for_texts_it_doubts_and_its_score_holds_the_truth():
    x, labels = rows(120)
    learner = ActiveLearner.on(x, TAGGING)
    while len(learner.answers) < 60:
        for asked in learner.next(6):
            learner.answer(asked.index, labels[asked.index], asked.how)
        learner.refit()
    rest = np.array([n for n in range(120) if n not in learner.answers])
    hows = {answer.how for answer in learner.answers.values()}
    assert hows == {"typical", "informative", "control"}
    fit = learner._fit
    assert fit is not None
    outputs, targets = learner.answering.against(
        fit.unaware(x[rest], [None] * len(rest)), [labels[n] for n in rest], learner.names
    )
    truth = TAGGING.headline.of(outputs[None], targets).value
    progress = learner.progress()
    assert progress.estimate is not None and progress.worth is not None
    assert truth > 0.8
    assert progress.estimate.low <= truth <= progress.estimate.high
    assert learner.doubtful(3).sentence == "These 3 labels fit the others least."


@pytest.mark.parametrize("asking", ["entropy", "badge", "disagreement"])
def test_ways_that_want_one_answer_per_item_are_refused(asking):
    x, _ = rows(6)
    with pytest.raises(OptionError) as refused:
        ActiveLearner.on(x, TAGGING, asking=asking)
    assert str(refused.value) == (
        f"asking must be one of phased, random, typical, clusters, core-set, margin-spread, margin, got '{asking}'. "
        "Choose one of these, or leave it out."
    )


def test_rows_of_the_other_kind_are_refused():
    x, _ = rows(6)
    with pytest.raises(OptionError) as refused:
        ActiveLearner.on(x.means, TAGGING)
    assert str(refused.value) == (
        "features for tagging must be PartRows, got one row per item. Give it what it learns from."
    )
    with pytest.raises(OptionError) as refused:
        ActiveLearner.on(x, CLASSIFICATION)
    assert str(refused.value) == (
        "features for classification must be one row per item, got PartRows. Give it what it learns from."
    )


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(DataError) as refused:
        PartRows.of([np.ones((2, 3)), np.array([[1.0, np.nan, 2.0]])], ["a b", "c"])
    assert str(refused.value) == "features must be finite numbers, item 1 has NaN or infinity. Leave it out."
