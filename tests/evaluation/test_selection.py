"""Selection: settings are weighed and pooled by held-out losses; what is dearer must be better beyond doubt."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from classified import targets_of
from handful.evaluation import selection
from handful.evaluation.decision import Prior, expected, gain
from handful.evaluation.selection import LAST, TEMPER, choose, composed, halved, pool, weigh
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.classification.softmax import SMALLEST, hedged_losses


def losses(*rows):
    return np.array(rows, float)


def test_equal_costs_compete_on_the_mean():
    assert choose(losses([1, 1, 1, 1], [0.9, 1, 1, 1]), [1, 1]) == 1


def test_a_dearer_candidate_must_be_better_beyond_doubt():
    cheap = np.random.default_rng(0).random(40)
    barely = cheap - 0.05 + 0.5 * np.random.default_rng(1).normal(size=40)
    clearly = cheap - 0.3
    assert choose(np.stack([cheap, barely]), [1, 2]) == 0
    assert choose(np.stack([cheap, clearly]), [1, 2]) == 1


def test_equal_settings_count_the_same_and_one_on_the_last_layer_more():
    assert weigh(np.ones((4, 10)), [False] * 4).tolist() == pytest.approx([0.25] * 4)
    first, *others = weigh(np.ones((3, 10)), [True, False, False])
    assert first == pytest.approx(LAST * others[0]) == pytest.approx(LAST * others[1])


def test_the_more_rows_the_more_the_better_setting_counts():
    shares = [weigh(losses([1.0] * n, [1.1] * n), [False] * 2)[0] for n in (5, 20, 80)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(1 / (1 + np.exp(-TEMPER * 0.5)))


@given(arrays(float, (6, 9), elements=st.floats(0, 13)))
def test_weights_are_shares(found):
    weights = weigh(found, [True, False] * 3)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    assert weights[found.sum(1).argmin()] > 0 or weights.max() > 0.1


def test_a_pool_of_one_is_that_one_and_of_two_lies_between():
    sure, unsure = np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])
    np.testing.assert_allclose(pool(CLASSIFICATION, [sure], np.array([1.0])), [[0.9, 0.1]])
    (between,) = pool(CLASSIFICATION, [sure, unsure], np.array([0.5, 0.5]))
    assert between[0] == pytest.approx(3 / 4)  # √0.9·0.5 against √0.1·0.5


def test_the_members_of_a_pool_are_not_held_together():
    answers = [np.random.default_rng(i).dirichlet(np.ones(200), size=500) for i in range(20)]
    tracemalloc.start()
    pool(CLASSIFICATION, answers, np.full(20, 1 / 20))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8 * answers[0].nbytes


def test_no_member_silences_the_others():
    never, hardly = np.array([[1.0, 0.0]]), np.array([[0.01, 0.99]])
    assert pool(CLASSIFICATION, [never, hardly], np.array([0.5, 0.5]))[0, 1] > np.sqrt(SMALLEST)


def two_arms(better=0.9):
    """Of 40 rows in 4 folds: an arm that knows nothing, and one that gives the true class so much."""
    truth, folds = np.arange(40) % 2, np.arange(40) // 2 % 4
    above = np.full((40, 2), 1 - better)
    above[np.arange(40), truth] = better
    return np.full((40, 2), 0.5), above, truth, folds


def test_a_rival_that_is_clearly_better_takes_nearly_all():
    below, above, truth, folds = two_arms()
    proba, share = halved(below, above, targets_of(truth), folds)
    assert share > 0.99
    np.testing.assert_allclose(proba, above, atol=0.01)


def test_a_rival_that_is_worse_still_counts_for_half():
    below, above, truth, folds = two_arms(better=0.2)
    proba, share = halved(below, above, targets_of(truth), folds)
    assert share == 0.5
    assert proba[truth == 0, 0] == pytest.approx(1 / 3)  # √0.2·0.5 against √0.8·0.5


def test_the_share_of_a_fold_is_found_without_its_rows(monkeypatch):
    below, above, truth, folds = two_arms(better=0.5)
    above[folds == 0] = np.eye(2)[truth[folds == 0]] * 0.98 + 0.01  # only the first fold speaks for the rival
    monkeypatch.setattr(selection, "PRICE", -np.inf)
    proba, share = halved(below, above, targets_of(truth), folds)
    assert share > 0.9
    right = proba[np.arange(40), truth]
    assert right[folds == 0] == pytest.approx(np.sqrt(0.99) / (np.sqrt(0.99) + np.sqrt(0.01)))


def test_what_is_known_counts_in_the_pool_where_the_rows_say_little(monkeypatch):
    monkeypatch.setattr(selection, "PRICE", -np.inf)
    below, _, truth, folds = two_arms()
    sure = 0.52 + np.random.default_rng(0).uniform(-0.3, 0.3, 40)
    above = np.where(np.eye(2)[truth] > 0, sure[:, None], 1 - sure[:, None])
    prior = Prior(0.15, 0.02)
    (_, plain), (_, known) = (halved(below, above, targets_of(truth), folds, None, prior) for prior in (None, prior))
    gained = gain(hedged_losses(below, truth), hedged_losses(above, truth))
    mean = expected(gained, float(hedged_losses(below, truth).mean()), prior).mean
    assert plain == pytest.approx(expit(TEMPER * gained.value * 40))
    assert known == pytest.approx(expit(TEMPER * mean * 40))
    assert known > plain


def test_a_pool_that_is_hardly_better_is_not_worth_running_two_backbones():
    """Half and half with an arm that knows nothing is worse than the rival alone; with one that errs elsewhere not."""
    below, above, truth, folds = two_arms(better=0.8)
    assert halved(below, above, targets_of(truth), folds)[1] == 1.0
    wrong = np.arange(40) % 5 == 0
    first, second = (np.where((np.eye(2)[truth] > 0) != some[:, None], 0.9, 0.1) for some in (wrong, np.roll(wrong, 1)))
    assert halved(first, second, targets_of(truth), folds)[1] < 1.0


def answered(right):
    """(12, 2) answers that give the true class so much."""
    proba = np.full((12, 2), 1 - right)
    proba[np.arange(12), np.arange(12) % 2] = right
    return proba


def test_every_fold_is_answered_by_the_one_that_the_other_folds_favour():
    truth, folds = np.arange(12) % 2, np.repeat([0, 1, 2], 4)
    first, second = answered(0.9), answered(0.8)
    # The first is the best on all rows, but only because of fold 0.
    first[folds != 0] = answered(0.79)[folds != 0]
    best, whole = composed([first, second], targets_of(truth), folds)
    assert best == 0
    np.testing.assert_array_equal(whole[folds == 0], second[folds == 0])  # the others favour the second
    np.testing.assert_array_equal(whole[folds == 1], first[folds == 1])


def test_where_there_is_one_fold_all_rows_choose():
    best, whole = composed([answered(0.8), answered(0.9)], targets_of(np.arange(12) % 2), np.zeros(12, int))
    assert best == 1
    np.testing.assert_array_equal(whole, answered(0.9))


def test_a_dearer_candidate_that_other_sets_speak_for_has_to_be_worth_its_price():
    rng = np.random.default_rng(0)
    cheap = 1 + 0.1 * rng.random(20)
    noise = rng.normal(size=20)
    noise -= noise.mean()
    promising, poor = Prior(0.1, 0.1), Prior(0.0, 0.1)
    as_good = np.stack([cheap, cheap + noise])
    assert choose(as_good, [1, 2]) == 0  # the rows alone do not speak for it
    assert choose(as_good, [1, 2], [{}, {0: promising}]) == 1
    assert choose(as_good, [1, 2], [{}, {0: poor}]) == 0
    assert choose(np.stack([cheap, cheap + 1]), [1, 2], [{}, {0: promising}]) == 0


def test_what_is_known_is_about_the_one_that_stands():
    cheap = np.ones(10)
    losses_of_three = np.stack([cheap, cheap - 0.5, cheap - 0.5])
    known = [{}, {}, {0: Prior(0.5, 0.01)}]
    assert choose(losses_of_three, [1, 2, 3], known) == 1  # nothing is known of the third against the second
