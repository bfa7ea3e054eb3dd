"""The lazy greedy asks what would be asked if every score were computed anew."""

import numpy as np
import pytest

from handful.regimes.active import greedy, pool
from handful.regimes.active.learner import ActiveLearner
from handful.regimes.active.ways import WAYS
from handful.tasks.classification import CLASSIFICATION

KINDS = ("ants", "bees", "wasps")


def learner_of(asking, labelled=12, items=400):
    """A learner that has some answers about items of three kinds."""
    rng = np.random.default_rng(3)
    kind = rng.integers(3, size=items)
    x = rng.standard_normal((3, 16))[kind] + rng.standard_normal((items, 16))
    made = ActiveLearner.on(x, CLASSIFICATION, asking=asking)
    for index in rng.permutation(items)[:labelled].tolist():
        made.answer(index, KINDS[kind[index]], "searched")
    made.refit()
    return made


def in_full(self, way, now, closed):
    return int(np.where(closed, -np.inf, way.scores(now)).argmax())


@pytest.mark.parametrize("asking", [name for name, way in WAYS.items() if way.falls])
def test_it_asks_what_all_scores_would(asking, monkeypatch):
    quick = [one.index for one in learner_of(asking).next(40, range(100, 170))]
    monkeypatch.setattr(greedy.Greedy, "best", in_full)
    assert quick == [one.index for one in learner_of(asking).next(40, range(100, 170))]


def test_few_scores_are_computed_anew(monkeypatch):
    seen, way = [], WAYS["typical"]
    monkeypatch.setattr(greedy, "BLOCK", 8)
    monkeypatch.setattr(
        "handful.regimes.active.acquisition.typical",
        lambda alike, covered: seen.append(len(alike)) or np.maximum(alike - covered, 0).sum(1, dtype=np.float64),
    )
    learner_of(way.name).next(30)
    assert seen[0] == 400
    assert sum(seen[1:]) < 10 * 400


def test_what_is_covered_is_known_of_the_last_time_and_right_when_items_are_put_back():
    x = np.random.default_rng(0).standard_normal((50, 8))
    items = pool.pool_of(x)
    for some in ([1, 2], [1, 2, 3], [3], [], [4, 3, 2]):
        fresh = pool.pool_of(x).covered(np.array(some, np.int64))
        assert np.allclose(items.covered(np.array(some, np.int64)), fresh, atol=1e-6)
