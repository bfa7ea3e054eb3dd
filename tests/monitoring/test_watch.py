"""Watching: windows that fill with different items, and drift that is told after two that differ."""

from types import SimpleNamespace

import numpy as np

from handful.features.view import unit_rows
from handful.monitoring import watch
from handful.monitoring.watch import Item, Watch, WindowResult

DIFFERENT = WindowResult(10, 9, 0.001, True, {"a": 1.0}, True)
ALIKE = WindowResult(10, 0, 0.5, False, {"a": 1.0}, False)


def items(count, centre, seed=0, strange=False):
    rng = np.random.default_rng(seed)
    rows = unit_rows(np.asarray(centre) + 0.3 * rng.normal(size=(count, len(centre))))
    return [Item(row, 0, "a", strange) for row in rows]


def reference(seed=9):
    rows = np.stack([item.features for item in items(50, (1, 0, 0), seed)])
    return SimpleNamespace(
        rows=rows.astype(np.float16), answered=np.zeros(50, int), novelty=SimpleNamespace(level=0.05)
    )


def test_a_window_is_full_when_so_many_different_items_came():
    watch, some = Watch(4), items(4, (1, 0, 0))
    assert watch.add(some[:3]) is None
    assert watch.add(some[:3]) is None  # the same again
    assert watch.waiting == 3
    full = watch.add(some)
    assert full is not None
    assert len(full) == 4
    assert watch.waiting == 0


def test_drift_is_told_once_after_two_windows_that_differ():
    watch = Watch()
    assert [watch.tell(one) for one in (DIFFERENT, ALIKE, DIFFERENT)] == [False] * 3
    assert not watch.drifted
    assert watch.tell(DIFFERENT)
    assert watch.drifted
    assert not watch.tell(DIFFERENT)
    assert not watch.tell(ALIKE)
    assert not watch.drifted
    assert (watch.windows, watch.last) == (6, ALIKE)


def test_a_new_model_begins_anew():
    watch = Watch(4)
    watch.add(items(3, (1, 0, 0)))
    watch.tell(DIFFERENT)
    watch.tell(DIFFERENT)
    watch.restart()
    assert (watch.drifted, watch.waiting, watch.last) == (False, 0, None)


def test_items_like_the_training_rows_and_others():
    rng = np.random.default_rng(0)
    alike = watch.tested(reference(), items(60, (1, 0, 0), 1), rng, 0.01)
    assert not alike.beyond_chance
    other = watch.tested(reference(), items(60, (0, 1, 0), 2), rng, 0.01)
    assert other.beyond_chance
    assert other.p is not None
    assert other.p < 0.01
    assert other.record() == {
        "items": 60, "unlike_training": 0, "p": other.p, "mostly_strange": False, "answers": {"a": 1.0},
        "beyond_chance": True,
    }  # fmt: skip


def test_mostly_strange_items_differ_whatever_they_are_answered():
    rng = np.random.default_rng(0)
    found = watch.tested(reference(), items(20, (1, 0, 0), 3, strange=True), rng, 0.0)
    assert (found.strange, found.mostly_strange, found.beyond_chance) == (20, True, True)
