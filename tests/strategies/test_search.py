import numpy as np
import pytest

from handful.data.splits import fold_ids
from handful.engines import Inline, Processes
from handful.evaluation.calibration import probabilities
from handful.features.view import View, unit_rows
from handful.seeding import generator
from handful.strategies.grids import Grid
from handful.strategies.heads import Centroid, Logistic, Majority, Ridge
from handful.strategies.search import Splits, refit, search

LAST, LOWER = View((("toy", 2),)), View((("toy", 1),))


def problem(n=40, classes=4, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    good = 3 * np.eye(classes, 16)[y] + noise * rng.normal(size=(n, 16))
    return {LAST: good.astype(np.float32), LOWER: rng.normal(size=(n, 16)).astype(np.float32)}, y


def folds_of(y, repeats=2):
    rng = generator(0, "folds")
    return np.stack([fold_ids(y, np.arange(len(y)), 5, rng) for _ in range(repeats)])


def test_the_fit_that_scores_a_row_never_saw_it_nor_the_fold_it_is_chosen_for():
    folds = folds_of(np.arange(20) % 2)
    plan = Splits.of(folds)
    assert len(plan.weights) == 2 * (5 + 10)
    for r, n in np.ndindex(folds.shape):
        assert plan.weights[plan.outer[r, n], n] == 0
        for k in range(5):
            left_out = plan.weights[plan.inner[r, k, n]] == 0
            assert left_out[n] and left_out[folds[r] == k].all()
            assert left_out.sum() == (np.isin(folds[r], [k, folds[r, n]])).sum()


def test_the_search_scores_a_fold_as_a_fit_on_the_other_rows_would():
    x, y = problem()
    folds = folds_of(y)
    found = search(x, {}, y, folds, Grid((Ridge,), (LAST,)), Inline())
    q = next(i for i, s in enumerate(found.settings) if s.penalty == 1.0)
    for k in range(5):
        train, held = folds[0] != k, folds[0] == k
        head = Ridge(penalty=1.0).fit(x[LAST][train], y[train])
        np.testing.assert_allclose(found.outcomes[q].scores[0, held], head.decision_function(x[LAST][held]), atol=1e-4)


def test_the_informative_view_is_chosen_and_the_answers_are_right():
    x, y = problem()
    found = search(x, {}, y, folds_of(y), Grid((Centroid, Ridge, Logistic), (LOWER, LAST)), Inline())
    everything = range(len(found.settings))
    assert found.settings[found.best(list(everything))].view == LAST
    proba = found.nested(list(everything))
    np.testing.assert_allclose(proba.sum(2), 1, atol=1e-9)
    assert (proba.argmax(2) == y).mean() > 0.9


def test_choosing_among_settings_that_know_nothing_does_not_look_better_than_guessing():
    shares = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = np.arange(40) % 2
        views = {View((("noise", d),)): rng.normal(size=(40, 8)).astype(np.float32) for d in range(6)}
        found = search(views, {}, y, folds_of(y), Grid((Centroid, Ridge), tuple(views)), Inline())
        shares.append((found.nested(list(range(len(found.settings)))).argmax(2) == y).mean())
    assert np.mean(shares) < 0.55  # the best of the 36 settings alone would claim about 0.68


@pytest.mark.parametrize("head", [Centroid, Ridge, Logistic])
def test_rows_that_are_perfectly_separated_make_nothing_certain(head):
    x, y = problem(n=20, classes=2, noise=0.01)
    found = search(x, {}, y, folds_of(y), Grid((head,), (LAST,)), Inline())
    proba = found.nested(range(len(found.settings)))
    assert (proba.argmax(2) == y).all()
    assert 0.9 < proba.max(2).mean() < 0.999
    best = found.outcomes[found.best(range(len(found.settings)))]
    sure = probabilities(best.scores, best.sharpness).max(2).mean()
    assert sure == pytest.approx(21 / 22, abs=0.02)  # Platt's target for 20 rows


def test_settings_compete_by_their_plain_losses():
    x, y = problem(n=20, classes=2, noise=0.01)
    found = search(x, {}, y, folds_of(y), Grid((Ridge,), (LAST,)), Inline())
    assert all(outcome.losses.mean() < 1e-3 for outcome in found.outcomes)


def test_label_names_pull_and_zero_shot_needs_no_rows():
    x, y = problem(noise=3.0)
    names = {LAST: np.eye(4, 16, dtype=np.float32)}
    grid = Grid((Centroid,), (LAST,), name_weights=(0.0, 4.0), zero_shot=True)
    found = search(x, names, y, folds_of(y), grid, Inline())
    assert len(found.settings) == len(grid) == 3
    assert [s.name_weight for s in found.settings] == [0.0, np.inf, 4.0]
    plain, zero, pulled = ((s.argmax(2) == y).mean() for s in (o.scores for o in found.outcomes))
    assert pulled > plain
    assert zero == ((unit_rows(x[LAST]) @ names[LAST].T).argmax(1) == y).mean()
    head = refit(found.settings[1], x[LAST], names[LAST], y.astype(str))
    np.testing.assert_array_equal(head.predict(x[LAST]).astype(int), found.outcomes[1].scores[0].argmax(1))


def test_leaving_out_the_only_row_of_a_class_works():
    x, y = problem(n=9)
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    found = search(x, {}, y, np.arange(9)[None], Grid((Centroid, Ridge, Logistic, Majority), (LAST,)), Inline())
    assert np.isfinite(found.nested(list(range(len(found.settings))))).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_penalties_keep_the_middle(count):
    assert len(Grid((Ridge,), (LAST,), penalties=count).penalties_of(Ridge)) == count


def test_processes_find_what_threads_find():
    x, y = problem(n=20, classes=2)
    grid = Grid((Centroid, Ridge), (LAST, LOWER))
    here, there = (search(x, {}, y, folds_of(y), grid, engine) for engine in (Inline(), Processes()))
    assert here.settings == there.settings
    for a, b in zip(here.outcomes, there.outcomes, strict=True):
        np.testing.assert_array_equal(a.scores, b.scores)


def test_the_usual_look_is_the_first_view_with_the_names_counted_in_full():
    x, y = problem(noise=3.0)
    names = {view: np.eye(4, 16, dtype=np.float32) for view in x}
    grid = Grid((Ridge,), (LAST, LOWER), name_weights=(0.0, 4.0), zero_shot=True)
    found = search(x, names, y, folds_of(y), grid, Inline())
    assert {(s.view, s.name_weight) for s in found.settings if s.usual} == {(LAST, 4.0)}
    plain = search(x, {}, y, folds_of(y), grid, Inline())
    assert {(s.view, s.name_weight) for s in plain.settings if s.usual} == {(LAST, 0.0)}
