"""Cross-validation folds for tiny sets, stratified and grouped: pure functions of labels, groups and a generator."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from handful.errors import OptionError


def fold_ids(y: np.ndarray, groups: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Deal rows into folds so that no group is split, and sizes and class shares are nearly equal.

    Groups are dealt one after the other, the largest first, each into the fold that then has the smallest sum of
    squared class shares; among equal folds into the smallest, among these at random. That is the greedy rule of
    scikit-learn's StratifiedGroupKFold with the variance of the shares in place of their standard deviation, so that
    only the fold that receives a group has to be looked at. Where every row is a group of its own, the rows of a
    class are spread so that any two folds differ by at most one of them, and fold sizes differ by at most one.

    Args:
        y: (N,) class of each row, whole numbers; or (N, S) how much each row has of each of S things, as of several
            labels, which are then shared out evenly (iterative stratification; Sechidis et al. 2011).
        groups: (N,) group of each row, whole numbers; rows of one group land in one fold.
        k: how many folds, from 2 up to the number of groups; with as many folds as groups every fold is one group.
        rng: decides between equally good folds, and the order of equal groups.

    Returns:
        (N,) fold of each row, 0 … k-1; no fold is empty.

    Raises:
        OptionError: fewer groups than folds, or fewer than two folds.
    """
    groups, several = np.unique(groups, return_inverse=True)[1], y.ndim > 1
    if not several:
        classes = np.unique(y, return_inverse=True)[1]
        y = np.eye(int(classes.max(initial=0)) + 1)[classes]
    count = int(groups.max()) + 1 if len(groups) else 0  # G
    if not 2 <= k <= count:
        raise OptionError(
            f"the number of folds must be between 2 and the number of groups ({count}), got {k}. Choose another."
        )
    held = np.zeros((count, y.shape[1]))  # (G, C) rows of each class in each group
    np.add.at(held, groups, y)
    sizes = np.bincount(groups, minlength=count).astype(float)
    weight = 1 / np.maximum(held.sum(0), 1e-9) ** 2  # a row of a rare class is a larger share of it
    dealt, filled = np.zeros((k, held.shape[1])), np.zeros(k)  # (k, C) of each class in each fold so far; (k,) rows
    fold_of = np.zeros(count, dtype=np.int64)
    for group in _order(held, sizes, weight, rng):
        # Adding v to fold f raises the sum of squares over all folds by 2 v·dealt[f] plus the same for every f.
        cost = dealt @ (held[group] * weight)
        # Rows of several labels have hardly ever equal costs: their number has to be looked after by itself.
        room = filled + sizes[group] <= np.ceil(len(groups) / k)
        if several and room.any():
            cost = np.where(room, cost, np.inf)
        best = np.flatnonzero(cost <= cost.min() * (1 + 1e-9))
        best = best[filled[best] == filled[best].min()]
        fold = best[rng.integers(len(best))]
        dealt[fold] += held[group]
        filled[fold] += sizes[group]
        fold_of[group] = fold
    found: np.ndarray = fold_of[groups]
    return found


def _order(held: np.ndarray, sizes: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(G,) groups, largest first, those of one class together, otherwise shuffled.

    A row of several labels stands with the rarest of them, and rare labels are dealt first, while there is room.

    Keeping a class together is what makes the fold sizes even: the rows that are left over after whole rounds go
    where the total is smallest.
    """
    class_rank = rng.permutation(held.shape[1])[held.argmax(1)]
    if (np.count_nonzero(held, axis=1) > sizes).any():
        class_rank = np.lexsort((rng.random(len(weight)), -weight)).argsort()[(held * weight).argmax(1)]
    return np.lexsort((rng.random(len(held)), class_rank, -sizes))


def merge_groups(first: Sequence[Hashable] | np.ndarray, *others: Sequence[Hashable] | np.ndarray) -> np.ndarray:
    """Join several groupings into one: rows that share an id in any of them end in one group.

    Args:
        first: (N,) an id per row, for example the user's groups.
        others: further groupings of the same rows, for example sets of duplicates.

    Returns:
        (N,) whole numbers from 0, in the order in which the groups first appear.
    """
    parent = list(range(len(first)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]  # halve the path, so that the next search is shorter
            row = parent[row]
        return row

    for grouping in (first, *others):
        seen: dict[Hashable, int] = {}
        for row, name in enumerate(np.asarray(grouping).tolist() if isinstance(grouping, np.ndarray) else grouping):
            a, b = root(seen.setdefault(name, row)), root(row)
            parent[max(a, b)] = min(a, b)
    roots = [root(row) for row in range(len(parent))]
    number = {name: i for i, name in enumerate(dict.fromkeys(roots))}
    return np.array([number[name] for name in roots], dtype=np.int64)
