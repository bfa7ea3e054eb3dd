"""Coverage: how often the 95 % interval of a run holds the accuracy of its model on the rows left over.

Rows left over count so that their classes are mixed as in the draw: a draw has the same number of every class, the
rest of most sets has not, and no interval can know the mix of other rows. ``plain`` is the accuracy without that,
``measured`` the upper end before it is moved up by what the rows that a fold leaves out are expected to add.

The rows left over are a sample too, ``rest`` of them once their classes are mixed so. The accuracy on few of them is
as far from the truth as that of few rows held out; ``at best`` is how often an exact interval of 95 % would hold it.

python benchmarks/coverage.py --draws 200 --out benchmarks/results/coverage.csv
"""

from __future__ import annotations

import argparse
import csv
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from handful.evaluation.intervals import interval
from handful.evaluation.verdicts import promised
from handful.seeding import generator
from handful.strategies.frozen.learning_curve import forecast
from handful.tasks.classification import CLASSIFICATION
from pools import DATA, Pool, Set, answered, by_name, draws, fitted, held_apart, open_pool

SIZES = (10, 25, 50)
CLASSES = 6
"""Sets with more classes are drawn with six random ones per draw."""
ENOUGH = 0.94
"""Where an exact interval would hold the truth as often as this, the rows left over hardly blur it."""
FIELDS = (
    "set",
    "per_class",
    "draw",
    "rows",
    "classes",
    "value",
    "low",
    "measured",
    "high",
    "truth",
    "rest",
    "plain",
    "held",
)


def main() -> None:
    """Run the draws, one set per process, and write one line per draw; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", default="")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--budget", type=float, default=2.0, help="seconds per run: the smallest search")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/coverage.csv"))
    parser.add_argument("--table", action="store_true", help="only print the table of the rows in --out")
    args = parser.parse_args()
    rows = read(args.out)
    tasks = [task for task in by_name(args.sets) if task.name not in {row["set"] for row in rows}]
    if args.table:
        tasks = []
    with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(one_set, task, args.data, args.draws, args.budget) for task in tasks]
        for job in jobs:
            rows += job.result()
            write(rows, args.out)
    print(table(rows))


def read(file: Path) -> list[dict[str, object]]:
    """The rows of an earlier run: sets that are there are not run again."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return [dict(row) for row in csv.DictReader(stream)]


def one_set(task: Set, folder: Path, count: int, budget: float) -> list[dict[str, object]]:
    """All sizes of one set."""
    pool, out = open_pool(task, folder, most=100_000), []
    smallest = min(pool.data.counts.values())
    for per_class in SIZES:
        if per_class <= smallest * 3 // 4:
            out += [one_draw(pool, per_class, budget, *draw) for draw in draws(pool, per_class, count, CLASSES)]
            print(table(out[-count:]), flush=True)
    return out


def one_draw(
    pool: Pool, per_class: int, budget: float, seed: int, train: np.ndarray, rest: np.ndarray
) -> dict[str, object]:
    """Tune on one draw; the truth is the accuracy on the rows left over."""
    train, rest = held_apart(pool, train, rest)
    data = pool.data.take(train)
    known = [i for i, name in enumerate(pool.data.classes) if name in set(data.classes)]
    sight = pool.sight.take(train).take_classes(known if pool.sight.names else [])
    frozen = fitted(data, sight, budget, seed)
    measured = interval(CLASSIFICATION.headline.of(frozen.whole, frozen.rows.targets), frozen.rows.groups)
    estimate = promised(measured, forecast(frozen, sight, generator(seed, "curve")), CLASSIFICATION.headline.scale)
    labels = np.asarray(pool.data.labels)[rest]
    right = answered(frozen, pool.sight.take(rest)) == labels
    mix = np.asarray(data.labels)
    tested = [c for c in data.classes if (labels == c).any()]
    truth = float(sum(right[labels == c].mean() * (mix == c).mean() for c in tested))
    worth = 1 / sum((mix == c).mean() ** 2 / (labels == c).sum() for c in tested)
    return {
        "set": pool.task.name,
        "per_class": per_class,
        "draw": seed,
        "rows": len(train),
        "classes": len(data.classes),
        "value": round(estimate.value, 4),
        "low": round(estimate.low, 4),
        "measured": round(measured.high, 4),
        "high": round(estimate.high, 4),
        "truth": round(truth, 4),
        "rest": round(float(worth), 1),
        "plain": round(float(right.mean()), 4),
        "held": int(estimate.low <= truth <= estimate.high),
    }


def write(rows: list[dict[str, object]], file: Path) -> None:
    """Write one line per draw."""
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        writer.writerows(rows)


def at_best(rows: np.ndarray, rest: np.ndarray) -> float:
    """How often an exact 95 % interval around a share of ``rows`` rows holds the share of ``rest`` other rows."""
    half = ndtri(0.975) / np.sqrt(1 + rows / rest)
    return float(np.mean(2 * ndtr(half) - 1))


def table(rows: list[dict[str, object]]) -> str:
    """Coverage, width and bias per cell, and the mean coverage per size."""
    cells: dict[tuple[int, str], list[dict[str, object]]] = {}
    for row in rows:
        cells.setdefault((int(str(row["per_class"])), str(row["set"])), []).append(row)
    lines, by_size = [], {}
    for (per_class, name), some in sorted(cells.items()):
        held, low, measured, high, value, truth, count, rest = (
            np.array([float(str(r[key])) for r in some])
            for key in ("held", "low", "measured", "high", "value", "truth", "rows", "rest")
        )
        best = at_best(count, rest)
        by_size.setdefault(per_class, []).append((held.mean(), best, ((low <= truth) & (truth <= measured)).mean()))
        lines.append(
            f"{name:<14}{per_class:>4} per class {len(some):>4} draws  held {held.mean():6.1%}  at best {best:.1%}  "
            f"width {np.mean(high - low):.2f}  estimate minus truth {100 * np.mean(value - truth):+5.1f} points"
        )
    for size, some in by_size.items():
        held, best, before = np.mean(some, axis=0)
        enough = [held for held, best, _ in some if best >= ENOUGH]
        lines.append(
            f"mean over {len(some)} sets, {size} per class: held {held:.1%}, at best {best:.1%}; "
            f"over {len(enough)} with rows enough left over: held {np.mean(enough):.1%}; "
            f"before the upper end is moved: held {before:.1%}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
