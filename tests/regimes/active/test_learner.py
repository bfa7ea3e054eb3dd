"""The active learner: what it asks in which phase, what it says, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handful.errors import DataError, OptionError
from handful.features.feature_set import FeatureSet
from handful.regimes.active import ASKING, HOWS, ActiveLearner
from handful.regimes.active.pool import Pool, pool_of
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.multilabel import MULTILABEL
from handful.tasks.ordinal import ORDINAL
from handful.tasks.regression import REGRESSION

KINDS = 4


def some_pool(count=200, width=16, spread=0.5, seed=0):
    """Items of four kinds, and the name of each item's kind."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(KINDS, size=count)
    return rng.normal(size=(KINDS, width))[kind] + spread * rng.normal(size=(count, width)), kind


def answered(learner, truth, count):
    """Answer what is asked, one after the other."""
    asked = []
    for _ in range(count):
        [question] = learner.next()
        learner.answer(question.index, str(truth[question.index]), question.how)
        learner.refit()
        asked.append(question)
    return asked


def test_the_first_questions_are_typical_and_spread_over_what_there_is():
    x, kind = some_pool()
    asked = answered(ActiveLearner.on(x, CLASSIFICATION, control=0), kind, KINDS)
    assert {question.how for question in asked} == {"typical"}
    assert {kind[question.index] for question in asked} == set(range(KINDS))
    assert asked[0].why == "Typical of many items that are unlike those labelled so far."
    assert asked[0].probabilities is None


def test_once_the_model_knows_something_it_asks_where_it_is_in_doubt():
    x, kind = some_pool(spread=1.0)
    learner = ActiveLearner.on(x, CLASSIFICATION)
    assert learner.phase == "typical"
    answered(learner, kind, 32)
    assert learner.phase == "informative"
    [question] = learner.next()
    assert question.how == "informative"
    doubt = CLASSIFICATION.margin(learner.guesses())
    assert doubt[question.index] > np.quantile(np.delete(doubt, learner.labelled), 0.75)
    assert question.why.startswith('The model is in doubt between "')
    plain = replace(learner, asking="margin", control=0)
    plain.refit()
    [most] = plain.next()
    doubt = CLASSIFICATION.margin(plain.guesses())
    assert doubt[most.index] == max(np.delete(doubt, plain.labelled))
    assert question.index not in learner.answers


def test_labels_that_cannot_be_learned_are_never_asked_for_doubt():
    x, kind = some_pool()
    learner = ActiveLearner.on(x, CLASSIFICATION)
    answered(learner, np.random.default_rng(1).permutation(kind), 40)
    assert learner.phase == "typical"


def test_every_fifth_question_is_the_next_of_one_fixed_draw():
    x, kind = some_pool()
    learner = ActiveLearner.on(x, CLASSIFICATION, control=0.2)
    asked = answered(learner, kind, 30)
    assert [i for i, question in enumerate(asked) if question.how == "control"] == [4, 9, 14, 19, 24, 29]
    assert [question.index for question in asked if question.how == "control"] == learner.pool.by_chance[:6].tolist()
    assert asked[4].why == "Drawn by chance: the score rests on such items."


def test_rows_of_the_control_have_no_say_in_what_else_is_asked():
    x, kind = some_pool()
    learner, other = (ActiveLearner.on(x, CLASSIFICATION) for _ in range(2))
    answered(learner, kind, 40)
    lied = {item: str(kind[item]) for item in learner.answers}
    for item in learner.pool.by_chance[:8].tolist():
        lied[item] = "another"
    asked = answered(other, lied, 40)
    assert [question.index for question in asked] == list(learner.answers)


def test_asking_at_random_is_all_control():
    x, kind = some_pool()
    learner = ActiveLearner.on(x, CLASSIFICATION, asking="random")
    assert [question.index for question in answered(learner, kind, 7)] == learner.pool.by_chance[:7].tolist()
    assert learner.progress().checked == 7


@pytest.mark.parametrize("asking", ASKING)
def test_every_way_of_asking_asks_all_items_each_once(asking):
    x, kind = some_pool(40)
    learner = ActiveLearner.on(x, CLASSIFICATION, asking=asking)
    while asked := learner.next(7):
        for question in asked:
            assert question.how in HOWS
            learner.answer(question.index, str(kind[question.index]), question.how)
        learner.refit()
    assert sorted(learner.answers) == list(range(40))
    assert learner.next() == []


@pytest.mark.parametrize("asking", ASKING)
def test_the_same_seed_asks_the_same(asking):
    x, kind = some_pool()
    first, second = (answered(ActiveLearner.on(x, CLASSIFICATION, asking=asking, seed=3), kind, 20) for _ in range(2))
    assert first == second


def test_two_people_are_asked_different_items():
    x, kind = some_pool()
    learner = ActiveLearner.on(x, CLASSIFICATION)
    answered(learner, kind, 25)
    mine = [question.index for question in learner.next(5)]
    theirs = [question.index for question in learner.next(5, without=mine)]
    assert len({*mine, *theirs} - learner.answers.keys()) == 10


def test_of_several_doubtful_items_that_are_alike_one_is_asked():
    x, kind = some_pool(spread=1.0)
    doubled = np.concatenate([x, x])  # every item is there twice
    learner = ActiveLearner.on(doubled, CLASSIFICATION, control=0)
    answered(learner, np.concatenate([kind, kind]), 40)
    asked = [question.index % len(x) for question in learner.next(6)]
    assert len(set(asked)) == 6


def test_an_answer_taken_back_is_as_if_it_had_never_been():
    x, kind = some_pool()
    learner, other = (ActiveLearner.on(x, CLASSIFICATION) for _ in range(2))
    answered(learner, kind, 20)
    answered(other, kind, 20)
    [question] = learner.next()
    learner.answer(question.index, "wrong", question.how)
    learner.refit()
    assert "wrong" in learner.names
    learner.forget(question.index)
    learner.forget(question.index)
    learner.refit()
    assert np.array_equal(learner.guesses(), other.guesses())
    assert learner.next() == other.next()


def test_a_second_answer_replaces_the_first():
    x, _ = some_pool()
    learner = ActiveLearner.on(x, CLASSIFICATION)
    learner.answer(3, "a", "searched")
    learner.answer(3, "b", "second look")
    assert (learner.labels, learner.labelled.tolist()) == (["b"], [3])


def test_guesses_are_probabilities_of_the_names_seen_so_far():
    x, kind = some_pool()
    learner = ActiveLearner.on(x, CLASSIFICATION)
    assert (learner.guesses(), learner.names) == (None, ())
    answered(learner, kind, 30)
    assert learner.names == ("0", "1", "2", "3")
    assert learner.guesses().sum(1) == pytest.approx(np.ones(200))
    assert (learner.guesses().argmax(1) == kind).mean() > 0.9


def test_what_is_alike_comes_nearest_first_and_has_no_label():
    x, _ = some_pool(6)
    x[4], x[5] = 1.01 * x[0], x[0] + 0.01
    learner = ActiveLearner.on(x, CLASSIFICATION)
    learner.answer(1, "a", "searched")
    assert learner.alike(0, 2).tolist() == [4, 5]
    assert set(learner.alike(0, 10).tolist()) == {2, 3, 4, 5}


@pytest.mark.parametrize(
    ("task", "label"),
    [(MULTILABEL, lambda k: ("a", "b", "a|b", "(none)")[k]), (ORDINAL, str), (REGRESSION, lambda k: str(k + 0.5))],
)
def test_other_tasks_ask_and_are_scored_too(task, label):
    x, kind = some_pool()
    learner = ActiveLearner.on(x, task)
    asked = answered(learner, [label(k) for k in kind], 60)
    told = learner.progress()
    assert told.estimate.low <= told.estimate.value <= told.estimate.high
    assert told.checked == 12
    assert len(learner.doubtful().rows) == 10
    hows = {question.how for question in asked}
    assert hows == ({"typical", "control"} if task is REGRESSION else {"typical", "informative", "control"})


def test_numbers_have_no_doubt_to_ask_for_so_that_doubtful_ways_ask_typical_items():
    x, kind = some_pool()
    asked = answered(ActiveLearner.on(x, REGRESSION, asking="margin", control=0), kind, 20)
    assert {question.how for question in asked} == {"typical"}


def test_the_pool_of_a_feature_set_joins_the_last_layers_that_learned_to_see():
    rng = np.random.default_rng(0)
    last, first, counts = (rng.normal(size=(5, width)).astype(np.float32) for width in (3, 3, 7))
    items = {("one", 6): last, ("one", 3): first, ("grams", 1): counts}
    seen = FeatureSet(items, {}, {"one": (6, 3), "grams": (1,)}, frozenset({"grams"}))
    assert pool_of(seen).features.shape == (5, 3)
    assert np.linalg.norm(pool_of(seen).features, axis=1) == pytest.approx(np.ones(5))
    only = FeatureSet({("grams", 1): counts}, {}, {"grams": (1,)}, frozenset({"grams"}))
    assert pool_of(only).features.shape == (5, 7)


def test_clusters_are_made_for_twice_as_many_labels_each_time():
    pool = Pool(np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32))
    first, density = pool.clusters(5)
    assert len(np.unique(first)) == 20
    assert len(density) == 300
    assert pool.clusters(20)[0] is pool.clusters(7)[0]
    assert len(np.unique(pool.clusters(21)[0])) == 40
    assert pool.clusters(4000)[0].max() < 100


def error_of(call):
    with pytest.raises((DataError, OptionError)) as error:
        call()
    return str(error.value)


def test_what_cannot_be_a_pool_is_refused():
    assert error_of(lambda: ActiveLearner.on(np.zeros((0, 3)), CLASSIFICATION)) == (
        "features of a pool must be a matrix with a row per item, got one of shape (0, 3). Give it the features of at "
        "least one item."
    )
    bad = np.ones((3, 2))
    bad[1, 0] = np.nan
    assert error_of(lambda: ActiveLearner.on(bad, CLASSIFICATION)) == (
        "features must be finite numbers, row 1 holds NaN or infinity. Leave that item out."
    )


def test_a_way_of_asking_that_is_none_is_refused_with_the_nearest():
    assert error_of(lambda: ActiveLearner.on(np.ones((3, 2)), CLASSIFICATION, asking="margins")) == (
        "asking must be one of phased, random, typical, clusters, core-set, margin-spread, margin, entropy, "
        "disagreement, badge, got 'margins'. Did you mean 'margin'? Choose one of these, or leave it out."
    )


def test_a_share_beyond_one_is_refused():
    assert error_of(lambda: ActiveLearner.on(np.ones((3, 2)), CLASSIFICATION, control=20)) == (
        "control must be a share from 0 to 1, got 20. With 0.2 every fifth question is drawn by chance."
    )


def test_answers_that_are_none_are_refused():
    learner = ActiveLearner.on(np.ones((3, 2)), CLASSIFICATION)
    assert error_of(lambda: learner.answer(3, "a", "searched")) == (
        "index must be that of an item, from 0 to 2, got 3."
    )
    assert error_of(lambda: learner.answer(0, "a", "chance")) == (
        "how must be one of typical, informative, control, searched, alike, second look, got 'chance'. Give what "
        "``next`` said."
    )
    assert error_of(lambda: learner.answer(0, "  ", "searched")) == (
        "a label must not be empty. Choose one, or ask for another item."
    )
    numbers = ActiveLearner.on(np.ones((3, 2)), REGRESSION)
    assert error_of(lambda: numbers.answer(0, "blue", "searched")) == (
        "'blue' cannot be read as a label for regression. Write it as labels of that task are written in a table."
    )
    assert (learner.answers, numbers.answers) == ({}, {})
