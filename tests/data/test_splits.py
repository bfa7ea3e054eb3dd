"""Folds: even, stratified, groups whole, the same for a seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.data.splits import fold_ids, merge_groups
from handful.errors import OptionError
from handful.seeding import generator

# Other work on the machine makes a first call slow; how long a draw takes says nothing about the folds.
timeless = settings(deadline=None)


def rng(seed=0):
    return generator(seed, "folds")


@st.composite
def rows(draw, least=2):
    n = draw(st.integers(least, 60))
    y = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    groups = draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
    return np.array(y), np.array(groups)


def spread(y, folds, k):
    """Largest difference between two folds, per class and in all."""
    table = np.array([[np.sum((y == c) & (folds == f)) for f in range(k)] for c in np.unique(y)])
    return np.ptp(table, axis=1), np.ptp(table.sum(0))


@timeless
@given(st.lists(st.integers(0, 6), min_size=2, max_size=80), st.integers(2, 10), st.integers(0, 99))
def test_single_rows_are_dealt_evenly_per_class_and_in_all(labels, k, seed):
    y = np.array(labels)
    k = min(k, len(y))
    folds = fold_ids(y, np.arange(len(y)), k, rng(seed))
    per_class, total = spread(y, folds, k)
    assert per_class.max() <= 1
    assert total <= 1
    assert set(folds.tolist()) == set(range(k))


@timeless
@given(rows(), st.integers(2, 6), st.integers(0, 99))
def test_groups_stay_whole_and_no_fold_is_empty(data, k, seed):
    y, groups = data
    k = min(k, len(np.unique(groups)))
    if k < 2:
        return
    folds = fold_ids(y, groups, k, rng(seed))
    for group in np.unique(groups):
        assert len(set(folds[groups == group].tolist())) == 1
    assert set(folds.tolist()) == set(range(k))


@timeless
@given(rows(), st.integers(0, 99))
def test_same_seed_same_folds(data, seed):
    y, groups = data
    if len(np.unique(groups)) < 2:
        return
    assert (fold_ids(y, groups, 2, rng(seed)) == fold_ids(y, groups, 2, rng(seed))).all()


@timeless
@given(rows(least=8), st.integers(0, 9))
def test_names_of_classes_and_groups_do_not_matter(data, seed):
    y, groups = data
    if len(np.unique(groups)) < 3:
        return
    folds = fold_ids(y, groups, 3, rng(seed))
    assert (folds == fold_ids(y * 10 - 3, groups + 100, 3, rng(seed))).all()


def test_another_seed_gives_other_folds():
    y, groups = np.repeat([0, 1], 20), np.arange(40)
    assert (fold_ids(y, groups, 5, rng(0)) != fold_ids(y, groups, 5, rng(1))).any()


def test_a_class_with_fewer_rows_than_folds_is_spread():
    y = np.array([0] * 12 + [1] * 3)
    folds = fold_ids(y, np.arange(15), 5, rng())
    assert len(set(folds[y == 1].tolist())) == 3
    assert np.bincount(folds).tolist() == [3] * 5


def test_a_class_with_one_row_is_allowed():
    y = np.array([0, 0, 0, 1, 1, 1, 2])
    assert spread(y, fold_ids(y, np.arange(7), 3, rng()), 3)[0].max() == 1


def test_as_many_folds_as_groups_is_leave_one_group_out():
    y, groups = np.array([0, 1, 0, 1, 0, 0, 1]), np.array([0, 0, 1, 1, 2, 3, 3])
    folds = fold_ids(y, groups, 4, rng())
    assert len({(f, g) for f, g in zip(folds.tolist(), groups.tolist(), strict=True)}) == 4


def test_balanced_groups_give_balanced_folds():
    # Six speakers who each say ten digits once: every fold of two speakers holds each digit twice.
    y, groups = np.tile(np.arange(10), 6), np.repeat(np.arange(6), 10)
    per_class, total = spread(y, fold_ids(y, groups, 3, rng()), 3)
    assert per_class.max() == 0
    assert total == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_few_duplicates_hardly_disturb_the_balance(seed):
    y = np.repeat(np.arange(4), 10)
    groups = np.arange(40)
    groups[1], groups[11], groups[12], groups[25] = 0, 10, 10, 24
    per_class, total = spread(y, fold_ids(y, groups, 5, rng(seed)), 5)
    assert per_class.max() <= 2
    assert total <= 2


def test_at_least_as_even_as_scikit_learns_stratified_group_folds():
    from sklearn.model_selection import StratifiedGroupKFold

    ours, theirs = np.zeros(2), np.zeros(2)
    for seed in range(10):
        draw = np.random.default_rng(seed)
        y, groups = draw.integers(0, 4, 120), draw.integers(0, 30, 120)
        per_class, total = spread(y, fold_ids(y, groups, 5, rng(seed)), 5)
        ours += per_class.mean(), total
        other = np.zeros(120, int)
        for fold, (_, test) in enumerate(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(y, y, groups)):
            other[test] = fold
        per_class, total = spread(y, other, 5)
        theirs += per_class.mean(), total
    assert (ours <= theirs).all()


@pytest.mark.parametrize(("k", "groups"), [(1, [0, 1, 2]), (4, [0, 1, 2]), (2, [5, 5, 5])])
def test_impossible_numbers_of_folds_are_refused(k, groups):
    with pytest.raises(OptionError) as error:
        fold_ids(np.array([0, 1, 0]), np.array(groups), k, rng())
    count = len(set(groups))
    assert str(error.value) == (
        f"the number of folds must be between 2 and the number of groups ({count}), got {k}. Choose another."
    )


def test_no_rows_are_refused():
    with pytest.raises(OptionError, match=r"number of groups \(0\)"):
        fold_ids(np.array([], int), np.array([], int), 2, rng())


def test_merging_follows_chains():
    people = ["ann", "ann", "bob", "bob", "eve", "kim"]
    copies = [0, 1, 1, 2, 3, 4]
    assert merge_groups(people, np.array(copies)).tolist() == [0, 0, 0, 0, 1, 2]


def test_merging_one_grouping_only_renumbers_it():
    assert merge_groups(["b", "a", "b"]).tolist() == [0, 1, 0]


def test_merging_nothing():
    assert merge_groups([]).tolist() == []


@timeless
@given(rows(), st.randoms(use_true_random=False))
def test_merging_is_the_finest_grouping_that_no_given_one_cuts(data, shuffle):
    first, second = data
    merged = merge_groups(first, second)
    for grouping in (first, second):
        for name in np.unique(grouping):
            assert len(set(merged[grouping == name].tolist())) == 1
    # Finest: every merged group is connected, which a search over shared ids must find too.
    for name in np.unique(merged):
        members = np.flatnonzero(merged == name)
        reached, front = {int(members[0])}, [int(members[0])]
        while front:
            row = front.pop()
            near = np.flatnonzero((first == first[row]) | (second == second[row]))
            front += [int(i) for i in near if int(i) not in reached]
            reached.update(int(i) for i in near)
        assert reached == set(members.tolist())
    order = np.array(shuffle.sample(range(len(first)), len(first)))
    again = merge_groups(first[order], second[order])
    assert merge_groups(again, merged[order]).max() == merged.max()
