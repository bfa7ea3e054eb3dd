"""Forecasts: how often the gain from twice the labels lies in the 95 % interval that the first half promised.

A draw is learned from, its learning curve read, and as many rows of every class are added. The gain is the difference
of the two models' accuracies on the rows left over, their classes mixed as in the draw. The constants of the forecast
were found on trashnet6 and the development sets of pools.py, the default sets here have had no part in that.

    python benchmarks/forecast.py --draws 40 --out benchmarks/results/forecast.csv
    python benchmarks/forecast.py --sets trashnet6,goemotions,masakhanews_eng,masakhanews_swa,clinc150
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from handful.features.feature_set import FeatureSet
from handful.seeding import generator
from handful.strategies.frozen.learning_curve import forecast
from handful.strategies.frozen.rung import Frozen
from ledger import Ledger, Row, cells, mean, numbers, options
from pools import Pool, answered, by_name, fitted, open_pool

FIELDS = ("set", "per_class", "draw", "rows", "now", "then", "gain", "low", "high", "promised", "flat", "held")
CLASSES = 10
"""Where a set has more classes, a draw takes so many of them."""
LEFT = 6
"""A class is drawn only if at least so many of its rows are left over to score on."""


def main() -> None:
    """Run the draws, write one line per draw, print the table."""
    parser = options(__doc__, "agnews,trec6,banking77,flowers12,textile3,fsdd_digits", 40, "forecast.csv")
    parser.add_argument("--per-class", default="5,10,20")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds per run, as in tune")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "per_class", "draw"))
    for task in by_name(args.sets) if not args.table else ():
        pool = open_pool(task, args.data)
        for size in numbers(args.per_class):
            for seed, some, all_rows, rest in doubled(pool, size, args.draws):
                ledger.add(one_draw(pool, size, seed, (some, all_rows, rest), args.budget))
            print(table([row for row in ledger.rows if row["set"] == task.name]), flush=True)
    print(table(ledger.rows))


def doubled(pool: Pool, size: int, count: int) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Seeded draws: so many rows per class, these and as many more, and the rows left over."""
    labels = np.asarray(pool.data.labels)
    names, found = np.unique(labels, return_counts=True)
    names = names[found >= 2 * size + LEFT]
    for seed in range(count) if len(names) > 1 else ():
        rng = np.random.default_rng([seed, size])
        rows = [rng.permutation(np.flatnonzero(labels == name)) for name in np.sort(rng.permutation(names)[:CLASSES])]
        some, both, rest = ([part[at] for part in rows] for at in (slice(size), slice(2 * size), slice(2 * size, None)))
        yield seed, *(np.sort(np.concatenate(parts)) for parts in (some, both, rest))


def frozen_on(pool: Pool, rows: np.ndarray, budget: float, seed: int) -> tuple[Frozen, FeatureSet]:
    """The frozen rung on some rows, and their features."""
    data = pool.data.take(rows)
    known = [i for i, name in enumerate(pool.data.classes) if name in set(data.classes)]
    sight = pool.sight.take(rows).take_classes(known if pool.sight.names else [])
    return fitted(data, sight, budget, seed), sight


def accuracy(pool: Pool, frozen: Frozen, rest: np.ndarray) -> float:
    """Mean over classes of the share of rows answered right."""
    labels = np.asarray(pool.data.labels)[rest]
    right = answered(frozen, pool.sight.take(rest)) == labels
    return float(np.mean([right[labels == name].mean() for name in frozen.rows.targets.names]))


def one_draw(pool: Pool, size: int, seed: int, rows: tuple[np.ndarray, np.ndarray, np.ndarray], budget: float) -> Row:
    """What the first half promises, and what the second half brings."""
    some, both, rest = rows
    frozen, sight = frozen_on(pool, some, budget, seed)
    curve = forecast(frozen, sight, generator(seed, "curve"))
    promised = curve.gain(len(some))
    before = accuracy(pool, frozen, rest)
    after = accuracy(pool, frozen_on(pool, both, budget, seed)[0], rest)
    return {
        "set": pool.task.name,
        "per_class": size,
        "draw": seed,
        "rows": len(some),
        "now": round(before, 4),
        "then": round(after, 4),
        "gain": round(after - before, 4),
        "low": round(promised.low, 4),
        "high": round(promised.high, 4),
        "promised": round(promised.value, 4),
        "flat": int(curve.flat),
        "held": int(promised.low <= after - before <= promised.high),
    }


def table(rows: Sequence[Row]) -> str:
    """Per set and size: how often the interval held, what was promised and what came; then the means."""
    head = f"{'set':<16}{'rows':>5}{'draws':>7}{'held':>8}{'promised':>10}{'came':>7}{'width':>7}{'called flat':>13}"
    lines, shares = [head], []
    for (name, size), some in cells(rows, "set", "per_class").items():
        shares.append(mean(some, "held"))
        promised, came, width = (
            100 * x for x in (mean(some, "promised"), mean(some, "gain"), mean(some, "high") - mean(some, "low"))
        )
        lines.append(
            f"{name:<16}{size:>5}{len(some):>7}{shares[-1]:>8.0%}{promised:>+10.1f}{came:>+7.1f}{width:>7.1f}"
            f"{mean(some, 'flat'):>13.0%}"
        )
    return "\n".join([*lines, f"held on the mean over {len(shares)} cells: {np.mean(shares):.1%}"])


if __name__ == "__main__":
    main()
