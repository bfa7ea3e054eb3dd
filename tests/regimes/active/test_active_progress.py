"""What is said of a labelling: an unbiased score, its curve, what more labels are worth, and when to stop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handful.evaluation.curves import Needs, curve_of
from handful.evaluation.metrics import share
from handful.inspection.wrong_labels import Count
from handful.regimes.active import ActiveLearner, Doubt
from handful.regimes.active.progress import Labelled, progress_of
from handful.tasks.classification import CLASSIFICATION


def some_pool(count=400, kinds=4, spread=0.5, seed=0, width=16):
    rng = np.random.default_rng(seed)
    kind = rng.integers(kinds, size=count)
    return rng.normal(size=(kinds, width))[kind] + spread * rng.normal(size=(count, width)), kind


def labelled(x, truth, count, **options):
    """A learner with so many answers."""
    learner = ActiveLearner.on(x, CLASSIFICATION, **options)
    while len(learner.answers) < count:
        for question in learner.next(min(5, count - len(learner.answers))):
            learner.answer(question.index, str(truth[question.index]), question.how)
        learner.refit()
    return learner


def test_nothing_is_said_before_enough_was_drawn_by_chance():
    x, kind = some_pool()
    told = labelled(x, kind, 10).progress()
    assert (told.n, told.checked, told.estimate, told.curve, told.may_stop) == (10, 2, None, None, False)
    assert told.advice == "Go on: 3 more of the items drawn by chance, and the score can be told."


def test_nothing_is_said_while_all_labels_are_the_same():
    x, _ = some_pool()
    told = labelled(x, np.zeros(400, int), 30).progress()
    assert told.estimate is None
    assert told.advice == "Go on: nothing can be learned yet from 30 labels."


def test_the_score_rests_on_the_first_of_a_fixed_draw_however_these_came_to_be_labelled():
    x, kind = some_pool()
    learner = ActiveLearner.on(x, CLASSIFICATION)
    for item in learner.pool.by_chance[:40].tolist():  # a person looked them all up
        learner.answer(item, str(kind[item]), "searched")
    learner.refit()
    assert learner.progress().checked == 8  # as many as a fifth of 40 questions


def test_no_row_is_answered_by_a_fit_that_knows_its_label():
    x, kind = some_pool(200)
    learner = labelled(x, np.random.default_rng(1).permutation(kind), 60, control=1)
    assert learner.progress().estimate.value < 0.5  # labels that mean nothing are remembered, not foretold


def test_the_score_is_that_of_the_pool_though_doubtful_items_were_asked():
    apart, biased = [], []
    for seed in range(12):
        x, kind = some_pool(spread=1.6, seed=seed)
        learner = labelled(x, kind, 100, control=0.3, seed=seed)
        unseen = np.ones(400, bool)
        unseen[learner.labelled] = False
        names = np.array(CLASSIFICATION.words(learner.guesses(), learner.names))
        # The score is of the whole pool, each item without its own label.
        held_out = np.array(CLASSIFICATION.words(learner._fit.held_out, learner.names))
        right = (names == kind.astype(str)).astype(float)
        right[learner.labelled] = held_out == kind.astype(str)[learner.labelled]
        apart.append(learner.progress().estimate.value - right.mean())
        biased.append(right[learner.labelled].mean() - right.mean())
    assert abs(np.mean(apart)) < 2.5 * np.std(apart) / np.sqrt(12) + 0.01
    assert np.mean(biased) < -0.03  # a score of all labelled rows would be too low


def test_a_solved_set_may_be_stopped_and_a_hard_one_not():
    x, kind = some_pool(spread=0.3)
    told = labelled(x, kind, 120).progress()
    assert told.may_stop
    assert told.advice.startswith("You can stop: 20 more labels are worth 0 points (")
    x, kind = some_pool(kinds=8, spread=3.0)
    told = labelled(x, kind, 120).progress()
    assert not told.may_stop
    assert told.advice.startswith("Go on: 20 more labels are worth +")
    assert told.worth.low < told.worth.value < told.worth.high


def test_the_curve_has_the_labels_of_the_past_on_the_same_rows():
    x, kind = some_pool(spread=1.5)
    told = labelled(x, kind, 80).progress()
    assert [point.rows for point in told.curve.points] == [10, 20, 40, 80]
    assert told.curve.points[-1].score == told.estimate
    assert told.curve.n == 80


def test_what_asking_gained_is_measured_on_the_same_number_of_labels():
    x, kind = some_pool(spread=1.5)
    learner = labelled(x, kind, 100)
    told = learner.progress().over_random
    assert told.labels == 20
    assert told.gain.low <= told.gain.value <= told.gain.high
    alone = labelled(x, kind, 40, asking="random").progress().over_random
    assert alone.gain.value == 0  # drawn by chance and no more: nothing was gained over itself


def test_progress_fits_itself_where_nothing_was_fitted():
    x, kind = some_pool()
    learner = labelled(x, kind, 60)
    place = {item: i for i, item in enumerate(learner.answers)}
    control = np.array([place[item] for item in learner.pool.by_chance[:12].tolist() if item in place])
    some = Labelled(CLASSIFICATION, learner.pool.features[learner.labelled], learner.labels, control)
    assert progress_of(some, None) == progress_of(some, learner._fit)
    assert progress_of(replace(some, control=control[:3]), None).estimate is None


def test_fewer_rows_than_labels_may_answer_a_curve():
    rng = np.random.default_rng(0)
    measured = [share(rng.random(20) < p) for p in (0.5, 0.8)]
    few, many = (curve_of([50, 100], measured, 0.8, Needs(), labels=n) for n in (None, 100))
    assert (few.n, many.n) == (20, 100)
    assert many.gain(20).high < few.gain(20).high


def test_labels_that_were_changed_are_among_the_most_doubtful():
    x, kind = some_pool()
    learner = labelled(x, kind, 60)
    wrong = learner.labelled[[10, 30, 50]]
    for item in wrong.tolist():
        learner.answer(item, str((kind[item] + 1) % 4), "second look")
    learner.refit()
    doubt = learner.doubtful()
    assert set(doubt.rows[:3]) == set(wrong.tolist())
    assert doubt.count.low <= 3 <= doubt.count.high
    assert min(doubt.chances[:3]) > 0.5 > max(doubt.chances[3:])


def test_the_most_doubtful_are_shown_even_where_all_are_right():
    x, kind = some_pool(spread=0.3)
    doubt = labelled(x, kind, 60).doubtful(5)
    assert len(doubt.rows) == len(doubt.chances) == 5
    assert doubt.sentence == "These 5 labels fit the others least; about 0 wrong (0)."


def test_doubts_as_sentences():
    assert Doubt((), (), None).sentence == "There are too few labels to doubt any."
    assert Doubt((3,), (), None).sentence == "This label fits the others least."
    told = Doubt((3, 4), (0.9, 0.4), Count(1.3, 1, 2)).sentence
    assert told == "These 2 labels fit the others least; about 1 wrong (1 to 2)."


def test_nothing_is_doubted_before_anything_is_learned():
    x, _ = some_pool()
    assert ActiveLearner.on(x, CLASSIFICATION).doubtful().rows == ()


@pytest.mark.parametrize("rows", [1, 2])
def test_a_pool_of_one_or_two_items_is_asked_to_its_end(rows):
    x, _ = some_pool(rows)
    learner = labelled(x, np.arange(rows), rows)
    assert learner.next() == []
    assert learner.progress().estimate is None
