"""Rare classes: how often the 95 % interval of a macro metric holds the truth where a class has hardly any rows.

Answers are drawn, so that the truth is known: rows of each class are found as often as the table says, and a missed row
is taken for any other class. The truth is the metric of the mean counts, classes mixed as in the rows. ``held``: how
often the interval of the score holds it; ``low`` and ``high``: how often the truth lies below and above the interval.
``difference``: how often the interval of the difference to always answering the same class holds the true difference.
``better``: how often that interval lies above zero. Where the true difference is 0, that is in error.

    python benchmarks/rare_classes.py --draws 200 --out benchmarks/results/rare_classes.csv
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.intervals import difference, interval
from handful.evaluation.metrics import Metric
from handful.tasks.base import Targets
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.classification.metrics import METRICS
from ledger import Ledger, Row, cells, options

COUNTS = ((38, 2), (37, 3), (36, 4), (32, 8), (97, 3), (96, 4), (92, 8), (36, 2, 2))
"""Rows of each class, the frequent one first."""
FOUND = ((0.98, 0.95), (0.95, 0.75), (0.9, 0.5), (0.75, 0.25))
"""How often a row of the frequent class, and of a rare one, is found; the last is worth nothing with two classes."""
NAMES = ("balanced_accuracy", "macro_f1")
FIELDS = ("counts", "common", "rare", "metric", "draws", "truth", "gap", "held", "low", "high", "difference", "better")


def main() -> None:
    """Measure the cells that are not there yet; print the table."""
    parser = options(__doc__, ",".join(NAMES), 200, "rare_classes.csv")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("counts", "common", "rare", "metric"))
    for counts in () if args.table else COUNTS:
        for found in FOUND:
            ledger.extend([one_cell(counts, found, METRICS[name], args.draws) for name in args.sets.split(",")])
    print(table(ledger.rows))


def one_cell(counts: Sequence[int], found: tuple[float, float], metric: Metric, draws: int) -> Row:
    """How often intervals hold the truth, over answers drawn anew to the same rows."""
    truth = np.repeat(np.arange(len(counts)), counts)
    targets = Targets(CLASSIFICATION, truth, tuple(f"c{i}" for i in range(len(counts))))
    chance = chances(len(counts), found)  # (C, C)
    same = metric.of(np.broadcast_to(np.eye(len(counts))[0], (1, len(truth), len(counts))), targets)
    exact = true_value(metric, chance, counts)
    gap = exact - same.value
    rng = np.random.default_rng([len(truth), *counts[1:], *(round(100 * share) for share in found)])
    told = np.zeros((draws, 5))
    for draw in range(draws):
        answers = (rng.random(len(truth))[:, None] < np.cumsum(chance, 1)[truth]).argmax(1)
        own = metric.of(np.eye(len(counts))[answers][None], targets)
        score, apart = interval(own, rng=rng), difference(own, same, rng=rng)
        told[draw] = (
            score.low - 1e-9 <= exact <= score.high + 1e-9, exact < score.low - 1e-9, exact > score.high + 1e-9,
            apart.low - 1e-9 <= gap <= apart.high + 1e-9, apart.low > 0,
        )  # fmt: skip
    shares = (round(float(share), 4) for share in told.mean(0))
    return {
        "counts": "+".join(map(str, counts)), "common": found[0], "rare": found[1], "metric": metric.name,
        "draws": draws, "truth": round(exact, 4), "gap": round(gap, 4),
        **dict(zip(FIELDS[7:], shares, strict=True)),
    }  # fmt: skip


def chances(classes: int, found: tuple[float, float]) -> NDArray[np.float64]:
    """(C, C) how often a row of a class is answered with each class."""
    right = np.array([found[0], *[found[1]] * (classes - 1)])
    table = np.repeat((1 - right)[:, None] / (classes - 1), classes, axis=1)
    table[np.arange(classes), np.arange(classes)] = right
    return table


def true_value(metric: Metric, chance: NDArray[np.float64], counts: Sequence[int]) -> float:
    """The metric of the mean counts: rows that stand for every pair of a class and an answer, weighted by it."""
    classes = len(counts)
    truth, said = (place.ravel() for place in np.indices((classes, classes)))
    targets = Targets(CLASSIFICATION, truth, tuple(f"c{i}" for i in range(classes)))
    sums = metric.statistics(np.eye(classes)[said][None], targets)  # (C², S)
    return float(metric.value((np.asarray(counts)[:, None] * chance).ravel() @ sums))


def table(rows: Sequence[Row]) -> str:
    """One line per cell, and the mean and least of each metric."""
    lines = ["rows        found         metric             truth    held   low  high  difference  better"]
    for row in rows:
        found = f"{float(str(row['common'])):.0%} {float(str(row['rare'])):.0%}"
        shares = (100 * float(str(row[name])) for name in FIELDS[7:])
        held, low, high, apart, better = shares
        lines.append(
            f"{row['counts']:<12}{found:<14}{row['metric']:<18}{float(str(row['truth'])):>6.2f}{held:>7.1f}%{low:>6.1f}"
            f"{high:>6.1f}{apart:>10.1f}%{better:>7.1f}{'  (in error)' if abs(float(str(row['gap']))) < 1e-9 else ''}"
        )
    for (name,), some in cells(rows, "metric").items():
        shares = ([100 * float(str(row[key])) for row in some] for key in ("held", "difference"))
        held, apart = (f"{np.mean(found):.1f} % on the mean, {min(found):.1f} % at worst" for found in shares)
        lines.append(f"{name}: scores {held}; differences {apart}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
