"""A second look: how many of the labels that ``inspect`` lists are wrong, beside how many it says to expect.

A draw has as many classes and rows of each as asked; in a share of the rows the item is one of another class, so that
the sizes of the classes give nothing away. ``expected``, ``low`` and ``high`` are what ``inspect`` says, ``found`` is
what was planted among the rows that it lists; ``held``: whether that lies between the two ends (90 %). What was not
planted counts as right, though real sets have wrong labels of their own. Draws of which no backbone sees anything are
left out, as ``inspect`` leaves them out. The settings were chosen on goemotions (single labels), clinc150, masakhanews
and trashnet.

    python benchmarks/second_look.py --draws 12 --out benchmarks/results/second_look.csv
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handful.inspection.audit import _SEES
from handful.inspection.labels import doubts
from handful.inspection.match import matches, suited
from ledger import Ledger, Row, cells, mean, options, over_draws, values
from pools import Pool, Set, open_pool

SETS = (
    Set("agnews", "agnews.csv", "text", ()),
    Set("banking77", "banking77.csv", "text", ()),
    Set("flowers12", "flowers12.zip", "image", ()),
    Set("fsdd", "fsdd.zip", "sound", ()),
)
ROWS = 600
"""At most this many rows of a set are looked at, and twenty of each class in any case."""
SIZES = ((10,) * 2, (10,) * 4, (5,) * 6, (10,) * 6, (20,) * 6, (12, 6, 6, 3))
"""Rows per class, as they are labelled; what a set has not is left out."""
WRONG = (0.0, 0.05, 0.1, 0.2)
FIELDS = ("set", "sizes", "share", "draw", "rows", "wrong", "listed", "expected", "low", "high", "found", "held")


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = options(__doc__, ",".join(task.name for task in SETS), 12, "second_look.csv")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "sizes", "share", "draw"))
    for task in [task for task in SETS if task.name in args.sets.split(",") and not args.table]:
        pool = open_pool(task, args.data, most=ROWS)
        for sizes in SIZES:
            if len(sizes) <= len(pool.data.classes):
                drawn = (one_draw(pool, sizes, share, draw) for share in WRONG for draw in range(args.draws))
                ledger.extend([row for row in drawn if row])
    print(table(ledger.rows))


def mislabelled(
    labels: NDArray[np.str_], sizes: Sequence[int], share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.bool_]]:
    """Rows, the labels they are given, and which of these are wrong."""
    names = rng.permutation(np.unique(labels))[: len(sizes)]
    left = {name: list(rng.permutation(np.flatnonzero(labels == name))) for name in names}
    given = np.repeat(np.arange(len(names)), sizes)
    wrong = np.zeros(len(given), bool)
    wrong[rng.permutation(len(given))[: round(share * len(given))]] = True
    true = np.where(wrong, (given + rng.integers(1, len(names), len(given))) % len(names), given)
    rows = np.array([left[names[c]].pop() if left[names[c]] else -1 for c in true])
    there = rows >= 0
    return rows[there], names[given[there]], wrong[there]


def one_draw(pool: Pool, sizes: Sequence[int], share: float, draw: int) -> Row | None:
    """What is said of the rows of one draw; None where no backbone sees anything in them."""
    rng = np.random.default_rng([draw, round(100 * share), *sizes])
    rows, given, wrong = mislabelled(np.asarray(pool.data.labels), sizes, share, rng)
    sight = pool.sight.take(rows.tolist())
    fits = matches({name: sight.items[name, at[0]] for name, at in sight.depths.items()}, given.tolist())
    if max(fit.figure for fit in fits) < _SEES:
        return None
    found = doubts([sight.items[name, d] for name in suited(fits) for d in sight.depths[name][:2]], given.tolist())
    listed = found.second_look()
    count, right = found.wrong.among(listed), int(wrong[listed].sum())
    return {
        "set": pool.task.name, "sizes": "+".join(map(str, sizes)), "share": share, "draw": draw, "rows": len(rows),
        "wrong": int(wrong.sum()), "listed": len(listed), "expected": round(count.expected, 3), "low": count.low,
        "high": count.high, "found": right, "held": int(count.low <= right <= count.high),
    }  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """One line per share and sizes over all sets, then per set."""
    lines = ["share   rows per class      draws  wrong  listed  expected  found   expected - found        held"]
    by_set = [(share, f"all, {name}", some) for (share, name), some in cells(rows, "share", "set").items()]
    by_size = [(share, sizes, some) for (share, sizes), some in cells(rows, "share", "sizes").items()]
    for share, what, some in sorted(by_size, key=lambda cell: cell[0]) + sorted(by_set, key=lambda cell: cell[0]):
        wrong, listed, expected, found = (mean(some, key) for key in ("wrong", "listed", "expected", "found"))
        lines.append(
            f"{float(share):>5.0%}   {what:<20}{len(some):>5}{wrong:>7.1f}{listed:>8.1f}{expected:>10.1f}{found:>7.1f}"
            f"   {over_draws(values(some, 'expected') - values(some, 'found'), 1):<22}{mean(some, 'held'):>6.0%}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
