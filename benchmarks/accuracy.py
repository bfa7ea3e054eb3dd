"""Accuracy of a tuned run against a plain logistic probe on the last layer, over seeded few-shot draws.

python benchmarks/accuracy.py --draws 10 --out benchmarks/results/accuracy.csv
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from handful.features.view import unit_rows
from ledger import cells, mean, spread
from pools import DATA, Pool, answered, by_name, draws, fitted, held_apart, open_pool

FIELDS = ("set", "per_class", "draw", "rows", "tuned", "probe", "estimate", "arm", "view")


def main() -> None:
    """Run the draws and write one line per draw; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", default="")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/accuracy.csv"))
    parser.add_argument("--table", action="store_true", help="only print the table of the rows in --out")
    args = parser.parse_args()
    if args.table:
        print(table(read(args.out)))
        return
    tasks = by_name(args.sets)
    rows = [row for row in read(args.out) if row["set"] not in {task.name for task in tasks}]
    for task in tasks:
        pool = open_pool(task, args.data)
        for per_class in task.per_class:
            rows += [one_draw(pool, per_class, *draw) for draw in draws(pool, per_class, args.draws)]
            write(rows, args.out)
            print(line(rows[-args.draws :]), flush=True)
    print(table(rows))


def read(file: Path) -> list[dict[str, object]]:
    """The rows of an earlier run: those of other sets are kept."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return [dict(row) for row in csv.DictReader(stream)]


def write(rows: list[dict[str, object]], file: Path) -> None:
    """One line per draw."""
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        writer.writerows(rows)


def one_draw(pool: Pool, per_class: int, seed: int, train: np.ndarray, rest: np.ndarray) -> dict[str, object]:
    """Tune and probe on one draw, score both on the rows left over."""
    train, rest = held_apart(pool, train, rest)
    data, sight = pool.data.take(train), pool.sight.take(train)
    frozen = fitted(data, sight, 60.0, seed)
    truth = np.asarray(pool.data.labels)[rest]
    tuned = answered(frozen, pool.sight.take(rest))
    first = next(iter(pool.sight.depths))
    last = (first, pool.sight.depths[first][0])
    x = unit_rows(pool.sight.items[last])
    probe = LogisticRegression(C=10, max_iter=2000).fit(x[train], data.labels)
    return {
        "set": pool.task.name,
        "per_class": per_class,
        "draw": seed,
        "rows": len(train),
        "tuned": round(float((tuned == truth).mean()), 4),
        "probe": round(float(probe.score(x[rest], truth)), 4),
        "estimate": round(float((frozen.whole.argmax(2) == frozen.rows.targets.values).mean()), 4),
        "arm": frozen.arm,
        "view": "+".join(frozen.model.view.backbones),
    }


def line(rows: list[dict[str, object]]) -> str:
    """One line of the table: means, and the gain with its 95 % interval over draws."""
    tuned, probe = (100 * mean(rows, key) for key in ("tuned", "probe"))
    views = Counter("joined" if "+" in str(r["view"]) else str(r["view"]).split("@")[0] for r in rows)
    return (
        f"{rows[0]['set']!s:<14}{rows[0]['per_class']!s:>4}{probe:>8.1f}{tuned:>8.1f}"
        f"  {spread(rows, 'tuned', 'probe')}"
        f"  {', '.join(f'{name} {count}' for name, count in views.most_common())}"
    )


def table(rows: list[dict[str, object]]) -> str:
    """One line per set and size, the mean over them and the worst."""
    found = cells(rows, "set", "per_class")
    gains = {cell: 100 * (mean(some, "tuned") - mean(some, "probe")) for cell, some in found.items()}
    worst = min(gains, key=gains.__getitem__)
    head = f"{'set':<14}{'rows':>4}{'probe':>8}{'tuned':>8}{'gain':>8}  95 % interval over draws; backbones chosen"
    lowest = f"{worst[0]}, {worst[1]} per class, {gains[worst]:+.2f}"
    last = f"mean gain over {len(gains)} cells {np.mean(list(gains.values())):+.2f} points; worst: {lowest}"
    return "\n".join([head, *(line(some) for some in found.values()), last])


if __name__ == "__main__":
    main()
