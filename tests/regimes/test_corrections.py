"""Learning from corrections: the corrected item is answered right, what is known stays, poison is held back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.errors import OptionError
from handful.features.view import unit_rows
from handful.regimes.corrections import Rows, Strength, harm, learn, prior
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.multilabel import Multilabel
from handful.tasks.ordinal import Ordinal
from handful.tasks.regression import Regression

NAMES = ("a", "b", "c")


def world(seed=0, rows=60, width=20, noise=0.25):
    """Known rows of three classes, a head that answers them, and what draws further items of a class."""
    rng = np.random.default_rng(seed)
    means = unit_rows(rng.normal(size=(4, width)))

    def items(kinds):
        return unit_rows(means[kinds] + noise * rng.normal(size=(len(kinds), width)))

    kinds = np.arange(rows) % 3
    x = items(kinds)
    return Rows(x, head(x, means), tuple(NAMES[k] for k in kinds)), items, means


def head(x, means):
    return np.asarray(6 * x @ means[:3].T, np.float64)


def answers(learned, x, means):
    return [learned.names[k] for k in learned.scores(x, head(x, means)).argmax(1)]


def test_the_corrected_item_and_its_like_are_answered_right_and_known_rows_stay():
    known, items, means = world()
    strange = unit_rows(means[0] + 1.2 * means[1] + 0.1 * items([3])[0])[None]  # lies with b, is a
    corrections = Rows(strange, head(strange, means), ("a",))
    learned = learn(CLASSIFICATION, NAMES, known, corrections)
    assert answers(learned, strange, means) == ["a"]
    like = unit_rows(strange + 0.05 * items([2]))
    assert answers(learned, like, means) == ["a"]
    assert answers(learned, known.features, means) == list(known.labels)


def test_a_new_class_is_answered_where_it_is_and_nowhere_else():
    known, items, means = world()
    fresh = items([3, 3])
    learned = learn(CLASSIFICATION, NAMES, known, Rows(fresh, head(fresh, means), ("new", "new")))
    assert learned.names == ("a", "b", "c", "new")
    assert answers(learned, items([3] * 10), means).count("new") >= 8
    assert answers(learned, known.features, means) == list(known.labels)


def test_before_anything_is_learned_a_new_class_is_as_rare_as_one_row():
    known, _, means = world()
    start = prior(CLASSIFICATION, NAMES, known, ("zebra",))
    shares = CLASSIFICATION.outputs(start.scores(known.features, known.scores))
    assert shares[:, 3].mean() < 2 / len(known)


def test_squared_loss_is_recursive_least_squares():
    """One exact step: as if the known rows and the correction had been fitted together, from the same start."""
    rng = np.random.default_rng(1)
    task = Regression(centre=0.0, scale=1.0)
    x, y = unit_rows(rng.normal(size=(30, 5))), rng.normal(size=6)
    known = Rows(x, np.stack([np.zeros(30), np.ones(30)], 1), ("0",) * 30)
    fresh = unit_rows(rng.normal(size=(6, 5)))
    corrections = Rows(fresh, np.stack([np.zeros(6), np.ones(6)], 1), tuple(f"{number}" for number in y))
    how = Strength(weight=2.0, known=0.5, ridge=0.3)
    learned = learn(task, (), known, corrections, how)
    one, own = np.c_[x, np.ones(30)].astype(float), np.c_[fresh, np.ones(6)].astype(float)
    exact = np.linalg.solve(0.5 * one.T @ one + 0.3 * np.eye(6) + 2 * own.T @ own, 2 * own.T @ y)
    assert np.allclose(np.r_[learned.coef[:, 0], learned.intercept[0]], exact, atol=1e-4)
    assert np.allclose(learned.coef[:, 1], 0)


def test_several_labels():
    known, items, means = world()
    task = Multilabel()
    both = tuple("a|b" if label == "a" else label for label in known.labels)
    rows = Rows(known.features, 2 * known.scores - 3, both)
    odd = items([3])
    learned = learn(task, NAMES, rows, Rows(odd, 2 * head(odd, means) - 3, ("b|c",)))
    scores = learned.scores(odd, 2 * head(odd, means) - 3)
    assert task.words(task.outputs(scores), learned.names) == ["b|c"]


def test_a_new_rating_has_no_place_in_the_order():
    known, items, means = world()
    fresh = items([3])
    with pytest.raises(OptionError) as error:
        learn(Ordinal(), NAMES, known, Rows(fresh, head(fresh, means), ("z",)))
    assert str(error.value) == (
        "a rating must be one of a, b, c, got 'z': where it stands in their order is not known. Tune again with it."
    )


def test_nothing_to_learn_from():
    known, _, _ = world()
    with pytest.raises(OptionError) as error:
        learn(CLASSIFICATION, NAMES, known, known.take([]))
    assert str(error.value) == "learning from corrections needs at least one, got none. Send one."


def test_poison_does_harm_beyond_doubt_and_a_fair_correction_does_none():
    known, items, means = world()
    start = prior(CLASSIFICATION, NAMES, known, ())
    usual = items([0] * 6)  # plainly of a, called b
    poisoned = learn(CLASSIFICATION, NAMES, known, Rows(usual, head(usual, means), ("b",) * 6))
    found = harm(start, start, poisoned, known)
    assert found.beyond_doubt
    assert found.sentence.startswith("it would make the answers to rows that are known worse, by ")
    fair = learn(CLASSIFICATION, NAMES, known, Rows(usual, head(usual, means), ("a",) * 6))
    assert not harm(start, start, fair, known).beyond_doubt


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0.1, 20), st.floats(0.01, 2))
def test_whatever_is_said_the_loss_of_corrections_falls_and_numbers_stay_finite(seed, count, weight, ridge):
    known, items, means = world(seed)
    rng = np.random.default_rng(seed)
    fresh = items(rng.integers(0, 4, count))
    said = tuple(NAMES[k] for k in rng.integers(0, 3, count))
    corrections = Rows(fresh, head(fresh, means), said)
    learned = learn(CLASSIFICATION, NAMES, known, corrections, Strength(weight, 0.1, ridge))
    assert np.isfinite(learned.coef).all()
    start = prior(CLASSIFICATION, NAMES, known, said)
    assert learned.losses(corrections).sum() <= start.losses(corrections).sum() + 1e-6
