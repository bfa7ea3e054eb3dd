"""Association: whether labels have anything to do with what is seen in their rows, by permutations (PERMANOVA)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handful.features.view import Matrix, unit_rows
from handful.seeding import generator

DOUBT = 0.05
"""Labels that mean nothing are believed to mean something in so many cases."""
DEALS = 199
"""How often labels are dealt anew."""
NAME = 3
"""For so many rows the name of a class counts: as many as where weights move."""


def labels_tell(
    seen: Matrix, design: Matrix, groups: NDArray[np.integer] | None = None, names: Matrix | None = None
) -> bool:
    """Whether rows lie nearer to their class and its name than labels dealt at random would have it, beyond doubt.

    Nothing is learned and no row is held out, so that a dozen rows show what their held-out answers leave in doubt.

    Args:
        seen: (N, D) features that know nothing of the labels.
        design: (N, K) what is wanted of the rows: a column for each class, 1 in the rows that are of it.
        groups: (N,) rows that are not independent share a number; None where all are.
        names: (K, D) what is seen in the names of the classes; None where these say nothing.
    """
    return association(seen, design, groups, names) <= DOUBT


def association(
    seen: Matrix, design: Matrix, groups: NDArray[np.integer] | None = None, names: Matrix | None = None
) -> float:
    """The p-value of the share of variance that lies between classes, by dealing the labels anew.

    The permutational analysis of variance (PERMANOVA; Anderson 2001, Austral Ecology 26:32) on rows of length one: the
    variance within classes is what the whole variance leaves, so only that between them has to be summed for every
    deal. A name stands in its class for some rows more, which no deal takes away.

    Args:
        seen: (N, D) features that know nothing of the labels.
        design: (N, K) what is wanted of the rows.
        groups: (N,) rows that are not independent share a number. Of those of one group and label the first counts
            alone, since a mean of many is steadier than a single row, whatever its class. Where a group has rows of
            several classes, likeness within it speaks against the classes.
        names: (K, D) what is seen in the names of the classes.

    Returns:
        From 1 / (1 + DEALS) to 1.
    """
    x = unit_rows(seen)
    if groups is not None:
        _, first = np.unique(np.column_stack([groups, design]), axis=0, return_index=True)
        x, design = x[first], design[first]
    x = x - x.mean(0)
    present = (design != 0).any(0)  # (K,)
    own = np.ascontiguousarray(design[:, present], x.dtype)
    weight = (own**2).sum(0)  # of a class, its rows
    always = np.zeros((len(weight), x.shape[1]), x.dtype)
    if names is not None:
        named = unit_rows(names)[present]
        # The mean of the names says how names differ from rows, not which row is whose.
        always, weight = NAME * (named - named.mean(0)), weight + NAME
    rng = generator(0, "labels dealt anew")  # the same deals whoever asks: what was worth a try is judged alike
    deals = [np.arange(len(x)), *(rng.permutation(len(x)) for _ in range(DEALS))]
    between = np.array([_between(x, own[deal], always, weight) for deal in deals])
    # Ties count against the labels: rows that are all alike tell nothing.
    return float((between >= between[0] - 1e-6 * max(1.0, float(between[0]))).mean())


def _between(x: Matrix, own: Matrix, always: Matrix, weight: Matrix) -> float:
    """Σ over classes of the squared length of the sum, by its weight. (N, D), (N, K), (K, D), (K,)."""
    return float((((own.T @ x + always) ** 2).sum(1) / weight).sum())
