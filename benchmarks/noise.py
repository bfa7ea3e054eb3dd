"""Coverage on pure noise: how often the 95 % interval of a run holds chance, where there is nothing to learn.

python benchmarks/noise.py --draws 200 --out benchmarks/results/noise.csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from handful.data.dataset import Dataset
from handful.evaluation.intervals import interval
from handful.features.feature_set import FeatureSet
from handful.tasks.classification import CLASSIFICATION
from pools import fitted

WIDTH = 64
CELLS = ((6, 2), (8, 2), (9, 3), (12, 2), (12, 4), (20, 2), (28, 4), (40, 2), (60, 3))
"""Rows and classes."""
FIELDS = ("rows", "classes", "draw", "value", "low", "high", "held")


def main() -> None:
    """Run the draws, write one line per draw, print one line per cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/noise.csv"))
    args = parser.parse_args()
    with args.out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        for rows, classes in CELLS:
            found = [one_draw(rows, classes, draw) for draw in range(args.draws)]
            writer.writerows(found)
            held, value, low, high = (np.mean([row[key] for row in found]) for key in ("held", "value", "low", "high"))
            print(
                f"{rows:>3} rows, {classes} classes: held {held:6.1%}  mean {value:.2f} against chance "
                f"{1 / classes:.2f}  width {high - low:.2f}",
                flush=True,
            )


def one_draw(rows: int, classes: int, draw: int) -> dict[str, float]:
    """One run on features and labels that have nothing to do with each other."""
    rng = np.random.default_rng([draw, rows, classes])
    part = ("noise", 1)
    x = rng.normal(size=(rows, WIDTH)).astype(np.float32)
    labels = tuple(str(c) for c in rng.permutation(np.arange(rows) % classes))
    data = Dataset([f"item {i}" for i in range(rows)], "text", labels, source="noise")
    sight = FeatureSet({part: x}, {}, {"noise": (1,)})
    frozen = fitted(data, sight, 4.0, draw)
    estimate = interval(CLASSIFICATION.headline.of(frozen.whole, frozen.rows.targets), frozen.rows.groups)
    truth = 1 / classes
    return {
        "rows": rows,
        "classes": classes,
        "draw": draw,
        "value": round(estimate.value, 4),
        "low": round(estimate.low, 4),
        "high": round(estimate.high, 4),
        "held": int(estimate.low <= truth <= estimate.high),
    }


if __name__ == "__main__":
    main()
