"""The search of heads: no score of a row has seen it, memory is bounded, nothing known is nothing promised."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from classified import one_hot, targets_of
from handful.data.splits import fold_ids
from handful.engines import Inline, Processes
from handful.features.view import View, unit_rows
from handful.seeding import generator
from handful.strategies.frozen.ensemble import pooled
from handful.strategies.frozen.heads import Ridge
from handful.strategies.frozen.search import Splits, search
from handful.strategies.frozen.search_space import Grid
from handful.tasks.classification.heads import CENTROID, LOGISTIC, RIDGE
from handful.tasks.classification.softmax import probabilities

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
    found = search(targets_of(y), x, {}, folds, Grid((RIDGE,), (LAST,)), Inline())
    q = next(i for i, s in enumerate(found.settings) if s.penalty == 1.0)
    for k in range(5):
        train, held = folds[0] != k, folds[0] == k
        head = Ridge(penalty=1.0).fit(x[LAST][train], y[train])
        np.testing.assert_allclose(found.outcomes[q].scores[0, held], head.decision_function(x[LAST][held]), atol=1e-4)


def test_rows_that_do_not_fit_into_memory_together_get_the_same_scores(monkeypatch):
    x, y = problem()
    grid = Grid((RIDGE, LOGISTIC), (LAST,), (1.0,), True)
    names = {LAST: 3 * np.eye(4, 16, dtype=np.float32)}
    monkeypatch.setattr("handful.strategies.frozen.search._CELLS", 1 << 30)
    whole = search(targets_of(y), x, names, folds_of(y), grid, Inline())
    monkeypatch.setattr("handful.strategies.frozen.search._CELLS", 1000)
    parts = search(targets_of(y), x, names, folds_of(y), grid, Inline())
    for one, other in zip(whole.outcomes, parts.outcomes, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(one.losses, other.losses, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one.inner_losses, other.inner_losses, rtol=1e-4, atol=1e-5)
        assert one.sharpness == pytest.approx(other.sharpness)


def test_memory_does_not_grow_with_the_fits(monkeypatch):
    """Fits of all rows for all classes at once would be 15 tables; one row needs those of five fits."""
    monkeypatch.setattr("handful.strategies.frozen.search._CELLS", 1 << 16)
    y = np.arange(1200) % 400
    x = {LAST: np.random.default_rng(0).normal(size=(1200, 16)).astype(np.float32)}
    folds = folds_of(y, repeats=1)
    tracemalloc.start()
    search(targets_of(y), x, {}, folds, Grid((CENTROID,), (LAST,)), Inline())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 15 * 4 * 1200 * 400


def test_the_informative_view_counts_and_the_answers_are_right():
    x, y = problem()
    found = search(targets_of(y), x, {}, folds_of(y), Grid((CENTROID, RIDGE, LOGISTIC), (LOWER, LAST)), Inline())
    everything = range(len(found.settings))
    weight = sum(member.weight for member in found.members(everything) if member.setting.view == LAST)
    assert weight > 0.99
    proba = found.nested(list(everything))
    np.testing.assert_allclose(proba.sum(2), 1, atol=1e-9)
    assert (proba.argmax(2) == y).mean() > 0.9


def test_pooling_settings_that_know_nothing_does_not_look_better_than_guessing():
    shares = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = np.arange(40) % 2
        views = {View((("noise", d),)): rng.normal(size=(40, 8)).astype(np.float32) for d in range(6)}
        found = search(targets_of(y), views, {}, folds_of(y), Grid((CENTROID, RIDGE), tuple(views)), Inline())
        shares.append((found.nested(list(range(len(found.settings)))).argmax(2) == y).mean())
    assert np.mean(shares) < 0.55  # the best of the 36 settings alone would claim about 0.68


@pytest.mark.parametrize("head", [CENTROID, RIDGE, LOGISTIC])
def test_rows_that_are_perfectly_separated_make_nothing_certain(head):
    x, y = problem(n=20, classes=2, noise=0.01)
    found = search(targets_of(y), x, {}, folds_of(y), Grid((head,), (LAST,)), Inline())
    proba = found.nested(range(len(found.settings)))
    assert (proba.argmax(2) == y).all()
    assert 0.9 < proba.max(2).mean() < 0.999
    for outcome in found.outcomes:
        sure = probabilities(outcome.scores, outcome.sharpness).max(2).mean()
        assert sure == pytest.approx(21 / 22, abs=0.02)  # Platt's target for 20 rows


def test_settings_compete_by_their_plain_losses():
    x, y = problem(n=20, classes=2, noise=0.01)
    found = search(targets_of(y), x, {}, folds_of(y), Grid((RIDGE,), (LAST,)), Inline())
    assert all(outcome.losses.mean() < 1e-3 for outcome in found.outcomes)


def test_label_names_pull_and_zero_shot_needs_no_rows():
    x, y = problem(noise=3.0)
    names = {LAST: np.eye(4, 16, dtype=np.float32)}
    grid = Grid((CENTROID,), (LAST,), name_weights=(0.0, 4.0), zero_shot=True)
    found = search(targets_of(y), x, names, folds_of(y), grid, Inline())
    assert len(found.settings) == len(grid) == 3
    assert [s.name_weight for s in found.settings] == [0.0, np.inf, 4.0]
    plain, zero, pulled = ((s.argmax(2) == y).mean() for s in (o.scores for o in found.outcomes))
    assert pulled > plain
    assert zero == ((unit_rows(x[LAST]) @ names[LAST].T).argmax(1) == y).mean()
    member = replace(found.members([1])[0], sharpness=1.0)
    part = LAST.parts[0]
    model = pooled([member], {part: x[LAST]}, {part: names[LAST]}, one_hot(y))
    np.testing.assert_allclose(model.scores(x[LAST]), found.outcomes[1].scores[0], atol=1e-5)


def test_leaving_out_the_only_row_of_a_class_works():
    x, y = problem(n=9)
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    found = search(
        targets_of(y),
        x,
        {},
        np.arange(9)[None],
        Grid((CENTROID, RIDGE, LOGISTIC), (LAST,)),
        Inline(),
    )
    assert np.isfinite(found.nested(list(range(len(found.settings))))).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_penalties_keep_the_middle(count):
    assert len(Grid((RIDGE,), (LAST,), penalties=count).penalties_of(RIDGE)) == count


@pytest.mark.slow
def test_processes_find_what_threads_find():
    x, y = problem(n=20, classes=2)
    grid = Grid((CENTROID, RIDGE), (LAST, LOWER))
    here, there = (search(targets_of(y), x, {}, folds_of(y), grid, engine) for engine in (Inline(), Processes()))
    assert here.settings == there.settings
    for a, b in zip(here.outcomes, there.outcomes, strict=True):
        np.testing.assert_array_equal(a.scores, b.scores)


def test_the_last_layer_of_each_backbone_is_known():
    x, y = problem(noise=3.0)
    other, joined = View((("other", 3),)), View((("toy", 2), ("other", 3)))
    x |= {other: x[LAST], joined: np.concatenate([x[LAST], x[LAST]], 1)}
    found = search(targets_of(y), x, {}, folds_of(y), Grid((RIDGE,), (LAST, LOWER, other, joined)), Inline())
    assert {s.view for s in found.settings if s.last} == {LAST, other, joined}


def test_only_settings_that_read_the_same_backbones_are_pooled():
    x, y = problem()
    other = View((("other", 3),))
    x[other] = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    found = search(targets_of(y), x, {}, folds_of(y), Grid((RIDGE,), (other, LAST, LOWER)), Inline())
    assert {member.setting.view.backbones for member in found.members(range(len(found.settings)))} == {("toy",)}
